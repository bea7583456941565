"""Compares Google's files of BERT, as albert writes and reads them, with TensorFlow and with transformers' own reader of them.

    google_bert.py make DIR       random models in DIR/CLASS/hf, which albert converts to DIR/CLASS/tf/bert_model.ckpt
    google_bert.py tensorflow DIR TensorFlow reads each checkpoint, keeps its variables as variables.npz, and writes them anew, with slots of an optimizer
    google_bert.py check DIR      transformers' load_tf_weights_in_bert makes of the variables the model that was converted, in equal bits; what
                                  TensorFlow wrote has the same weights_sha256 for albert

Run it by google_bert.sh; ALBERT_BIN names the command.
"""

import json
import os
import pathlib
import subprocess
import sys
import types

import numpy as np

CLASSES = ["BertModel", "BertForPreTraining", "BertForMaskedLM", "BertForNextSentencePrediction"]  # those that transformers' reader knows whole
HEADS = ["BertForSequenceClassification", "BertForQuestionAnswering", "BertForTokenClassification"]


def albert(*args):
    run = subprocess.run([os.environ["ALBERT_BIN"], *map(str, args)], capture_output=True, text=True)
    if run.returncode:
        raise SystemExit(f"albert {' '.join(map(str, args))}: {run.stderr}")
    return run.stdout


def make(top):
    import torch
    import transformers

    for i, cls in enumerate(CLASSES + HEADS):
        torch.manual_seed(i)
        config = transformers.BertConfig(vocab_size=61, hidden_size=24, num_hidden_layers=12, num_attention_heads=2, intermediate_size=40,
                                         max_position_embeddings=32, hidden_act="gelu_new", num_labels=2)
        model = getattr(transformers, cls)(config)
        for p in model.parameters():
            p.data.add_(torch.randn_like(p) * 0.1)
        model.save_pretrained(top / cls / "hf")
        albert("convert", top / cls / "hf", top / cls / "tf" / "bert_model.ckpt", "--quiet")


def tensorflow(top):
    sys.path.remove(os.path.dirname(os.path.abspath(__file__)))  # where a file has the library's name
    import tensorflow as tf

    tf1 = tf.compat.v1
    tf1.disable_eager_execution()
    for prefix in sorted(top.glob("*/tf/bert_model.ckpt.index")):
        reader = tf.train.load_checkpoint(str(prefix.with_suffix("")))
        values = {n: reader.get_tensor(n) for n in reader.get_variable_to_shape_map()}
        np.savez(prefix.parents[1] / "variables.npz", **values)
        again = prefix.parents[1] / "again"
        again.mkdir()
        (again / "bert_config.json").write_bytes((prefix.parent / "bert_config.json").read_bytes())
        with tf.Graph().as_default():
            for n, x in values.items():
                for name in (n, f"{n}/adam_m", f"{n}/adam_v"):
                    tf1.get_variable(name, initializer=x, use_resource=False)
            tf1.get_variable("global_step", initializer=np.int64(7), use_resource=False)
            with tf1.Session() as session:
                session.run(tf1.global_variables_initializer())
                tf1.train.Saver().save(session, str(again / "bert_model.ckpt"))


def check(top):
    import torch
    import transformers
    from transformers.models.bert.modeling_bert import load_tf_weights_in_bert

    for cls in CLASSES + HEADS:
        values = dict(np.load(top / cls / "variables.npz"))
        if cls in CLASSES:
            train = types.SimpleNamespace(list_variables=lambda _: [(n, x.shape) for n, x in values.items()], load_variable=lambda _, n: values[n])
            sys.modules["tensorflow"] = types.SimpleNamespace(train=train)
            want = getattr(transformers, cls).from_pretrained(top / cls / "hf")
            model = getattr(transformers, cls)(want.config)
            if cls == "BertModel":  # its reader goes down to model.bert
                whole = transformers.BertForPreTraining(want.config)
                load_tf_weights_in_bert(whole, want.config, "x")
                model = whole.bert
            else:
                load_tf_weights_in_bert(model, want.config, "x")
            for n, x in want.state_dict().items():
                if not torch.equal(x, model.state_dict()[n]):
                    raise SystemExit(f"{cls}: {n} is another in transformers")
        hashes = {p: json.loads(albert("inspect", top / cls / p, "--json"))["weights_sha256"] for p in ("hf", "tf", "again", "again/bert_model.ckpt")}
        if len(set(hashes.values())) != 1:
            raise SystemExit(f"{cls}: {hashes}")
        print(f"{cls}: {len(values)} variables, {'equal in transformers, ' if cls in CLASSES else ''}the same weights_sha256", flush=True)


if __name__ == "__main__":
    {"make": make, "tensorflow": tensorflow, "check": check}[sys.argv[1]](pathlib.Path(sys.argv[2]))
