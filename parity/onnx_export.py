"""Compares ONNX files written by package onnx with transformers, in onnxruntime; run it by onnx.sh.

For small models of every activation, sharing and grouping, of BERT, for one of base's size, and for each head: onnx.checker takes the file, its inputs and
outputs have the names, types and dynamic dimensions of optimum's exports, each weight stands once, and the logits are those of
transformers within --tolerance, for several batches and lengths, with padding. int8 is held to a fifth of their size, both as root mean squares.

--speed N      then times base in onnxruntime for N seconds a shape beside torch.onnx.export of the same model, turn by turn.
"""

import argparse
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time
import warnings

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["TRANSFORMERS_VERBOSITY"] = "error"
warnings.filterwarnings("ignore")

import numpy as np
import onnx
import onnxruntime
import torch
import transformers
from transformers import AlbertConfig, AlbertModel, BertConfig

INPUTS = ["input_ids", "attention_mask", "token_type_ids"]
# head: transformers' class, the outputs
ALBERT = {
    "base": ("AlbertModel", ["last_hidden_state", "pooler_output"]),
    "pretraining": ("AlbertForPreTraining", ["prediction_logits", "sop_logits"]),
    "masked-lm": ("AlbertForMaskedLM", ["logits"]),
    "sequence-classification": ("AlbertForSequenceClassification", ["logits"]),
    "token-classification": ("AlbertForTokenClassification", ["logits"]),
    "question-answering": ("AlbertForQuestionAnswering", ["start_logits", "end_logits"]),
    "multiple-choice": ("AlbertForMultipleChoice", ["logits"]),
}
BERT = {head: (cls.replace("Albert", "Bert"), outputs) for head, (cls, outputs) in ALBERT.items()} | {
    "pretraining": ("BertForPreTraining", ["prediction_logits", "seq_relationship_logits"]),
    "next-sentence": ("BertForNextSentencePrediction", ["logits"]),
}
LABELS = {"sequence-classification": 3, "token-classification": 5, "multiple-choice": 1}
SMALL = dict(vocab_size=307, embedding_size=20, hidden_size=36, num_attention_heads=3, intermediate_size=70, num_hidden_layers=4,
             max_position_embeddings=64, initializer_range=0.15)
MODELS = {
    "gelu_new": {},
    "gelu": dict(hidden_act="gelu"),
    "relu": dict(hidden_act="relu", num_hidden_groups=2),
    "tanh": dict(hidden_act="tanh", inner_group_num=2),
    "none": dict(num_hidden_groups=4, sharing="none"),
    "attention": dict(num_hidden_groups=4, sharing="attention"),
    "ffn": dict(num_hidden_groups=4, sharing="ffn"),
    "no-map": dict(embedding_size=36, embedding_projection=False),
    "bert": dict(hidden_act="gelu"),
    "bert-gelu_new": dict(hidden_act="gelu_new", num_hidden_layers=1, layer_norm_eps=1e-5),
    "bert-relu": dict(hidden_act="relu", type_vocab_size=3),
}
BASE = dict(hidden_size=768, num_attention_heads=12, intermediate_size=3072, num_hidden_layers=12)


def heads_of(name):
    return BERT if name.startswith("bert") else ALBERT


def make(folder, settings, head, cls):
    """A random model of a head, saved as Hugging Face keeps it; sharing and embedding_projection are our keys of config.json."""
    ours = {k: settings[k] for k in ("sharing", "embedding_projection") if k in settings}
    torch.manual_seed(len(head) + len(settings))
    bert = cls.startswith("Bert")
    config = (BertConfig if bert else AlbertConfig)(**{k: v for k, v in settings.items() if k not in ours and not (bert and k == "embedding_size")})
    model = getattr(transformers, cls)(config).eval()
    with torch.no_grad():
        for name, p in model.named_parameters():
            if p.dim() == 1:  # biases and norms are 0 and 1 in a new model, which would hide one that is missing
                p.add_(torch.randn_like(p) * config.initializer_range)
        if bert:
            model.save_pretrained(folder)
            return model
        encoder = (model if head == "base" else model.albert).encoder
        first = encoder.albert_layer_groups[0].albert_layers[0]
        for group in encoder.albert_layer_groups:
            layer = group.albert_layers[0]
            if ours.get("sharing") == "attention":
                layer.attention.load_state_dict(first.attention.state_dict())
            if ours.get("sharing") == "ffn":
                for part in ("ffn", "ffn_output", "full_layer_layer_norm"):
                    getattr(layer, part).load_state_dict(getattr(first, part).state_dict())
        if ours.get("embedding_projection") is False:
            encoder.embedding_hidden_mapping_in.weight.copy_(torch.eye(config.hidden_size))
            encoder.embedding_hidden_mapping_in.bias.zero_()
    model.save_pretrained(folder)
    if ours:
        path = folder / "config.json"
        path.write_text(json.dumps({**json.loads(path.read_text()), **ours}))
    return model


