#!/usr/bin/env bash
# The same bits: a 30-step run with dropout, its batches of at least nine leaves of unequal length, must end in one weights_sha256 for
# every number of threads, micro-batch size, instruction set and GOAMD64, from text and from shards, and after kills. Also the files of
# tokenizer train and prepare for any number of threads. Prints a table; fails if a row differs.
#
#   bench/bits.sh            # some minutes; text is the comments of the Go installation
#   PRECISION=bf16-tile bench/bits.sh
set -euo pipefail
cd "$(dirname "$0")/.."
export CGO_ENABLED=0
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
go build -o "$work/albert" ./cmd/albert
GOAMD64=v3 go build -o "$work/albert-v3" ./cmd/albert
src=$(go env GOROOT)/src
albert=$work/albert

sum() { sha256sum "$@" | sha256sum | cut -c1-16; }
first=
row() { # name, hash
	[ -n "$first" ] || first=$2
	printf '%-44s %s\n' "$1" "${2:0:16}"
	if [ "$2" != "$first" ]; then echo "differs from the first row"; exit 1; fi
}

echo "== tokenizer train"
for threads in 1 2 7; do
	"$albert" tokenizer train --go-doc --input "$src/io" --input "$src/net" --cleanup albert --vocab-size 600 --model-prefix "$work/tok$threads" --threads $threads --quiet
	row "tokenizer, $threads threads" "$(sha256sum < "$work/tok$threads.model" | cut -c1-64)"
done
first=
echo "== prepare"
for threads in 1 2 7; do
	"$albert" prepare --go-doc --tokenizer "$work/tok1.model" --output "$work/shards$threads" --threads $threads --quiet "$src/io" "$src/net" 2>/dev/null
	row "shards, $threads threads" "$(cd "$work/shards$threads" && sum ./*.bin 2>/dev/null || sum ./*)"
done
first=

cat > "$work/config.json" <<'J'
{"model_type":"albert","vocab_size":600,"embedding_size":16,"hidden_size":16,"num_hidden_layers":2,"num_attention_heads":2,"intermediate_size":24,
 "max_position_embeddings":160,"hidden_act":"gelu_new","hidden_dropout_prob":0.1,"attention_probs_dropout_prob":0.1,"initializer_range":0.1}
J
flags=(--config "$work/config.json" --tokenizer "$work/tok1.model" --max-seq-length 160 --batch-size 90 --steps 30 --warmup-steps 5
	--learning-rate 0.005 --save-every 3 --keep 2 --eval-every 0 --quiet --precision "${PRECISION:-fp32}")
text=(--go-doc --train "$src/io" --train "$src/net")
hash_of() { "$albert" inspect "$1" --json | sed 's/.*"weights_sha256":"\([0-9a-f]*\)".*/\1/'; }
train() { # name, output, command and environment
	local name=$1 out=$2
	shift 2
	"$@" pretrain --output "$work/$out" "${flags[@]}" "${text[@]}"
	row "$name" "$(hash_of "$work/$out")"
}

echo "== pretrain, 30 steps"
train "GOMAXPROCS=1" t1 env GOMAXPROCS=1 "$albert"
grep -q '"leaves": *\(9\|[1-9][0-9]\)' "$work/t1/plan.json" || { echo "fewer than nine leaves"; exit 1; }
train "GOMAXPROCS=2" t2 env GOMAXPROCS=2 "$albert"
train "GOMAXPROCS=7" t7 env GOMAXPROCS=7 "$albert"
for set in avx2 avxvnni avx512 amx; do
	if ALBERT_CPU=$set "$albert" pretrain --output "$work/$set" "${flags[@]}" "${text[@]}" 2>"$work/err"; then
		row "ALBERT_CPU=$set" "$(hash_of "$work/$set")"
	else
		echo "not run: $(tail -1 "$work/err")"
	fi
done
train "GOAMD64=v3" v3 "$work/albert-v3"
for n in 1 3 17 90; do
	"$albert" pretrain --output "$work/mb$n" "${flags[@]}" "${text[@]}" --micro-batch-size $n
	row "--micro-batch-size $n" "$(hash_of "$work/mb$n")"
done
"$albert" pretrain --output "$work/sh" "${flags[@]}" --train "$work/shards1"
row "from shards" "$(hash_of "$work/sh")"
kills=0
while [ $kills -lt 10 ]; do
	"$albert" pretrain --output "$work/killed" "${flags[@]}" "${text[@]}" &
	pid=$!
	sleep "0.$((RANDOM % 9))$((RANDOM % 9))"
	kill -9 $pid 2>/dev/null && kills=$((kills + 1))
	wait $pid 2>/dev/null || true
	if [ -d "$work/killed/model" ]; then rm -rf "$work/killed"; fi # it was faster: once more
done
"$albert" pretrain --output "$work/killed" "${flags[@]}" "${text[@]}"
row "after 10 times SIGKILL" "$(hash_of "$work/killed")"
train "ALBERT_CPU=generic" generic env ALBERT_CPU=generic "$albert"
echo "all the same"
