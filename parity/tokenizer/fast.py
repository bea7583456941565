"""Our tokenizer.json in transformers: 4.57's AlbertTokenizerFast, or the AlbertTokenizer of 5.

In 4.57 it must be what AlbertTokenizerFast makes of the same model file itself, but for two things that the files published with ALBERT
and transformers 5 have: words are split off first, and user-defined pieces are no added tokens (as such they make "(b)" to "▁", "(",
"▁b", ")"). In both versions it is counted how often the fast tokenizer cuts text otherwise than albert, which is the slow one.
"""

import argparse
import collections
import itertools
import json
import os
import re
import shutil
import sys
import tempfile
import unicodedata

os.environ["TRANSFORMERS_VERBOSITY"] = "error"
import tokenizers
import transformers

import common

FIVE = int(transformers.__version__.split(".")[0]) >= 5
OPTIONS = {
    "default": {},
    "keep_accents": {"keep_accents": True},
    "cased": {"do_lower_case": False},
}


def backend(tok):
    return json.loads(tok.backend_tokenizer.to_str())


def published_json(j):
    """What 4.57 made of a model file, without its user-defined added tokens and with words split off."""
    j["added_tokens"] = [a for a in j["added_tokens"] if a["special"]]
    j["pre_tokenizer"] = {"type": "Sequence", "pretokenizers": [{"type": "WhitespaceSplit"}, j["pre_tokenizer"]]}
    return json.dumps(j)


def published(own):
    return tokenizers.Tokenizer.from_str(published_json(backend(own)))  # numbers go through a parser that is not exact, as ours do


def reason(text):
    """Why the fast tokenizer may differ from the slow one."""
    if re.search(r"\d,", unicodedata.normalize("NFKD", text)):
        return "a digit before a comma"
    if any(c in text for c in ("\x1c", "\x1d", "\x1e", "\x1f", "\x85", "\u200b", "\u200e", "\u200f", "\u200c", "\ufeff", "\ufffd")):
        return "a space or control character that only one of both takes for a space"
    if any(t in text.lower() for t in ("<pad>", "<unk>", "[cls]", "[sep]", "[mask]")):
        return "a special token"
    if "▁" in text:
        return "a space sign"
    return "another"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default=os.path.join(common.DATA, "spiece.model"))
    parser.add_argument("--every", type=int, default=10, help="take one line of so many of the text files")
    parser.add_argument("--random", type=int, default=5000, help="random strings")
    parser.add_argument("--options", default=",".join(OPTIONS))
    args = parser.parse_args()
    print(args.model, "transformers", transformers.__version__, "tokenizers", tokenizers.__version__, flush=True)
    failed = 0
    for name in args.options.split(","):
        with tempfile.TemporaryDirectory() as given, tempfile.TemporaryDirectory() as folder:
            shutil.copy(args.model, os.path.join(given, "spiece.model"))
            with open(os.path.join(given, "tokenizer_config.json"), "w") as f:
                json.dump(OPTIONS[name], f)
            common.pairs(["write", given, folder])
            if FIVE:
                ours = transformers.AutoTokenizer.from_pretrained(folder)
                alone = transformers.AlbertTokenizer.from_pretrained(folder)
                if backend(ours) != backend(alone):
                    failed += 1
                    print(f"{name}: AutoTokenizer ({type(ours).__name__}) and AlbertTokenizer load different things")
                others = {}
            else:
                ours = transformers.AlbertTokenizerFast.from_pretrained(folder)
                own = transformers.AlbertTokenizerFast.from_pretrained(given)
                like = published(own)
                if backend(ours) != json.loads(like.to_str()):
                    failed += 1
                    print(f"{name}: tokenizer.json differs from what transformers makes of the model file")
                others = {"published form": lambda batch: [e.ids for e in like.encode_batch(batch)],
                          "converted by 4.57": lambda batch: own(batch)["input_ids"]}
            with tempfile.TemporaryDirectory() as only:
                shutil.copy(os.path.join(folder, "tokenizer.json"), only)
                only_json = list(common.albert_lines(["encode", "--model", only, "--special"], list(lines(args, "novels"))))
            if only_json != list(common.albert_lines(["encode", "--model", given, "--special"], list(lines(args, "novels")))):
                failed += 1
                print(f"{name}: albert with tokenizer.json alone cuts otherwise than with the model file")
            for kind in ("novels", "glue", "random"):
                counts, why, shown, total, pieces = collections.Counter(), collections.Counter(), 0, 0, 0
                it = iter(lines(args, kind))
                while batch := list(itertools.islice(it, 5000)):
                    slow = [[int(i) for i in out.split()] for out in common.albert_lines(["encode", "--model", given, "--special"], batch)]
                    batch = [b.decode() for b in batch]
                    fast = ours(batch)["input_ids"]
                    total += len(batch)
                    pieces += sum(map(len, slow))
                    for other, f in others.items():
                        counts[other] += sum(a != b for a, b in zip(f(batch), fast))
                    for text, a, b in zip(batch, slow, fast):
                        if a != b:
                            counts["slow"] += 1
                            why[reason(text)] += 1
                            if reason(text) == "another" and kind != "random" and (shown := shown + 1) <= 3:
                                print("  ", repr(text[:100]), ours.convert_ids_to_tokens(a)[:60], ours.convert_ids_to_tokens(b)[:60])
                if counts["published form"]:
                    failed += 1
                print(f"{name}: {kind}: {total} texts, {pieces} pieces; different from",
                      "; ".join(f"{k}: {counts[k]}" for k in [*others, "slow"]), dict(why), flush=True)
    sys.exit(1 if failed else 0)


def lines(args, kind):
    if kind == "random":
        source = common.random_strings(args.random, 7, ["▁the", "▁2,", "s", "1,"])
    else:
        source = itertools.islice({"novels": common.novels, "glue": common.glue}[kind](), None, None, args.every)
    for line in source:
        yield line.decode("utf-8", "ignore" if kind == "random" else "replace").encode()


if __name__ == "__main__":
    main()
