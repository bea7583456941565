#!/usr/bin/env bash
# Writes checkpoints and has TensorFlow read them: equal to those that it wrote itself (see tensorflow.py). Python 3.11 and the package
# index are needed; the environment is made on the first call (ALBERT_TF_VENV, default ~/.cache/albert/tensorflow-venv).
#
#   parity/tensorflow.sh
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/.." && pwd)
venv=${ALBERT_TF_VENV:-$HOME/.cache/albert/tensorflow-venv}
if [ ! -x "$venv/bin/python" ]; then
	python3 -m venv "$venv"
fi
if ! cmp -s "$here/tensorflow.txt" "$venv/requirements.txt"; then
	"$venv/bin/pip" install --quiet -r "$here/tensorflow.txt"
	cp "$here/tensorflow.txt" "$venv/requirements.txt"
fi
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
(cd "$root" && ALBERT_TF_OUT=$tmp go test -count=1 -run TestWriteForTensorFlow ./internal/files/tensorflow)
"$venv/bin/python" "$here/tensorflow.py" "$tmp" "$root/internal/files/tensorflow/testdata"
