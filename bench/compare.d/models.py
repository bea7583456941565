"""The models and texts that are compared on, made once and kept: random weights of base's size by a fixed seed, in every form that a peer reads.

Each is made when it is first asked for. The folder's name holds a hash of this file and of the packages, so that a change of either makes
all of them anew.
"""

import gzip
import hashlib
import json
import os
import pathlib
import random
import shutil
import subprocess
import sys
import tarfile

HERE = pathlib.Path(__file__).resolve().parent
DATA = pathlib.Path(os.environ["ALBERT_DATA"])
HASH = hashlib.sha256(b"".join((HERE / n).read_bytes() for n in ("models.py", "requirements.txt"))).hexdigest()[:12]
KEPT = pathlib.Path(os.environ.get("XDG_CACHE_HOME", pathlib.Path.home() / ".cache")) / "albert" / f"compare-{HASH}"

LAYERS, HEADS, H, E, F, VOCAB, POSITIONS, EPSILON = 12, 12, 768, 128, 3072, 30000, 512, 1e-12
BASE = {"model_type": "albert", "vocab_size": VOCAB, "embedding_size": E, "hidden_size": H, "num_hidden_layers": LAYERS, "num_hidden_groups": 1,
        "inner_group_num": 1, "num_attention_heads": HEADS, "intermediate_size": F, "hidden_act": "gelu_new", "hidden_dropout_prob": 0,
        "attention_probs_dropout_prob": 0, "classifier_dropout_prob": 0, "max_position_embeddings": POSITIONS, "type_vocab_size": 2,
        "layer_norm_eps": EPSILON, "initializer_range": 0.02, "pad_token_id": 0, "bos_token_id": 2, "eos_token_id": 3}
# What `albert quickstart` trains (internal/quickstart): batches of 32 by 64 pieces.
QUICKSTART = {**BASE, "vocab_size": 4096, "embedding_size": 128, "hidden_size": 128, "num_hidden_layers": 2, "num_attention_heads": 2,
              "intermediate_size": 512, "max_position_embeddings": 64}
# folder: class, the tensors of its head
CLASSES = {
    "base": ("AlbertModel", {}),
    "classify": ("AlbertForSequenceClassification", {"classifier": (2, H)}),
    "answer": ("AlbertForQuestionAnswering", {"qa_outputs": (2, H)}),
    "choose": ("AlbertForMultipleChoice", {"classifier": (1, H)}),
    "fill": ("AlbertForMaskedLM", {"predictions.dense": (E, H)}),
}
LAYER = "albert.encoder.albert_layer_groups.0.albert_layers.0."


def flops(length, c=BASE):
    """Operations of a forward pass over a sequence, as `albert inspect` counts them."""
    h, f, n = c["hidden_size"], c["intermediate_size"], length
    return 2 * n * c["embedding_size"] * h + c["num_hidden_layers"] * (2 * n * (4 * h * h + 2 * h * f) + 4 * n * n * h)


def weights():
    """The encoder's tensors by name; what is no matrix is close to 0 or 1."""
    import numpy as np

    rng = np.random.default_rng(1)
    tensors = {}

    def normal(name, *shape):
        tensors[name] = (0.02 * rng.standard_normal(shape)).astype(np.float32)

    def affine(name, out, into):
        normal(name + ".weight", out, into)
        normal(name + ".bias", out)

    def norm(name, n):
        normal(name + ".weight", n)
        tensors[name + ".weight"] += 1
        normal(name + ".bias", n)

    for name, n in ("word", VOCAB), ("position", POSITIONS), ("token_type", 2):
        normal(f"albert.embeddings.{name}_embeddings.weight", n, E)
    norm("albert.embeddings.LayerNorm", E)
    affine("albert.encoder.embedding_hidden_mapping_in", H, E)
    for name in "query", "key", "value", "dense":
        affine(LAYER + "attention." + name, H, H)
    norm(LAYER + "attention.LayerNorm", H)
    affine(LAYER + "ffn", F, H)
    affine(LAYER + "ffn_output", H, F)
    norm(LAYER + "full_layer_layer_norm", H)
    affine("albert.pooler", H, H)
    return tensors


def huggingface(folder, name):
    """Writes a Hugging Face directory of a class."""
    import numpy as np
    from safetensors.numpy import save_file

    kind, head = CLASSES[name]
    tensors = weights()
    rng = np.random.default_rng(2)
    for part, shape in head.items():
        tensors[part + ".weight"] = (0.02 * rng.standard_normal(shape)).astype(np.float32)
        tensors[part + ".bias"] = np.zeros(shape[0], np.float32)
    if name == "fill":
        tensors["predictions.bias"] = np.zeros(VOCAB, np.float32)
        tensors["predictions.LayerNorm.weight"], tensors["predictions.LayerNorm.bias"] = np.ones(E, np.float32), np.zeros(E, np.float32)
    folder.mkdir()
    save_file(tensors, folder / "model.safetensors", {"format": "pt"})
    (folder / "config.json").write_text(json.dumps({**BASE, "architectures": [kind]}, indent=1))
    shutil.copyfile(DATA / "spiece.model", folder / "spiece.model")


