#!/usr/bin/env bash
# Compares package internal/learn/metric with scikit-learn, SciPy, seqeval and the SQuAD scripts (metrics/make.py) on large random data, and
# remakes the golden files of internal/learn/metric/testdata. Python 3.11 and the package index are needed; it makes its own environment, under
# ~/.cache or where PARITY_VENV says.
#
#   parity/metrics.sh [--seed N]   # large cases, compared by the package's own tests
#   parity/metrics.sh golden       # writes internal/learn/metric/testdata/*.json
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/.." && pwd)
venv=${PARITY_VENV:-${XDG_CACHE_HOME:-$HOME/.cache}/albert-parity-metrics}
if ! cmp -s "$here/metrics/requirements.txt" "$venv/requirements.txt"; then
	[ -x "$venv/bin/python" ] || python3 -m venv "$venv"
	"$venv/bin/pip" install --quiet -r "$here/metrics/requirements.txt"
	cp "$here/metrics/requirements.txt" "$venv/requirements.txt"
fi
if [ "${1:-}" = golden ]; then
	exec "$venv/bin/python" "$here/metrics/make.py" "$root/internal/learn/metric/testdata"
fi
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
"$venv/bin/python" "$here/metrics/make.py" --large "$@" "$tmp"
cd "$root"
METRIC_GOLDEN=$tmp go test -count=1 -v -run 'TestGolden' ./internal/learn/metric
