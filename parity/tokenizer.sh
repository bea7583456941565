#!/usr/bin/env bash
# Compares the tokenizer with the C++ library (sentencepiece 0.2.3) and with transformers' slow AlbertTokenizer (4.57), and remakes
# the golden files of tokenizer/testdata. It makes its own Python environment, under ~/.cache or where PARITY_VENV says.
#
#   parity/tokenizer.sh spm      # every option: parity/tokenizer.sh spm --help
#   parity/tokenizer.sh hf
#   parity/tokenizer.sh fast         # tokenizer.json in AlbertTokenizerFast
#   parity/tokenizer.sh fast5        # the same in transformers 5, with an environment of its own
#   parity/tokenizer.sh wordpiece    # vocab.txt against BertTokenizer
#   parity/tokenizer.sh prepare      # pairs, truncation and windows
#   parity/tokenizer.sh added        # added tokens, in every file that can hold them
#   parity/tokenizer.sh golden
#
# With ALBERT_WORDS=off the tokenizer remembers no words (tokenizer/words.go); nothing may differ either way.
# Data comes from ALBERT_DATA (default ../shared/data beside the repository).
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/.." && pwd)
what=${1:?spm, hf, fast, fast5, wordpiece, prepare, added or golden}
shift
venv=${PARITY_VENV:-${XDG_CACHE_HOME:-$HOME/.cache}/albert-parity-tokenizer}
requirements=requirements.txt
if [ "$what" = fast5 ]; then
	what=fast venv=${PARITY_VENV5:-${XDG_CACHE_HOME:-$HOME/.cache}/albert-parity-tokenizer5} requirements=requirements5.txt
fi
export ALBERT_DATA=${ALBERT_DATA:-$root/../shared/data}
if [ ! -x "$venv/bin/python" ]; then
	python3 -m venv "$venv"
	"$venv/bin/pip" install --quiet -r "$here/tokenizer/$requirements"
fi
bin=$(mktemp -d)
trap 'rm -rf "$bin"' EXIT
(cd "$root" && CGO_ENABLED=0 go build -o "$bin/" ./cmd/albert ./parity/tokenizer/pairs)
cd "$here/tokenizer"
ALBERT_BIN="$bin/albert" PAIRS_BIN="$bin/pairs" "$venv/bin/python" "$what.py" "$@"
