"""Makes the checkpoints of this directory and what a reader must find in them; README.md lists them."""

import contextlib
import os
import pathlib
import zlib

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
os.environ["CUDA_VISIBLE_DEVICES"] = ""
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["TRANSFORMERS_VERBOSITY"] = "error"

import numpy as np
import tensorflow as tf
from safetensors.numpy import save_file
from transformers import AlbertConfig, AlbertForPreTraining, AlbertForSequenceClassification
from transformers.models.albert.modeling_albert import load_tf_weights_in_albert

tf1 = tf.compat.v1
tf1.disable_eager_execution()
HERE = pathlib.Path(__file__).resolve().parent


def random(name, shape, dtype=np.float32):
    """Values that depend on the name alone."""
    return np.random.default_rng(zlib.crc32(name.encode())).standard_normal(shape).astype(dtype)


def encoder(v, e, h, f, groups, inner):
    """Names and shapes of modeling.py's variables."""
    shapes = {
        "bert/embeddings/word_embeddings": (v, e),
        "bert/embeddings/token_type_embeddings": (2, e),
        "bert/embeddings/position_embeddings": (9, e),
    }

    def norm(name, n):
        shapes[name + "/gamma"] = shapes[name + "/beta"] = (n,)

    def dense(name, i, o):
        shapes[name + "/kernel"], shapes[name + "/bias"] = (i, o), (o,)

    norm("bert/embeddings/LayerNorm", e)
    if e != h:
        dense("bert/encoder/embedding_hidden_mapping_in", e, h)
    for g in range(groups):
        for j in range(inner):
            at = f"bert/encoder/transformer/group_{g}/inner_group_{j}/"
            for part in "query", "key", "value":
                dense(at + "attention_1/self/" + part, h, h)
            dense(at + "attention_1/output/dense", h, h)
            norm(at + "LayerNorm", h)
            dense(at + "ffn_1/intermediate/dense", h, f)
            dense(at + "ffn_1/intermediate/output/dense", f, h)
            norm(at + "LayerNorm_1", h)
    dense("bert/pooler/dense", h, h)
    return shapes


def pretraining(v, e, h):
    return {
        "cls/predictions/transform/dense/kernel": (h, e),
        "cls/predictions/transform/dense/bias": (e,),
        "cls/predictions/transform/LayerNorm/gamma": (e,),
        "cls/predictions/transform/LayerNorm/beta": (e,),
        "cls/predictions/output_bias": (v,),
        "cls/seq_relationship/output_weights": (2, h),
        "cls/seq_relationship/output_bias": (2,),
    }


def save(case, values, sharded=False, more=lambda: None):
    with tf.Graph().as_default():
        for n, x in values.items():
            v = tf1.get_variable(n, initializer=tf.constant(x), use_resource=False)
            if sharded and n.startswith("end_logits"):
                v.op._set_device("/device:CPU:1")
        more()
        saver = tf1.train.Saver(sharded=sharded, write_version=tf1.train.SaverDef.V2)
        with tf1.Session(config=tf1.ConfigProto(device_count={"CPU": 2})) as session:
            session.run(tf1.global_variables_initializer())
            saver.save(session, str(HERE / case), write_meta_graph=False, write_state=False)


def expect(case, tensors):
    save_file({n: np.array(x, order="C") for n, x in tensors.items()}, HERE / (case + ".safetensors"))


def by_transformers(case, sizes, model=AlbertForPreTraining, **more):
    """What transformers makes of a checkpoint, without what it leaves as it was or ties."""
    v, e, h, f, groups, inner = sizes
    config = AlbertConfig(vocab_size=v, embedding_size=e, hidden_size=h, intermediate_size=f, num_hidden_layers=groups,
                          num_hidden_groups=groups, inner_group_num=inner, num_attention_heads=2, max_position_embeddings=9, **more)
    m = model(config)
    with contextlib.redirect_stdout(None):
        load_tf_weights_in_albert(m, config, str(HERE / case))
    return {n: x.numpy() for n, x in m.state_dict().items()
            if not n.endswith("_ids") and "decoder" not in n and not (e == h and "mapping_in" in n)}


