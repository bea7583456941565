#!/usr/bin/env bash
# Trains tiny models of every sharing mode and shape for two steps, and compares their outputs with those of transformers (see
# hf_pretraining.py), or does so for the given model directories. Python 3.11 and the package index are needed; the environment is that of
# environment.sh.
#
#   parity/hf_pretraining.sh [--count 64] [--tolerance 2e-5] [MODEL...]
set -euo pipefail
. "$(dirname "$0")/environment.sh"

flags=()
while [ $# -gt 0 ] && [[ $1 == --* ]]; do
	flags+=("$1" "$2")
	shift 2
done
if [ $# -gt 0 ]; then
	"$venv/bin/python" "$here/hf_pretraining.py" "${flags[@]}" "$@"
	exit
fi

"$ALBERT_BIN" tokenizer train --cleanup albert --model-prefix "$tmp/words" --vocab-size 300 "$root/LICENSE"
# make NAME SHARING ACTIVATION E, and more lines of config.json
make() {
	cat >"$tmp/$1.json" <<-END
		{"model_type": "albert", "vocab_size": 307, "embedding_size": $4, "hidden_size": 36, "num_attention_heads": 3,
		 "intermediate_size": 70, "num_hidden_layers": 4, "max_position_embeddings": 64, "initializer_range": 0.15,
		 "hidden_act": "$3"${5:+, $5}}
	END
	"$ALBERT_BIN" pretrain --quiet --output "$tmp/run-$1" --config "$tmp/$1.json" --tokenizer "$tmp/words.model" --sharing "$2" \
		--train "$root/LICENSE" --max-seq-length 64 --batch-size 8 --steps 2 --warmup-steps 0 --learning-rate 0.01 --eval-every 0
	models+=("$tmp/run-$1/model")
}
models=()
make all all gelu_new 20
make attention attention gelu 20
make ffn ffn relu 20
make none none gelu_new 20
make map all gelu 36
make no-map none gelu 36 '"embedding_projection": false'
make groups all gelu_new 20 '"num_hidden_groups": 2'
make inner all gelu 20 '"inner_group_num": 2'
for mode in attention ffn none; do
	make inner-$mode $mode gelu 20 '"inner_group_num": 2'
done
make inner-no-map attention gelu 36 '"inner_group_num": 3, "embedding_projection": false'
"$venv/bin/python" "$here/hf_pretraining.py" "${flags[@]}" "${models[@]}"
