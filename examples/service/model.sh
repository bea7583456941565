#!/usr/bin/env bash
# Makes the folder model: a small model, pretrained for a few steps on this repository's documentation, in int8.
set -euo pipefail
cd "$(dirname "$0")/../.."
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
go build -o "$tmp/albert" ./cmd/albert
cat > "$tmp/config.json" <<CONFIG
{"model_type": "albert", "vocab_size": 500, "embedding_size": 16, "hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2,
 "intermediate_size": 128, "max_position_embeddings": 128, "hidden_act": "gelu_new"}
CONFIG
"$tmp/albert" pretrain --output "$tmp/run" --config "$tmp/config.json" --tokenizer tokenizer/testdata/albert.model --train docs/formats.md \
	--max-seq-length 64 --batch-size 8 --steps 20 --warmup-steps 5 --quiet
"$tmp/albert" convert "$tmp/run" examples/service/model --precision int8 --force --quiet
