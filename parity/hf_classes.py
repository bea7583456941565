"""Compares every class that transformers has for ALBERT, or for BERT, in many shapes, with the albert command.

    hf_classes.py [--family Albert|Bert] [--count 64] [--tolerance 2e-5] [--only TEXT]       ALBERT_BIN names the command; run it by hf_classes.sh

For each configuration and class a random model is saved by transformers. What `albert predict --logits`, `albert fill --logits` and
`albert embed` answer on sequences of mixed lengths must be within the tolerance of what transformers computes in fp32, one sequence at a
time. Then the same model as shards with an index, as pytorch_model.bin, sharded or not, as a .pt file, and in fp16 and bf16 must give the
same; and what `albert convert` writes must load in transformers without a missing, unexpected or mismatched key and give equal bits.
Of BERT also files whose names lack the prefix, or say gamma and beta. A table of the largest differences is printed.
"""

import argparse
import json
import os
import pathlib
import subprocess
import sys
import tempfile

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["TRANSFORMERS_VERBOSITY"] = "error"

import numpy as np
import torch
import transformers

MASK = 4  # of a model without a tokenizer
TINY = {"vocab_size": 307, "embedding_size": 20, "hidden_size": 36, "num_attention_heads": 3, "intermediate_size": 70, "num_hidden_layers": 4,
        "max_position_embeddings": 64, "initializer_range": 0.15}
V1 = {"hidden_act": "gelu", "hidden_dropout_prob": 0.1, "attention_probs_dropout_prob": 0.1}
BERT = {k: v for k, v in TINY.items() if k != "embedding_size"} | {"hidden_act": "gelu", "initializer_range": 0.08}
ALBERTS = {
    "base": {"vocab_size": 30000, "embedding_size": 128, "hidden_size": 768, "num_attention_heads": 12, "intermediate_size": 3072,
             "num_hidden_layers": 12, "max_position_embeddings": 512},
    "tiny": TINY,
    "v1": TINY | V1,
    "v2": TINY | {"hidden_act": "gelu_new", "hidden_dropout_prob": 0, "attention_probs_dropout_prob": 0},
    "groups": TINY | {"num_hidden_groups": 2},
    "inner": TINY | V1 | {"inner_group_num": 2},
    "E=H": TINY | {"embedding_size": 36},
}
BERTS = {
    "base": {},
    "tiny": BERT,
    "gelu_new": BERT | {"hidden_act": "gelu_new", "classifier_dropout": 0.3, "layer_norm_eps": 1e-5},
    "relu": BERT | {"hidden_act": "relu", "type_vocab_size": 3, "num_hidden_layers": 1},
}
# the name in the table: the class without the family's name, what its config says
CLASSES = {
    "Model": ("Model", {}),
    "ForPreTraining": ("ForPreTraining", {}),
    "ForMaskedLM": ("ForMaskedLM", {}),
    "Sequence, one label": ("ForSequenceClassification", {"num_labels": 3, "problem_type": "single_label_classification"}),
    "Sequence, many labels": ("ForSequenceClassification", {"num_labels": 5, "problem_type": "multi_label_classification"}),
    "Sequence, regression": ("ForSequenceClassification", {"num_labels": 1, "problem_type": "regression"}),
    "ForTokenClassification": ("ForTokenClassification", {"num_labels": 7}),
    "ForQuestionAnswering": ("ForQuestionAnswering", {}),
    "ForMultipleChoice": ("ForMultipleChoice", {}),
}


def choose(name):
    """Takes the family whose models are made: Albert or Bert."""
    global family, configs, MASK
    family, configs, MASK = {"Albert": ("Albert", ALBERTS, 4), "Bert": ("Bert", BERTS, 103)}[name]
    CLASSES.pop("ForNextSentencePrediction", None)
    if family == "Bert":
        CLASSES["ForNextSentencePrediction"] = ("ForNextSentencePrediction", {})


def fresh(name, kind, seed):
    """A random model in evaluation mode whose biases and norms are random too."""
    cls, extra = CLASSES[kind]
    torch.manual_seed(seed)
    model = getattr(transformers, family + cls)(getattr(transformers, family + "Config")(**configs[name], **extra)).eval()
    with torch.no_grad():
        for key, p in model.named_parameters():
            if p.dim() == 1:
                p.add_(torch.randn_like(p) * 0.1)
    return model


