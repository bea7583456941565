#!/usr/bin/env python3
"""From a question to the passage that answers it: learned from SQuAD's form of files, measured on other passages.

    bench/recipes/passages.py DEV.json TRAIN.json [TRAIN.json ...] -- WORK ALBERT MODEL ...

DEV.json (dev-v1.1.json, say) gives the passages that are searched, and 2,000 of its questions; ALBERT is the binary. Each MODEL is measured as it is, and
after learning from a question of each passage of the TRAIN files with three seeds. SEEDS="1" sets other seeds, THREADS=N the threads,
PRECISION=bf16-tile that of all products.
"""

import json
import os
import random
import sys

from common import SEEDS, bm25, evaluate, finetune, head, row, write_beir, write_jsonl

METRICS = ["ndcg@10", "mrr@10", "recall@100"]
QUESTIONS = 2000
LARGE = "--batch-size 64 --learning-rate 5e-5 --warmup-steps 5 --epochs 1 --max-seq-length 128 --dropout 0.1".split()
SMALL = "--batch-size 128 --learning-rate 1e-3 --warmup-steps 20 --epochs 3 --dropout 0".split()  # for models pretrained here


def passages(file):
    with open(file, encoding="utf-8") as f:
        for document in json.load(f)["data"]:
            for p in document["paragraphs"]:
                yield p["context"], [q["question"].strip() for q in p["qas"]]


def arguments(least):
    """DEV.json TRAIN.json ... -- and so many more at least; None where they are not."""
    if "--" in sys.argv and (cut := sys.argv.index("--")) >= 3 and len(sys.argv) > cut + least:
        return sys.argv[1], sys.argv[2:cut], sys.argv[cut + 1:]
    return None


def sample(dev, count, rng):
    """The passages of a file, and some of its questions with their passages, all by their ids."""
    ids, asked = {}, []
    for text, questions in passages(dev):
        asked += [(q, ids.setdefault(text, f"p{len(ids):05}")) for q in questions]
    asked = rng.sample(asked, min(count, len(asked)))
    return {i: t for t, i in ids.items()}, {f"q{n:05}": q for n, (q, _) in enumerate(asked)}, {f"q{n:05}": i for n, (_, i) in enumerate(asked)}


def main():
    given = arguments(3)
    if not given:
        sys.exit(__doc__)
    dev, trains, (work, albert, *models) = given
    rng = random.Random(1)
    corpus, queries, relevant = sample(dev, QUESTIONS, rng)
    data, pairs = os.path.join(work, "beir"), os.path.join(work, "pairs.jsonl")
    write_beir(data, corpus, queries, relevant)
    rows = [{"query": rng.choice(qs), "document": text} for file in trains for text, qs in passages(file) if qs]
    write_jsonl(pairs, rows)
    print(f"{len(queries)} questions over {len(corpus)} passages; {len(rows)} pairs to learn from\n")
    head("model", METRICS)
    row("BM25", [bm25(corpus, queries, relevant)], METRICS)
    for model in models:
        published = os.path.exists(os.path.join(model, "modules.json"))
        name = "all-MiniLM-L6-v2" if published else os.path.basename(os.path.normpath(model))
        flags = LARGE if published else SMALL
        row(f"{name}, as it is", [evaluate(albert, model, "retrieval", data)], METRICS)
        for what, more in [("after learning", [])] + ([] if published else [("from random weights", ["--scratch"])]):
            results = []
            for seed in SEEDS:
                out = os.path.join(work, "runs", f"{name}-{what.replace(' ', '-')}-{seed}")
                results.append(finetune(albert, model, out, "--task", "embed", *flags, "--train", pairs, "--dev", data, "--seed", seed, *more)["dev"])
            row(f"{name}, {what}", results, METRICS)


if __name__ == "__main__":
    main()
