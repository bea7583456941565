#!/usr/bin/env python3
"""What the search of `albert eval --task retrieval` takes beside making the vectors: its time and that of `albert embed` on the same documents, by turns.

    bench/retrieval.py [--documents 100000] [--queries 1000] [--pieces 60] [--rounds 3] MODEL WORK ALBERT

Documents and queries are random words, more than --pieces of them, and cut to so many. THREADS=N sets the threads.
"""

import argparse
import os
import random
import statistics
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "recipes"))
from common import threads, write_beir

WORDS = """the of and to in is that for it as with on be by this from or an are not at which if but one has when all each can function returns value error
type string the key file read write first last next list call set new old name with time order number index slice map pointer channel""".split()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, value in (("documents", 100_000), ("queries", 1000), ("pieces", 60), ("rounds", 3)):
        parser.add_argument("--" + name, type=int, default=value)
    for name in ("model", "work", "albert"):
        parser.add_argument(name, metavar=name.upper())
    args = parser.parse_args()
    rng = random.Random(1)
    text = lambda: " ".join(rng.choices(WORDS, k=args.pieces + 4))
    corpus = {f"d{i}": text() for i in range(args.documents)}
    queries = {f"q{i}": text() for i in range(args.queries)}
    data, file = os.path.join(args.work, "beir"), os.path.join(args.work, "documents.txt")
    write_beir(data, corpus, queries, {q: f"d{rng.randrange(args.documents)}" for q in queries})
    with open(file, "w", encoding="utf-8") as f:
        f.writelines(t + "\n" for t in corpus.values())
    more = ["--max-seq-length", str(args.pieces), *threads()]
    commands = {"eval": ["eval", args.model, "--task", "retrieval", "--data", data, "--json", *more],
                "embed": ["embed", args.model, file, "--format", "npy", "--output", os.path.join(args.work, "documents.npy"), *more]}
    seconds = {name: [] for name in commands}
    for i in range(args.rounds):
        for name, command in commands.items():
            start = time.time()
            subprocess.run([args.albert, *command], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            seconds[name].append(time.time() - start)
        print(f"round {i}: eval {seconds['eval'][-1]:.1f} s, embed {seconds['embed'][-1]:.1f} s", flush=True)
    both = [statistics.median(seconds[name]) for name in commands]
    print(f"medians: eval {both[0]:.1f} s, embed {both[1]:.1f} s, ratio {both[0] / both[1]:.3f}")


if __name__ == "__main__":
    main()
