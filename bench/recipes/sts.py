#!/usr/bin/env python3
"""STS-B: a model learns how alike two sentences are; ours beside sentence-transformers with the same data, loss, steps, batch, rate and optimizer:
AdamW with bias correction.

    bench/recipes/sts.py [--steps N] [--rate X] STS-B WORK ALBERT MODEL ...     # trains with three seeds; prints the table
    bench/recipes/sts.py --time 5 STS-B WORK ALBERT MODEL                       # only the time of training and evaluation, by turns, five rounds

STS-B is GLUE's folder, ALBERT the binary. A MODEL with modules.json is trained by sentence-transformers, too, where ALBERT_VENV names an environment
that has sentence-transformers, datasets and accelerate; other models, from random weights instead. SEEDS="1" sets other
seeds, THREADS=N the threads of both sides.
"""

import argparse
import csv
import json
import os
import statistics
import subprocess
import time

from common import SEEDS, evaluate, finetune, head, row

BATCH, DECAY, SCALE = 32, 0.01, 20
SMALL_RATE = 1e-3  # for models that are no sentence-transformers directory: small ones, pretrained here
METRICS = ["spearman_cosine", "pearson_cosine"]


def read(path):
    with open(path, encoding="utf-8", newline="") as f:
        rows = list(csv.DictReader(f, delimiter="\t", quoting=csv.QUOTE_NONE))
    return {"sentence1": [r["sentence1"] for r in rows], "sentence2": [r["sentence2"] for r in rows], "score": [float(r["score"]) / 5 for r in rows]}


def theirs(args, model, out):
    """Run in the other environment: prints the metrics and the seconds of training and evaluation, imports and reading of data left out."""
    import torch
    from datasets import Dataset
    from sentence_transformers import SentenceTransformer, SentenceTransformerTrainer, SentenceTransformerTrainingArguments
    from sentence_transformers.sentence_transformer.evaluation import EmbeddingSimilarityEvaluator
    from sentence_transformers.sentence_transformer.losses import CoSENTLoss
    n = int(os.environ.get("THREADS", "0"))
    if n:
        torch.set_num_threads(n)
    train, dev = read(os.path.join(args.data, "train.tsv")), read(os.path.join(args.data, "dev.tsv"))
    start = time.time()
    st = SentenceTransformer(model, device="cpu")
    settings = SentenceTransformerTrainingArguments(
        output_dir=out, max_steps=args.steps, per_device_train_batch_size=BATCH, learning_rate=args.rate, warmup_steps=args.steps // 10, weight_decay=DECAY,
        seed=args.theirs, use_cpu=True, save_strategy="no", report_to=[], disable_tqdm=True, logging_strategy="no")
    SentenceTransformerTrainer(model=st, args=settings, train_dataset=Dataset.from_dict(train), loss=CoSENTLoss(st, scale=SCALE)).train()
    got = EmbeddingSimilarityEvaluator(dev["sentence1"], dev["sentence2"], dev["score"], name="dev")(st)
    print(json.dumps({m: float(got["dev_" + m]) for m in METRICS} | {"seconds": time.time() - start}))


def run_theirs(args, model, out, seed):
    file = out + ".json"
    if not os.path.exists(file):
        os.makedirs(os.path.dirname(out), exist_ok=True)
        command = [os.path.join(os.environ["ALBERT_VENV"], "bin/python"), os.path.abspath(__file__), "--theirs", str(seed), "--steps", str(args.steps),
                   "--rate", str(args.rate), args.data, out, "-", model]
        printed = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
        with open(file + ".tmp", "w", encoding="utf-8") as f:
            f.write(printed.splitlines()[-1])
        os.replace(file + ".tmp", file)
    with open(file, encoding="utf-8") as f:
        return json.load(f)


def run_ours(args, model, out, seed, *more):
    rate = args.rate if os.path.exists(os.path.join(model, "modules.json")) else SMALL_RATE
    flags = ["--task", "embed", "--loss", "cosent", "--scale", SCALE, "--batch-size", BATCH, "--learning-rate", rate, "--steps", args.steps,
             "--warmup-steps", args.steps // 10, "--weight-decay", DECAY, "--dropout", 0.1, "--seed", seed, "--bias-correction"]
    return finetune(args.albert, model, out, *flags, "--train", os.path.join(args.data, "train.tsv"), "--dev", os.path.join(args.data, "dev.tsv"), *more)["dev"]


def measure(args, rounds):
    seconds = {"ours": [], "theirs": []}
    for i in range(rounds):
        out = os.path.join(args.work, "time", str(time.time_ns()))
        start = time.time()
        run_ours(args, args.model[0], out, i)
        seconds["ours"].append(time.time() - start)
        seconds["theirs"].append(run_theirs(args, args.model[0], out + "-theirs", i)["seconds"])
        print(f"round {i}: ours {seconds['ours'][-1]:.1f} s, sentence-transformers {seconds['theirs'][-1]:.1f} s", flush=True)
    ours, other = (statistics.median(seconds[k]) for k in ("ours", "theirs"))
    print(f"medians: ours {ours:.1f} s, sentence-transformers {other:.1f} s, ratio {ours / other:.2f}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--time", type=int, metavar="ROUNDS", help="measure the time only")
    parser.add_argument("--steps", type=int, default=180, help="of 32 pairs (default: 180, one pass over STS-B's train file)")
    parser.add_argument("--rate", type=float, default=5e-5, help="highest learning rate of a MODEL with modules.json (default: 5e-5)")
    parser.add_argument("--theirs", type=int, metavar="SEED", help=argparse.SUPPRESS)
    parser.add_argument("data", metavar="STS-B")
    parser.add_argument("work", metavar="WORK")
    parser.add_argument("albert", metavar="ALBERT")
    parser.add_argument("model", metavar="MODEL", nargs="+")
    args = parser.parse_args()
    if args.theirs is not None:
        return theirs(args, args.model[0], args.work)
    if args.time:
        return measure(args, args.time)
    head("model", METRICS)
    for model in args.model:
        name = os.path.basename(os.path.normpath(model))
        runs = os.path.join(args.work, "sts", f"{name}-{args.steps}-{args.rate}")
        row(f"{name}, as it is", [evaluate(args.albert, model, "sts", args.data)], METRICS)
        row(f"{name}, ours", [run_ours(args, model, f"{runs}-ours-{s}", s) for s in SEEDS], METRICS)
        if not os.path.exists(os.path.join(model, "modules.json")):
            row(f"{name}, from random weights", [run_ours(args, model, f"{runs}-random-{s}", s, "--scratch") for s in SEEDS], METRICS)
        elif "ALBERT_VENV" in os.environ:
            row(f"{name}, sentence-transformers", [run_theirs(args, model, f"{runs}-theirs-{s}", s) for s in SEEDS], METRICS)


if __name__ == "__main__":
    main()
