"""Makes task/testdata/golden: tiny random models of transformers' classes for fine-tuning, with the logits, loss and gradients that
float64 arithmetic gives for a batch, of ALBERT and (bert-*) of BERT. `heads.py --check` compares the committed files with new ones instead."""

import argparse
import os
import pathlib
import shutil
import tempfile

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["TRANSFORMERS_VERBOSITY"] = "error"

import numpy as np
import torch
import transformers
from safetensors.torch import save_file
from transformers import AlbertConfig, BertConfig

import make as pretraining

GOLDEN = pathlib.Path(__file__).resolve().parents[2] / "internal" / "learn" / "task" / "testdata" / "golden"
LENGTHS = (9, 3, 24, 5, 12, 8)  # pieces of each sequence
CHOICES = 3

# Kind: class, outputs, problem type.
CASES = {
    "classify": ("AlbertForSequenceClassification", 3, "single_label_classification"),
    "multilabel": ("AlbertForSequenceClassification", 4, "multi_label_classification"),
    "regress": ("AlbertForSequenceClassification", 1, "regression"),
    "rerank": ("AlbertForSequenceClassification", 1, "rerank"),  # transformers has no such type: the loss is CrossEncoder's
    "tag": ("AlbertForTokenClassification", 5, None),
    "answer": ("AlbertForQuestionAnswering", 2, None),
    "choice": ("AlbertForMultipleChoice", 1, None),
}
CASES |= {"bert-" + name: (cls.replace("Albert", "Bert"), *rest) for name, (cls, *rest) in CASES.items()}


def model_of(name, rng):
    cls, outputs, problem = CASES[name]
    kw = dict(num_labels=outputs, problem_type=problem if problem != "rerank" else None) if problem or name.endswith("tag") else {}
    size = dict(vocab_size=61, num_hidden_layers=2, num_attention_heads=2, hidden_act="gelu", max_position_embeddings=24, attn_implementation="eager")
    if cls.startswith("Bert"):
        config = BertConfig(hidden_size=12, intermediate_size=20, **size, **kw)
    else:
        config = AlbertConfig(embedding_size=8, hidden_size=20, intermediate_size=28, classifier_dropout_prob=0.1, **size, **kw)
    model = getattr(transformers, cls)(config).eval()
    with torch.no_grad():
        for n, p in sorted(model.named_parameters()):
            norm = "norm" in n.lower() and n.endswith("weight")
            scale = 0.15 if n.endswith("bias") else 0.2 if norm else 0.3
            p.copy_(torch.from_numpy((norm + scale * rng.standard_normal(tuple(p.shape))).astype(np.float32)))
    return model


