#!/usr/bin/env bash
# Compares `albert eval --task sts` and `--task retrieval` with SciPy and trec_eval, and `albert search` with NumPy: see retrieval.py. The Python
# environment is made of retrieval.txt on the first call (ALBERT_VENV, default ~/.cache/albert/retrieval-venv).
#
#   parity/retrieval.sh [--seeds 3] [--tolerance 1e-6]
set -euo pipefail
export ALBERT_VENV=${ALBERT_VENV:-$HOME/.cache/albert/retrieval-venv}
list=$(cd "$(dirname "$0")" && pwd)/retrieval.txt
if ! cmp -s "$list" "$ALBERT_VENV/retrieval.txt"; then
	python3 -m venv "$ALBERT_VENV"
	"$ALBERT_VENV/bin/python" -m pip install --quiet -r "$list"
	cp "$list" "$ALBERT_VENV/retrieval.txt"
fi
. "$(dirname "$0")/environment.sh"
"$venv/bin/python" "$here/retrieval.py" "$@"
