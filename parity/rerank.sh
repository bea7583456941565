#!/usr/bin/env bash
# Compares rerankers with sentence-transformers' CrossEncoder and zero-shot classification with transformers' pipeline: see rerank.py. The Python
# environment is that of sentence.sh.
#
#   parity/rerank.sh [--count 200] [--tolerance 1e-5]
set -euo pipefail
packages=sentence . "$(dirname "$0")/environment.sh"
"$venv/bin/python" "$here/rerank.py" "$@"
