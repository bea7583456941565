"""What pretraining is worth: every task fine-tuned from a pretrained model and, with the same flags, from random weights.

    python3 bench/learning.py data DATA WORK        makes the files that DATA does not hold as they are needed
    python3 bench/learning.py run DATA WORK ALBERT MODEL [TASK ...]
    python3 bench/learning.py table WORK            prints the table of docs/learning.md

DATA holds glue, glue-sample, squad and race; ALBERT is the binary, MODEL a pretrained model. The two runs of a task go side by side on one
thread each; GLUE's tasks three times with other seeds, the others once. Finished runs are left alone, interrupted ones go on.
"""

import io
import json
import math
import os
import subprocess
import sys
import tarfile
import time

RACE_QUESTIONS = 5000
# Per task: its flags, the metric that decides, the number of dev examples, that of seeds.
TASKS = {
    "sst2": ("--data DATA/glue/SST-2 --epochs 3 --learning-rate 2e-4 --batch-size 32", "accuracy", 872, 3),
    "cola": ("--data DATA/glue/CoLA --epochs 6 --learning-rate 3e-4 --batch-size 32 --eval-every 534", "matthews_correlation", 1043, 3),
    "mrpc": ("--data DATA/glue/MRPC --epochs 2 --learning-rate 2e-4 --batch-size 16", "accuracy", 408, 3),
    "rte": ("--data DATA/glue/RTE --epochs 2 --learning-rate 2e-4 --batch-size 16", "accuracy", 277, 3),
    "stsb": ("--data DATA/glue/STS-B --epochs 6 --learning-rate 2e-4 --batch-size 16", "pearson", 1500, 3),
    "mnli": ("--data WORK/MNLI --epochs 5 --learning-rate 2e-4 --batch-size 16", "accuracy", 1000, 3),
    "qnli": ("--data WORK/QNLI --epochs 2 --learning-rate 2e-4 --batch-size 16", "accuracy", 1000, 3),
    "qqp": ("--data WORK/QQP --epochs 6 --learning-rate 2e-4 --batch-size 16", "accuracy", 1000, 3),
    "squad1": ("--train DATA/squad/new_wiki_v1.0.json --train DATA/squad/reddit_v1.0.json --dev DATA/squad/dev-v1.1.json --epochs 2"
               " --learning-rate 3e-4 --batch-size 16 --max-seq-length 320 --eval-every 1108", "f1", 10570, 1),
    "squad2": ("--train DATA/squad/half-dev-v2.0.json --dev WORK/squad2-other.json --epochs 2 --learning-rate 2e-4 --batch-size 16"
               " --max-seq-length 320 --eval-every 379", "f1", 5795, 1),
    "race": ("--data WORK/race --epochs 2 --learning-rate 2e-4 --batch-size 8 --eval-every 312", "accuracy", 1436, 1),
}
COMMON = "--dropout 0.1 --threads 1"
VARIANTS = {"pretrained": [], "random": ["--scratch"]}


def write(path, text):
    with open(path + ".tmp", "w", encoding="utf-8") as f:
        f.write(text)
    os.replace(path + ".tmp", path)


def questions(squad):
    return (q for d in squad["data"] for p in d["paragraphs"] for q in p["qas"])