def export(jobs, folder):
    """Has package onnx write files."""
    path = folder / "jobs.json"
    path.write_text(json.dumps(jobs))
    root = pathlib.Path(__file__).resolve().parents[1]
    run = subprocess.run(["go", "test", "-count=1", "-run", "TestExportForParity", "./internal/onnx"], cwd=root, capture_output=True, text=True,
                         env={**os.environ, "ALBERT_ONNX_JOBS": str(path)})
    if run.returncode:
        raise SystemExit(run.stdout + run.stderr)


def session(path, threads=1):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def batch(rng, config, shape, padded=True):
    """Random pieces; every second sequence ends in padding."""
    ids = rng.integers(1, config.vocab_size, shape)
    types = rng.integers(0, 2, shape)
    mask = np.ones(shape, np.int64)
    if padded:
        for i, row in enumerate(mask.reshape(-1, shape[-1])):
            if i % 2 and shape[-1] > 1:
                row[rng.integers(1, shape[-1]):] = 0
    return {"input_ids": ids * mask, "attention_mask": mask, "token_type_ids": types * mask}


def check(path, model, head, outputs, tolerance, int8):
    """Compares a file with a model; gives the largest difference, and the differences' root mean square as a part of the outputs'."""
    onnx.checker.check_model(str(path), full_check=True)
    s = session(path)
    dims = ["batch", "choices", "sequence"] if head == "multiple-choice" else ["batch", "sequence"]
    if [(i.name, i.type, i.shape) for i in s.get_inputs()] != [(n, "tensor(int64)", dims) for n in INPUTS]:
        raise SystemExit(f"{path}: inputs are {[(i.name, i.type, i.shape) for i in s.get_inputs()]}")
    if [o.name for o in s.get_outputs()] != outputs or any(o.shape[0] != "batch" for o in s.get_outputs()):
        raise SystemExit(f"{path}: outputs are {[(o.name, o.shape) for o in s.get_outputs()]}")
    rng = np.random.default_rng(7)
    longest = model.config.max_position_embeddings
    worst = part = 0.0
    for b, n in [(1, 1), (1, 7), (3, 16), (2, min(longest, 128)), (5, 33)]:
        shape = (b, 4, n) if head == "multiple-choice" else (b, n)
        feeds = batch(rng, model.config, shape)
        with torch.no_grad():
            want = model(**{k: torch.tensor(v) for k, v in feeds.items()})
        for got, name in zip(s.run(None, feeds), outputs, strict=True):
            w = want[name].numpy()
            if got.shape != w.shape:
                raise SystemExit(f"{path}: {name} has shape {got.shape}, transformers' {w.shape}")
            if not np.isfinite(got).all():
                raise SystemExit(f"{path}: {name} is not finite")
            if got.shape[:2] == feeds["attention_mask"].shape and head != "multiple-choice":  # one output a piece: not of padding
                keep = feeds["attention_mask"].astype(bool)
                got, w = got[keep], w[keep]
            worst = max(worst, float(np.abs(got - w).max()))
            if w.size > 30:
                part = max(part, float(np.sqrt(np.mean((got - w) ** 2) / np.mean(w**2))))
    if worst > tolerance and not int8 or part > 0.2 and int8:
        raise SystemExit(f"{path}: {head} is {worst:.2e} beside transformers, {100 * part:.1f} % of its size")
    return worst, part