def make(name, directory):
    rng = pretraining.rng_of("head " + name)
    model = model_of(name, rng)
    model.save_pretrained(directory)
    model.double()
    t = sum(LENGTHS)
    ids = torch.from_numpy(rng.integers(1, 61, t))
    types = torch.from_numpy(np.concatenate([(np.arange(n) > rng.integers(0, n)).astype(np.int64) for n in LENGTHS]))
    offsets = np.cumsum((0,) + LENGTHS)
    golden = {"offsets": torch.from_numpy(offsets), "input_ids": ids, "token_type_ids": types}
    n, outputs = len(LENGTHS), CASES[name][1]
    rows = [(int(a), int(b)) for a, b in zip(offsets, offsets[1:])]
    parts = [dict(input_ids=ids[None, a:b], token_type_ids=types[None, a:b]) for a, b in rows]
    ce = torch.nn.functional.cross_entropy
    kind = name.removeprefix("bert-")
    if kind == "classify":
        labels = torch.from_numpy(rng.integers(0, outputs, n))
        logits = torch.cat([model(**p).logits for p in parts])
        loss = ce(logits, labels)
        whole = torch.stack([model(**p, labels=labels[i : i + 1]).loss for i, p in enumerate(parts)]).mean()
    elif kind == "multilabel":
        labels = torch.from_numpy(rng.integers(0, 2, (n, outputs))).double()
        logits = torch.cat([model(**p).logits for p in parts])
        loss = torch.nn.functional.binary_cross_entropy_with_logits(logits, labels)
        whole = torch.stack([model(**p, labels=labels[i : i + 1]).loss for i, p in enumerate(parts)]).mean()
    elif kind == "regress":
        labels = torch.from_numpy(rng.standard_normal(n))
        logits = torch.cat([model(**p).logits for p in parts])
        loss = ((logits[:, 0] - labels) ** 2).mean()
        whole = torch.stack([model(**p, labels=labels[i : i + 1]).loss for i, p in enumerate(parts)]).mean()
    elif kind == "rerank":
        labels = torch.from_numpy(rng.integers(0, 5, n) / 4)
        logits = torch.cat([model(**p).logits for p in parts])
        loss = torch.nn.BCEWithLogitsLoss()(logits[:, 0], labels)
        p = torch.sigmoid(logits[:, 0])
        whole = -(labels * p.log() + (1 - labels) * (1 - p).log()).mean()
    elif kind == "tag":
        labels = torch.from_numpy(rng.integers(-1, outputs, t))
        logits = torch.cat([model(**p).logits[0] for p in parts])
        loss = ce(logits, labels, ignore_index=-1)
        counts = [int((labels[a:b] >= 0).sum()) for a, b in rows]
        each = [model(**p, labels=torch.where(labels[a:b] < 0, -100, labels[a:b])[None]).loss for p, (a, b) in zip(parts, rows)]
        whole = sum(l * c for l, c in zip(each, counts) if c) / sum(counts)
    elif kind == "answer":
        starts = np.array([rng.integers(0, m) for m in LENGTHS])
        ends = np.array([rng.integers(s, m) for s, m in zip(starts, LENGTHS)])
        labels = torch.from_numpy(np.stack([starts, ends], 1))
        ys = [model(**p) for p in parts]
        logits = torch.cat([torch.stack([y.start_logits[0], y.end_logits[0]], 1) for y in ys])
        each = [(ce(y.start_logits, labels[i : i + 1, 0]) + ce(y.end_logits, labels[i : i + 1, 1])) / 2 for i, y in enumerate(ys)]
        loss = torch.stack(each).mean()
        whole = torch.stack(
            [model(**p, start_positions=labels[i : i + 1, 0], end_positions=labels[i : i + 1, 1]).loss for i, p in enumerate(parts)]
        ).mean()
    else:
        labels = torch.from_numpy(rng.integers(0, CHOICES, n // CHOICES))
        pooled = []
        for p in parts:  # a batch of one choice each: the same head without padding
            pooled.append(model(**{k: v[:, None] for k, v in p.items()}).logits[0, 0])
        logits = torch.stack(pooled)[:, None]
        loss = ce(logits.reshape(-1, CHOICES), labels)
        whole = loss
    torch.testing.assert_close(loss, whole.double(), rtol=1e-9, atol=1e-9)
    model.zero_grad()
    loss.backward()
    golden |= {"labels": labels, "logits": logits, "loss": loss}
    golden |= {"grad." + k: (p.grad if p.grad is not None else torch.zeros_like(p)).float() for k, p in model.named_parameters()}
    save_file({k: v.detach().contiguous().clone() for k, v in golden.items()}, directory / "golden.safetensors")
    for f in directory.iterdir():
        f.chmod(0o644)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true")
    args = parser.parse_args()
    for name in CASES:
        if args.check:
            with tempfile.TemporaryDirectory() as new:
                make(name, pathlib.Path(new))
                pretraining.check(pathlib.Path(new), GOLDEN / name)
        else:
            shutil.rmtree(GOLDEN / name, ignore_errors=True)
            (GOLDEN / name).mkdir(parents=True)
            make(name, GOLDEN / name)


if __name__ == "__main__":
    main()
