#!/usr/bin/env bash
# Compares Google's files of BERT with TensorFlow and with transformers: see google_bert.py. The Python environments are those of environment.sh and
# tensorflow.sh, which makes its own on its first call.
#
#   parity/google_bert.sh
set -euo pipefail
. "$(dirname "$0")/environment.sh"
"$venv/bin/python" "$here/google_bert.py" make "$tmp"
TF_CPP_MIN_LOG_LEVEL=3 CUDA_VISIBLE_DEVICES="" "${ALBERT_TF_VENV:-$HOME/.cache/albert/tensorflow-venv}/bin/python" "$here/google_bert.py" tensorflow "$tmp"
"$venv/bin/python" "$here/google_bert.py" check "$tmp"
