"""What the recipes beside it share: the program's runs, BEIR's files, BM25, rows of a table."""

import collections
import json
import math
import os
import re
import shutil
import subprocess

SEEDS = [int(s) for s in os.environ.get("SEEDS", "1 2 3").split()]


def threads():
    """What every command is given: THREADS and PRECISION of the environment."""
    return ["--quiet", "--threads", os.environ.get("THREADS", "0"), "--precision", os.environ.get("PRECISION", "fp32")]


def finetune(albert, model, out, *flags):
    """Trains what is not there yet; one evaluation, at the end: the held-out data choose no step."""
    if not os.path.exists(os.path.join(out, "result.json")):
        os.makedirs(os.path.dirname(out), exist_ok=True)
        subprocess.run([albert, "finetune", model, "--output", out, "--eval-every", "1000000", *map(str, flags), *threads()], check=True)
    with open(os.path.join(out, "result.json"), encoding="utf-8") as f:
        return json.load(f)


def evaluate(albert, model, task, data, *flags):
    command = [albert, "eval", model, "--task", task, "--data", data, "--json", *flags, *threads()]
    return json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout)


def write_jsonl(path, rows):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path + ".tmp", "w", encoding="utf-8") as f:
        f.writelines(json.dumps(r, ensure_ascii=False) + "\n" for r in rows)
    os.replace(path + ".tmp", path)


def write_beir(folder, corpus, queries, relevant):
    """corpus and queries: texts by id; relevant: the document of each query."""
    shutil.rmtree(folder, ignore_errors=True)
    write_jsonl(os.path.join(folder, "corpus.jsonl"), ({"_id": i, "title": "", "text": t} for i, t in corpus.items()))
    write_jsonl(os.path.join(folder, "queries.jsonl"), ({"_id": i, "text": t} for i, t in queries.items()))
    os.makedirs(os.path.join(folder, "qrels"))
    with open(os.path.join(folder, "qrels", "dev.tsv"), "w", encoding="utf-8") as f:
        f.write("query-id\tcorpus-id\tscore\n")
        f.writelines(f"{q}\t{d}\t1\n" for q, d in relevant.items())


def bm25(corpus, queries, relevant, k1=1.2, b=0.75):
    """ndcg@10 and mrr@10 of BM25 (Robertson's, with Lucene's idf) over words of letters and digits, case folded, no stemming, no stop words."""
    def words(text):
        return re.findall(r"\w+", text.casefold())

    docs = {i: collections.Counter(words(t)) for i, t in corpus.items()}
    length = {i: sum(c.values()) for i, c in docs.items()}
    average = sum(length.values()) / len(docs)
    postings = collections.defaultdict(list)
    for i, counts in docs.items():
        for w, n in counts.items():
            postings[w].append((i, n))
    ndcg = mrr = 0.0
    for q, text in queries.items():
        scores = collections.Counter()
        for w in words(text):
            found = postings.get(w, ())
            idf = math.log(1 + (len(docs) - len(found) + 0.5) / (len(found) + 0.5))
            for i, n in found:
                scores[i] += idf * n * (k1 + 1) / (n + k1 * (1 - b + b * length[i] / average))
        best = sorted(scores, key=lambda i: (scores[i], i), reverse=True)[:10]
        if relevant[q] in best:
            rank = best.index(relevant[q]) + 1
            ndcg += 1 / math.log2(rank + 1)
            mrr += 1 / rank
    return {"ndcg@10": ndcg / len(queries), "mrr@10": mrr / len(queries)}


def row(name, results, metrics):
    """A line of a table: of each metric the mean, with the least and the most where there are several runs."""
    cells = []
    for m in metrics:
        v = [r[m] for r in results if m in r]
        cells.append("" if not v else f"{sum(v) / len(v):.3f}" + (f" ({min(v):.3f} to {max(v):.3f})" if len(v) > 1 else ""))
    print(f"| {name} | " + " | ".join(cells) + " |", flush=True)


def head(first, metrics):
    print(f"| {first} | " + " | ".join(metrics) + " |\n|" + "---|" * (len(metrics) + 1), flush=True)
