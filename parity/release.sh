#!/usr/bin/env bash
# Builds an archive as Google released ALBERT and has the albert command read it: see release.py. The Python environment is that of environment.sh.
# Where that of tensorflow.sh is there (ALBERT_TF_VENV), TensorFlow writes the checkpoint. ALBERT's own SentencePiece model is needed:
# spiece.model in ALBERT_DATA, or the file that is named.
#
#   parity/release.sh [spiece.model]
set -euo pipefail
. "$(dirname "$0")/environment.sh"
tensorflow=${ALBERT_TF_VENV:-$HOME/.cache/albert/tensorflow-venv}/bin/python
spiece=${1:-${ALBERT_DATA:-$root/../shared/data}/spiece.model}
if [ ! -f "$spiece" ]; then
	echo "$spiece is not there: name ALBERT's spiece.model" >&2
	exit 2
fi
if [ ! -x "$tensorflow" ]; then
	tensorflow=
fi
"$venv/bin/python" "$here/release.py" "$spiece" ${tensorflow:+"$tensorflow"}
