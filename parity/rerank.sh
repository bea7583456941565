#!/usr/bin/env bash
# Compares rerankers with sentence-transformers' CrossEncoder and zero-shot classification with transformers' pipeline: see rerank.py. The Python
# environment is that of sentence.sh, made of sentence.txt on the first call (ALBERT_VENV, default ~/.cache/albert/sentence-venv).
#
#   parity/rerank.sh [--count 200] [--tolerance 1e-5]
set -euo pipefail
export ALBERT_VENV=${ALBERT_VENV:-$HOME/.cache/albert/sentence-venv}
list=$(cd "$(dirname "$0")" && pwd)/sentence.txt
if ! cmp -s "$list" "$ALBERT_VENV/sentence.txt"; then
	python3 -m venv "$ALBERT_VENV"
	"$ALBERT_VENV/bin/python" -m pip install --quiet -r "$list"
	cp "$list" "$ALBERT_VENV/sentence.txt"
fi
. "$(dirname "$0")/environment.sh"
"$venv/bin/python" "$here/rerank.py" "$@"
