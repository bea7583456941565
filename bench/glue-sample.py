"""Numbered JSON samples of MNLI, QNLI and QQP to the files that GLUE distributes.

    python3 bench/glue-sample.py SAMPLE OUTPUT

SAMPLE holds MNLI, QNLI and QQP with train.json and dev.json: {"0": {"text_a": ..., "text_b": ..., "label": ...}, "1": ...}. OUTPUT gets
the same folders with GLUE's names and columns: train.tsv and dev.tsv, for MNLI dev_matched.tsv. Columns that the samples do not have are
empty; ids are the samples' numbers. White space that would break a row becomes a space, which is counted. Nothing is left half-written.
"""

import json
import os
import re
import sys

MNLI = ["index", "promptID", "pairID", "genre", "sentence1_binary_parse", "sentence2_binary_parse", "sentence1_parse", "sentence2_parse",
        "sentence1", "sentence2", "label1", "gold_label"]
# Per task: the columns, and which of them hold the first text, the second and the label.
TASKS = {
    "MNLI": (MNLI, "sentence1", "sentence2", ["label1", "gold_label"]),
    "QNLI": (["index", "question", "sentence", "label"], "question", "sentence", ["label"]),
    "QQP": (["id", "qid1", "qid2", "question1", "question2", "is_duplicate"], "question1", "question2", ["is_duplicate"]),
}
FILES = {"train.json": "train.tsv", "dev.json": "dev.tsv"}


def convert(source, target, columns, first, second, labels):
    with open(source, encoding="utf-8") as f:
        sample = json.load(f)
    broken = 0
    os.makedirs(os.path.dirname(target), exist_ok=True)
    with open(target + ".tmp", "w", encoding="utf-8", newline="") as f:
        f.write("\t".join(columns) + "\n")
        for i in range(len(sample)):
            example = sample[str(i)]
            row = dict.fromkeys(columns, "")
            row[columns[0]] = str(i)
            for column, key in [(first, "text_a"), (second, "text_b")] + [(c, "label") for c in labels]:
                row[column] = re.sub(r"[\t\r\n]+", " ", example[key])
                broken += row[column] != example[key]
            f.write("\t".join(row[c] for c in columns) + "\n")
    os.replace(target + ".tmp", target)
    print(f"{target}: {len(sample)} rows, white space replaced in {broken} fields")


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    for task, (columns, first, second, labels) in TASKS.items():
        for name, out in FILES.items():
            if task == "MNLI" and name == "dev.json":
                out = "dev_matched.tsv"
            convert(os.path.join(sys.argv[1], task, name), os.path.join(sys.argv[2], task, out), columns, first, second, labels)


if __name__ == "__main__":
    main()
