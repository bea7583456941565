#!/usr/bin/env bash
# Kills pretrain, finetune, prepare, convert and tokenizer train at random moments, 100 times each or as often as is asked, and starts them again:
# each must come to the end that it has without. The tests do the same three times.
#
#   bench/kills.sh [N]       # about ten minutes
set -euo pipefail
cd "$(dirname "$0")/.."
CGO_ENABLED=0 ALBERT_KILLS=${1:-100} go test -count=1 -timeout 3h -run '^TestKilled$' -v ./cmd/albert
