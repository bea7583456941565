"""Loads model directories in transformers' AlbertForPreTraining and compares them with the albert command.

    hf_pretraining.py MODEL...                    compares outputs on random pieces; ALBERT_BIN names the command
    hf_pretraining.py --print MODEL < LINES       for each line {"input_ids": [...], "token_type_ids": [...]} prints transformers'
                                                  {"positions", "logits", "sop_logits", "pooled"}, logits at each [MASK] (id 4)

A comparison checks that no key is missing or unexpected; that the logits at the masks, every layer's output and the pooler's are within
--tolerance of each other; that weights_sha256, computed here from the file, is what `albert inspect` says; that the Python
safetensors library writes the file's tensors to the same bytes; and that what transformers saves again is the same model, through every format. Run it by hf_pretraining.sh, which has models made for it.
"""

import argparse
import hashlib
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
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from transformers import AlbertForPreTraining
from transformers.models.albert.modeling_albert import AlbertLayer

MASK = 4


class NoMasks:
    """As many absent head masks as anyone asks for."""

    def __getitem__(self, at):
        return self if isinstance(at, slice) else None


def load(path):
    """The model, in evaluation mode; a missing, unexpected or ill-shaped tensor is an error."""
    model, info = AlbertForPreTraining.from_pretrained(path, output_loading_info=True, attn_implementation="eager")
    bad = {k: v for k, v in info.items() if v}
    if bad:
        raise SystemExit(f"{path}: transformers reports {bad}")
    c = model.config
    if c.inner_group_num > c.num_hidden_layers // c.num_hidden_groups:
        # transformers 4.x takes a layer's head mask from a list with an entry a layer of the group, not an entry an inner group, and
        # fails with "list index out of range". Everything else works.
        print(f"{path}: transformers cannot run so many inner groups as it stands: its list of head masks is lengthened", file=sys.stderr)
        model.albert.get_head_mask = lambda *_: NoMasks()
    return model.eval()


def outputs(model, line):
    """What transformers computes for one line; layers is [layers+1, pieces, H], the first the embedding mapped to H."""
    layers = []
    hooks = [m.register_forward_hook(lambda _m, _i, o: layers.append(o[0][0])) for m in model.modules() if isinstance(m, AlbertLayer)]
    mapping = model.albert.encoder.embedding_hidden_mapping_in
    hooks.append(mapping.register_forward_hook(lambda _m, _i, o: layers.append(o[0])))
    pooled = []
    hooks.append(model.albert.pooler_activation.register_forward_hook(lambda _m, _i, o: pooled.append(o[0])))
    ids = torch.tensor([line["input_ids"]])
    types = torch.tensor([line.get("token_type_ids", [0] * ids.shape[1])])
    with torch.no_grad():
        y = model(input_ids=ids, token_type_ids=types)
    for h in hooks:
        h.remove()
    positions = [i for i, p in enumerate(line["input_ids"]) if p == MASK]
    return {
        "positions": positions,
        "logits": y.prediction_logits[0, positions].numpy(),
        "sop_logits": y.sop_logits[0].numpy(),
        "pooled": pooled[0].numpy(),
        "layers": torch.stack(layers).numpy(),
    }


def lines_for(config, count, rng):
    """Random sequences of all lengths, without the padding index, each with one mask at least."""
    for i in range(count):
        n = int(rng.integers(1, config.max_position_embeddings + 1)) if i else config.max_position_embeddings
        ids = rng.integers(1, config.vocab_size, n)
        ids[rng.random(n) < 0.15] = MASK
        ids[rng.integers(0, n)] = MASK
        yield {"input_ids": ids.tolist(), "token_type_ids": (np.arange(n) >= rng.integers(0, n + 1)).astype(int).tolist()}


def albert(command, model, path, *flags):
    run = subprocess.run([os.environ["ALBERT_BIN"], command, str(model), *flags, str(path)], capture_output=True, text=True)
    if run.returncode:
        raise SystemExit(f"albert {command} {model}: exit {run.returncode}: {run.stderr}{run.stdout[-300:]}")
    return [json.loads(line) for line in run.stdout.splitlines()]