def parity(folder, tolerance):
    for name, more in [*MODELS.items(), ("base-sized", BASE)]:
        settings = more if name == "base-sized" else {**SMALL, **more}
        heads = {h: make(folder / f"{name}-{h}", {**settings, "num_labels": LABELS.get(h, 2)}, h, cls) for h, (cls, _) in heads_of(name).items()}
        jobs = [dict(Model=str(folder / f"{name}-{h}"), Out=str(folder / f"{name}-{h}{'-int8' * q}.onnx"), Head=h, Int8=q)
                for h in heads for q in (False, True)]
        export(jobs, folder)
        results = [check(j["Out"], heads[j["Head"]], j["Head"], heads_of(name)[j["Head"]][1], tolerance, j["Int8"]) for j in jobs]
        sizes = [[os.path.getsize(j["Out"]) for j in jobs if j["Int8"] == q and j["Head"] in ("base", "pretraining")] for q in (False, True)]
        distinct = {p.data_ptr(): p.numel() for p in heads["base"].parameters()}
        print(f"{name:12} fp32 within {max(r[0] for r, j in zip(results, jobs) if not j['Int8']):.1e}, "
              f"int8 within {100 * max(r[1] for r, j in zip(results, jobs) if j['Int8']):.1f} %; "
              f"base and pretraining {' and '.join(f'{x / 1e6:.2f}' for x in sizes[0])} MB, int8 {' and '.join(f'{x / 1e6:.2f}' for x in sizes[1])} MB "
              f"({4 * sum(distinct.values()) / 1e6:.2f} MB of parameters in base)", flush=True)
    if sizes[0][1] > 49e6 or sizes[1][1] > 14e6:
        raise SystemExit("base is larger than 49 MB or 14 MB")


def speed(folder, seconds):
    """Times base: ours and torch.onnx.export, fp32 and int8."""
    source = folder / "base-sized-base"
    files = {"albert": folder / "base-sized-base.onnx", "albert int8": folder / "base-sized-base-int8.onnx"}
    ids = torch.ones(2, 16, dtype=torch.long)
    for attention in ("eager", "sdpa"):
        files[f"torch {attention}"] = path = folder / f"torch-{attention}.onnx"
        model = AlbertModel.from_pretrained(source, attn_implementation=attention).eval()
        torch.onnx.export(model, (ids, ids, ids), str(path), input_names=INPUTS, output_names=ALBERT["base"][1], opset_version=17, dynamo=False,
                          dynamic_axes={n: {0: "batch", 1: "sequence"} for n in [*INPUTS, "last_hidden_state"]})
    from onnxruntime.quantization import QuantType, quantize_dynamic

    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
    options.optimized_model_filepath = str(folder / "torch-basic.onnx")  # without it the quantiser sees no weights behind Identity
    onnxruntime.InferenceSession(str(files["torch eager"]), options, providers=["CPUExecutionProvider"])
    files["torch int8"] = folder / "torch-int8.onnx"
    quantize_dynamic(str(folder / "torch-basic.onnx"), str(files["torch int8"]), per_channel=True, weight_type=QuantType.QInt8)
    config = AlbertConfig.from_pretrained(source)
    rng = np.random.default_rng(0)
    print(f"\nonnxruntime {onnxruntime.__version__}, torch {torch.__version__}; file, megabytes of memory after a run, seconds to load, each in a "
          "process of its own")
    for name, path in files.items():
        code = """
import sys, time, numpy as np, onnxruntime as ort
def resident(): return int(open("/proc/self/statm").read().split()[1]) * 4096 / 1e6
o = ort.SessionOptions(); o.intra_op_num_threads = 1; o.log_severity_level = 3
r, t = resident(), time.time()
s = ort.InferenceSession(sys.argv[1], o, providers=["CPUExecutionProvider"]); t = time.time() - t
x = np.ones((1, 128), np.int64); s.run(None, {i.name: x for i in s.get_inputs()})
print(f"{resident() - r:6.0f} MB {t:6.2f} s")"""
        out = subprocess.run([sys.executable, "-c", code, str(path)], check=True, capture_output=True, text=True).stdout.strip()
        print(f"  {name:12} {os.path.getsize(path) / 1e6:7.2f} MB {out:>20}", flush=True)
    print("milliseconds a run, median (least), turn by turn")
    for threads in (1, 2):
        sessions = {name: session(path, threads) for name, path in files.items()}
        for n in (16, 128):
            feeds = batch(rng, config, (1, n), padded=False)
            times = {name: [] for name in sessions}
            for s in sessions.values():
                s.run(None, feeds)
            end = time.time() + seconds
            while time.time() < end or len(times["albert"]) < 5:
                for name, s in sessions.items():
                    t = time.perf_counter()
                    s.run(None, feeds)
                    times[name].append(1e3 * (time.perf_counter() - t))
            print(f"  1x{n:<4} {threads} threads  " + "  ".join(f"{k} {statistics.median(v):.1f} ({min(v):.1f})" for k, v in times.items()), flush=True)


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--tolerance", type=float, default=1e-4, help="largest absolute difference in fp32")
    p.add_argument("--speed", type=float, default=0, metavar="SECONDS", help="also time base, this long a shape")
    o = p.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        parity(pathlib.Path(folder), o.tolerance)
        if o.speed > 0:
            speed(pathlib.Path(folder), o.speed)


if __name__ == "__main__":
    main()
