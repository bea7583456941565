#!/usr/bin/env bash
# Asks `albert serve` by the clients that people have, unmodified: see serve/clients.py. Each must get the numbers of `albert embed | predict | fill`, bit for
# bit. Then schemathesis asks every route of /openapi.json whatever its forms allow. The environments are made on the first call: of
# serve/requirements.txt (ALBERT_VENV, default ~/.cache/albert/serve-venv), and serve/package.json's in ~/.cache/albert/serve-npm.
#
#   parity/serve.sh [--examples 25]
set -euo pipefail
list=$(cd "$(dirname "$0")" && pwd)/serve
export ALBERT_VENV=${ALBERT_VENV:-$HOME/.cache/albert/serve-venv}
if ! cmp -s "$list/requirements.txt" "$ALBERT_VENV/requirements.txt"; then
	python3 -m venv "$ALBERT_VENV"
	"$ALBERT_VENV/bin/python" -m pip install --quiet -r "$list/requirements.txt"
	cp "$list/requirements.txt" "$ALBERT_VENV/requirements.txt"
fi
export ALBERT_NPM=${ALBERT_NPM:-$HOME/.cache/albert/serve-npm}
if command -v npm > /dev/null && ! cmp -s "$list/package.json" "$ALBERT_NPM/package.json"; then
	mkdir -p "$ALBERT_NPM"
	cp "$list/package.json" "$ALBERT_NPM/"
	(cd "$ALBERT_NPM" && npm install --silent)
	cp "$list/package.json" "$ALBERT_NPM/" # npm writes it anew
fi
. "$(dirname "$0")/environment.sh"
(cd "$list" && go build -o "$tmp/go-client" .)
export ALBERT_GO_CLIENT=$tmp/go-client
"$venv/bin/python" "$list/clients.py" "$tmp" "$@"
