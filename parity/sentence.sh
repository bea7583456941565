#!/usr/bin/env bash
# Compares `albert embed` with sentence-transformers: see sentence.py. To the Python environment of environment.sh come the packages of
# sentence.txt, which are installed on the first call; the published model is in one of them.
#
#   parity/sentence.sh [--count 300] [--tolerance 1e-5]
set -euo pipefail
. "$(dirname "$0")/environment.sh"
if ! cmp -s "$here/sentence.txt" "$venv/sentence.txt"; then
	"$venv/bin/pip" install --quiet -r "$here/sentence.txt"
	cp "$here/sentence.txt" "$venv/sentence.txt"
fi
"$venv/bin/python" "$here/sentence.py" "$@"
