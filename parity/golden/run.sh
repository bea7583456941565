#!/usr/bin/env bash
# Remakes the golden files, or with --check compares the committed ones with new ones. Python 3.11 and the package index are needed;
# the environment is made on the first call (ALBERT_VENV, default ~/.cache/albert/golden-venv).
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
venv=${ALBERT_VENV:-$HOME/.cache/albert/golden-venv}
if [ ! -x "$venv/bin/python" ]; then
	python3 -m venv "$venv"
fi
if ! cmp -s "$here/requirements.txt" "$venv/requirements.txt"; then
	"$venv/bin/pip" install --quiet -r "$here/requirements.txt"
	cp "$here/requirements.txt" "$venv/requirements.txt"
fi
"$venv/bin/python" "$here/make.py" "$@"
case ${1:-} in
'' | --check)
	"$venv/bin/python" "$here/heads.py" "$@"
	exec "$venv/bin/python" "$here/beam.py" "$@"
	;;
esac
