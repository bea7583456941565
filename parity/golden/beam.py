"""Makes task/testdata/golden-beam: a tiny random model with the head that the released code has for SQuAD 2.0 (run_squad_v2.py: start,
end given a start, answerability), with the logits, loss, gradients and beam that float64 arithmetic gives for a batch. transformers has
the encoder only; the head is written out here. `beam.py --check` compares the committed files with new ones instead."""

import argparse
import os
import pathlib
import shutil
import tempfile

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["TRANSFORMERS_VERBOSITY"] = "error"

import numpy as np
import torch
from safetensors.torch import save_file
from torch import nn
from transformers import AlbertConfig, AlbertModel

import make as pretraining

GOLDEN = pathlib.Path(__file__).resolve().parents[2] / "internal" / "learn" / "task" / "testdata" / "golden-beam"
LENGTHS = (12, 3, 24, 6, 15, 9)  # pieces of each window; the second has no context, the fourth less than a beam
QUESTIONS = (3, 0, 5, 1, 4, 2)  # pieces of its question
ANSWERS = ((1, 2), None, (7, 7), (0, 1), None, (0, 3))  # pieces of the context
STARTS, ENDS = 5, 5


class Beam(nn.Module):
    def __init__(self, config):
        super().__init__()
        h = config.hidden_size
        self.albert = AlbertModel(config, add_pooling_layer=False)
        self.start_logits = nn.ModuleDict({"dense": nn.Linear(h, 1)})
        self.end_logits = nn.ModuleDict(
            {"dense_0": nn.Linear(2 * h, h), "LayerNorm": nn.LayerNorm(h, eps=config.layer_norm_eps), "dense_1": nn.Linear(h, 1)}
        )
        self.answer_class = nn.ModuleDict({"dense_0": nn.Linear(2 * h, h), "dense_1": nn.Linear(h, 1, bias=False)})

    def hidden(self, ids, types):
        return self.albert(input_ids=ids[None], token_type_ids=types[None]).last_hidden_state[0]

    def start(self, x):
        return self.start_logits["dense"](x)[:, 0]

    def end(self, x, start):
        both = torch.cat([x, x[start].expand(len(x), -1)], 1)
        return self.end_logits["dense_1"](self.end_logits["LayerNorm"](torch.tanh(self.end_logits["dense_0"](both))))[:, 0]

    def cls(self, x, p):
        start = torch.softmax(masked(self.start(x), p), 0) @ x
        return self.answer_class["dense_1"](torch.tanh(self.answer_class["dense_0"](torch.cat([start, x[0]]))))[0]


def masked(x, p):
    return x * (1 - p) - 1e30 * p


def beam(model, x, p):
    """Up to 25 candidates: rows and log-probabilities of start and end."""
    found = []
    allowed = int((p == 0).sum())
    for start, i in zip(*torch.log_softmax(masked(model.start(x), p), 0).topk(min(STARTS, allowed))):
        for end, j in zip(*torch.log_softmax(masked(model.end(x, i), p), 0).topk(min(ENDS, allowed))):
            found.append((int(i), int(j), float(start), float(end)))
    return found


def make(directory):
    rng = pretraining.rng_of("head beam")
    config = AlbertConfig(
        vocab_size=61, embedding_size=8, hidden_size=20, intermediate_size=28, num_hidden_layers=2, num_attention_heads=2,
        hidden_act="gelu_new", max_position_embeddings=24, classifier_dropout_prob=0.1, attn_implementation="eager",
        architectures=["AlbertModel"], head="beam",
    )
    model = Beam(config).eval()
    with torch.no_grad():
        for n, p in sorted(model.named_parameters()):
            norm = "norm" in n.lower() and n.endswith("weight")
            scale = 0.15 if n.endswith("bias") else 0.2 if norm else 0.3
            p.copy_(torch.from_numpy((norm + scale * rng.standard_normal(tuple(p.shape))).astype(np.float32)))
    config.save_pretrained(directory)
    save_file({k: v.detach().clone() for k, v in model.named_parameters()}, directory / "model.safetensors", {"format": "pt"})
    model.double()

    offsets = np.cumsum((0,) + LENGTHS)
    ids = torch.from_numpy(rng.integers(1, 61, sum(LENGTHS)))
    types = torch.from_numpy(np.concatenate([(np.arange(n) > q + 1).astype(np.int64) for n, q in zip(LENGTHS, QUESTIONS)]))
    contexts = np.array([(q + 2, n - 1) for n, q in zip(LENGTHS, QUESTIONS)])
    labels = np.array([(0, 0) if a is None else (c[0] + a[0], c[0] + a[1]) for a, c in zip(ANSWERS, contexts)])
    starts, ends, classes, losses, beams = [], [], [], [], []
    for a, b, context, (s, e) in zip(offsets, offsets[1:], contexts, labels):
        p = torch.ones(b - a, dtype=torch.float64)
        p[0] = 0
        p[context[0] : context[1]] = 0
        x = model.hidden(ids[a:b], types[a:b])
        start, end, cls = model.start(x), model.end(x, s), model.cls(x, p)
        span = -torch.log_softmax(masked(start, p), 0)[s] - torch.log_softmax(masked(end, p), 0)[e]
        impossible = torch.tensor(float(s == 0), dtype=torch.float64)
        losses.append(0.5 * span + 0.5 * nn.functional.binary_cross_entropy_with_logits(cls, impossible))
        starts, ends, classes = starts + [start], ends + [end], classes + [cls]
        with torch.no_grad():
            beams.append(beam(model, x, p))
    loss = torch.stack(losses).mean()
    loss.backward()
    flat = [c for b in beams for c in b]
    golden = {
        "offsets": torch.from_numpy(offsets), "input_ids": ids, "token_type_ids": types, "contexts": torch.from_numpy(contexts),
        "labels": torch.from_numpy(labels), "start_logits": torch.cat(starts), "end_logits": torch.cat(ends),
        "cls_logits": torch.stack(classes), "loss": loss, "candidates": torch.tensor([len(b) for b in beams]),
        "candidate_rows": torch.tensor([c[:2] for c in flat]), "candidate_log_probs": torch.tensor([c[2:] for c in flat], dtype=torch.float64),
    }
    golden |= {"grad." + k: p.grad.float() for k, p in model.named_parameters()}
    save_file({k: v.detach().contiguous().clone() for k, v in golden.items()}, directory / "golden.safetensors")
    for f in directory.iterdir():
        f.chmod(0o644)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true")
    if parser.parse_args().check:
        with tempfile.TemporaryDirectory() as new:
            make(pathlib.Path(new))
            pretraining.check(pathlib.Path(new), GOLDEN)
        return
    shutil.rmtree(GOLDEN, ignore_errors=True)
    GOLDEN.mkdir(parents=True)
    make(GOLDEN)


if __name__ == "__main__":
    main()
