#!/usr/bin/env bash
# Compares `albert eval --task sts` and `--task retrieval` with SciPy and trec_eval, and `albert search` with NumPy: see retrieval.py. The Python
# environment is environment.sh's of retrieval.txt.
#
#   parity/retrieval.sh [--seeds 3] [--tolerance 1e-6]
set -euo pipefail
packages=retrieval . "$(dirname "$0")/environment.sh"
"$venv/bin/python" "$here/retrieval.py" "$@"
