"""Writes cases of every metric with the answers of scikit-learn, SciPy, seqeval and the SQuAD scripts, which package metric must give too.

    make.py DIR             the small cases of internal/learn/metric/testdata
    make.py --large DIR     large random ones (--seed N)

The SQuAD scripts' functions are taken from transformers.data.metrics.squad_metrics, which carries those of evaluate-v2.0.py; the sums
need CPython 3.11 or older (from 3.12 on, sum() of floats is compensated). Values that a library gives as NaN or refuses are null.
"""
import argparse
import json
import math
import os
import random
import sys
import unicodedata
import warnings
from types import SimpleNamespace

import numpy as np
from scipy.stats import pearsonr, spearmanr
from seqeval.metrics import accuracy_score as tag_accuracy
from seqeval.metrics import classification_report as tag_report
from sklearn.metrics import (accuracy_score, classification_report, confusion_matrix, f1_score, matthews_corrcoef, mean_absolute_error,
                             mean_squared_error, precision_recall_fscore_support)
from transformers.data.metrics import squad_metrics as squad

warnings.simplefilter("ignore")
HEADERS = ("precision", "recall", "f1-score", "support")


def number(f):
    """The value of f, or None where it is refused or no number."""
    try:
        v = float(f())
    except (ValueError, ZeroDivisionError):
        return None
    return v if math.isfinite(v) else None


def row(d):
    r = {k: float(d[k]) for k in HEADERS}
    r["support"] = int(r["support"])
    return None if any(math.isnan(v) for v in r.values()) else r


# Classes

def class_case(name, gold, predicted):
    labels = sorted(set(gold) | set(predicted))
    report = classification_report(gold, predicted, output_dict=True) if gold else {}
    average = {}
    for a in ("micro", "macro", "weighted"):
        if gold:
            p, r, f, _ = precision_recall_fscore_support(gold, predicted, average=a)
            average[a] = row(dict(zip(HEADERS, (p, r, f, len(gold)))))
    positive = lambda x: [int(v == 1) for v in x]
    n = max(labels, default=0) + 1
    return {
        "name": name, "gold": gold, "predicted": predicted, "labels": labels,
        "accuracy": number(lambda: accuracy_score(gold, predicted)) if gold else None,
        "f1": number(lambda: f1_score(positive(gold), positive(predicted))) if gold else None,
        "matthews": number(lambda: matthews_corrcoef(gold, predicted)) if gold else None,
        "classes": [row(report[str(l)]) for l in labels], "average": average,
        "confusion": confusion_matrix(gold, predicted, labels=list(range(n))).tolist() if gold and min(labels) >= 0 and n <= 20 else None,
    }


def class_cases(rng, large):
    sizes = [(20000, k) for k in (2, 3, 9, 17, 40, 150)] * 3 if large else [(n, k) for n in (2, 7, 40) for k in (2, 3, 9)] + [(150, 20), (300, 140)]
    for n, k in sizes:
        gold = [rng.randrange(k) for _ in range(n)]
        right = rng.random()
        yield f"random {n} of {k}", gold, [g if rng.random() < right else rng.randrange(k) for g in gold]
        weights = [1 / (i + 1) ** 2 for i in range(k)]
        yield f"uneven {n} of {k}", rng.choices(range(k), weights, k=n), rng.choices(range(k), weights, k=n)
    yield "empty", [], []
    yield "single right", [1], [1]
    yield "single wrong", [0], [1]
    yield "all right", [0, 1, 1, 0], [0, 1, 1, 0]
    yield "all wrong", [0, 1, 1, 0], [1, 0, 0, 1]
    yield "constant prediction 1", [0, 1, 1, 0, 1], [1] * 5
    yield "constant prediction 0", [0, 1, 1, 0, 1], [0] * 5
    yield "one class", [1, 1, 1], [1, 0, 1]
    yield "one class, never found", [0, 0, 0], [1, 1, 1]
    yield "no positive anywhere", [0, 0, 0], [0, 0, 0]
    yield "only positive", [1, 1], [1, 1]
    yield "label missing in predictions", [0, 1, 2, 2, 1, 0], [0, 1, 1, 1, 1, 0]
    yield "predicted label missing in truth", [0, 1, 1, 0], [0, 1, 2, 3]
    yield "negative label", [-1, 1, 1, -1, 1], [1, 1, -1, -1, 1]
    yield "far labels", [7, 1000, 3, 7], [7, 1000, 7, 3]


# Any number of labels

