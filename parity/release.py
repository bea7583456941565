"""Builds an archive as Google released ALBERT, from a random model of base's size, and has the albert command read it.

    release.py SPIECE [TENSORFLOW]     ALBERT_BIN names the command; TENSORFLOW is a Python that has it; run it by release.sh

The archive has albert_base/albert_config.json, 30k-clean.model, 30k-clean.vocab and model.ckpt-best.index, .data-00000-of-00001 and .meta, as
albert_base_v2.tar.gz has. With TensorFlow its own SaveV2 writes the checkpoint, slots of the optimizer and global_step beside the weights. What
`albert convert` makes of it must load in transformers without a missing, unexpected or mismatched key and hold the weights that went in, bit
for bit; `albert fill` must answer from the archive as transformers does from the directory, and offer the words of ALBERT's vocabulary.
"""

import json
import os
import pathlib
import subprocess
import sys
import tarfile
import tempfile
import time

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["TRANSFORMERS_VERBOSITY"] = "error"

import torch
from transformers import AlbertConfig, AlbertForPreTraining, AlbertTokenizer

from hf_classes import CONFIGS, albert, load

TEXT = "The [MASK] is closed."
# Google's file has these fields, and no model_type: its gelu is the approximation by tanh.
CONFIG = {"attention_probs_dropout_prob": 0, "hidden_act": "gelu", "hidden_dropout_prob": 0, "embedding_size": 128, "hidden_size": 768,
          "initializer_range": 0.02, "intermediate_size": 3072, "max_position_embeddings": 512, "num_attention_heads": 12, "num_hidden_layers": 12,
          "num_hidden_groups": 1, "net_structure_type": 0, "gap_size": 0, "num_memory_blocks": 0, "inner_group_num": 1,
          "down_scale_factor": 1, "type_vocab_size": 2, "vocab_size": 30000}
REWRITE = """
import sys, numpy as np, tensorflow as tf
old, new = sys.argv[1:]
r = tf.train.load_checkpoint(old)
values = {n: r.get_tensor(n) for n in r.get_variable_to_shape_map()}
for n in [n for n in values if "layer" in n.lower() or "group" in n]:
    values[n + "/adam_m"], values[n + "/adam_v"] = np.zeros_like(values[n]), np.zeros_like(values[n])
values["global_step"] = np.int64(125000)
names = sorted(values)
tf.raw_ops.SaveV2(prefix=new, tensor_names=names, shape_and_slices=[""] * len(names), tensors=[tf.constant(values[n]) for n in names])
print("written by TensorFlow", tf.__version__)
"""


def main():
    spiece, python = sys.argv[1], sys.argv[2] if len(sys.argv) > 2 else ""
    torch.manual_seed(1)
    model = AlbertForPreTraining(AlbertConfig(**CONFIGS["base"], hidden_act="gelu_new")).eval()
    with tempfile.TemporaryDirectory() as tmp:
        tmp = pathlib.Path(tmp)
        model.save_pretrained(tmp / "hf")
        slow = AlbertTokenizer(spiece)
        slow.save_pretrained(tmp / "hf")
        albert("convert", tmp / "hf", tmp / "ckpt/model.ckpt-best")
        files = tmp / "albert_base"
        files.mkdir()
        if python:
            print(subprocess.run([python, "-c", REWRITE, tmp / "ckpt/model.ckpt-best", files / "model.ckpt-best"], check=True, capture_output=True,
                                 text=True).stdout.strip())
        else:
            for f in (tmp / "ckpt").glob("model.ckpt-best.*"):
                f.rename(files / f.name)
        (files / "model.ckpt-best.meta").write_bytes(bytes(1 << 20))
        (files / "albert_config.json").write_text(json.dumps(CONFIG, indent=2))
        (files / "30k-clean.model").write_bytes(pathlib.Path(spiece).read_bytes())
        (files / "30k-clean.vocab").write_text("".join(f"{slow.convert_ids_to_tokens(i)}\t0\n" for i in range(30000)))
        archive = tmp / "albert_base_v2.tar.gz"
        with tarfile.open(archive, "w:gz", compresslevel=1) as t:
            t.add(files, "albert_base")
        print(f"{archive.name}: {archive.stat().st_size} bytes:", ", ".join(tarfile.open(archive).getnames()))

        begin = time.time()
        print(albert("convert", archive, tmp / "out").stderr.replace(f"{tmp}/", "").strip(), f"({time.time() - begin:.1f} s)")
        back = load(tmp / "out", "AlbertForPreTraining")
        for key, p in model.state_dict().items():
            if not torch.equal(p, back.state_dict()[key]):
                raise SystemExit(f"{key} is not what went in")
        tokenizer = AlbertTokenizer.from_pretrained(tmp / "out")
        x = tokenizer(TEXT, return_tensors="pt")
        with torch.no_grad():
            p = torch.softmax(back(**x).prediction_logits[0, x.input_ids[0].tolist().index(4)], 0)
        for source in (archive, tmp / "out"):
            begin = time.time()
            got = json.loads(albert("fill", source, TEXT).stdout)
            print(f"albert fill {source.name} {TEXT!r}: {[y['token_str'] for y in got]} ({time.time() - begin:.1f} s)")
            want = p.topk(5)
            if [y["token"] for y in got] != want.indices.tolist():
                raise SystemExit(f"fill gives {got}, transformers {want}")
            for y, q in zip(got, want.values.tolist()):
                if abs(y["score"] - q) > 1e-6:
                    raise SystemExit(f"fill gives {y}, transformers {q}")


if __name__ == "__main__":
    main()
