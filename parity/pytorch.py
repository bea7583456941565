"""Checks that internal/files/pytorch reads what torch.save writes, and that torch.load reads what internal/files/pytorch writes.

    pytorch.py [--count 200] [--seed 1]

Writes random state dicts of every type, with views, shared storages and parameters, in both containers and in every pickle protocol, and
a tiny ALBERT; has Go read each and write it anew (TestParity of the package); and loads the result in PyTorch, with weights_only, read
and mapped. Every tensor must come back with its type, shape and bytes; the ALBERT must load strictly. Run it by pytorch.sh.
"""

import argparse
import collections
import os
import pathlib
import random
import subprocess
import tempfile
import warnings

import torch
from transformers import AlbertConfig, AlbertForPreTraining

ROOT = pathlib.Path(__file__).resolve().parents[1]
TYPES = [torch.float32, torch.float16, torch.bfloat16, torch.float64, torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8, torch.bool]


def tensor(r, made):
    """A random tensor: new, or a view of one that is already made."""
    if made and r.random() < 0.4:
        x = r.choice(made)
        how = r.randrange(6)
        if how == 0:
            return x
        if how == 1 and x.dim() > 1:
            return x.transpose(r.randrange(x.dim()), r.randrange(x.dim()))
        if how == 2 and x.dim() > 0:
            return x[..., r.randrange(x.shape[-1] + 1) :]
        if how == 3 and x.dim() > 0:
            return x[..., :: r.randint(1, 3)]
        if how == 4:
            return x.unsqueeze(0).expand(r.randint(1, 3), *x.shape)
        if how == 5 and x.dim() > 1:
            return x.permute(*r.sample(range(x.dim()), x.dim()))
        return x.unsqueeze(-1)
    shape = [r.choice([0, 1, 1, 2, 3, 5, 8, 17]) for _ in range(r.randrange(5))]
    dtype = r.choice(TYPES)
    count = torch.Size(shape).numel()
    bits = torch.frombuffer(bytearray(r.randbytes(8 * count) or b"\0"), dtype=torch.uint8)
    if dtype == torch.bool:
        return (bits[:count] % 2 == 1).reshape(shape)
    size = torch.empty(0, dtype=dtype).element_size()
    return bits[: size * count].clone().view(dtype).reshape(shape)


def state(r):
    made, out = [], collections.OrderedDict()
    for i in range(r.randint(1, 12)):
        x = tensor(r, made)
        made.append(x)
        if x.is_floating_point() and r.random() < 0.2:
            x = torch.nn.Parameter(x, requires_grad=r.random() < 0.5)
        out[r.choice(["w", "é", "a.b", "LayerNorm", " "]) + str(i)] = x
    return out


def bits(x):
    flat = torch.empty(x.numel(), dtype=x.dtype).copy_(x.detach().reshape(-1))
    return x.dtype, tuple(x.shape), bytes(flat.view(torch.uint8).numpy())


def main():
    args = argparse.ArgumentParser()
    args.add_argument("--count", type=int, default=200)
    args.add_argument("--seed", type=int, default=1)
    args = args.parse_args()
    r = random.Random(args.seed)
    torch.manual_seed(args.seed)
    warnings.filterwarnings("ignore")
    with tempfile.TemporaryDirectory() as tmp:
        tmp = pathlib.Path(tmp)
        for d in ("in", "out"):
            (tmp / d).mkdir()
        states = {}
        for i in range(args.count):
            s = state(r)
            states[f"{i}.pt"] = s
            saved = r.choice([s, s, dict(s), {"state_dict": s, "epoch": i}, {"model": s, "lr": 0.1}])
            how = {"pickle_protocol": r.randint(1, 5), "_use_new_zipfile_serialization": r.random() < 0.6}
            torch.save(saved, tmp / "in" / f"{i}.pt", **how)
        config = AlbertConfig(vocab_size=50, embedding_size=8, hidden_size=12, num_attention_heads=3, intermediate_size=20, num_hidden_layers=2)
        albert = AlbertForPreTraining(config)
        states["albert.bin"] = albert.state_dict()
        torch.save(states["albert.bin"], tmp / "in" / "albert.bin")

        go = ["go", "test", "./internal/files/pytorch", "-run", "^TestParity$", "-count", "1"]
        subprocess.run(go, cwd=ROOT, check=True, env=os.environ | {"ALBERT_PYTORCH_PARITY": str(tmp)})

        tensors = 0
        for name, s in states.items():
            for mapped in (False, True):
                back = torch.load(tmp / "out" / name, weights_only=True, mmap=mapped)
                assert isinstance(back, collections.OrderedDict), name
                assert list(back) == sorted(s, key=str.encode), name
                for k, x in s.items():
                    assert bits(back[k]) == bits(x), (name, k)
            tensors += len(s)
        AlbertForPreTraining(config).load_state_dict(torch.load(tmp / "out/albert.bin", weights_only=True), strict=True)
        print(f"torch {torch.__version__}: {len(states)} files, {tensors} tensors, no difference")


if __name__ == "__main__":
    main()