def multilabel_case(name, gold, predicted):
    g, p = np.array(gold, dtype=int), np.array(predicted, dtype=int)
    columns = range(g.shape[1])
    rows = np.array(precision_recall_fscore_support(g, p, average=None)) if g.shape[1] > 1 else \
        np.array([[v[1] if len(v) > 1 else 0 for v in precision_recall_fscore_support(g[:, 0], p[:, 0], labels=[0, 1], average=None)]]).T
    average = {}
    for a in ("micro", "macro", "weighted"):
        if g.shape[1] > 1:
            t = precision_recall_fscore_support(g, p, average=a)[:3]
            average[a] = row(dict(zip(HEADERS, (*t, g.sum()))))
    return {"name": name, "gold": g.tolist(), "predicted": p.tolist(),
            "labels": [row(dict(zip(HEADERS, rows[:, c]))) for c in columns],
            "subset_accuracy": float((g == p).all(axis=1).mean()), "average": average}


def multilabel_cases(rng, large):
    for n, k, share in [(5000, 2, 0.5), (5000, 6, 0.1), (5000, 28, 0.02)] if large else [(1, 2, 0.5), (5, 3, 0.5), (30, 6, 0.2), (40, 11, 0.05)]:
        gold = [[rng.random() < share for _ in range(k)] for _ in range(n)]
        yield f"random {n} of {k}", gold, [[v if rng.random() < 0.7 else rng.random() < share for v in r] for r in gold]
    yield "nothing anywhere", [[0, 0], [0, 0]], [[0, 0], [0, 0]]
    yield "nothing predicted", [[1, 0], [0, 1]], [[0, 0], [0, 0]]
    yield "nothing true", [[0, 0], [0, 0]], [[1, 0], [1, 1]]
    yield "one label", [[1], [0], [1]], [[1], [1], [0]]


# Numbers

def regress_case(name, gold, predicted):
    return {"name": name, "gold": gold, "predicted": predicted,
            "pearson": number(lambda: pearsonr(predicted, gold)[0]), "spearmanr": number(lambda: spearmanr(predicted, gold)[0]),
            "mse": number(lambda: mean_squared_error(gold, predicted)), "mae": number(lambda: mean_absolute_error(gold, predicted))}


def regress_cases(rng, large):
    for n in (20000, 50001) if large else (2, 3, 10, 60):
        for noise in (0.1, 1, 10):
            gold = [rng.uniform(0, 5) for _ in range(n)]
            yield f"random {n} noise {noise}", gold, [g + rng.gauss(0, noise) for g in gold]
            yield f"ties {n} noise {noise}", [round(g) * 0.5 for g in gold], [round(g + rng.gauss(0, noise)) * 0.25 for g in gold]
    yield "empty", [], []
    yield "single", [1.0], [2.0]
    yield "two up", [1.0, 2.0], [0.1, 0.4]
    yield "two down", [1.0, 2.0], [0.4, 0.1]
    yield "constant labels", [1.0, 1.0, 1.0], [1.0, 2.0, 3.0]
    yield "constant predictions", [1.0, 2.0, 3.0], [0.1, 0.1, 0.1]
    yield "both constant", [2.0, 2.0], [2.0, 2.0]
    yield "equal", [1.0, 2.0, 4.0, 8.0], [1.0, 2.0, 4.0, 8.0]
    yield "opposite", [1.0, 2.0, 4.0, 8.0], [-1.0, -2.0, -4.0, -8.0]
    yield "far from 0", [1e6 + 1, 1e6 + 2, 1e6 + 3, 1e6 + 5], [1e6 + 2, 1e6 + 1, 1e6 + 3, 1e6 + 4]
    yield "huge", [-5e210, 5e210, 3e200, -3e200], [1.0, 2.0, 3.0, 1.5]
    yield "tiny", [1e-300, 2e-300, 5e-300], [3e-301, 1e-300, 4e-300]
    yield "signed zero", [0.0, -0.0, 1.0], [-0.0, 0.0, 2.0]


# Tags

def tag_case(name, gold, predicted):
    report = tag_report(gold, predicted, output_dict=True)
    types = [k for k in report if not k.endswith(" avg")]
    return {"name": name, "gold": [" ".join(s) for s in gold], "predicted": [" ".join(s) for s in predicted], "types": types,
            "entities": [row(report[k]) for k in types],
            "average": {a: row(report[a + " avg"]) for a in ("micro", "macro", "weighted")},
            "accuracy": number(lambda: tag_accuracy(gold, predicted))}


ODD = ["O", "B", "I", "E", "S", "B-", "I-", "-", "--", ".", ".-PER", "X", "X-PER", "PER", "O-PER", "B-PER-X", "B_PER", "U-LOC", "L-LOC",
       "b-PER", "É-PER", "世", "I-世界", "B-LOC", "I-LOC", "E-LOC", "S-LOC", "I-PER"]


