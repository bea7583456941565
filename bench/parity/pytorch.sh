#!/usr/bin/env bash
# Reads in Go what torch.save writes and loads in PyTorch what Go writes (see pytorch.py). Python 3.11 and the package index are needed;
# the environment is that of bench/golden (ALBERT_VENV, default ~/.cache/albert/golden-venv), made if it is not there.
#
#   bench/parity/pytorch.sh [--count 200] [--seed 1]
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
requirements=$here/../golden/requirements.txt
venv=${ALBERT_VENV:-$HOME/.cache/albert/golden-venv}
if [ ! -x "$venv/bin/python" ]; then
	python3 -m venv "$venv"
fi
if ! cmp -s "$requirements" "$venv/requirements.txt"; then
	"$venv/bin/pip" install --quiet -r "$requirements"
	cp "$requirements" "$venv/requirements.txt"
fi
exec "$venv/bin/python" "$here/pytorch.py" "$@"
