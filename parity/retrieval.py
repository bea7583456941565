"""Compares the measures of vectors with SciPy's and trec_eval's.

    retrieval.py [--seeds 3] [--tolerance 1e-6]       ALBERT_BIN names the command; run it by retrieval.sh

A small model is pretrained for two steps on random words: what its vectors are worth does not matter, only that both sides measure the same. For each seed:
pairs with scores, some of them equal, some pairs the same, and eval --task sts beside scipy.stats; a collection with the same document several
times, judgements from -1 to 3, queries that nothing answers and queries whose answers are not among the first 100, and eval --task retrieval
beside pytrec_eval, which gets the scores of albert search; these beside NumPy's, in float64, of the vectors of albert embed.
"""

import argparse
import json
import os
import pathlib
import random
import subprocess
import tempfile

import numpy as np
import pytrec_eval
import scipy
from scipy import stats

CONFIG = {"model_type": "albert", "vocab_size": 200, "embedding_size": 16, "hidden_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4,
          "intermediate_size": 64, "max_position_embeddings": 64, "hidden_act": "gelu_new", "initializer_range": 0.3}
WORDS = [a + b for a in ["ba", "de", "fi", "go", "lu", "ma", "ne", "pi", "ro", "su"] for b in ["k", "lt", "n", "rd", "st", "x", "ze", "wo"]]


def albert(*args):
    run = subprocess.run([os.environ["ALBERT_BIN"], *map(str, args)], stdin=subprocess.DEVNULL, capture_output=True, text=True)
    if run.returncode:
        raise SystemExit(f"albert {' '.join(map(str, args))}: exit {run.returncode}: {run.stderr[-500:]}")
    return run.stdout


def lines(path, rows):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(r) + "\n" for r in rows))
    return path


def text(rng, most=12):
    return " ".join(rng.choices(WORDS, k=rng.randrange(1, most)))


def make_model(dir):
    rng = random.Random(0)
    (dir / "train.txt").write_text("\n".join(". ".join(text(rng) for _ in range(4)) + ".\n" for _ in range(200)))
    (dir / "config.json").write_text(json.dumps(CONFIG))
    albert("tokenizer", "train", "--input", dir / "train.txt", "--model-prefix", dir / "tok", "--vocab-size", 200, "--quiet", "--hard-vocab-limit=false")
    albert("pretrain", "--output", dir / "run", "--config", dir / "config.json", "--tokenizer", dir / "tok.model", "--train", dir / "train.txt", "--dev",
           dir / "train.txt", "--max-seq-length", 32, "--batch-size", 8, "--steps", 2, "--warmup-steps", 1, "--eval-every", 0, "--quiet")
    return dir / "run" / "model"


def vectors(model, tmp, texts):
    albert("embed", model, lines(tmp / "texts.jsonl", [{"text": t} for t in texts]), "--format", "npy", "--output", tmp / "v.npy", "--quiet")
    v = np.load(tmp / "v.npy")
    assert v.dtype == np.float32 and v.shape == (len(texts), CONFIG["hidden_size"]), (v.dtype, v.shape)
    return v.astype(np.float64)


def cosines(a, b):
    return np.sum(a * b, axis=-1) / np.linalg.norm(a, axis=-1) / np.linalg.norm(b, axis=-1)


def sts(model, tmp, seed):
    rng = random.Random(seed)
    rows = [{"sentence1": text(rng), "sentence2": text(rng), "score": rng.randrange(0, 11) / 2} for _ in range(300)]
    rows += [rng.choice(rows) for _ in range(50)]
    got = json.loads(albert("eval", model, "--task", "sts", "--data", lines(tmp / "sts.jsonl", rows), "--json", "--quiet"))
    v = vectors(model, tmp, [r[k] for r in rows for k in ("sentence1", "sentence2")])
    # fp32 vectors, float64 cosines on both sides: equal pairs are equal to the last bit
    cos, gold = cosines(v[0::2], v[1::2]), [r["score"] for r in rows]
    return {"pearson_cosine": (got["pearson_cosine"], stats.pearsonr(cos, gold).statistic),
            "spearman_cosine": (got["spearman_cosine"], stats.spearmanr(np.round(cos, 12), gold).statistic)}


