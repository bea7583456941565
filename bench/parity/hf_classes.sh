#!/usr/bin/env bash
# Holds every class and shape that transformers has for ALBERT against the albert command: see hf_classes.py. The Python environment is
# that of hf_pretraining.sh (ALBERT_VENV, default ~/.cache/albert/golden-venv), made if it is not there; one that is named is taken as it is.
#
#   bench/parity/hf_classes.sh [--count 64] [--tolerance 2e-5] [--only base]
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
requirements=$root/bench/golden/requirements.txt
venv=${ALBERT_VENV:-$HOME/.cache/albert/golden-venv}
if [ ! -x "$venv/bin/python" ]; then
	python3 -m venv "$venv"
	"$venv/bin/pip" install --quiet -r "$requirements"
	cp "$requirements" "$venv/requirements.txt"
fi
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
export ALBERT_BIN=$tmp/albert
(cd "$root" && CGO_ENABLED=0 go build -o "$ALBERT_BIN" ./cmd/albert)
"$venv/bin/python" "$here/hf_classes.py" "$@"
