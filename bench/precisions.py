#!/usr/bin/env python3
"""What a precision costs: a model fine-tuned three times on each task, measured in fp32, int8 and bf16 by both rules.

    bench/precisions.py run MODEL DATA WORK ALBERT [TASK ...]     trains what WORK does not hold yet, and measures
    bench/precisions.py table WORK                                prints the tables

MODEL is a pretrained model, ALBERT the binary. DATA holds glue/SST-2, glue/MRPC, glue-sample/QQP (bench/glue-sample.py says in which form) and
squad (dev-v1.1.json; new_wiki_v1.0.json and reddit_v1.0.json to learn from). SST-2 and SQuAD learn from a part of their data, so that two cores do it all in
an hour, and SQuAD is measured on about 1,000 questions of the dev set; all parts are drawn by a fixed seed. SEEDS="1" sets other seeds, THREADS=N the
threads, TRAIN=bf16-tile the precision of training (fp32).
"""

import collections
import csv
import json
import os
import random
import subprocess
import sys

SEEDS = [int(s) for s in os.environ.get("SEEDS", "1 2 3").split()]
COMMON = ["--quiet", "--threads", os.environ.get("THREADS", "0")]
PRECISIONS = ["fp32", "int8", "bf16-tile", "bf16-dot"]
# Per task: the flags of training, those of the data that is measured, its file of predictions, the metrics with what int8 may lose of them, in points.
TASKS = {
    "sst2": ("--train WORK/sst2.tsv --dev DATA/glue/SST-2/dev.tsv --epochs 1 --learning-rate 5e-5 --batch-size 32",
             "--data DATA/glue/SST-2/dev.tsv", "SST-2.tsv", {"accuracy": 0.3}),
    "mrpc": ("--data DATA/glue/MRPC --epochs 3 --learning-rate 5e-5 --batch-size 16",
             "--data DATA/glue/MRPC", "MRPC.tsv", {"accuracy": 0.5, "f1": 0.5}),
    "qqp": ("--data WORK/QQP --epochs 2 --learning-rate 5e-5 --batch-size 32",
            "--data WORK/QQP", "QQP.tsv", {"accuracy": 0.5, "f1": 0.5}),
    "squad1": ("--train WORK/squad-train.json --dev WORK/squad-dev.json --epochs 1 --learning-rate 1e-4 --batch-size 16 --max-seq-length 192",
               "--data WORK/squad-dev.json --max-seq-length 256", "predictions.json", {"f1": 0.3, "exact_match": None}),
}
SST2_ROWS, SQUAD_TRAIN, SQUAD_DEV, CONTEXT = 30000, 10000, 1000, 700


def write(path, text):
    with open(path + ".tmp", "w", encoding="utf-8") as f:
        f.write(text)
    os.replace(path + ".tmp", path)


def paragraphs(file, longest):
    with open(file, encoding="utf-8") as f:
        for document in json.load(f)["data"]:
            for p in document["paragraphs"]:
                if len(p["context"]) <= longest:
                    yield p


def squad(files, count, rng, longest=1 << 30):
    """Whole paragraphs by chance, until count questions are there."""
    all_ = [p for file in files for p in paragraphs(file, longest)]
    rng.shuffle(all_)
    taken, n = [], 0
    for p in all_:
        if n >= count:
            break
        taken.append(p)
        n += len(p["qas"])
    return json.dumps({"version": "1.1", "data": [{"title": "sample", "paragraphs": taken}]}), n


def make(data, work):
    os.makedirs(work, exist_ok=True)
    rng = random.Random(1)
    if not os.path.exists(os.path.join(work, "QQP")):
        here = os.path.dirname(os.path.abspath(__file__))
        subprocess.run([sys.executable, os.path.join(here, "glue-sample.py"), os.path.join(data, "glue-sample"), work], check=True)
    with open(f"{data}/glue/SST-2/train.tsv", encoding="utf-8") as f:
        head, *rows = f.read().removesuffix("\n").split("\n")
    write(os.path.join(work, "sst2.tsv"), "\n".join([head] + rng.sample(rows, SST2_ROWS)) + "\n")
    train = [os.path.join(data, "squad", name) for name in ("new_wiki_v1.0.json", "reddit_v1.0.json")]
    for name, files, count, longest in [("train", train, SQUAD_TRAIN, CONTEXT), ("dev", [os.path.join(data, "squad/dev-v1.1.json")], SQUAD_DEV, 1 << 30)]:
        text, n = squad(files, count, rng, longest)
        write(os.path.join(work, f"squad-{name}.json"), text)
        print(f"squad-{name}.json: {n} questions")