def tag_cases(rng, large):
    iob = [f"{t}-{k}" for t in "BI" for k in ("PER", "LOC", "ORG", "MISC")] + ["O"] * 6
    bioes = [f"{t}-{k}" for t in "BIES" for k in ("PER", "LOC")] + ["O"] * 3
    many = [f"{t}-T{k}" for t in "BI" for k in range(20)] + ["O"] * 9
    iob1 = [f"I-{k}" for k in ("PER", "LOC")] + ["O", "B-PER"]
    for name, tags in (("IOB2", iob), ("BIOES", bioes), ("many types", many), ("IOB1", iob1), ("odd", ODD)):
        for n in (3000, 4000) if large else (1, 6, 12, 20):
            gold = [[rng.choice(tags) for _ in range(rng.randrange(14))] for _ in range(n)] + [[rng.choice(tags)]]
            yield f"{name} {n}", gold, [[t if rng.random() < 0.7 else rng.choice(tags) for t in s] for s in gold]
    yield "no entities", [["O", "O"], ["O"]], [["O", "O"], ["O"]]
    yield "none true", [["O", "O"]], [["B-PER", "O"]]
    yield "none predicted", [["B-PER", "O"]], [["O", "O"]]
    yield "empty sequences", [[], ["B-PER"], []], [[], ["B-PER"], []]
    yield "entity at an edge", [["O", "B-PER"], ["I-PER", "O"]], [["O", "B-PER"], ["I-PER", "O"]]
    yield "type changes inside", [["B-PER", "I-LOC", "I-LOC"]], [["B-PER", "I-PER", "I-LOC"]]
    yield "without a letter", [["O"], ["X"], ["B-PER"]], [["O"], ["X"], ["B-PER"]]


# Confidence

def calibration_case(name, confidence, correct):
    n, bins, ece = len(confidence), [], 0.0
    edges = [i / 15 for i in range(16)]
    for i in range(15):
        member = [j for j, c in enumerate(confidence) if (edges[i] < c or i == 0) and c <= edges[i + 1]]
        if not member:
            bins.append([0, 0.0, 0.0])
            continue
        c, a = sum(confidence[j] for j in member) / len(member), sum(correct[j] for j in member) / len(member)
        bins.append([len(member), c, a])
        ece += abs(a - c) * (len(member) / n)
    return {"name": name, "confidence": confidence, "correct": correct, "ece": ece, "bins": bins}


def calibration_cases(rng, large):
    for n in (20000,) if large else (1, 30, 200):
        c = [rng.random() ** 0.3 for _ in range(n)]
        yield f"random {n}", c, [int(rng.random() < v) for v in c]
    yield "edges", [i / 15 for i in range(16)], [i % 2 for i in range(16)]
    yield "certain", [1.0, 1.0], [1, 0]


# Answers

WORDS = ["a", "an", "the", "A", "An", "THE", "then", "banana", "ana", "Thea", "at", "1990", "don't", "U.S.", "$5,000", "--", "_", "a_", "the-", "-the",
         "é", "a\u0301", "\u0301a", "the\u0301", "İstanbul", "DİE", "ΟΔΟΣ", "ΣΑΣ", "Σ", "ΑΣ'", "ΑΣ.Β", "ΑΣ\u00ad", "ΑΣ:Σ", "ǅ", "ß", "ẞ", "“the”", "’a’", "٣",
         "²", "Ⅷ", "東京", "a東", "東a", "ａ", "ﬁ", "𝐚", "𐐀", "Ꭰ", "ꭰ", "Ა", "ა", "\u200ba", "a\u200d", "…", "—a—", "\ufeffthe", "😀", "a😀the", "ᾼ", "Ⓐ", "ⓐ", "ͅ", "\u1e9e", "K", "Å"]
SPACES = [" ", " ", " ", "  ", "\t", "\n", "\r\n", "\u00a0", "\u1680", "\u2003", "\u2028", "\u202f", "\u3000", "\x1c", "\x1f", "\x85", "\x0b", "\u200b", "", "", "\u180e"]


def text(rng, n):
    return "".join(rng.choice(WORDS) + rng.choice(SPACES) for _ in range(rng.randrange(n)))