def fused(path, masked):
    """The encoder as an ONNX graph of onnxruntime's own fused operations, as its transformers optimizer makes them of BERT."""
    import numpy as np
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    w = weights()
    nodes, initializers = [], {}

    def const(name, value):
        initializers.setdefault(name, numpy_helper.from_array(np.ascontiguousarray(value), name))
        return name

    def node(kind, inputs, output, domain="com.microsoft", **attributes):
        nodes.append(helper.make_node(kind, inputs, [output], domain=domain, **attributes))
        return output

    def tensor(name):
        return const(name, w[name].T if name.endswith(".weight") and w[name].ndim == 2 and "embeddings" not in name else w[name])

    def embedding(name):
        return tensor(f"albert.embeddings.{name}.weight")

    for name in "input_ids", "token_type_ids":
        node("Cast", [name], name + "32", "", to=TensorProto.INT32)
    x = node("EmbedLayerNormalization", ["input_ids32", "token_type_ids32", *map(embedding, (
        "word_embeddings", "position_embeddings", "token_type_embeddings", "LayerNorm")), tensor("albert.embeddings.LayerNorm.bias")],
        "embedded", epsilon=EPSILON)
    nodes[-1].output.append("mask_index")
    into = "albert.encoder.embedding_hidden_mapping_in"
    x = node("MatMul", [x, tensor(into + ".weight")], "mapped0", "")
    x = node("Add", [x, tensor(into + ".bias")], "mapped", "")
    mask = [node("Cast", ["attention_mask"], "mask32", "", to=TensorProto.INT32)] if masked else []
    qkv = [LAYER + "attention." + n for n in ("query", "key", "value")]
    qkv_weight = const("qkv.weight", np.concatenate([w[n + ".weight"].T for n in qkv], 1))
    qkv_bias = const("qkv.bias", np.concatenate([w[n + ".bias"] for n in qkv]))
    for i in range(LAYERS):
        def product(a, name, output):
            return node("MatMul", [a, tensor(LAYER + name + ".weight")], f"{output}{i}", "")

        def skip(a, b, norm, bias, output):
            return node("SkipLayerNormalization", [a, b, tensor(LAYER + norm + ".weight"), tensor(LAYER + norm + ".bias"), tensor(LAYER + bias)],
                        f"{output}{i}", epsilon=EPSILON)

        a = node("Attention", [x, qkv_weight, qkv_bias, *mask], f"context{i}", num_heads=HEADS)
        x = skip(product(a, "attention.dense", "dense"), x, "attention.LayerNorm", "attention.dense.bias", "attended")
        f = node("FastGelu", [product(x, "ffn", "ffn"), tensor(LAYER + "ffn.bias")], f"gelu{i}")
        x = skip(product(f, "ffn_output", "ffn_output"), x, "full_layer_layer_norm", "ffn_output.bias", "layer")
    nodes[-1].output[0] = "last_hidden_state"
    inputs = ["input_ids", "token_type_ids"] + ["attention_mask"] * masked
    graph = helper.make_graph(nodes, "albert", [helper.make_tensor_value_info(n, TensorProto.INT64, ["batch", "sequence"]) for n in inputs],
                              [helper.make_tensor_value_info("last_hidden_state", TensorProto.FLOAT, ["batch", "sequence", H])],
                              list(initializers.values()))
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17), helper.make_opsetid("com.microsoft", 1)], ir_version=8), path)


def quantized(path, source):
    from onnxruntime.quantization import QuantType, quantize_dynamic

    quantize_dynamic(str(source), str(path), per_channel=True, weight_type=QuantType.QInt8, op_types_to_quantize=["MatMul", "Gemm", "Attention"],
                     extra_options={"MatMulConstBOnly": True, "DefaultTensorType": 1})  # of floats


def albert_model(**settings):
    from transformers import AlbertModel

    return AlbertModel.from_pretrained(get("base"), add_pooling_layer=True, **settings).eval()


