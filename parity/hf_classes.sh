#!/usr/bin/env bash
# Holds every class and shape that transformers has for ALBERT against the albert command: see hf_classes.py. The Python environment is environment.sh's.
#
#   parity/hf_classes.sh [--count 64] [--tolerance 2e-5] [--only base]
set -euo pipefail
. "$(dirname "$0")/environment.sh"
"$venv/bin/python" "$here/hf_classes.py" "$@"
