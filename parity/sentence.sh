#!/usr/bin/env bash
# Compares `albert embed` with sentence-transformers: see sentence.py. The Python environment is environment.sh's of sentence.txt; the
# published model is in one of its packages.
#
#   parity/sentence.sh                 # about a minute
#   parity/sentence.sh --long          # 2,000 texts and more directories
set -euo pipefail
packages=sentence . "$(dirname "$0")/environment.sh"
"$ALBERT_BIN" tokenizer train --cleanup albert --model-prefix "$tmp/words" --vocab-size 300 "$root/LICENSE"
WORDS=$tmp/words.model "$venv/bin/python" "$here/sentence.py" "$@"
