#!/usr/bin/env python3
"""A reranker: the first 50 passages that vectors find for a question, put in a better order by a model that reads both.

    bench/recipes/rerank.py DEV.json TRAIN.json [TRAIN.json ...] -- WORK ALBERT RETRIEVER MODEL

As passages.py, with QUESTIONS=300 questions of DEV.json. RETRIEVER is the model whose vectors find passages, MODEL what becomes the reranker: it learns from a question
of each passage of the TRAIN files, or of LEARN=N of them, its passage and four others of the first 50 that RETRIEVER finds. SEEDS="1" sets other
seeds, THREADS=N the threads, PRECISION=bf16-tile that of all products.
"""

import json
import math
import os
import random
import subprocess
import sys

from common import SEEDS, finetune, head, row, threads, write_jsonl
from passages import arguments, passages, sample

METRICS = ["ndcg@10", "mrr@10"]
QUESTIONS, LEARN = (int(os.environ.get(name, n)) for name, n in (("QUESTIONS", 300), ("LEARN", 1 << 30)))
FIRST, WRONG = 50, 4
FLAGS = "--task rerank --batch-size 32 --epochs 1 --max-seq-length 192".split()
RATE, SMALL_RATE = "5e-5", "1e-3"  # the second for models pretrained here


def lines(albert, command, model, rows, *flags):
    """What a command answers to JSON lines; an answer to texts that were cut is the "result" of an object."""
    text = "".join(json.dumps(r) + "\n" for r in rows)
    out = subprocess.run([albert, command, model, *flags, *threads()], check=True, input=text, stdout=subprocess.PIPE, text=True).stdout
    return [a["result"] if isinstance(a, dict) else a for a in map(json.loads, out.splitlines())]


def search(albert, model, work, name, corpus, queries):
    """The ids of the first passages of each query."""
    file = os.path.join(work, name + ".jsonl")
    write_jsonl(file, ({"_id": i, "text": t} for i, t in corpus.items()))
    found = lines(albert, "search", model, ({"text": q} for q in queries.values()), "--corpus", file, "--top-k", str(FIRST))
    return {q: [hit["id"] for hit in hits] for q, hits in zip(queries, found)}


def measure(found, relevant):
    ranks = [hits[:10].index(relevant[q]) + 1 for q, hits in found.items() if relevant[q] in hits[:10]]
    return {"ndcg@10": sum(1 / math.log2(r + 1) for r in ranks) / len(found), "mrr@10": sum(1 / r for r in ranks) / len(found)}


def main():
    given = arguments(4)
    if not given:
        sys.exit(__doc__)
    dev, trains, (work, albert, retriever, model) = given
    rng = random.Random(1)
    learned = [(rng.choice(qs), text) for file in trains for text, qs in passages(file) if qs]
    texts, asked = {f"t{i:05}": t for i, (_, t) in enumerate(learned)}, {f"t{i:05}": q for i, (q, _) in enumerate(learned)}
    rows = []
    asked = dict(rng.sample(sorted(asked.items()), min(LEARN, len(asked))))
    for i, hits in search(albert, retriever, work, "train-corpus", texts, asked).items():
        wrong = [h for h in hits if texts[h] != texts[i]]
        rows += [{"query": asked[i], "document": texts[h], "label": int(h == i)} for h in [i] + rng.sample(wrong, min(WRONG, len(wrong)))]
    rng.shuffle(rows)
    corpus, queries, relevant = sample(dev, QUESTIONS, random.Random(1))
    found = search(albert, retriever, work, "corpus", corpus, queries)
    train, held = os.path.join(work, "rerank.jsonl"), os.path.join(work, "rerank-dev.jsonl")
    write_jsonl(train, rows)
    write_jsonl(held, ({"query": queries[q], "document": corpus[h], "label": int(h == relevant[q])} for q, hits in found.items() for h in hits[:10]))
    inside = sum(relevant[q] in hits for q, hits in found.items())
    print(f"{len(rows)} rows to learn from; {len(queries)} questions, for {inside} of which the passage is among the first {FIRST}\n")
    head("order of the first 50", METRICS)
    row("by the retriever's vectors", [measure(found, relevant)], METRICS)
    results = []
    for seed in SEEDS:
        out = os.path.join(work, "runs", f"rerank-{seed}")
        rate = RATE if os.path.exists(os.path.join(model, "modules.json")) else SMALL_RATE
        finetune(albert, model, out, *FLAGS, "--learning-rate", rate, "--train", train, "--dev", held, "--seed", seed)
        ranked = lines(albert, "predict", out, ({"query": queries[q], "texts": [corpus[h] for h in hits]} for q, hits in found.items()))
        results.append(measure({q: [found[q][r["index"]] for r in rank] for q, rank in zip(found, ranked)}, relevant))
    row("by the reranker", results, METRICS)


if __name__ == "__main__":
    main()