def plain():
    sizes = 23, 4, 6, 10, 1, 1
    save("plain", {n: random(n, s) for n, s in (encoder(*sizes) | pretraining(23, 4, 6)).items()})
    expect("plain", by_transformers("plain", sizes))


def groups():
    sizes = 19, 3, 4, 7, 2, 2
    values = {n: random(n, s) for n, s in (encoder(*sizes) | pretraining(19, 3, 4)).items()}
    slots = {n + "/" + slot: np.abs(random(n + slot, x.shape)) for n, x in values.items() for slot in ("adam_m", "adam_v")}
    slots["global_step"] = np.int64(125000)
    save("groups", values | slots)
    expect("groups", by_transformers("groups", sizes))
    # transformers would take these for the variables themselves
    slots |= {"cls/predictions/output_bias/lamb_m": random("m", (19,)), "bert/pooler/dense/bias/lamb_v": random("v", (4,))}
    save("groups", values | slots)


def hub():
    sizes = 17, 3, 4, 6, 1, 1
    values = {"module/" + n: random(n, s) for n, s in encoder(*sizes).items()}
    values |= {"output_weights": random("w", (3, 4)), "output_bias": random("b", (3,)), "global_step": np.int64(1)}
    save("hub", values)
    expect("hub", by_transformers("hub", sizes, AlbertForSequenceClassification, num_labels=3))


def square():
    sizes = 13, 4, 4, 6, 1, 1
    values = {n: random(n, s) for n, s in (encoder(*sizes) | pretraining(13, 4, 4)).items()}
    save("square", values)
    expected = by_transformers("square", sizes)
    head = {"cls/squad/output_weights": random("w", (2, 4)), "cls/squad/output_bias": random("b", (2,))}
    save("square", values | head)
    expect("square", expected | {"qa_outputs." + n.split("_")[-1].replace("weights", "weight"): x for n, x in head.items()})


def beam():
    shapes = {
        "start_logits/dense/kernel": (4, 1), "start_logits/dense/bias": (1,),
        "end_logits/dense_0/kernel": (8, 4), "end_logits/dense_0/bias": (4,),
        "end_logits/LayerNorm/gamma": (4,), "end_logits/LayerNorm/beta": (4,),
        "end_logits/dense_1/kernel": (4, 1), "end_logits/dense_1/bias": (1,),
        "answer_class/dense_0/kernel": (8, 4), "answer_class/dense_0/bias": (4,),
        "answer_class/dense_1/kernel": (4, 1),
    }
    values = {n: random(n, s) for n, s in shapes.items()}
    save("beam", values, sharded=True)
    words = {"kernel": "weight", "gamma": "weight", "beta": "bias", "bias": "bias"}
    expect("beam", {".".join(n.split("/")[:-1]) + "." + words[n.split("/")[-1]]: x.T for n, x in values.items()})


def types():
    edges = [0.0, -0.0, 1.5, -2.25, 1e-7, 65504.0, float("inf"), -float("inf")]
    values = {"float": np.array(edges, np.float32), "double": np.array(edges, np.float64), "half": np.array(edges, np.float16),
              "scalar": np.float32(2.5), "empty": np.zeros((0, 3), np.float32), "bool": np.array([True, False, True])}
    for t in "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64":
        values[t] = np.array([[0, 1, np.iinfo(t).max], [2, 3, np.iinfo(t).min]], t)
    bf16 = tf.constant(edges, tf.bfloat16)

    def more():
        tf1.get_variable("bfloat16", initializer=lambda: tf.constant(edges, tf.bfloat16), use_resource=False)
        tf1.get_variable("string", initializer=tf.constant(["a", "bc"]), use_resource=False)
        tf1.get_variable("complex", initializer=tf.constant([1 + 2j], tf.complex64), use_resource=False)
        tf1.get_variable("parts", shape=(4, 2), initializer=tf1.ones_initializer(), partitioner=tf1.fixed_size_partitioner(2), use_resource=False)

    save("types", values, more=more)
    with tf1.Session() as session:
        values["bfloat16 as float"] = session.run(tf.cast(bf16, tf.float32))
        values["half as float"] = values["half"].astype(np.float32)
        values["double as float"] = values["double"].astype(np.float32)
    expect("types", values)


for make in plain, groups, hub, square, beam, types:
    make()
