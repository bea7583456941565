#!/usr/bin/env python3
"""A search over Go's documentation: from the first sentence of a declaration's comment to the rest of it, in packages that nothing learned from.

    albert quickstart --output QUICKSTART
    bench/recipes/godoc.py GOROOT QUICKSTART WORK ALBERT [MINILM]

GOROOT is the Go installation whose comments the quickstart read, ALBERT the binary, MINILM a directory of sentence-transformers to compare with.
Held out are packages that the quickstart held out, from its tokenizer and pretraining as from the pairs. The quickstart's model and one from random
weights learn from the pairs of the other packages, with three seeds each, and then from more: of every comment there, in bodies and tests too, each
sentence with the rest (SENTENCES=0 leaves that out: it takes twelve times as long). SEEDS="1" sets other seeds, THREADS=N the threads, PRECISION=bf16-tile that of all
products.
"""

import json
import os
import random
import re
import sys

from common import SEEDS, bm25, evaluate, finetune, head, row, write_beir, write_jsonl

FLAGS = "--task embed --batch-size 128 --learning-rate 1e-3 --warmup-steps 50 --epochs 3 --max-seq-length 64 --dropout 0".split()
SENTENCES = [*FLAGS, "--batch-size", "256"]
METRICS = ["ndcg@10", "mrr@10", "recall@100"]
END, BEGIN = r"[^\s.A-Z][.!?]", r"[A-Z\"'(\[]"  # of sentences
MOST_SENTENCES, TOO_FAR = 8, 4  # of a comment, for sentence_pairs
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


def comments(path, everywhere=False):
    """The comments of a file's declarations, or of all its code, without directives, code and headings."""
    with open(path, encoding="utf-8", errors="replace") as f:
        lines = f.read().split("\n")
    if any(re.match(r"// Code generated .* DO NOT EDIT\.$", line) for line in lines[:40]):
        return
    block = []
    for line in lines:
        if everywhere:
            line = line.strip()
        if line.startswith("//"):
            block.append(line)
            continue
        if block and (everywhere or re.match(r"(func|type|var|const)\b", line)):
            prose = [x[2:] for x in block if not re.match(r"//[a-z0-9]+:|//(\t|   )|// #", x)]
            yield re.sub(r"\s+", " ", " ".join(prose)).strip()
        block = []


def sources(goroot):
    """(package, path) of every Go file."""
    src = os.path.join(goroot, "src")
    for folder, folders, files in os.walk(src):
        folders[:] = sorted(d for d in folders if d not in ("testdata", "vendor") and d[0] not in "._")
        for name in sorted(files):
            if name.endswith(".go"):
                yield os.path.relpath(folder, src).replace(os.sep, "/"), os.path.join(folder, name)


def pairs(goroot):
    """(package, first sentence, rest) of every declaration; what was said before is left out."""
    seen = set()
    for package, path in sources(goroot):
        for text in comments(path) if not path.endswith("_test.go") else ():
            m = re.match(rf"(.*?{END}) +(?={BEGIN})(.*)$", text)
            if not m or len(m[1].split()) < LEAST_FIRST or len(m[2].split()) < LEAST_REST or m[1] in seen or m[2] in seen:
                continue
            seen.update((m[1], m[2]))
            yield package, m[1], m[2]


def sentences_of(text):
    return re.split(rf"(?<={END}) +(?={BEGIN})", text)


def sentence_pairs(goroot, is_held_out, held):
    """Each of the first sentences of every comment with the rest of it, but of comments that share a sentence with the held-out texts: packages copy."""
    held = {one for text in held for one in sentences_of(text)}
    seen, rows = set(), []
    for package, path in sources(goroot):
        for text in comments(path, everywhere=True) if not is_held_out(package) else ():
            if text in seen or "Copyright" in text:
                continue
            seen.add(text)
            sentences = sentences_of(text)
            if not held.isdisjoint(sentences):
                continue
            for i, one in enumerate(sentences[:MOST_SENTENCES]):
                rest = sentences[:i] + sentences[i + 1:]
                if i >= TOO_FAR and i + 1 < len(sentences):  # what follows first: the end of a long text is cut
                    rest = sentences[i + 1:] + sentences[:i]
                rest = " ".join(rest)
                if len(one.split()) >= LEAST_FIRST and len(rest.split()) >= LEAST_REST:
                    rows.append({"anchor": one, "positive": rest})
    random.Random(1).shuffle(rows)
    return rows


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
    runs = [("random-weights", file, [*FLAGS, "--scratch"]), ("quickstart", file, FLAGS)]
    if os.environ.get("SENTENCES") != "0":
        every = os.path.join(work, "sentences.jsonl")
        write_jsonl(every, sentence_pairs(goroot, is_held_out, [*corpus.values(), *queries.values()]))
        runs += [("random-weights-sentences", every, [*SENTENCES, "--scratch"]), ("quickstart-sentences", every, SENTENCES)]
    for name, train, flags in runs:
        results = []
        for seed in SEEDS:
            out = os.path.join(work, "runs", f"{name}-{seed}")
            results.append(finetune(albert, quickstart, out, *flags, "--train", train, "--dev", data, "--seed", seed)["dev"])
        row(name, results, METRICS)
    if len(sys.argv) == 6:
        row("all-MiniLM-L6-v2, no pairs", [evaluate(albert, sys.argv[5], "retrieval", data)], METRICS)


if __name__ == "__main__":
    main()
