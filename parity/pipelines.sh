#!/usr/bin/env bash
# Compares `albert predict` on texts with transformers' pipelines: see pipelines.py. The Python environment is that of environment.sh. ALBERT's own
# SentencePiece model is needed: spiece.model in ALBERT_DATA, or the file that is named.
#
#   parity/pipelines.sh [spiece.model]
set -euo pipefail
. "$(dirname "$0")/environment.sh"
spiece=${1:-${ALBERT_DATA:-$root/../shared/data}/spiece.model}
if [ ! -f "$spiece" ]; then
	echo "$spiece is not there: name ALBERT's spiece.model" >&2
	exit 2
fi
"$venv/bin/python" "$here/pipelines.py" "$spiece"
