"""What is compared: the rows of the table, with their targets on the three kinds of machine that the project is measured on."""

import dataclasses
import sys
from collections.abc import Callable

import contenders
import models

FP32 = {"onnxruntime fused": "ort-fused", "onnxruntime export": "ort-export", "OpenVINO": "openvino-fp32", "PyTorch": "torch-fp32",
        "PyTorch compiled": "torch-fp32-compiled"}
INT8 = {"onnxruntime fused": "ort-fused-int8", "onnxruntime export": "ort-export-int8",
        "OpenVINO": "openvino-int8"}
BF16 = {"OpenVINO": "openvino-bf16", "PyTorch": "torch-bf16", "PyTorch compiled": "torch-bf16-compiled"}
PEERS = {"fp32": FP32, "int8": INT8, "bf16": BF16}
# With texts: those that take batches with padding and are fast in the rows above.
TEXT_PEERS = {p: {k: v for k, v in PEERS[p].items() if k in ("onnxruntime fused", "OpenVINO")} for p in ("fp32", "int8")}

TARGETS = {  # of time, ours over the best peer's: Z, X, T
    "fp32-1x16": (0.85, 0.80, 0.85), "fp32-1x128": (0.94, 0.93, 0.90), "fp32-1x512": (0.94, 0.97, 0.92), "fp32-8x128": (0.92, 0.95, 0.90),
    "int8-1x16": (0.90, 0.70, 0.85), "int8-1x128": (0.90, 0.65, 0.85), "int8-1x512": (0.90, 0.70, 0.90), "int8-8x128": (0.90, 0.70, 0.90),
    # On Z, which has no bf16, it is measured against our fp32: at most 1.10.
    "bf16-1x128": (None, 0.60, 0.90), "bf16-1x512": (None, 0.60, 0.92), "bf16-8x128": (None, 0.55, 0.92), "train-bf16": (None, 0.45, 0.72),
    "train-fp32": (0.85, 0.80, 0.42), "quickstart": (0.65, 0.60, 0.65), "tokenize": (0.25,) * 3, "train-pieces": (0.20,) * 3,
    "busy-1x16": (1.05,) * 3, "busy-1x128": (1.05,) * 3, "fill": (0.10, 0.08, 0.08), "memory-fp32": (90,) * 3, "memory-int8": (45,) * 3,
}
UNSORTED, SORTED = (0.52,) * 3, (0.95,) * 3
# How many examples of a dev set a burst answers, where --examples does not say.
EXAMPLES = {"sst2": 320, "mrpc": 160, "squad": 48, "race": 16}


@dataclasses.dataclass
class Line:
    """A line of the table: some of a row's peers, and what is to be met."""

    title: str
    target: float | None
    peers: list[str]


@dataclasses.dataclass
class Row:
    name: str
    lines: Callable[[dict], list[Line]]  # by the contenders' labels
    contenders: Callable[[int], dict]  # by threads: label to contender, "ours" first
    unit: str = "ms"
    flops: float | None = None  # of the real pieces; None: as a peer's answer says, or not counted
    # ratio: ours over the best peer's; value: ours as it is; fraction: of the limit, at least
    judged: str = "ratio"
    threads: tuple = (1, 2)
    rounds: int | None = None  # at most, where a burst is long
    seconds: float | None = None  # of a burst; 0: once


def ours(precision, threads, folder="base"):
    return lambda: ["contender", "--model", models.get(folder), "--precision", precision, "--threads", threads]


def peer(engine, threads):
    return lambda: [sys.executable, models.HERE / "peers.py", engine, threads]


def rows(kind, examples=None):
    """All rows, with the targets of a kind of machine ("Z", "X", "T"; else none)."""

    def target(name, of=None):
        values = of or TARGETS.get(name)
        return values["ZXT".index(kind)] if values and kind else None

    def one(name, title):
        return lambda labels: [Line(title, target(name), [p for p in labels if p != "ours"])]

    out = [forward(p, b, n, one) for p in PEERS for b, n in ((1, 16), (1, 128), (1, 512), (8, 128))]
    out += [training(p, one) for p in ("fp32", "bf16")]
    out += [texts(p, task, n if examples is None else examples, target) for p in TEXT_PEERS for task, n in EXAMPLES.items()]
    config = {"kind": "train", "batch": 32, "length": 64, "path": "quickstart.json"}
    out.append(Row("quickstart", one("quickstart", "training step 32x64 of quickstart's model"), lambda t: {
        "ours": contenders.Work(ours("fp32", t), config), "PyTorch compiled": contenders.Work(peer("torch-fp32-compiled", t), config)},
        flops=3 * 32 * models.flops(64, models.QUICKSTART), judged="fraction"))
    out += [tokenizing(one), training_pieces(one)]
    out += [busy(n, one) for n in (16, 128)]
    out.append(Row("fill", one("fill", "albert fill, start to answer"), lambda t: {"ours": contenders.Command(lambda: [
        "albert", "fill", models.get("fill"), "The [MASK] is closed.", "--threads", t], 1e-3)}, "s", judged="value", threads=(2,)))
    out += [Row(f"memory-{p}", one(f"memory-{p}", f"VmRSS after 1,000 texts of 128 pieces, {p}"), lambda t, p=p: {
        "ours": contenders.Memory(p, t)}, "MB", judged="value", threads=(2,), rounds=1, seconds=0) for p in ("fp32", "int8")]
    return out


