"""Makes model/testdata/golden: tiny random models of all that transformers' AlbertForPreTraining knows, and one of BertForPreTraining, with what it computes in
float64 for them. README.md lists the tensors' names. `make.py --check` compares the committed files with new ones instead."""

import argparse
import hashlib
import os
import pathlib
import shutil
import tempfile

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["TRANSFORMERS_VERBOSITY"] = "error"

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from transformers import AlbertConfig, AlbertForPreTraining, BertConfig, BertForPreTraining
from transformers.models.albert.modeling_albert import AlbertLayer
from transformers.models.bert.modeling_bert import BertLayer

import lamb

ROOT = pathlib.Path(__file__).resolve().parents[2]
GOLDEN = ROOT / "internal" / "model" / "testdata" / "golden"
DTYPES = ROOT / "internal" / "files" / "safetensors" / "testdata" / "dtypes.safetensors"

# The optimizer cases: 20 steps of a schedule that has its warm-up inside them. The rates are low enough that the path is not
# chaotic: at six to nine times these, a change of the first weights by one part in 10^8 grows to one in 10^4 or more of
# the update within 20 steps, and nothing could be learned from a comparison.
STEPS, SCHEDULE_STEPS, WARMUP = 20, 40, 5
PEAK = {"lamb": 0.00176, "adamw": 0.0002}

# Sizes: vocabulary, E, H, intermediate, layers, groups, inner groups, heads; most are no multiples of a vector's length.
CASES = {
    "v1": dict(sizes=(97, 16, 32, 56, 3, 1, 1, 4), hidden_act="gelu", dropout=0.1, optimizers=("lamb", "adamw")),
    "v2": dict(sizes=(71, 10, 24, 56, 3, 1, 1, 2), hidden_act="gelu_new", optimizers=("lamb", "adamw")),
    "relu": dict(sizes=(61, 8, 18, 41, 2, 1, 1, 3), hidden_act="relu"),
    "groups": dict(sizes=(67, 12, 16, 40, 4, 2, 1, 1), hidden_act="gelu_new", optimizers=("lamb",)),
    "groups-uneven": dict(sizes=(61, 8, 16, 24, 4, 3, 1, 2), hidden_act="gelu"),
    "inner": dict(sizes=(64, 9, 20, 33, 2, 1, 2, 4), hidden_act="gelu", optimizers=("lamb",), layers=True),
    "groups-inner": dict(sizes=(73, 11, 16, 30, 4, 2, 2, 2), hidden_act="gelu_new", layers=True),
    "square": dict(sizes=(89, 16, 16, 48, 2, 1, 1, 2), hidden_act="gelu_new", optimizers=("lamb",)),
    "square-none": dict(sizes=(61, 16, 16, 24, 2, 2, 1, 1), hidden_act="gelu", eps=1e-5),
    "one-layer": dict(sizes=(79, 13, 30, 37, 1, 1, 1, 3), hidden_act="relu", eps=1e-3),
    "bert": dict(sizes=(83, 18, 18, 41, 3, 3, 1, 3), hidden_act="gelu", dropout=0.1, optimizers=("lamb",), layers=True, bert=True),
}
LENGTHS = (17, 3, 40, 9, 2)  # pieces of each sequence, 40 being the most there can be


def config_of(case):
    vocab, e, h, f, layers, groups, inner, heads = case["sizes"]
    dropout = case.get("dropout", 0.0)
    albert = {} if case.get("bert") else dict(embedding_size=e, num_hidden_groups=groups, inner_group_num=inner)
    return (BertConfig if case.get("bert") else AlbertConfig)(
        vocab_size=vocab,
        hidden_size=h,
        intermediate_size=f,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        hidden_act=case["hidden_act"],
        hidden_dropout_prob=dropout,
        attention_probs_dropout_prob=dropout,
        max_position_embeddings=40,
        layer_norm_eps=case.get("eps", 1e-12),
        attn_implementation="eager",
        **albert,
    )


def rng_of(name):
    return np.random.Generator(np.random.PCG64(int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "little")))


def model_of(case, rng):
    """A model whose float32 weights are far from the identity: everything that it computes matters for the result."""
    model = (BertForPreTraining if case.get("bert") else AlbertForPreTraining)(config_of(case)).eval()
    with torch.no_grad():
        for name, p in sorted(model.named_parameters()):
            norm = "norm" in name.lower() and name.endswith("weight")
            scale = 0.15 if name.endswith("bias") else 0.2 if norm else 0.3
            p.copy_(torch.from_numpy((norm + scale * rng.standard_normal(tuple(p.shape))).astype(np.float32)))
    return model