def squad_case(name, rng, n, unanswerable, odds, threshold):
    questions, preds = [], {}
    for i in range(n):
        answers = [text(rng, 6) for _ in range(rng.randrange(1, 4))]
        if rng.random() < unanswerable:
            answers = []
        q = {"id": f"q{i}", "answers": answers}
        questions.append(q)
        r = rng.random()
        preds[q["id"]] = "" if r < 0.25 else rng.choice(answers) if answers and r < 0.6 else text(rng, 6)
        if answers and r > 0.9:
            preds[q["id"]] = rng.choice(answers).upper() + " the " + text(rng, 3)
    na = None
    if odds:
        order = questions[:]
        rng.shuffle(order)
        na = {q["id"]: odds(rng) for q in order}
    examples = [SimpleNamespace(qas_id=q["id"], answers=[{"text": a} for a in q["answers"]]) for q in questions]
    want = dict(squad.squad_evaluate(examples, preds, na, threshold))
    if na is None:
        want = {k: v for k, v in want.items() if not k.startswith("best_")}
    want = {k: float(v) for k, v in want.items()}
    v1, asked, f1, exact = {}, [q for q in questions if q["answers"]], 0.0, 0
    answered = {k: p for k, p in preds.items() if rng.random() < 0.9}
    for q in asked:
        if q["id"] in answered:
            p = answered[q["id"]]
            f1 += max(f1_v1(a, p) for a in q["answers"])
            exact += max(squad.compute_exact(a, p) for a in q["answers"])
    v1 = {"predictions": answered, "exact_match": 100.0 * exact / len(asked), "f1": 100.0 * f1 / len(asked)} if asked else None
    return {"name": name, "questions": questions, "predictions": preds, "odds": na, "threshold": threshold, "want": want, "v1": v1}


def f1_v1(gold, predicted):
    """evaluate-v1.1.py's F1 is 0, not 1, where both are empty."""
    if not squad.normalize_answer(gold) or not squad.normalize_answer(predicted):
        return 0.0
    return squad.compute_f1(gold, predicted)


def squad_cases(rng, large):
    probability, ties, logit = lambda r: r.random(), lambda r: r.randrange(4) / 4, lambda r: r.gauss(0, 8)
    for n in (8000,) if large else (1, 40):
        for name, odds, threshold in (("no odds", None, 1.0), ("probabilities", probability, 1.0), ("threshold", probability, 0.5),
                                      ("ties", ties, 0.25), ("logits", logit, 1.0)):
            for share in (0.4, 0, 1):
                yield squad_case(f"{name} {n} {share}", rng, n, share, odds, threshold)


# Characters

def ranges(f):
    found, start = [], None
    for c in range(0x110001):
        inside = c < 0x110000 and not 0xd800 <= c < 0xe000 and f(chr(c))
        if inside and start is None:
            start = c
        if not inside and start is not None:
            found.append([start, c - 1])
            start = None
    return found


def characters():
    changed = [chr(c) for c in range(0x110000) if not 0xd800 <= c < 0xe000 and chr(c).lower() != chr(c)]
    return {"unicode": unicodedata.unidata_version,
            "assigned": ranges(lambda c: unicodedata.category(c) != "Cn"),
            "word": ranges(lambda c: c.isalnum()),
            "space": ranges(lambda c: c.isspace()),
            "upper": "".join(changed), "lower": " ".join(c.lower() for c in changed),
            # A sigma after the character is final: it is cased, or passed over between "A" and the sigma.
            "cased": ranges(lambda c: (c + "Σ").lower().endswith("ς")),
            "cased_or_ignorable": ranges(lambda c: ("A" + c + "Σ").lower().endswith("ς"))}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--large", action="store_true")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("dir")
    args = parser.parse_args()
    if sys.version_info >= (3, 12):
        sys.exit("make.py: needs Python 3.11 or older: later ones sum floats in another way")
    os.makedirs(args.dir, exist_ok=True)

    def write(name, data):
        with open(os.path.join(args.dir, name + ".json"), "w", encoding="utf-8") as f:
            if isinstance(data, list):
                f.write("[\n" + ",\n".join(json.dumps(c, ensure_ascii=False, separators=(",", ":"), allow_nan=False) for c in data) + "\n]\n")
            else:
                f.write("{\n" + ",\n".join(json.dumps(k) + ":" + json.dumps(v, ensure_ascii=False, separators=(",", ":")) for k, v in data.items()) + "\n}\n")

    def rng(kind):
        return random.Random(f"{kind} {args.seed} {args.large}")

    for kind, cases, case in (("classes", class_cases, class_case), ("multilabel", multilabel_cases, multilabel_case),
                              ("regress", regress_cases, regress_case), ("tags", tag_cases, tag_case),
                              ("calibration", calibration_cases, calibration_case)):
        write(kind, [case(*c) for c in cases(rng(kind), args.large)])
    write("squad", list(squad_cases(rng("squad"), args.large)))
    r = rng("answers")
    answers = [text(r, 8) for _ in range(50000 if args.large else 150)]
    write("answers", [[a, squad.normalize_answer(a)] for a in answers])
    write("characters", characters())


main()
