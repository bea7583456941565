"""The other programs' side of bench/compare: does the work that it reads on stdin, as bench/contender does.

    peers.py ENGINE THREADS

A burst's answer may hold "lengths": the pieces of each sequence of its work, without padding. Work has two more settings here: "sorted", for
batches of sequences of like length, and "busy" is an engine that only spins.
"""

import json
import os
import sys
import time

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["TRANSFORMERS_VERBOSITY"] = "error"
ENGINE, THREADS = sys.argv[1], int(sys.argv[2])
for name in "OMP_NUM_THREADS", "MKL_NUM_THREADS", "RAYON_NUM_THREADS", "OPENBLAS_NUM_THREADS":
    os.environ[name] = str(THREADS)
os.environ["TOKENIZERS_PARALLELISM"] = "true" if THREADS > 1 else "false"
os.environ["TORCHINDUCTOR_COMPILE_THREADS"] = "1"  # else workers stay, whose time would count as that of others

import numpy as np

import models

os.environ.setdefault("TORCHINDUCTOR_CACHE_DIR", str(models.KEPT / "inductor"))  # by the number of threads, too

BATCH = 32  # sequences that are padded to the longest of them
PARTS = 8  # as in bench/contender
CLS, SEP = 2, 3


def random_batch(batch, length):
    ids = np.random.default_rng(6).integers(5, models.VOCAB, (batch, length))
    return {"input_ids": ids, "attention_mask": np.ones_like(ids), "token_type_ids": np.tile((np.arange(length) * 2 // length), (batch, 1))}


class Onnxruntime:
    """fused: our graph of its own operations; export: what `albert convert` writes."""

    def __init__(self, name):
        self.name, self.sessions = name, {}

    def session(self, file):
        import onnxruntime

        if file not in self.sessions:
            options = onnxruntime.SessionOptions()
            options.intra_op_num_threads, options.log_severity_level = THREADS, 3
            self.sessions[file] = onnxruntime.InferenceSession(str(models.get(file)), options, providers=["CPUExecutionProvider"])
        return self.sessions[file]

    def forward(self, feeds, padded):
        int8 = "-int8" if self.name.endswith("int8") else ""
        kind = self.name.removesuffix("-int8")
        session = self.session(f"{kind}{'-masked' if padded and kind == 'fused' else ''}{int8}.onnx")
        feeds = {i.name: feeds[i.name] for i in session.get_inputs()}
        return lambda: session.run(["last_hidden_state"], feeds)


class Openvino:
    """Compiled for the given shape, or for any where batches are padded."""

    def __init__(self, precision):
        import openvino

        self.core, self.file, self.compiled = openvino.Core(), "openvino-int8.xml" if precision == "int8" else "openvino.xml", {}
        self.settings = {"PERFORMANCE_HINT": "LATENCY", "NUM_STREAMS": "1", "INFERENCE_NUM_THREADS": THREADS}
        if precision != "int8":  # what is not in int8 is in what this CPU is fast at
            self.settings["INFERENCE_PRECISION_HINT"] = {"fp32": "f32", "bf16": "bf16"}[precision]
        if precision == "bf16" and "BF16" not in self.core.get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
            raise RuntimeError("this CPU has no bf16")

    def forward(self, feeds, padded):
        shape = [-1, -1] if padded else list(feeds["input_ids"].shape)
        key = tuple(shape)
        if key not in self.compiled:
            model = self.core.read_model(models.get(self.file))
            model.reshape({i.any_name: shape for i in model.inputs})
            self.compiled[key] = self.core.compile_model(model, "CPU", self.settings).create_infer_request()
        request = self.compiled[key]
        return lambda: request.infer(feeds, share_inputs=True, share_outputs=True)


class Torch:
    """eager or compiled, fp32 or bf16."""

    def __init__(self, name):
        import torch

        if "bf16" in name and not any(f in open("/proc/cpuinfo").read() for f in ("avx512_bf16", "amx_bf16")):
            raise RuntimeError("this CPU has no bf16")
        torch.set_num_threads(THREADS)
        torch.manual_seed(0)
        self.torch, self.compiles, self.type, self.model = torch, "compiled" in name, torch.bfloat16 if "bf16" in name else torch.float32, None

    def compile(self, f):
        return self.torch.compile(f, dynamic=False) if self.compiles else f

    def forward(self, feeds, padded):
        torch = self.torch
        if padded:
            raise RuntimeError("it is not asked about padded batches")
        if self.model is None:
            if self.compiles:
                import torch._inductor.config

                torch._inductor.config.freezing = True
            self.model = models.albert_model(attn_implementation="sdpa").to(self.type)
            self.run = self.compile(lambda ids, types: self.model(input_ids=ids, token_type_ids=types).last_hidden_state)
        ids, types = (torch.tensor(feeds[n]) for n in ("input_ids", "token_type_ids"))

        def run():
            with torch.inference_mode() if not self.compiles else torch.no_grad():
                self.run(ids, types)

        return run

    def train(self, path, batch, length):
        """A step with AdamW: one in seven pieces masked, whose logits alone are computed, and the sentence loss."""
        torch = self.torch
        from transformers import AlbertConfig, AlbertForPreTraining

        model = AlbertForPreTraining(AlbertConfig.from_json_file(path)).train()
        optimizer = torch.optim.AdamW(model.parameters(), 1e-4, weight_decay=0.01, fused=True)
        feeds = {n: torch.tensor(v % model.config.vocab_size) for n, v in random_batch(batch, length).items()}
        masked = torch.arange(3, length, 7)
        targets, order = feeds["input_ids"][:, masked].flatten(), torch.arange(batch) % 2
        cross_entropy = torch.nn.functional.cross_entropy

        def loss():
            out = model.albert(input_ids=feeds["input_ids"], token_type_ids=feeds["token_type_ids"])
            logits = model.predictions(out.last_hidden_state[:, masked])
            return cross_entropy(logits.flatten(0, 1).float(), targets) + cross_entropy(model.sop_classifier(out.pooler_output).float(), order)

        compiled = self.compile(loss)

        def step():
            optimizer.zero_grad()
            with torch.autocast("cpu", torch.bfloat16, enabled=self.type == torch.bfloat16):
                value = compiled()
            value.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()

        return step


def layout(tokenizer, rows):
    """Texts to pairs of pieces and token types, as `albert predict` lays them out."""
    if "choices" in rows[0]:
        contexts = tokenizer.encode_batch_fast([r["context"] for r in rows], add_special_tokens=False)
        options = [q.replace("_", c) if "_" in q else f"{q} {c}" for r in rows for q in [r["question"]] for c in r["choices"]]
        options = iter(tokenizer.encode_batch_fast(options, add_special_tokens=False))
        return [pair(c.ids[:models.POSITIONS - 3 - len(o)], o) for r, c in zip(rows, contexts) for o in (next(options).ids[-128:] for _ in r["choices"])]
    if "context" in rows[0]:
        questions = tokenizer.encode_batch_fast([r["question"] for r in rows], add_special_tokens=False)
        contexts = tokenizer.encode_batch_fast([r["context"] for r in rows], add_special_tokens=False)
        out = []
        for q, c in zip(questions, contexts):
            q, c = q.ids[:64], c.ids
            room = 384 - 3 - len(q)
            step = min(128, room)
            for begin in range(0, max(1, len(c) - room + step), step):
                out.append(pair(q, c[begin:begin + room]))
        return out
    texts = [(r["text"], r["text_pair"]) if "text_pair" in r else r["text"] for r in rows]
    return [(e.ids, e.type_ids) for e in tokenizer.encode_batch(texts)]


def pair(a, b):
    return [CLS, *a, SEP, *b, SEP], [0] * (len(a) + 2) + [1] * (len(b) + 1)


def ask(engine, path, in_order):
    """From text to what the head stands on, in batches padded to the longest."""
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(models.get("tokenizer") / "tokenizer.json"))
    with open(path, encoding="utf-8") as lines:
        rows = [json.loads(line) for line in lines]

    def run():
        sequences = layout(tokenizer, rows)
        if in_order:
            sequences.sort(key=lambda s: len(s[0]))
        for begin in range(0, len(sequences), BATCH):
            part = sequences[begin:begin + BATCH]
            shape = len(part), max(len(ids) for ids, _ in part)
            feeds = {n: np.zeros(shape, np.int64) for n in ("input_ids", "attention_mask", "token_type_ids")}
            for i, (ids, types) in enumerate(part):
                feeds["input_ids"][i, :len(ids)], feeds["attention_mask"][i, :len(ids)], feeds["token_type_ids"][i, :len(ids)] = ids, 1, types
            engine.forward(feeds, True)()

    run.lengths = [len(ids) for ids, _ in layout(tokenizer, rows)]
    return run


def text_part(path, part):
    with open(path, encoding="utf-8", newline="\n") as f:
        lines = f.read().split("\n")
    return lines[len(lines) * part // PARTS:len(lines) * (part + 1) // PARTS]


def tokenize(path, part):
    lines = text_part(path.split(":")[1], part)
    if ENGINE == "sentencepiece":
        import sentencepiece

        model = sentencepiece.SentencePieceProcessor(model_file=path.split(":")[0])
        return lambda: model.encode(lines, out_type=int, num_threads=1)
    from tokenizers import Tokenizer

    model = Tokenizer.from_file(str(models.get("tokenizer") / "tokenizer.json"))
    return lambda: model.encode_batch_fast(lines, add_special_tokens=False)


def prepare(engine, w):
    match w["kind"]:
        case "forward":
            return engine.forward(random_batch(w["batch"], w["length"]), False)
        case "train":
            return engine.train(w["path"], w["batch"], w["length"])
        case "ask":
            return ask(engine, w["path"], w.get("sorted", False))
        case "tokenize":
            return tokenize(w["path"], w["part"])


def main():
    out = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what libraries print
    makers = {"ort": Onnxruntime, "openvino": Openvino, "torch": Torch}
    kind, _, name = ENGINE.partition("-")
    engine, prepared = None, {}
    for line in sys.stdin:
        command = json.loads(line)
        try:
            if engine is None and kind in makers:
                engine = makers[kind](name)
            key = json.dumps(command["work"])
            if key not in prepared:
                prepared[key] = prepare(engine, command["work"])
            run, n, start = prepared[key], 0, time.perf_counter()
            while n == 0 or time.perf_counter() - start < command["seconds"]:
                run()
                n += 1
            reply = {"ms": (time.perf_counter() - start) * 1e3 / n, "runs": n, "lengths": getattr(run, "lengths", None)}
        except Exception as e:
            reply = {"error": f"{type(e).__name__}: {e}".splitlines()[0][:300]}
        out.write(json.dumps(reply) + "\n")
        out.flush()


if __name__ == "__main__":
    main()