def batch_of(config, rng):
    """Sequences without the padding index, their second part of token type 1, about a quarter of the pieces masked."""
    t = sum(LENGTHS)
    ids = rng.integers(1, config.vocab_size, t)
    types = np.concatenate([(np.arange(n) > rng.integers(0, n)).astype(np.int64) for n in LENGTHS])
    rows = np.sort(rng.choice(t, t // 4, replace=False))
    ids[rows[::2]] = 4  # what [MASK] is by convention; the model does not know it
    return {
        "offsets": np.cumsum((0,) + LENGTHS),
        "input_ids": ids,
        "token_type_ids": types,
        "masked_rows": rows,
        "masked_ids": rng.integers(0, config.vocab_size, len(rows)),
        "sop_labels": rng.permutation(np.arange(len(LENGTHS)) % 2),
    }


def forward(model, batch):
    """Runs each sequence alone. Returns the outputs, rows of all sequences one after another."""
    layers, out = [], {"mlm": [], "sop": [], "layers": []}
    bert = isinstance(model, BertForPreTraining)
    kinds = BertLayer if bert else AlbertLayer
    hooks = [m.register_forward_hook(lambda _m, _i, o: layers.append(o[0][0])) for m in model.modules() if isinstance(m, kinds)]
    first = model.bert.embeddings if bert else model.albert.encoder.embedding_hidden_mapping_in
    hooks.append(first.register_forward_hook(lambda _m, _i, o: layers.append(o[0])))
    pooled = []
    pooler = model.bert.pooler if bert else model.albert.pooler_activation
    hooks.append(pooler.register_forward_hook(lambda _m, _i, o: pooled.append(o[0])))
    for a, b in zip(batch["offsets"], batch["offsets"][1:]):
        layers.clear()
        y = model(input_ids=batch["input_ids"][None, a:b], token_type_ids=batch["token_type_ids"][None, a:b])
        out["mlm"].append(y.prediction_logits[0])
        out["sop"].append((y.seq_relationship_logits if bert else y.sop_logits)[0])
        out["layers"].append(torch.stack(layers))
    for h in hooks:
        h.remove()
    return {
        "mlm": torch.cat(out["mlm"])[batch["masked_rows"]],
        "sop": torch.stack(out["sop"]),
        "layers": torch.cat(out["layers"], dim=1),
        "pooled": torch.stack(pooled),
    }


def loss_of(out, batch):
    ce = torch.nn.functional.cross_entropy
    return ce(out["mlm"], batch["masked_ids"]), ce(out["sop"], batch["sop_labels"])


def step_of(model, batch):
    """The outputs, the losses and each parameter's gradient."""
    model.zero_grad()
    out = forward(model, batch)
    mlm, sop = loss_of(out, batch)
    (mlm + sop).backward()
    return out, mlm, sop, {n: p.grad.clone() for n, p in model.named_parameters()}


def check_padded(model, batch, out):
    """The sequences alone give what a padded batch with a mask gives."""
    n, longest = len(LENGTHS), max(LENGTHS)
    ids, types, mask = (torch.zeros(n, longest, dtype=torch.int64) for _ in range(3))
    for i, (a, b) in enumerate(zip(batch["offsets"], batch["offsets"][1:])):
        ids[i, : b - a], types[i, : b - a], mask[i, : b - a] = batch["input_ids"][a:b], batch["token_type_ids"][a:b], 1
    with torch.no_grad():
        y = model(input_ids=ids, token_type_ids=types, attention_mask=mask)
    torch.testing.assert_close(y.prediction_logits[mask.bool()][batch["masked_rows"]], out["mlm"], rtol=1e-10, atol=1e-10)
    torch.testing.assert_close(y.seq_relationship_logits if "seq_relationship_logits" in y else y.sop_logits, out["sop"], rtol=1e-10, atol=1e-10)


def make(name, case, directory):
    rng = rng_of(name)
    model = model_of(case, rng)
    model.save_pretrained(directory)
    batch = {k: torch.from_numpy(np.ascontiguousarray(v)) for k, v in batch_of(model.config, rng).items()}
    model.double()
    initial = {n: p.detach().clone() for n, p in model.named_parameters()}
    out, mlm, sop, gradients = step_of(model, batch)
    check_padded(model, batch, out)
    golden = dict(batch)
    golden["mlm_logits"], golden["sop_logits"] = out["mlm"], out["sop"]
    golden["hidden"], golden["pooled"] = out["layers"][-1], out["pooled"]
    if case.get("layers"):
        golden["layers"] = out["layers"]
    golden["losses"] = torch.stack([mlm + sop, mlm, sop])
    golden.update({"grad." + n: g.float() for n, g in gradients.items()})
    for kind in case.get("optimizers", ()):
        parameters = dict(model.named_parameters())
        with torch.no_grad():
            for n, p in parameters.items():
                p.copy_(initial[n])
        optimizer = lamb.Optimizer(kind, {n: p.data for n, p in parameters.items()})
        log = []
        for step in range(STEPS):
            _, mlm, sop, gradients = step_of(model, batch)
            rate = lamb.learning_rate(step, PEAK[kind], SCHEDULE_STEPS, WARMUP)
            log.append([(mlm + sop).item(), optimizer.step(gradients, rate), rate])
        golden[kind + ".steps"] = torch.tensor(log, dtype=torch.float64)
        golden.update({f"{kind}.{n}": (p - initial[n]).float() for n, p in parameters.items()})
    golden = {k: v.detach().contiguous().clone() for k, v in golden.items()}
    save_file(golden, directory / "golden.safetensors")
    for f in directory.iterdir():
        f.chmod(0o644)


def check(new, old):
    """Compares a case's files: weights and configuration byte for byte, what is computed to 1e-9, in float32 to 1e-6."""
    for name in ("config.json", "model.safetensors"):
        if (new / name).read_bytes() != (old / name).read_bytes():
            raise SystemExit(f"{old / name} differs from what make.py gives now")
    a, b = load_file(new / "golden.safetensors"), load_file(old / "golden.safetensors")
    if a.keys() != b.keys():
        raise SystemExit(f"{old / 'golden.safetensors'} has other tensors: {sorted(a.keys() ^ b.keys())}")
    for k in a:
        rtol, atol = (1e-6, 1e-9) if a[k].dtype == torch.float32 else (1e-9, 1e-12)
        torch.testing.assert_close(a[k], b[k], rtol=rtol, atol=atol, msg=lambda m, k=k: f"{old}: {k}: {m}")


def make_dtypes(path):
    """A file of every type that package weights converts, and what PyTorch makes of those with a fraction as float32."""
    rng = rng_of("dtypes")
    bits = rng.integers(0, 1 << 16, 500).astype(np.uint16)
    bits[:12] = [0, 0x8000, 1, 0x8001, 0x03FF, 0x0400, 0x7BFF, 0x7C00, 0xFC00, 0x7F7F, 0x7F80, 0x3C00]
    bits = torch.from_numpy(bits.view(np.int16))
    doubles = rng.standard_normal(100) * 10.0 ** rng.integers(-50, 42, 100)
    doubles[:4] = [0.1, -0.0, 1 + 2.0**-24, 1 + 3 * 2.0**-24]  # the last two are ties
    tensors = {"F16": bits.view(torch.float16), "BF16": bits.clone().view(torch.bfloat16), "F64": torch.from_numpy(doubles)}
    tensors.update({k + " as F32": v.float() for k, v in tensors.items()})
    small = torch.arange(7)
    tensors.update({"F32": small.float(), "I64": small.clone(), "I32": small.int(), "U8": small.byte(), "BOOL": small % 2 == 1, "none": torch.zeros(0, 3)})
    tensors["one"] = torch.tensor(2.5)
    save_file(tensors, path, metadata={"format": "pt"})


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true")
    parser.add_argument("cases", nargs="*", help="default: all")
    args = parser.parse_args()
    torch.set_num_threads(1)
    if not args.cases:
        with tempfile.TemporaryDirectory() as tmp:
            path = pathlib.Path(tmp) / DTYPES.name
            make_dtypes(path)
            if not args.check:
                DTYPES.parent.mkdir(parents=True, exist_ok=True)
                DTYPES.write_bytes(path.read_bytes())
            elif path.read_bytes() != DTYPES.read_bytes():
                raise SystemExit(f"{DTYPES} differs from what make.py gives now")
    for name in args.cases or CASES:
        with tempfile.TemporaryDirectory() as tmp:
            directory = pathlib.Path(tmp) / name
            make(name, CASES[name], directory)
            if args.check:
                check(directory, GOLDEN / name)
            else:
                GOLDEN.mkdir(parents=True, exist_ok=True)
                shutil.rmtree(GOLDEN / name, ignore_errors=True)
                shutil.copytree(directory, GOLDEN / name)
            print(f"{name}: {sum(f.stat().st_size for f in directory.iterdir()) / 1024:.0f} KB", flush=True)


if __name__ == "__main__":
    main()