def retrieval(model, tmp, seed):
    rng = random.Random(seed)
    dir = tmp / f"beir{seed}"
    texts = [text(rng) for _ in range(600)]
    for i in range(0, 600, 5):  # the same text several times: equal scores
        texts[i] = texts[rng.randrange(600)]
    ids = rng.sample(range(10**6), 600)
    documents = [{"_id": f"d{n}", "title": rng.choice(["", "A " + rng.choice(WORDS)]), "text": t} for n, t in zip(ids, texts)]
    for d in documents[::5]:
        d["title"] = ""
    queries = [{"_id": f"q{i}", "text": text(rng, 6)} for i in range(60)]
    qrels = {}
    for i, q in enumerate(queries[:55]):  # the last are not judged
        judged = rng.sample(documents, rng.randrange(1, 25))
        same = [d for d in documents if q["text"].split()[0] in d["text"]][:rng.randrange(0, 30)]
        grades = [-1, 0] if i % 11 == 0 else [-1, 0, 0, 1, 1, 2, 3]  # a query that nothing answers
        qrels[q["_id"]] = {d["_id"]: rng.choice(grades) for d in judged + same}
    lines(dir / "corpus.jsonl", documents)
    lines(dir / "queries.jsonl", queries)
    (dir / "qrels").mkdir()
    (dir / "qrels" / "test.tsv").write_text("query-id\tcorpus-id\tscore\n" + "".join(f"{q}\t{d}\t{s}\n" for q, j in qrels.items() for d, s in j.items()))
    got = json.loads(albert("eval", model, "--task", "retrieval", "--data", dir, "--split", "test", "--json", "--quiet"))
    found = albert("search", model, "--corpus", dir / "corpus.jsonl", "--top-k", len(documents),
                   lines(tmp / "q.jsonl", [{"text": q["text"], "id": q["_id"]} for q in queries]), "--quiet")
    run, scores = {}, np.zeros((len(queries), len(documents)))
    for i, line in enumerate(found.splitlines()):
        r = json.loads(line)
        for h in r["result"]:
            assert documents[h["index"]]["_id"] == h["id"]
            scores[i, h["index"]] = h["score"]
        if r["id"] in qrels:
            run[r["id"]] = {h["id"]: h["score"] for h in r["result"]}
    q = vectors(model, tmp, [x["text"] for x in queries])
    d = vectors(model, tmp, [(x["title"] + " " + x["text"]).strip() for x in documents])
    search = float(np.abs(scores - cosines(q[:, None], d[None])).max())
    # trec_eval's recip_rank has no cut: it gets the first ten
    order = lambda hits: sorted(hits, key=lambda d: (hits[d], d), reverse=True)
    ten = {q: {d: h[d] for d in order(h)[:10]} for q, h in run.items()}
    theirs = pytrec_eval.RelevanceEvaluator(qrels, {"ndcg_cut.10", "map_cut.100", "recall.100"}).evaluate(run)
    first = pytrec_eval.RelevanceEvaluator(qrels, {"recip_rank"}).evaluate(ten)
    mean = lambda per, name: sum(x[name] for x in per.values()) / len(qrels)
    return {"search": (search, 0.0), "ndcg@10": (got["ndcg@10"], mean(theirs, "ndcg_cut_10")), "mrr@10": (got["mrr@10"], mean(first, "recip_rank")),
            "map@100": (got["map@100"], mean(theirs, "map_cut_100")), "recall@100": (got["recall@100"], mean(theirs, "recall_100"))}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--tolerance", type=float, default=1e-6)
    args = parser.parse_args()
    print(f"scipy {scipy.__version__}, numpy {np.__version__}")
    worst = {}
    with tempfile.TemporaryDirectory() as name:
        tmp = pathlib.Path(name)
        model = make_model(tmp)
        for seed in range(args.seeds):
            both = sts(model, tmp, seed) | retrieval(model, tmp, seed)
            print(f"seed {seed}: " + ", ".join(f"{k} {a:.6f}" for k, (a, _) in both.items() if k != "search"), flush=True)
            for k, (a, b) in both.items():
                worst[k] = max(worst.get(k, 0), abs(a - b))
    for k, d in worst.items():
        print(f"{k:16} largest difference {d:.1e}")
    if not max(worst.values()) <= args.tolerance:
        raise SystemExit(f"beyond {args.tolerance}")


if __name__ == "__main__":
    main()