def lines_for(config, kind, count, rng):
    """Sequences of all lengths, without the padding index, with masks; for choices two to four of them in a line."""
    longest = min(config.max_position_embeddings, 128)

    def one(n):
        ids = rng.integers(1, config.vocab_size, n)
        ids[rng.random(n) < 0.15] = MASK
        ids[rng.integers(0, n)] = MASK
        return ids.tolist(), (np.arange(n) >= rng.integers(0, n + 1)).astype(int).tolist()

    for i in range(count):
        n = int(rng.integers(1, longest + 1)) if i else config.max_position_embeddings
        if kind == "ForMultipleChoice":
            parts = [one(int(rng.integers(1, longest // 2 + 1))) for _ in range(int(rng.integers(2, 5)))]
            yield {"input_ids": [p[0] for p in parts], "token_type_ids": [p[1] for p in parts]}
        else:
            ids, types = one(n)
            yield {"input_ids": ids, "token_type_ids": types}


def albert(command, *args, check=True):
    run = subprocess.run([os.environ["ALBERT_BIN"], command, *map(str, args)], capture_output=True, text=True)
    if check and run.returncode:
        raise SystemExit(f"albert {command} {' '.join(map(str, args))}: exit {run.returncode}: {run.stderr}{run.stdout[-300:]}")
    return run


@torch.no_grad()
def outputs(model, kind, line, bare=True):
    """What transformers gives for a line: the fields that the commands print."""
    base = model if kind == "Model" else model.base_model
    if kind == "ForMultipleChoice":
        # Choices of one question have one length in a tensor: here each is its own.
        return {"logits": [float(model(input_ids=torch.tensor([[i]]), token_type_ids=torch.tensor([[t]])).logits)
                           for i, t in zip(line["input_ids"], line["token_type_ids"])]}
    ids, types = torch.tensor([line["input_ids"]]), torch.tensor([line["token_type_ids"]])
    out = {}
    if bare:
        y = base(input_ids=ids, token_type_ids=types)
        out["hidden"] = y.last_hidden_state[0].numpy()
        if y.pooler_output is not None:
            out["pooler"] = y.pooler_output[0].numpy()
    if kind == "Model":
        return out
    y = model(input_ids=ids, token_type_ids=types)
    at = [i for i, p in enumerate(line["input_ids"]) if p == MASK]
    if kind == "ForPreTraining":
        out |= {"positions": at, "masks": y.prediction_logits[0, at].numpy(), "logits": y.seq_relationship_logits[0].numpy() if family == "Bert" else y.sop_logits[0].numpy()}
    elif kind == "ForMaskedLM":
        out |= {"positions": at, "masks": y.logits[0, at].numpy()}
    elif kind == "ForQuestionAnswering":
        out |= {"start_logits": y.start_logits[0].numpy(), "end_logits": y.end_logits[0].numpy()}
    else:
        out["logits"] = y.logits[0].numpy()
    return out


def answers(path, file, kind, bare=True):
    """What the commands print for a file of lines, as fields of [outputs]."""
    n = len(file.read_text().splitlines())
    got = [{} for _ in range(n)]

    def run(command, *flags):
        lines = albert(command, path, file, *flags).stdout.splitlines()
        if len(lines) != n:
            raise SystemExit(f"albert {command} {path}: {len(lines)} lines for {n}")
        return map(json.loads, lines)

    if kind in ("ForPreTraining", "ForMaskedLM"):
        for g, y in zip(got, run("fill", "--logits")):
            g |= {"positions": y["positions"], "masks": y["logits"]}
    if kind not in ("Model", "ForMaskedLM"):
        for g, y in zip(got, run("predict", "--logits")):
            g |= y
    if bare and kind != "ForMultipleChoice":
        for g, y in zip(got, run("embed", "--pooling", "none")):
            g["hidden"] = y["embedding"]
        if kind not in ("ForMaskedLM", "ForTokenClassification", "ForQuestionAnswering"):
            for g, y in zip(got, run("embed", "--pooling", "pooler")):
                g["pooler"] = y["embedding"]
    return got


def worst(where, got, want):
    most = 0.0
    for g, w in zip(got, want, strict=True):
        if g.keys() != w.keys():
            raise SystemExit(f"{where}: fields {sorted(g)}, want {sorted(w)}")
        for key in w:
            a, b = np.asarray(g[key], dtype=np.float64), np.asarray(w[key], dtype=np.float64)
            if a.shape != b.shape:
                raise SystemExit(f"{where}: {key} has shape {a.shape}, want {b.shape}")
            most = max(most, float(np.abs(a - b).max()))
    return most


def load(path, cls):
    """The model as fp32; a key that is missing, unexpected or mismatched is an error."""
    model, info = getattr(transformers, cls).from_pretrained(path, output_loading_info=True, dtype=torch.float32)
    bad = {k: v for k, v in info.items() if v}
    if bad:
        raise SystemExit(f"{path}: transformers reports {bad}")
    return model.eval()


def variants(model, dir, big):
    """The model as people also save it: the name, what to open, and the directory for transformers."""
    size = "30MB" if big else "20KB"
    for name, flags in {"shards": {"max_shard_size": size}, "bin": {"safe_serialization": False},
                        "bin shards": {"safe_serialization": False, "max_shard_size": size}}.items():
        to = dir / name.replace(" ", "-")
        model.save_pretrained(to, **flags)
        if "shards" in name and not list(to.glob("*.index.json")):
            raise SystemExit(f"{to}: one shard only")
        yield name, to, to
    to = dir / "pt"
    to.mkdir()
    model.config.architectures = [type(model).__name__]
    model.config.save_pretrained(to)
    torch.save(model.state_dict(), to / "weights.pt")
    yield "pt", to / "weights.pt", None
    if family == "Bert":
        changed = {"no prefix": lambda n: n.removeprefix("bert."),
                   "gamma": lambda n: n.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta")}
        for what, change in changed.items():
            torch.save({change(k): v for k, v in model.state_dict().items()}, to / f"{what}.pt")
            yield what, to / f"{what}.pt", None
    for name, dtype in {"fp16": torch.float16, "bf16": torch.bfloat16}.items():
        half = type(model)(model.config)
        half.load_state_dict(model.state_dict())
        half.to(dtype).save_pretrained(dir / name)
        yield name, dir / name, dir / name
        half.save_pretrained(dir / f"{name}-bin", safe_serialization=False)
        yield f"{name} bin", dir / f"{name}-bin", dir / name


def check(name, kind, tmp, count, tolerance, worst_of):
    cls = family + CLASSES[kind][0]
    model = fresh(name, kind, seed=7)
    rng = np.random.default_rng(7)
    lines = list(lines_for(model.config, kind, count, rng))
    file, few = tmp / "lines.jsonl", tmp / "few.jsonl"
    file.write_text("".join(json.dumps(x) + "\n" for x in lines))
    few.write_text("".join(json.dumps(x) + "\n" for x in lines[1:5]))
    model.save_pretrained(tmp / "hf")

    def hold(what, path, lines, reference, want=None, bare=True):
        source = file if lines is whole else few
        want = want or [outputs(reference, kind, x, bare) for x in lines]
        d = worst(f"{name} {kind} {what}", answers(path, source, kind, bare), want)
        worst_of[what] = max(worst_of.get(what, 0), d)
        if not d <= tolerance:
            print(f"{name}, {kind}, {what}: differs by {d:.2g}", flush=True)
        return d

    whole = lines
    most = hold("hf", tmp / "hf", lines, model)
    four = lines[1:5]
    # Into a directory again: the same model for transformers.
    albert("convert", tmp / "hf", tmp / "again")
    again = load(tmp / "again", cls)
    for key, p in model.state_dict().items():
        if not torch.equal(p, again.state_dict()[key]):
            raise SystemExit(f"{name} {kind}: convert changed {key}")
    for x in four:
        a, b = outputs(model, kind, x, False), outputs(again, kind, x, False)
        if any(not np.array_equal(a[k], b[k]) for k in a):
            raise SystemExit(f"{name} {kind}: after convert transformers gives other logits")
    same = [outputs(model, kind, x, kind == "Model") for x in four]
    for what, path, directory in variants(model, tmp, name == "base"):
        if "16" in what:
            hold(what, path, four, load(directory, cls), bare=kind == "Model")
        else:
            hold(what, path, four, None, same, bare=kind == "Model")
    return most


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--family", choices=["Albert", "Bert"], default="Albert")
    parser.add_argument("--count", type=int, default=64, help="sequences compared")
    parser.add_argument("--tolerance", type=float, default=2e-5, help="largest absolute difference")
    parser.add_argument("--only", default="", help="only configurations with this in their name")
    args = parser.parse_args()
    torch.set_num_threads(1)
    choose(args.family)
    table, worst_of = {}, {}
    for kind in CLASSES:
        for name in configs:
            if args.only in name:
                with tempfile.TemporaryDirectory() as tmp:
                    table[kind, name] = check(name, kind, pathlib.Path(tmp), args.count, args.tolerance, worst_of)
                    print(f"{kind}, {name}: {table[kind, name]:.1e}", file=sys.stderr, flush=True)
    names = [n for n in configs if args.only in n]
    print(f"largest difference from transformers {transformers.__version__}, torch {torch.__version__}, fp32, {args.count} sequences")
    print(f"{'':24}" + "".join(f"{n:>9}" for n in names))
    for kind in CLASSES:
        print(f"{kind:24}" + "".join(f"{table[kind, n]:9.1e}" for n in names))
    print("by file: " + ", ".join(f"{k} {v:.1e}" for k, v in worst_of.items()))
    if not max(worst_of.values()) <= args.tolerance:
        raise SystemExit(f"beyond {args.tolerance}")


if __name__ == "__main__":
    main()
