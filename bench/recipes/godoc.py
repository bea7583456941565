#!/usr/bin/env python3
"""A search over Go's documentation: from the first sentence of a declaration's comment to the rest of it, in packages that nothing learned from.

    albert quickstart --output QUICKSTART
    bench/recipes/godoc.py GOROOT QUICKSTART WORK ALBERT [MINILM]

GOROOT is the Go installation whose comments the quickstart read, ALBERT the binary, MINILM a directory of sentence-transformers to compare with.
Held out are packages that the quickstart held out, from its tokenizer and pretraining as from the pairs. The quickstart's model and one from random
weights learn from the pairs of the other packages, with three seeds each. SEEDS="1" sets other seeds, THREADS=N the threads, PRECISION=bf16-tile that of all
products.
"""

import json
import os
import re
import sys

from common import SEEDS, bm25, evaluate, finetune, head, row, write_beir, write_jsonl

FLAGS = "--task embed --batch-size 128 --learning-rate 1e-3 --warmup-steps 50 --epochs 3 --max-seq-length 64 --dropout 0".split()
METRICS = ["ndcg@10", "mrr@10", "recall@100"]
LEAST_FIRST, LEAST_REST = 4, 8  # words: a shorter sentence or rest says too little to be found by


def held_out(quickstart):
    """Tells the packages that the quickstart held out: one in twenty by FNV-1a of its name, and those of its areas' dev sentences."""
    with open(os.path.join(quickstart, "areas", "dev.jsonl"), encoding="utf-8") as f:
        areas = {json.loads(line)["package"] for line in f}

    def is_held_out(name):
        h = 0x811C9DC5
        for b in name.encode():
            h = (h ^ b) * 0x01000193 & 0xFFFFFFFF
        return h % 20 == 0 or name in areas
    return is_held_out


def comments(path):
    """The comments of a file's declarations, without directives, code and headings."""
    with open(path, encoding="utf-8", errors="replace") as f:
        lines = f.read().split("\n")
    if any(re.match(r"// Code generated .* DO NOT EDIT\.$", line) for line in lines[:40]):
        return
    block = []
    for line in lines:
        if line.startswith("//"):
            block.append(line)
            continue
        if block and re.match(r"(func|type|var|const)\b", line):
            prose = [x[2:] for x in block if not re.match(r"//[a-z0-9]+:|//(\t|   )|// #", x)]
            yield re.sub(r"\s+", " ", " ".join(prose)).strip()
        block = []


def pairs(goroot):
    """(package, first sentence, rest) of every declaration; what was said before is left out."""
    src, seen = os.path.join(goroot, "src"), set()
    for folder, folders, files in os.walk(src):
        folders[:] = sorted(d for d in folders if d not in ("testdata", "vendor") and d[0] not in "._")
        for name in sorted(files):
            if not name.endswith(".go") or name.endswith("_test.go"):
                continue
            for text in comments(os.path.join(folder, name)):
                m = re.match(r"(.*?[^\s.A-Z][.!?]) +(?=[A-Z\"'(\[])(.*)$", text)
                if not m or len(m[1].split()) < LEAST_FIRST or len(m[2].split()) < LEAST_REST or m[1] in seen or m[2] in seen:
                    continue
                seen.update((m[1], m[2]))
                yield os.path.relpath(folder, src).replace(os.sep, "/"), m[1], m[2]


def main():
    if len(sys.argv) not in (5, 6):
        sys.exit(__doc__)
    goroot, quickstart, work, albert = sys.argv[1:5]
    is_held_out = held_out(quickstart)
    train, corpus, queries, packages = [], {}, {}, set()
    for package, first, rest in pairs(goroot):
        if is_held_out(package):
            i = f"{len(corpus):05}"
            corpus[i], queries[i] = rest, first
            packages.add(package)
        else:
            train.append({"anchor": first, "positive": rest})
    data, file = os.path.join(work, "beir"), os.path.join(work, "pairs.jsonl")
    relevant = {i: i for i in queries}
    write_beir(data, {"d" + i: t for i, t in corpus.items()}, {"q" + i: t for i, t in queries.items()}, {"q" + i: "d" + i for i in queries})
    write_jsonl(file, train)
    print(f"{len(train)} pairs to learn from; {len(queries)} queries over as many comments of {len(packages)} held-out packages\n")
    head("model", METRICS)
    row("BM25", [bm25(corpus, queries, relevant)], METRICS)
    row("quickstart, no pairs", [evaluate(albert, quickstart, "retrieval", data)], METRICS)
    for name, more in [("random weights, pairs", ["--scratch"]), ("quickstart, pairs", [])]:
        results = []
        for seed in SEEDS:
            out = os.path.join(work, "runs", f"{name.split(',')[0].replace(' ', '-')}-{seed}")
            results.append(finetune(albert, quickstart, out, *FLAGS, "--train", file, "--dev", data, "--seed", seed, *more)["dev"])
        row(name, results, METRICS)
    if len(sys.argv) == 6:
        row("all-MiniLM-L6-v2, no pairs", [evaluate(albert, sys.argv[5], "retrieval", data)], METRICS)


if __name__ == "__main__":
    main()
