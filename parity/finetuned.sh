#!/usr/bin/env bash
# Opens heads fine-tuned here in transformers: see finetuned.py. The Python environment is that of environment.sh. MODEL is a pretrained model with
# its tokenizer; without one the quickstart's is taken, from the folder albert-quickstart.
#
#   parity/finetuned.sh [MODEL]
set -euo pipefail
. "$(dirname "$0")/environment.sh"
model=${1:-albert-quickstart/model}
if [ ! -e "$model" ]; then
	echo "$model is not there: name a pretrained model, or run albert quickstart" >&2
	exit 2
fi
"$venv/bin/python" "$here/finetuned.py" "$model"
