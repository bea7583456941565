#!/usr/bin/env bash
# Opens the page of `albert serve` in Chromium (Debian: apt-get install chromium) and asks by every widget: the numbers must be those of the API. Then looks
# at every view at three widths, light and dark, with axe-core, which is fetched once (ALBERT_NPM, default ~/.cache/albert/page-npm). With --screenshots
# the pictures stay.
#
#   parity/page.sh [--screenshots DIR] [flags of go test]
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
if [ "${1:-}" = --screenshots ]; then
	mkdir -p "$2"
	ALBERT_SCREENSHOTS=$(cd "$2" && pwd)
	export ALBERT_SCREENSHOTS
	shift 2
fi
npm=${ALBERT_NPM:-$HOME/.cache/albert/page-npm}
if ! cmp -s "$here/page/package.json" "$npm/made-of.json"; then
	mkdir -p "$npm"
	cp "$here/page/package.json" "$npm/"
	(cd "$npm" && npm install --silent --ignore-scripts)
	cp "$here/page/package.json" "$npm/made-of.json"
fi
export ALBERT_AXE=$npm/node_modules/axe-core/axe.min.js
cd "$here/page"
go test -count 1 "$@" .
