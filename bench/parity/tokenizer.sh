#!/usr/bin/env bash
# Compares the tokenizer with the C++ library (sentencepiece 0.2.3) and with transformers' slow AlbertTokenizer (4.57), and remakes
# the golden files of tokenizer/testdata. It makes its own Python environment, under ~/.cache or where PARITY_VENV says.
#
#   bench/parity/tokenizer.sh spm      # every option: bench/parity/tokenizer.sh spm --help
#   bench/parity/tokenizer.sh hf
#   bench/parity/tokenizer.sh golden
#
# Data comes from ALBERT_DATA (default ../shared/data beside the repository).
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
venv=${PARITY_VENV:-${XDG_CACHE_HOME:-$HOME/.cache}/albert-parity-tokenizer}
export ALBERT_DATA=${ALBERT_DATA:-$root/../shared/data}
if [ ! -x "$venv/bin/python" ]; then
	python3 -m venv "$venv"
	"$venv/bin/pip" install --quiet -r "$here/tokenizer/requirements.txt"
fi
bin=$(mktemp -d)
trap 'rm -rf "$bin"' EXIT
(cd "$root" && CGO_ENABLED=0 go build -o "$bin/albert" ./cmd/albert)
what=${1:?spm, hf or golden}
shift
cd "$here/tokenizer"
ALBERT_BIN="$bin/albert" "$venv/bin/python" "$what.py" "$@"
