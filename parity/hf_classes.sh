#!/usr/bin/env bash
# Compares every class that transformers has for ALBERT, or for BERT, in many shapes, with the albert command: see hf_classes.py. The Python environment is
# that of environment.sh.
#
#   parity/hf_classes.sh [--family Albert|Bert] [--count 64] [--tolerance 2e-5] [--only base]
set -euo pipefail
. "$(dirname "$0")/environment.sh"
"$venv/bin/python" "$here/hf_classes.py" "$@"