def check_file(path):
    """weights_sha256 and the Python library's bytes."""
    file = path / "model.safetensors"
    tensors = load_file(file)
    with safe_open(file, "pt") as f:
        metadata = f.metadata()
    with tempfile.TemporaryDirectory() as tmp:
        again = pathlib.Path(tmp) / "again.safetensors"
        save_file(tensors, again, metadata=metadata)
        if again.read_bytes() != file.read_bytes():
            raise SystemExit(f"{file}: safetensors writes other bytes")
    config = json.loads((path / "config.json").read_text())
    names = [n for n in tensors if not n.startswith("predictions.decoder.") and not n.endswith((".adam_m", ".adam_v"))]
    if config.get("embedding_projection") is False:
        names = [n for n in names if "embedding_hidden_mapping_in" not in n]
    h = hashlib.sha256()
    for n in sorted(names, key=str.encode):
        h.update(tensors[n].float().numpy().tobytes())
    run = subprocess.run([os.environ["ALBERT_BIN"], "inspect", str(path), "--json"], capture_output=True, text=True, check=True)
    said = json.loads(run.stdout)["weights_sha256"]
    if said != h.hexdigest():
        raise SystemExit(f"{path}: albert inspect says weights_sha256 {said}, the file has {h.hexdigest()}")


def inspect(path):
    run = subprocess.run([os.environ["ALBERT_BIN"], "inspect", str(path), "--json"], capture_output=True, text=True, check=True)
    said = json.loads(run.stdout)
    return {k: said[k] for k in ("weights_sha256", "parameters")} | {"config": said["config"]}


def check_back(path, model):
    """The model that transformers saves again, and what the command makes of it in every format, is the model that it was: the same
    distinct parameters, weights_sha256 and sharing."""
    said = inspect(path)
    with tempfile.TemporaryDirectory() as tmp:
        at = pathlib.Path(tmp) / "saved"
        model.save_pretrained(at)
        for to in [None, "onnx/model.onnx", "tf/model.ckpt-best", "tar/tiny.tar.gz", "pt/pytorch_model.bin", "hf"]:
            if to:
                run = subprocess.run([os.environ["ALBERT_BIN"], "convert", str(at), f"{tmp}/{to}"], capture_output=True, text=True)
                if "Google's code has no map where E = H" in run.stderr:
                    continue
                if run.returncode:
                    raise SystemExit(f"{path} to {to}: {run.stderr}")
                at = f"{tmp}/{to}"
            back = inspect(at)
            for c in (back["config"], said["config"]):
                for key in ("transformers_version", "dtype"):
                    c.pop(key, None)
            if back != said:
                raise SystemExit(f"{path}: saved by transformers, then as {to}: {back}, before {said}")


def compare(path, count, tolerance):
    model = load(path)
    check_file(path)
    check_back(path, model)
    lines = list(lines_for(model.config, count, np.random.default_rng(7)))
    want = [outputs(model, line) for line in lines]
    worst = {}

    def near(name, got, expected):
        got = np.asarray(got)
        if got.shape != expected.shape:
            raise SystemExit(f"{path}: {name} has shape {got.shape}, transformers {expected.shape}")
        worst[name] = max(worst.get(name, 0), float(np.abs(got - expected).max()))

    with tempfile.TemporaryDirectory() as tmp:
        file = pathlib.Path(tmp) / "lines.jsonl"
        file.write_text("".join(json.dumps(line) + "\n" for line in lines))
        for got, w in zip(albert("fill", path, file, "--logits"), want, strict=True):
            if got["positions"] != w["positions"]:
                raise SystemExit(f"{path}: masks at {got['positions']}, want {w['positions']}")
            near("logits", got["logits"], w["logits"])
        for got, w in zip(albert("embed", path, file, "--pooling", "pooler"), want, strict=True):
            near("pooled", got["embedding"], w["pooled"])
        for k in range(len(want[0]["layers"])):
            for got, w in zip(albert("embed", path, file, "--pooling", "none", "--layer", str(k)), want, strict=True):
                near("layers", got["embedding"], w["layers"][k])
    print(f"{path}: " + ", ".join(f"{k} within {v:.1e}" for k, v in worst.items()), flush=True)
    return max(worst.values()) <= tolerance


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--print", action="store_true")
    parser.add_argument("--count", type=int, default=64, help="sequences compared")
    parser.add_argument("--tolerance", type=float, default=2e-5, help="largest absolute difference")
    parser.add_argument("models", nargs="+", type=pathlib.Path)
    args = parser.parse_args()
    torch.set_num_threads(1)
    if args.print:
        model = load(args.models[0])
        for line in sys.stdin:
            out = outputs(model, json.loads(line))
            del out["layers"]
            print(json.dumps({k: v.tolist() if isinstance(v, np.ndarray) else v for k, v in out.items()}))
        return
    failed = [str(m) for m in args.models if not compare(m, args.count, args.tolerance)]
    if failed:
        raise SystemExit(f"beyond {args.tolerance}: {', '.join(failed)}")


if __name__ == "__main__":
    main()
