#!/usr/bin/env bash
# Builds an archive as Google released ALBERT and has the albert command read it: see release.py. The Python environment is that of
# hf_pretraining.sh (ALBERT_VENV, default ~/.cache/albert/golden-venv), made if it is not there; one that is named is taken as it is.
# Where that of tensorflow.sh is there (ALBERT_TF_VENV), TensorFlow writes the checkpoint. ALBERT's own SentencePiece model is needed:
# spiece.model in ALBERT_DATA, or the file that is named.
#
#   bench/parity/release.sh [spiece.model]
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
requirements=$root/bench/golden/requirements.txt
venv=${ALBERT_VENV:-$HOME/.cache/albert/golden-venv}
tensorflow=${ALBERT_TF_VENV:-$HOME/.cache/albert/tensorflow-venv}/bin/python
spiece=${1:-${ALBERT_DATA:-$root/../shared/data}/spiece.model}
if [ ! -f "$spiece" ]; then
	echo "$spiece is not there: name ALBERT's spiece.model" >&2
	exit 2
fi
if [ ! -x "$venv/bin/python" ]; then
	python3 -m venv "$venv"
	"$venv/bin/pip" install --quiet -r "$requirements" sentencepiece==0.2.3
	cp "$requirements" "$venv/requirements.txt"
fi
if [ ! -x "$tensorflow" ]; then
	tensorflow=
fi
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
export ALBERT_BIN=$tmp/albert
(cd "$root" && CGO_ENABLED=0 go build -o "$ALBERT_BIN" ./cmd/albert)
"$venv/bin/python" "$here/release.py" "$spiece" ${tensorflow:+"$tensorflow"}