def openvino_model(path):
    import openvino
    import torch

    ids = torch.ones(2, 16, dtype=torch.long)

    class Hidden(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.model = albert_model(attn_implementation="sdpa")

        def forward(self, input_ids, attention_mask, token_type_ids):
            return self.model(input_ids, attention_mask, token_type_ids).last_hidden_state

    with torch.no_grad():
        model = openvino.convert_model(Hidden(), example_input={n: ids for n in ("input_ids", "attention_mask", "token_type_ids")})
    openvino.save_model(model, path, compress_to_fp16=False)


def openvino_int8(path):
    import nncf
    import numpy as np
    import openvino

    rng = np.random.default_rng(3)
    samples = [{"input_ids": rng.integers(5, VOCAB, (1, n)), "attention_mask": np.ones((1, n), np.int64), "token_type_ids": np.zeros((1, n), np.int64)}
               for n in rng.integers(16, 129, 24)]
    model = nncf.quantize(openvino.Core().read_model(get("openvino.xml")), nncf.Dataset(samples), model_type=nncf.ModelType.TRANSFORMER,
                          subset_size=len(samples))
    openvino.save_model(model, path, compress_to_fp16=False)


def novels(path, part):
    with gzip.open(DATA / "text" / f"novels-{part}.txt.gz") as text:
        path.write_bytes(text.read())


def sampled(rows, n):
    """So many rows, spread over all."""
    return random.Random(4).sample(rows, n) if n and n < len(rows) else rows


def questions(path, task, n):
    """A dataset's dev set, or n examples of it, as JSON lines that `albert predict` reads."""
    def table(name):
        return [line.split("\t") for line in (DATA / "glue" / name / "dev.tsv").read_text(encoding="utf-8").splitlines()[1:]]

    if task == "sst2":
        rows = [{"text": c[0].strip()} for c in table("SST-2")]
    elif task == "mrpc":
        rows = [{"text": c[3], "text_pair": c[4]} for c in table("MRPC")]
    elif task == "squad":
        articles = json.loads((DATA / "squad" / "dev-v1.1.json").read_text(encoding="utf-8"))["data"]
        rows = [{"question": q["question"], "context": p["context"]} for a in articles for p in a["paragraphs"] for q in p["qas"]]
    else:
        rows = []
        with tarfile.open(DATA / "race" / "race-train-dev.tar.gz") as tar:
            for member in tar:
                if member.isfile() and member.name.startswith("dev/"):
                    p = json.loads(tar.extractfile(member).read())
                    rows += [{"context": p["article"], "question": q, "choices": o} for q, o in zip(p["questions"], p["options"])]
    path.write_text("".join(json.dumps(r) + "\n" for r in sampled(rows, n)), encoding="utf-8")


def pieces(path):
    """A thousand texts to classify, of 128 pieces each."""
    rng = random.Random(5)
    path.write_text("".join(json.dumps({"input_ids": [2, *(rng.randrange(5, VOCAB) for _ in range(126)), 3]}) + "\n" for _ in range(1000)))


def convert(path, *more):
    subprocess.run(["albert", "convert", str(get("base")), str(path), *more], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


MAKERS = {
    **{name: (lambda path, name=name: huggingface(path, name)) for name in CLASSES},
    "tokenizer": convert,  # a Hugging Face directory with tokenizer.json
    "export.onnx": convert,
    "fused.onnx": lambda path: fused(path, False),
    "fused-masked.onnx": lambda path: fused(path, True),
    "export-int8.onnx": lambda path: convert(path, "--int8"),
    "fused-int8.onnx": lambda path: quantized(path, get("fused.onnx")),
    "fused-masked-int8.onnx": lambda path: quantized(path, get("fused-masked.onnx")),
    "openvino.xml": openvino_model,
    "openvino-int8.xml": openvino_int8,
    "base.json": lambda path: path.write_text(json.dumps(BASE)),
    "quickstart.json": lambda path: path.write_text(json.dumps(QUICKSTART)),
    "novels-dev.txt": lambda path: novels(path, "dev"),
    "novels-train.txt": lambda path: novels(path, "train"),
    "classify.jsonl": pieces,
}


def get(name):
    """The path of one of MAKERS or of questions (sst2-320.jsonl), made if it is not there."""
    path = KEPT / name
    if path.exists():
        return path
    aside = KEPT / f"making-{name}" / name  # with its ending; an IR is two files
    shutil.rmtree(aside.parent, ignore_errors=True)
    aside.parent.mkdir(parents=True)
    print(f"making {path}", file=sys.stderr, flush=True)
    if name in MAKERS:
        MAKERS[name](aside)
    else:
        task, n = name.removesuffix(".jsonl").split("-")
        questions(aside, task, int(n))
    for made in sorted(aside.parent.iterdir()):  # .bin before .xml
        made.replace(KEPT / made.name)
    aside.parent.rmdir()
    return path
