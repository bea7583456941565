"""Reads the checkpoints in one directory with TensorFlow, as a reader and through a Saver, and compares them with those of the same name
that TensorFlow wrote in another: names, types, shapes, every bit."""

import os
import pathlib
import sys

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
os.environ["CUDA_VISIBLE_DEVICES"] = ""
sys.path.remove(os.path.dirname(os.path.abspath(__file__)))  # this file has the library's name

import numpy as np
import tensorflow as tf

tf1 = tf.compat.v1
tf1.disable_eager_execution()
UNREADABLE = {"string", "complex", "parts"}  # of types


def load(prefix):
    reader = tf.train.load_checkpoint(str(prefix))
    return {n: reader.get_tensor(n) for n in reader.get_variable_to_shape_map() if n not in UNREADABLE}


def restore(prefix, values):
    """The values that a Saver restores into variables of their types and shapes."""
    with tf.Graph().as_default():
        variables = {n: tf1.get_variable(n, initializer=tf.zeros(x.shape, x.dtype), use_resource=False) for n, x in values.items()}
        with tf1.Session() as session:
            tf1.train.Saver().restore(session, str(prefix))
            return session.run(variables)


def differences(got, want):
    if got.keys() != want.keys():
        yield f"names differ: {sorted(got.keys() ^ want.keys())[:5]}"
        return
    for n, x in want.items():
        y = got[n]
        if np.asarray(x).dtype != np.asarray(y).dtype or np.shape(x) != np.shape(y) or np.asarray(x).tobytes() != np.asarray(y).tobytes():
            yield f"{n}: {y}, want {x}"


def main(ours, theirs):
    failed = False
    for index in sorted(pathlib.Path(ours).glob("*.index")):
        name, prefix = index.stem, index.with_suffix("")
        got = load(prefix)
        if name == "many":
            want = {f"v{i}/of/many": np.array([[i]], np.float32) for i in range(20000)}
            problems = list(differences(got, want))
        else:
            want = {n.removeprefix("module/"): x for n, x in load(pathlib.Path(theirs) / name).items()}
            problems = list(differences(got, want)) or list(differences(restore(prefix, got), want))
        print(f"{name}: {len(got)} tensors, {'equal' if not problems else problems[:3]}")
        failed |= bool(problems)
    sys.exit(failed)


main(*sys.argv[1:])
