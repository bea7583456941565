#!/usr/bin/env bash
# Takes models of every class through every format and back: see chains.py. The Python environment is that of environment.sh.
#
#   parity/chains.sh
set -euo pipefail
. "$(dirname "$0")/environment.sh"
"$ALBERT_BIN" tokenizer train --cleanup albert --model-prefix "$tmp/words" --vocab-size 300 "$root/LICENSE"
"$venv/bin/python" "$here/chains.py" "$tmp"
