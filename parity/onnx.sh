#!/usr/bin/env bash
# Compares ONNX files written by package onnx with transformers, in onnxruntime: see onnx_export.py. It makes its own Python environment (or
# takes ALBERT_VENV, default ~/.cache/albert/onnx-venv), from onnx_requirements.txt.
#
#   parity/onnx.sh               # every head, activation, sharing and grouping, and a model of base's size
#   parity/onnx.sh --speed 10    # and how fast base is, beside torch.onnx.export
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
venv=${ALBERT_VENV:-$HOME/.cache/albert/onnx-venv}
if [ ! -x "$venv/bin/python" ]; then
	python3 -m venv "$venv"
	"$venv/bin/pip" install --quiet -r "$here/onnx_requirements.txt"
fi
"$venv/bin/python" "$here/onnx_export.py" "$@"
