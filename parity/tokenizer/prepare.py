"""Pairs, truncation and windows against transformers: the slow AlbertTokenizer and BertTokenizer (prepare_for_model) for ids, token types
and what overflows, the fast ones for windows and for places.

Where the slow tokenizers only log that a text is too short to give way, and return too many pieces, albert must fail.
"""

import argparse
import json
import os
import random
import shutil
import sys
import tempfile

os.environ["TRANSFORMERS_VERBOSITY"] = "critical"
import transformers
from transformers import AlbertTokenizer, AlbertTokenizerFast, BertTokenizer, BertTokenizerFast

import common
import models
import wordpiece

HOW = ["longest_first", "only_first", "only_second", "do_not_truncate"]


def text(rnd):
    n = int(rnd.random() ** 2 * 40)
    words = [rnd.choice([*models.WORDS, *models.OTHER, "2,000", "Ünïted", "``so''", "½", "(b)", "[MASK]", "\u3000", "日本"]) for _ in range(n)]
    return "".join(w + rnd.choice([" ", " ", "  ", ", "]) for w in words)


def requests(rnd, count):
    for _ in range(count):
        q = {"a": text(rnd), "b": text(rnd) if rnd.random() < 0.8 else None, "max": rnd.choice([0, 2, 3, 4, 5, 8, 12, 20, 30, 50, 400]), "how": rnd.choice(HOW)}
        if rnd.random() < 0.5:
            q["overlap"] = rnd.choice([0, 0, 1, 2, 5, 12])
        yield q


def slow(tok, q):
    """What the slow tokenizer gives, the overflow, and whether it has done what it should."""
    if q["how"] != "do_not_truncate" and q["max"] and q["max"] < (2 if q["b"] is None else 3):
        return None, None, False  # it gives the special pieces all the same
    if q["how"] == "only_second" and q["b"] is None:
        n = len(tok(q["a"])["input_ids"])
        if not q["max"] or n <= q["max"]:
            e = tok(q["a"])
            return e["input_ids"], e["token_type_ids"], True
        return None, None, False
    e = tok(q["a"], q["b"], truncation=q["how"], max_length=q["max"] or None, stride=q.get("overlap") or 0)
    done = q["how"] == "do_not_truncate" or not q["max"] or len(e["input_ids"]) <= q["max"]
    return e["input_ids"], e["token_type_ids"], done


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--random", type=int, default=20000)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    print("transformers", transformers.__version__, flush=True)
    different = 0
    for name, slow_class, fast_class in [("albert", AlbertTokenizer, AlbertTokenizerFast), ("bert", BertTokenizer, BertTokenizerFast)]:
        with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryDirectory() as written:
            if name == "albert":
                shutil.copy(os.path.join(common.DATA, "spiece.model"), folder)
            else:
                with open(os.path.join(folder, "vocab.txt"), "w", newline="") as f:
                    f.write("\n".join(wordpiece.vocabulary()) + "\n")
            common.pairs(["write", folder, written])
            tok, fast = slow_class.from_pretrained(folder), fast_class.from_pretrained(written)
            qs = list(requests(random.Random(args.seed), args.random))
            ids, windows, overflow, places = (common.Counter(f"{name}: {k}") for k in ("pieces and types", "windows", "overflow", "places"))
            alike = 0
            for q, got in zip(qs, common.pairs(["prepare", folder], qs), strict=True):
                want_ids, want_types, done = slow(tok, q)
                windowed = q.get("overlap") is not None
                if windowed and (q["how"] == "longest_first" and q["b"] is not None):
                    ids.check(str(q), [], got)
                    continue
                if not done:
                    ids.check(str(q), [], got)
                    continue
                specials = 2 if q["b"] is None else 3
                truncated = q["how"] != "do_not_truncate" and q["max"] and len(tok(q["a"], q["b"])["input_ids"]) > q["max"]
                if windowed and truncated:
                    room = q["max"] - specials - (len(tok.tokenize(q["a"])) if q["how"] == "only_second" else len(tok.tokenize(q["b"])) if q["b"] is not None else 0)
                    if q["overlap"] >= room:
                        ids.check(str(q), [], got)
                        continue
                    o = tok(q["a"], q["b"], truncation=q["how"], max_length=q["max"], stride=q["overlap"], return_overflowing_tokens=True)["overflowing_tokens"]
                    second = q["how"] == "only_second"
                    rest = []
                    for w in got[1:]:
                        start = 1 + (w["types"].index(1) - 1 if second else 0)
                        stop = len(w["ids"]) - 1 if second or q["b"] is None else w["types"].index(1) - 1
                        part = w["ids"][start:stop]
                        rest += part if w is got[1] else part[q["overlap"]:]
                    overflow.check(str(q), o, rest)
                if not got:
                    ids.check(str(q), want_ids, got)
                    continue
                ids.check(str(q), (want_ids, want_types), (got[0]["ids"], got[0]["types"]))
                # The fast tokenizer, where it cuts the texts alike.
                if fast(q["a"], q["b"])["input_ids"] != tok(q["a"], q["b"])["input_ids"]:
                    continue
                alike += 1
                windowed = windowed and truncated  # the fast tokenizers refuse a stride that does not fit even where nothing is cut
                e = fast(q["a"], q["b"], truncation=q["how"], max_length=q["max"] or None, stride=q["overlap"] if windowed else 0,
                         return_overflowing_tokens=windowed, return_offsets_mapping=True)
                if windowed:
                    windows.check(str(q), e["input_ids"], [w["ids"] for w in got])
                where = e["offset_mapping"] if windowed else [e["offset_mapping"]]
                for w, offsets in zip(got, where):
                    if not windowed and e["input_ids"] != w["ids"]:
                        continue  # longest_first of the fast tokenizers takes from the other of two texts at times
                    text_of = lambda i: q["b"] if w["types"][i] else q["a"]
                    cut = [(tok.convert_ids_to_tokens(i), (text_of(k)[a:b], text_of(k)[c:d]), (a, b), (c, d))
                           for k, (i, (a, b), (c, d)) in enumerate(zip(w["ids"], offsets, w["offsets"]))
                           if (a, b) != (c, d) and tok.convert_ids_to_tokens(i) not in ("▁", "[MASK]", '"')]  # a double quote of two signs has both
                    places.check(str(q), [], cut)
            different += ids.report() + windows.report() + overflow.report()
            places.report()
            print(f"{name}: places and windows are compared in {alike} of {len(qs)}, where the fast tokenizer cuts alike", flush=True)
    sys.exit(1 if different else 0)


if __name__ == "__main__":
    main()
