#!/usr/bin/env bash
# The same bits of answers: the vectors of 200 texts of mixed lengths must have one hash for every instruction set of this CPU, number of
# threads and order of the texts, in each precision. Prints a table; fails if a row differs.
#
#   bench/answers.sh MODEL [PRECISION ...]      # some minutes each (default: fp32 int8 bf16-tile bf16-dot); texts are the comments of the Go installation
set -euo pipefail
model=$1
shift
[ $# -gt 0 ] || set -- fp32 int8 bf16-tile bf16-dot
model=$(realpath "$model")
cd "$(dirname "$0")/.."
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
CGO_ENABLED=0 go build -o "$work/albert" ./cmd/albert
# Of every 20 texts 16 have up to 24 words, 3 have 60, one has 300.
cat "$(go env GOROOT)"/src/net/http/*.go | sed -n 's|^\s*// ||p' | tr -s '[:space:]"\\' ' ' | tr ' ' '\n' |
	awk '{ text = text $0 " "; n++; k = texts % 20; want = k == 19 ? 300 : k > 15 ? 60 : 3 + 7 * k % 22 }
		n == want && texts < 200 { print text; text = ""; n = 0; texts++ }' > "$work/texts"
[ "$(wc -l < "$work/texts")" = 200 ]
tac "$work/texts" > "$work/reversed"

for precision in "$@"; do
	first=
	echo "== $precision"
	for set in avx2 avxvnni avx512 amx; do
		for how in 1 2 7 reversed; do
			case $how in
			reversed) args=("$work/reversed" --threads 2) ;;
			*) args=("$work/texts" --threads "$how") ;;
			esac
			if ! ALBERT_CPU=$set "$work/albert" embed "$model" "${args[@]}" --precision "$precision" --quiet > "$work/out" 2> "$work/err"; then
				echo "$set: not run: $(tail -1 "$work/err")"
				break
			fi
			[ $how != reversed ] || { tac "$work/out" > "$work/back" && mv "$work/back" "$work/out"; }
			hash=$(sha256sum < "$work/out" | cut -c1-16)
			[ -n "$first" ] || first=$hash
			printf '%-8s %-9s %s\n' "$set" "$how" "$hash"
			[ "$hash" = "$first" ] || { echo "differs from the first row"; exit 1; }
		done
	done
	[ -n "$first" ] || { echo "no kernel ran"; exit 1; }
done
echo "all the same"
