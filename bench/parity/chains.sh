#!/usr/bin/env bash
# Takes models of every class through every format and back: see chains.py. The Python environment is that of hf_pretraining.sh
# (ALBERT_VENV, default ~/.cache/albert/golden-venv), made if it is not there; one that is named is taken as it is.
#
#   bench/parity/chains.sh
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
requirements=$root/bench/golden/requirements.txt
venv=${ALBERT_VENV:-$HOME/.cache/albert/golden-venv}
if [ ! -x "$venv/bin/python" ]; then
	python3 -m venv "$venv"
	"$venv/bin/pip" install --quiet -r "$requirements" sentencepiece==0.2.3
	cp "$requirements" "$venv/requirements.txt"
fi
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
export ALBERT_BIN=$tmp/albert
(cd "$root" && CGO_ENABLED=0 go build -o "$ALBERT_BIN" ./cmd/albert)
"$ALBERT_BIN" tokenizer train --cleanup albert --model-prefix "$tmp/words" --vocab-size 300 "$root/LICENSE"
"$venv/bin/python" "$here/chains.py" "$tmp"
