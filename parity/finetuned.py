"""Opens what `albert finetune` writes in transformers, and compares the logits with those of `albert predict --logits`.

    finetuned.py MODEL        ALBERT_BIN names the command; MODEL is a pretrained model with its tokenizer; run it by finetuned.sh

Every kind of head is fine-tuned for 20 steps on a little data. transformers must load it by its AutoModelFor... with no key missing or
left over, name the labels as they were learned, and give logits within 1e-4 of ours on texts that its own AutoTokenizer cuts. Of the beam head,
for which transformers has no class, AlbertModel must load the encoder, and the head's tensors must stand under their names.
"""

import json
import os
import pathlib
import random
import subprocess
import sys
import tempfile

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["TRANSFORMERS_VERBOSITY"] = "error"

import torch
import transformers
from safetensors import safe_open

KINDS = ["red", "green", "blue"]


def words(n):
    return " ".join(random.choice("the old house stood by a river and she went up stairs with her candle".split()) for _ in range(n))


def lines(path, rows):
    path.write_text("".join(json.dumps(r) + "\n" for r in rows))


def squad(path, impossible):
    paragraphs = []
    for i in range(30):
        context, answer = words(20) + " x" + words(30), None
        answer = context.split()[7]
        qas = [{"id": f"q{i}", "question": words(5) + "?", "answers": [{"text": answer, "answer_start": context.index(answer)}]}]
        if impossible:
            qas[0]["is_impossible"] = False
            qas.append({"id": f"n{i}", "question": words(5) + "?", "answers": [], "is_impossible": True})
        paragraphs.append({"context": context, "qas": qas})
    path.write_text(json.dumps({"version": "v2.0" if impossible else "1.1", "data": [{"title": "t", "paragraphs": paragraphs}]}))


def data(tmp):
    """A file for each task: name, task, file, flags, class of transformers, labels."""
    some = range(60)
    lines(tmp / "classify.jsonl", [{"text": words(9), "label": KINDS[i % 3]} for i in some])
    lines(tmp / "pairs.jsonl", [{"text": words(9), "text_pair": words(5), "label": KINDS[i % 2]} for i in some])
    lines(tmp / "multi.jsonl", [{"text": words(9), "label": KINDS[: i % 4]} for i in some])
    lines(tmp / "regress.jsonl", [{"text": words(9), "score": i / 10} for i in some])
    lines(tmp / "tag.jsonl", [{"tokens": words(6).split(), "tags": [random.choice(["O", "B-X", "I-X"]) for _ in range(6)]} for _ in some])
    lines(tmp / "choice.jsonl", [{"context": words(20), "question": words(4), "choices": [words(3) for _ in range(3)], "label": i % 3} for i in some])
    squad(tmp / "squad1.json", False)
    squad(tmp / "squad2.json", True)
    text = "AutoModelForSequenceClassification"
    answer = "AutoModelForQuestionAnswering"
    return [
        ("classify", "classify", "classify.jsonl", [], text, sorted(KINDS)), ("pairs", "classify", "pairs.jsonl", [], text, sorted(KINDS[:2])),
        ("multi", "classify", "multi.jsonl", [], text, sorted(KINDS)), ("regress", "regress", "regress.jsonl", [], text, None),
        ("tag", "tag", "tag.jsonl", [], "AutoModelForTokenClassification", ["B-X", "I-X", "O"]),
        ("choice", "choice", "choice.jsonl", [], "AutoModelForMultipleChoice", None),
        ("squad1", "squad1", "squad1.json", [], answer, None), ("squad2 simple", "squad2", "squad2.json", ["--head", "simple"], answer, None),
        ("squad2 beam", "squad2", "squad2.json", [], None, None),
    ]


def albert(*args):
    run = subprocess.run([os.environ["ALBERT_BIN"], *map(str, args)], capture_output=True, text=True)
    if run.returncode:
        raise SystemExit(f"albert {' '.join(map(str, args))}: exit {run.returncode}: {run.stderr}")
    return [json.loads(x) for x in run.stdout.splitlines()]


def encode(tok, name):
    """Inputs as transformers' tokenizer makes them, a row of each."""
    rows = []
    for i in range(12):
        if name == "choice":
            both = [tok(words(20), words(4) + " " + words(3)) for _ in range(3)]
            rows.append({k: [b[k] for b in both] for k in ("input_ids", "token_type_ids")})
        else:
            x = tok(words(5 + i), words(9)) if name in ("pairs", "squad1", "squad2 simple") else tok(words(5 + 4 * i))
            rows.append({k: x[k] for k in ("input_ids", "token_type_ids")})
    return rows


@torch.no_grad()
def logits(model, name, row):
    if name == "choice":  # choices of one question have one length in a tensor: here each is its own
        return {"logits": [float(model(input_ids=torch.tensor([[i]]), token_type_ids=torch.tensor([[t]])).logits)
                           for i, t in zip(row["input_ids"], row["token_type_ids"])]}
    y = model(**{k: torch.tensor([v]) for k, v in row.items()})
    return {k: y[k][0].tolist() for k in ("logits", "start_logits", "end_logits") if k in y}


def check(tmp, pretrained, name, task, file, flags, cls, labels):
    out = tmp / name.replace(" ", "-")
    albert("finetune", pretrained, "--task", task, "--train", tmp / file, "--dev", tmp / file, "--output", out, "--steps", 20, "--batch-size", 8,
           "--learning-rate", "1e-3", "--quiet", "--json", *flags)
    model_dir = out / "model"
    if cls is None:
        _, info = transformers.AlbertModel.from_pretrained(model_dir, add_pooling_layer=False, output_loading_info=True)
        if info["missing_keys"]:
            raise SystemExit(f"{name}: AlbertModel misses {info['missing_keys']}")
        with safe_open(model_dir / "model.safetensors", "pt") as f:
            head = {k.split(".")[0] for k in f.keys() if not k.startswith("albert.")}
        if head != {"start_logits", "end_logits", "answer_class"}:
            raise SystemExit(f"{name}: the head's tensors are {head}")
        print(f"{name}: AlbertModel loads the encoder; {', '.join(sorted(head))} beside it")
        return
    model, info = getattr(transformers, cls).from_pretrained(model_dir, output_loading_info=True)
    model.eval()
    if info["missing_keys"] or info["unexpected_keys"] or info["mismatched_keys"]:
        raise SystemExit(f"{name}: {info}")
    if labels and [model.config.id2label[i] for i in range(len(labels))] != labels:
        raise SystemExit(f"{name}: id2label {model.config.id2label}, want {labels}")
    rows = encode(transformers.AutoTokenizer.from_pretrained(model_dir), name)
    lines(tmp / "rows.jsonl", rows)
    worst = 0
    for row, got in zip(rows, albert("predict", model_dir, tmp / "rows.jsonl", "--logits"), strict=True):
        for key, want in logits(model, name, row).items():
            worst = max(worst, (torch.tensor(got[key]) - torch.tensor(want)).abs().max().item())
    print(f"{name}: {type(model).__name__}, {'id2label ' + str(labels) if labels else 'no labels'}, {len(rows)} rows, logits within {worst:.1e}")
    if not worst <= 1e-4:
        raise SystemExit(f"{name}: logits differ")


def main():
    random.seed(7)
    with tempfile.TemporaryDirectory() as tmp:
        tmp = pathlib.Path(tmp)
        for row in data(tmp):
            check(tmp, sys.argv[1], *row)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main()
