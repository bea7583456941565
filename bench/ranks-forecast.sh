#!/bin/bash
# The table of docs/cluster.md: what the paper's setting (batches of 4,096 sequences of 512 pieces, 125,000 steps) takes for each size on 1 to 64
# machines like this one, as `albert pretrain --dry-run --ranks K` forecasts it.
#
#   [PEAK=355e9] [FRACTION=0.7] bench/ranks-forecast.sh [FLAG...]     flags of albert pretrain: --precision bf16, --bandwidth 1.25, ...
#
# PEAK is that of a rank in FLOP/s, FRACTION what training reaches of it; without them the first that are measured count for all rows.
set -euo pipefail
cd "$(dirname "$0")/.."
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
albert="$dir/albert"
CGO_ENABLED=0 go build -o "$albert" ./cmd/albert

# Long documents, so that all examples but the tenth that is made shorter are full.
awk 'BEGIN { srand(1); for (d = 0; d < 40; d++) { for (s = 0; s < 3000; s++) { line = "The"; for (w = 0; w < 8; w++)
	line = line sprintf(" %c%c%c%c", 97 + rand() * 26, 97 + rand() * 26, 97 + rand() * 26, 97 + rand() * 26); print line "." } print "" } }' > "$dir/text"
head -3000 "$dir/text" > "$dir/some"
"$albert" tokenizer train --input "$dir/some" --model-prefix "$dir/tok" --vocab-size 60 --quiet
"$albert" prepare --tokenizer "$dir/tok.model" --output "$dir/shards" --sentences lines --quiet "$dir/text"

field() { sed -n "s/^ *\"$1\": \([^,]*\),*$/\1/p" "$dir/run/plan.json" | tail -1; } # the last: the forecast's
echo "| size | ranks | memory a rank, GB | a step, s | of it communication, s | sent by a rank, GB a step | 125,000 steps, days |"
echo "|---|---|---|---|---|---|---|"
for size in base large xlarge xxlarge; do
	"$albert" inspect --config $size --json | sed 's/.*"config":\({[^}]*}\).*/\1/' > "$dir/config.json" # with 30,000 pieces
	for ranks in 1 2 4 8 16 32 64; do
		rm -rf "$dir/run"
		"$albert" pretrain --dry-run --ranks $ranks --config "$dir/config.json" --tokenizer "$dir/tok.model" --train "$dir/shards" --output "$dir/run" "$@" 2> "$dir/said" ||
			{ cat "$dir/said" >&2; exit 1; }
		PEAK=${PEAK:-$(field peak_flops)} FRACTION=${FRACTION:-$(field peak_fraction)}
		awk -v size=$size -v k=$ranks -v memory="$(field memory_needed)" -v compute="$(field compute_seconds)" -v measured="$(field peak_flops)" -v peak="$PEAK" -v reached="$(field peak_fraction)" -v fraction="$FRACTION" \
			-v part="$(field communication_seconds)" -v sent="$(field bytes_sent)" 'BEGIN { step = compute * measured * reached / (peak * fraction) + part
			printf "| %s | %d | %.1f | %.1f | %.2f | %.2f | %.1f |\n", size, k, memory / 1e9, step, part, sent / 1e9, step * 125000 / 86400 }'
	done
done
echo "
Peak of a rank: $PEAK FLOP/s, of which $FRACTION are reached."
