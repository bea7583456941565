"""Takes models of every class of ALBERT and BERT through every format, one after another, and checks that they come out as they went in.

    chains.py DIR        ALBERT_BIN names the command; DIR has words.model, a SentencePiece model; run it by chains.sh

The chain is Hugging Face, PyTorch, TensorFlow's checkpoint, .tar.gz, ONNX, safetensors, Hugging Face. At each station `albert inspect` must
give the same weights_sha256 and the same fields of config.json, and `albert tokenizer encode` the same ids; in the end transformers
must load the directory without a missing, unexpected or mismatched key and compute equal logits. What has no name in Google's code must
be refused in one line that says so, and leave nothing behind; then the chain goes on without TensorFlow.
"""

import json
import os
import pathlib
import shutil
import sys
import tempfile

import numpy as np
import torch
from transformers import AlbertTokenizer, BertTokenizer

import hf_classes
from hf_classes import CLASSES, albert, fresh, lines_for, load, outputs

STATIONS = ["hf", "hf2", "torch/pytorch_model.bin", "pt/weights.pt", "tf/model.ckpt-best", "tar/tiny.tar.gz", "onnx/model.onnx",
            "st/model.safetensors", "out"]
UNKNOWN = {"finetuning_task": "größer", "our_own": {"a": [1, 2.5, None], "big": 9007199254740993}, "null_threshold": -1.25}
TEXT = "The Licensor grants “Rights”, Größe & naïve 1,000 copies.\nWork\n\n  [MASK] of the work [SEP] \n東京 Apache\n"


def fields(path):
    """config.json as the model has it: what transformers wrote, without what it is a matter of where it is written."""
    c = json.loads(albert("inspect", path, "--json").stdout)
    return c["weights_sha256"], c["config"]


def make(kind, name, tokenizer, to):
    model = fresh(name, kind, seed=11)
    cls = hf_classes.family + CLASSES[kind][0]
    if "labels" in kind or kind == "ForTokenClassification":
        model.config.id2label = {i: f"Étiquette {i}" for i in range(model.config.num_labels)}
        model.config.label2id = {v: k for k, v in model.config.id2label.items()}
    for key, value in UNKNOWN.items():
        setattr(model.config, key, value)
    model.save_pretrained(to)
    tokenizer.save_pretrained(to)
    return model, cls


def one(kind, name, tokenizer, tmp):
    """A chain. It gives the stations that refused, with what they said."""
    model, cls = make(kind, name, tokenizer, tmp / "hf")
    text = tmp / "text.txt"
    text.write_text(TEXT)
    encode = lambda path: albert("tokenizer", "encode", "--special", "--model", path, text).stdout
    sha, config = fields(tmp / "hf")
    ids = encode(tmp / "hf")
    said = json.loads((tmp / "hf/config.json").read_text())
    for key in [*UNKNOWN, "architectures", "problem_type", "id2label", "label2id"]:
        if config.get(key) != said.get(key):
            raise SystemExit(f"{kind} {name}: config field {key} is {config.get(key)}, in the file {said.get(key)}")
    at, refused = tmp / "hf", {}
    for station in STATIONS[1:]:
        to = tmp / station
        run = albert("convert", at, to, check=False)
        if run.returncode:
            message = run.stderr.strip()
            if run.returncode != 1 or "\n" in message or "tf/" not in station and "tar/" not in station:
                raise SystemExit(f"{kind} {name}: {at} to {station}: exit {run.returncode}: {message}")
            if to.parent.exists() and any(to.parent.iterdir()):
                raise SystemExit(f"{kind} {name}: {station} was refused, but left {list(to.parent.iterdir())}")
            refused[station] = message
            continue
        sha2, config2 = fields(to)
        if sha2 != sha:
            raise SystemExit(f"{kind} {name}: weights_sha256 {sha2} in {station}, {sha} before")
        if config2 != config:
            raise SystemExit(f"{kind} {name}: the configuration in {station} is {config2}, before {config}")
        if encode(to) != ids:
            raise SystemExit(f"{kind} {name}: the tokenizer in {station} gives other ids")
        at = to
    again = load(tmp / "out", cls)
    for line in lines_for(model.config, kind, 4, np.random.default_rng(3)):
        a, b = outputs(model, kind, line), outputs(again, kind, line)
        if any(not np.array_equal(a[k], b[k]) for k in a):
            raise SystemExit(f"{kind} {name}: transformers gives other logits after the chain")
    end = json.loads((tmp / "out/config.json").read_text())
    for key, value in said.items():
        if key not in ("transformers_version", "dtype") and end.get(key) != value:
            raise SystemExit(f"{kind} {name}: {key} was {value}, is {end.get(key)}")
    back = type(tokenizer).from_pretrained(tmp / "out")
    for line in TEXT.splitlines():
        if back(line)["input_ids"] != tokenizer(line)["input_ids"]:
            raise SystemExit(f"{kind} {name}: transformers' tokenizer gives other ids for {line!r} after the chain")
    return refused


def main():
    torch.set_num_threads(1)
    words = sys.argv[1]
    vocab = pathlib.Path(words) / "vocab.txt"
    pieces = ["[PAD]", "[CLS]", "[SEP]", "[UNK]", "[MASK]", "the", "licensor", "grants", "gro", "##ße", "##sse", "work", "copies", "of", ",", "1",
              "000", "[", "]", "apache", "Apache", "The"]
    vocab.write_text("\n".join(pieces) + "\n")
    tokenizers = {
        "SentencePiece": AlbertTokenizer(f"{words}/words.model"),
        "SentencePiece, cased, accents": AlbertTokenizer(f"{words}/words.model", do_lower_case=False, keep_accents=True),
        "WordPiece": BertTokenizer(str(vocab)),
        "WordPiece, cased": BertTokenizer(str(vocab), do_lower_case=False),
    }
    hf_classes.choose("Albert")
    runs = [("Albert", kind, name, "SentencePiece") for kind in CLASSES for name in ("tiny", "v1", "groups", "inner", "E=H")]
    runs += [("Albert", "ForPreTraining", "tiny", t) for t in list(tokenizers)[1:]]
    hf_classes.choose("Bert")
    runs += [("Bert", kind, name, "WordPiece") for kind in CLASSES for name in ("tiny", "gelu_new", "relu")]
    runs += [("Bert", "ForMaskedLM", "tiny", "WordPiece, cased")]
    refusals = {}
    for family, kind, name, t in runs:
        hf_classes.choose(family)
        with tempfile.TemporaryDirectory() as tmp:
            refused = one(kind, name, tokenizers[t], pathlib.Path(tmp))
            for message in refused.values():
                refusals.setdefault(message.split(": ", 1)[1].replace(tmp, ""), []).append(f"{kind} {name}")
        print(f"{family}, {kind}, {name}, {t}: the same" + (f", but for {', '.join(refused)}" if refused else ""), flush=True)
    for message, where in refusals.items():
        print(f"refused: {message} ({len(where)} times: {', '.join(sorted(set(where)))})")


if __name__ == "__main__":
    main()
