#!/usr/bin/env bash
# Compares `albert embed` with sentence-transformers: see sentence.py. The Python environment is made of sentence.txt on the first call
# (ALBERT_VENV, default ~/.cache/albert/sentence-venv); the published model is in one of its packages.
#
#   parity/sentence.sh                 # about a minute
#   parity/sentence.sh --long          # 2,000 texts and more directories
set -euo pipefail
export ALBERT_VENV=${ALBERT_VENV:-$HOME/.cache/albert/sentence-venv}
list=$(cd "$(dirname "$0")" && pwd)/sentence.txt
if ! cmp -s "$list" "$ALBERT_VENV/sentence.txt"; then
	python3 -m venv "$ALBERT_VENV"
	"$ALBERT_VENV/bin/python" -m pip install --quiet -r "$list"
	cp "$list" "$ALBERT_VENV/sentence.txt"
fi
. "$(dirname "$0")/environment.sh"
"$ALBERT_BIN" tokenizer train --cleanup albert --model-prefix "$tmp/words" --vocab-size 300 "$root/LICENSE"
WORDS=$tmp/words.model "$venv/bin/python" "$here/sentence.py" "$@"