def forward(precision, batch, length, one):
    work = {"kind": "forward", "batch": batch, "length": length}
    name = f"{precision}-{batch}x{length}"
    return Row(name, one(name, f"base {precision} {batch}x{length}"), lambda t: {
        "ours": contenders.Work(ours(precision, t), work), **{k: contenders.Work(peer(e, t), work) for k, e in PEERS[precision].items()}},
        flops=batch * models.flops(length))


def training(precision, one):
    work = {"kind": "train", "batch": 8, "length": 128, "path": "base.json"}
    return Row(f"train-{precision}", one(f"train-{precision}", f"training step 8x128 {precision}"), lambda t: {
        "ours": contenders.Work(ours(precision, t), work),
        **{k: contenders.Work(peer(e, t), work) for k, e in PEERS[precision].items() if k.startswith("PyTorch")}},
        flops=3 * 8 * models.flops(128))


def texts(precision, task, examples, target):
    file = f"{task}-{examples}.jsonl"
    folder = {"sst2": "classify", "mrpc": "classify", "squad": "answer", "race": "choose"}[task]
    work = {"kind": "ask", "path": file}

    def lines(labels):
        return [Line(f"{task} {precision}, peers' batches {how}", target("", of), [p for p in labels if p.endswith(f", {how}")])
                for how, of in (("unsorted", UNSORTED), ("sorted", SORTED))]

    return Row(f"{task}-{precision}", lines, lambda t: {"ours": contenders.Work(ours(precision, t, folder), work), **{
        f"{k}, {how}": contenders.Work(peer(e, t), {**work, "sorted": how == "sorted"})
        for k, e in TEXT_PEERS[precision].items() for how in ("unsorted", "sorted")}}, rounds=5, seconds=0)


def tokenizing(one):
    def work(round):
        return {"kind": "tokenize", "path": "novels-dev.txt", "part": round % 8}

    return Row("tokenize", one("tokenize", "tokenize an eighth of novels-dev"), lambda t: {
        "ours": contenders.Work(ours("fp32", t), work), "sentencepiece": contenders.Work(peer("sentencepiece", t), work),
        "tokenizers": contenders.Work(peer("tokenizers", t), work)}, threads=(1,))


SPM = ("pad_id=0 unk_id=1 bos_id=-1 eos_id=-1 control_symbols=[CLS],[SEP],[MASK] user_defined_symbols=(,),\"\"\"\",-,.,–,£,€ "
       "shuffle_input_sentence=true input_sentence_size=10000000 character_coverage=0.99995 minloglevel=1").split()


def training_pieces(one):
    def spm(t):
        text = models.get("novels-train.txt")
        settings = [f"--{s}" for s in [*SPM, f"input={text}", f"model_prefix={models.KEPT / 'spm'}", f"num_threads={t}", "vocab_size=30000"]]
        code = "import sys, sentencepiece; sentencepiece.SentencePieceTrainer.Train(' '.join(sys.argv[1:]))"
        return [sys.executable, "-c", code, *settings]

    def albert(t):
        return ["albert", "tokenizer", "train", "--quiet", "--input", models.get("novels-train.txt"), "--model-prefix", models.KEPT / "albert",
                "--vocab-size", 30000, "--threads", t]

    return Row("train-pieces", one("train-pieces", "train 30,000 pieces on novels"), lambda t: {
        "ours": contenders.Command(lambda: albert(t), 1e-3), "spm_train": contenders.Command(lambda: spm(t), 1e-3)}, "s", rounds=3, seconds=0)


def busy(length, one):
    work = {"kind": "forward", "batch": 1, "length": length}
    engines = {k: FP32[k] for k in ("onnxruntime fused", "OpenVINO")}
    name = f"busy-1x{length}"
    return Row(name, one(name, f"two threads beside a busy process, over one alone, 1x{length}"), lambda t: {
        "ours": contenders.Beside(ours("fp32", 1), ours("fp32", 2), work),
        **{k: contenders.Beside(peer(e, 1), peer(e, 2), work) for k, e in engines.items()}}, "", judged="value", threads=(2,))