def make(data, work):
    os.makedirs(work, exist_ok=True)
    here = os.path.dirname(os.path.abspath(__file__))
    subprocess.run([sys.executable, os.path.join(here, "glue-sample.py"), os.path.join(data, "glue-sample"), work], check=True)

    with open(os.path.join(data, "squad/half-dev-v2.0.json"), encoding="utf-8") as f:
        seen = {q["question"] for q in questions(json.load(f))}
    with open(os.path.join(data, "squad/dev-v2.0.json"), encoding="utf-8") as f:
        dev = json.load(f)
    for d in dev["data"]:
        for p in d["paragraphs"]:
            p["qas"] = [q for q in p["qas"] if q["question"] not in seen]
        d["paragraphs"] = [p for p in d["paragraphs"] if p["qas"]]
    dev["data"] = [d for d in dev["data"] if d["paragraphs"]]
    write(os.path.join(work, "squad2-other.json"), json.dumps(dev))
    print("squad2-other.json:", sum(1 for _ in questions(dev)), "questions")

    count = {"train": 0, "dev": 0}
    with tarfile.open(os.path.join(data, "race/race-train-dev.tar.gz")) as tar:
        for member in sorted(tar.getmembers(), key=lambda m: m.name):
            parts = member.name.split("/")
            if not member.isfile() or "middle" not in parts:
                continue
            split = "train" if "train" in parts else "dev"
            if split == "train" and count[split] >= RACE_QUESTIONS:
                continue
            text = io.TextIOWrapper(tar.extractfile(member), encoding="utf-8").read()
            count[split] += len(json.loads(text)["questions"])
            folder = os.path.join(work, "race", split, "middle")
            os.makedirs(folder, exist_ok=True)
            write(os.path.join(folder, parts[-1]), text)
    print("race:", count)


def run(data, work, albert, model, tasks):
    for task in tasks or TASKS:
        flags, _, _, seeds = TASKS[task]
        flags = f"{flags} {COMMON}".replace("DATA", data).replace("WORK", work).split()
        running = []
        for variant, more in VARIANTS.items():
            output = os.path.join(work, "runs", task, variant)
            os.makedirs(os.path.dirname(output), exist_ok=True)
            if os.path.exists(os.path.join(output, "result.json")):
                continue
            log = open(output + ".log", "a")
            command = [albert, "finetune", model, "--task", task, "--output", output, "--runs", str(seeds)] + flags + more
            running.append((variant, time.time(), subprocess.Popen(command, stdout=log, stderr=log)))
        for variant, start, process in running:
            if process.wait() != 0:
                sys.exit(f"{task}, {variant}: see {work}/runs/{task}/{variant}.log")
            print(f"{task} {variant}: {time.time() - start:.0f} s", flush=True)
        show(work, task)


def standard_error(metric, value, n):
    """Of the dev set: of a mean of n numbers from 0 to 1 at most that of n tosses of a coin; of a correlation Fisher's."""
    if metric in ("pearson", "matthews_correlation"):
        return (1 - value * value) / math.sqrt(n - 3)
    return math.sqrt(value * (1 - value) / n)


def show(work, task):
    _, metric, n, _ = TASKS[task]
    results = {}
    for variant in VARIANTS:
        folder = os.path.join(work, "runs", task, variant)
        if not os.path.exists(os.path.join(folder, "result.json")):
            return
        with open(os.path.join(folder, "result.json")) as f:
            result = json.load(f)
        values = [r["dev"].get(metric) or 0 for r in result["runs"]]
        if task.startswith("squad"):
            values = [v / 100 for v in values]
        results[variant] = sorted(values)
    median = {v: x[len(x) // 2] for v, x in results.items()}
    spread = max(x[-1] - x[0] for x in results.values())
    margin = max(spread, standard_error(metric, median["pretrained"], n))
    gain = median["pretrained"] - median["random"]
    verdict = "won" if gain > margin else "lost" if -gain > margin else "even"
    print(f"| {task} | {metric} | {n} | " + " | ".join("%.3f (%.3f to %.3f)" % (median[v], results[v][0], results[v][-1]) for v in VARIANTS)
          + f" | {gain:+.3f} | {margin:.3f} | {verdict} |", flush=True)


def main():
    match sys.argv[1:]:
        case ["data", data, work]:
            make(data, work)
        case ["run", data, work, albert, model, *tasks]:
            run(data, work, albert, model, tasks)
        case ["table", work]:
            print("| task | metric | dev examples | pretrained: median (least to most) | random | gain | needed to win | |\n|---|---|---|---|---|---|---|---|")
            for task in TASKS:
                show(work, task)
        case _:
            sys.exit(__doc__)


if __name__ == "__main__":
    main()
