#!/usr/bin/env bash
# Reads in Go what torch.save writes and loads in PyTorch what Go writes (see pytorch.py). Python 3.11 and the package index are needed;
# the environment is that of environment.sh.
#
#   parity/pytorch.sh [--count 200] [--seed 1]
set -euo pipefail
. "$(dirname "$0")/environment.sh"
"$venv/bin/python" "$here/pytorch.py" "$@"