def majority(data, work, task):
    """The share of the likeliest class in the dev set, in points; None where there are no classes."""
    files = {"sst2": (f"{data}/glue/SST-2/dev.tsv", "label"), "mrpc": (f"{data}/glue/MRPC/dev.tsv", "Quality"), "qqp": (f"{work}/QQP/dev.tsv", "is_duplicate")}
    if task not in files:
        return None
    path, column = files[task]
    with open(path, encoding="utf-8-sig", newline="") as f:
        labels = collections.Counter(row[column] for row in csv.DictReader(f, delimiter="\t", quoting=csv.QUOTE_NONE))
    return 100 * max(labels.values()) / sum(labels.values())


def answers(file):
    """What was predicted for each example, by id."""
    with open(file, encoding="utf-8") as f:
        if file.endswith(".json"):
            return json.load(f)
        return dict(line.rstrip("\n").split("\t") for line in f)


def run(model, data, work, albert, tasks):
    make(data, work)
    for task in tasks or TASKS:
        train, measured, predictions, metrics = TASKS[task]
        train, measured = (x.replace("DATA", data).replace("WORK", work).split() for x in (train, measured))
        for seed in SEEDS:
            out = os.path.join(work, "runs", f"{task}-{seed}")
            if os.path.exists(os.path.join(out, "precisions.json")):
                continue
            subprocess.run([albert, "finetune", model, "--task", task, "--output", out, "--seed", str(seed), "--eval-every", "1000000"] + train + COMMON
                           + ["--precision", os.environ.get("TRAIN", "fp32")], check=True)
            result = {"majority": majority(data, work, task)}
            given = {}
            for precision in PRECISIONS:
                there = os.path.join(out, precision)
                command = [albert, "eval", out, "--task", task, "--json", "--precision", precision, "--output", there] + measured + COMMON
                got = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout)
                percent = 1 if task == "squad1" else 100
                given[precision] = answers(os.path.join(there, predictions))
                result[precision] = {m: percent * got[m] for m in metrics}
                result[precision]["differ"] = 100 * sum(given[precision][k] != v for k, v in given["fp32"].items()) / len(given["fp32"])
            print(task, seed, json.dumps(result), flush=True)
            write(os.path.join(out, "precisions.json"), json.dumps(result) + "\n")
    table(work)


def table(work):
    rows, differ = [], []
    for task, (_, _, _, metrics) in TASKS.items():
        files = [os.path.join(work, "runs", f"{task}-{seed}", "precisions.json") for seed in SEEDS]
        if not all(map(os.path.exists, files)):
            continue
        results = [json.load(open(f, encoding="utf-8")) for f in files]
        for metric, allowed in metrics.items():
            values = {p: [r[p][metric] for r in results] for p in PRECISIONS}
            mean = {p: sum(v) / len(v) for p, v in values.items()}
            most = results[0]["majority"] if metric == "accuracy" else None
            verdict = "" if allowed is None else "kept" if mean["fp32"] - mean["int8"] <= allowed else "lost"
            rows.append(f"| {task} | {metric} | {'' if most is None else f'{most:.1f}'} | "
                        + " | ".join(f"{mean[p]:.2f} ({', '.join(f'{v:.2f}' for v in values[p])})" for p in PRECISIONS[:2])
                        + f" | {mean['int8'] - mean['fp32']:+.2f} | {'' if allowed is None else allowed} | {verdict} | "
                        + " | ".join(f"{mean[p]:.2f}" for p in PRECISIONS[2:]) + " |")
        differ.append(f"| {task} | " + " | ".join(", ".join(f"{r[p]['differ']:.2f}" for r in results) for p in PRECISIONS[1:]) + " |")
    print("| task | metric | majority class | fp32: mean (each seed) | int8 | int8 - fp32 | may lose | | bf16-tile | bf16-dot |\n|---|---|---|---|---|---|---|---|---|---|")
    print("\n".join(rows))
    print("\nPredictions that differ from fp32's, in percent, each seed:\n\n| task | int8 | bf16-tile | bf16-dot |\n|---|---|---|---|")
    print("\n".join(differ))


def main():
    match sys.argv[1:]:
        case ["run", model, data, work, albert, *tasks]:
            run(model, data, work, albert, tasks)
        case ["table", work]:
            table(work)
        case _:
            sys.exit(__doc__)


if __name__ == "__main__":
    main()
