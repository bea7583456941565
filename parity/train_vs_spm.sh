#!/usr/bin/env bash
# Trains tokenizers with albert and with spm_train (sentencepiece 0.2.3) on the same text with the same settings, and compares what comes
# out: see train_vs_spm.py. It makes its own Python environment, that of tokenizer.sh, under ~/.cache or where PARITY_VENV says.
#
#   parity/train_vs_spm.sh                 # novels-train, 8,000 and 30,000 pieces, and the options on less text
#   parity/train_vs_spm.sh --only options  # every option: parity/train_vs_spm.sh --help
#
# Data comes from ALBERT_DATA (default ../shared/data beside the repository).
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/.." && pwd)
venv=${PARITY_VENV:-${XDG_CACHE_HOME:-$HOME/.cache}/albert-parity-tokenizer}
export ALBERT_DATA=${ALBERT_DATA:-$root/../shared/data}
if [ ! -x "$venv/bin/python" ]; then
	python3 -m venv "$venv"
	"$venv/bin/pip" install --quiet -r "$here/tokenizer/requirements.txt"
fi
bin=$(mktemp -d)
trap 'rm -rf "$bin"' EXIT
(cd "$root" && CGO_ENABLED=0 go build -o "$bin/albert" ./cmd/albert)
ALBERT_BIN="$bin/albert" "$venv/bin/python" "$here/train_vs_spm.py" "$@"
