"""albert tokenizer with a model directory against transformers' slow AlbertTokenizer: ids with special tokens, and decoded text."""

import argparse
import itertools
import json
import os
import random
import shutil
import sys
import tempfile
import unicodedata

os.environ["TRANSFORMERS_VERBOSITY"] = "error"
import transformers
from transformers import AlbertTokenizer

import common

OPTIONS = {
    "default": {},
    "keep_accents": {"keep_accents": True},
    "cased": {"do_lower_case": False},
    "cased+keep_accents": {"do_lower_case": False, "keep_accents": True},
    "keep_spaces": {"remove_space": False},
}

def text_lines(lines, every):
    """What a Python string can hold, without line feeds, one of so many."""
    for line in itertools.islice(lines, None, None, every):
        yield line.decode("utf-8", "replace")


def special_strings(count, seed):
    """Special tokens among spaces, pieces of themselves and other text."""
    rnd = random.Random(seed)
    parts = ["[CLS]", "[SEP]", "[MASK]", "<pad>", "<unk>", "<PAD>", "<unK>", "[cls]", "[mask]", "[", "]", "<", ">", "MASK", " ", "  ", "\t", "\u3000",
             "\u200b", "a", "É", "Σ", "𝚺", "ΑΣ", "``", "''", "'", "2,000,", "9,", "①,", "٣,", "é9,", ",", "．", "İ", "ﬁ", "½,", "\u0301", "한", "ｶﾞ"]
    for _ in range(count):
        yield "".join(rnd.choice(parts) for _ in range(rnd.randrange(12)))


def points():
    """Characters in a word and alone: those that this Python's Unicode tables know (Go's are Unicode 15, as Python 3.12's)."""
    for cp in range(0x110000):
        if cp == 10 or unicodedata.category(chr(cp)) in ("Cn", "Cs"):
            continue
        if cp < 0x3400 or 0xA000 <= cp < 0xAC80 or 0xD780 <= cp < 0x20100 or 0x2F800 <= cp < 0x2FA20 or cp % 251 == 0:
            yield "wo" + chr(cp) + "rd " + chr(cp)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", help="a model file (default: spiece.model of the data)")
    parser.add_argument("--random", type=int, default=20000, help="random strings")
    parser.add_argument("--every", type=int, default=1, help="take one line of so many of the text files")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", help="a comma list of novels, glue, race, points, special, random, pairs, decode")
    parser.add_argument("--options", default="default,keep_accents", help="a comma list of " + ", ".join(OPTIONS))
    args = parser.parse_args()
    only = args.only.split(",") if args.only else ["novels", "glue", "race", "points", "special", "random", "pairs", "decode"]
    model = args.model or os.path.join(common.DATA, "spiece.model")
    different = 0
    sp = AlbertTokenizer(model).sp_model
    pieces = [sp.id_to_piece(i) for i in range(sp.get_piece_size()) if not sp.is_control(i)]
    print(model, "transformers", transformers.__version__, "Python", sys.version.split()[0], flush=True)
    for name in args.options.split(","):
        with tempfile.TemporaryDirectory() as folder:
            shutil.copy(model, os.path.join(folder, "spiece.model"))
            with open(os.path.join(folder, "tokenizer_config.json"), "w") as f:
                json.dump(OPTIONS[name], f)
            hf = AlbertTokenizer.from_pretrained(folder)

            def compare(kind, lines):
                count = common.Counter(f"{name}: {kind}")
                it = iter(lines)
                while batch := list(itertools.islice(it, 20000)):
                    out = common.albert_lines(["encode", "--model", folder, "--special"], [t.encode() for t in batch])
                    for text, got in zip(batch, out, strict=True):
                        want = hf.convert_tokens_to_ids(hf.tokenize(text))
                        count.check(text, hf.build_inputs_with_special_tokens(want), [int(i) for i in got.split()])
                return count.report()

            for kind, lines in {
                "novels": lambda: text_lines(common.novels(), args.every), "glue": lambda: text_lines(common.glue(), args.every), "race": lambda: text_lines(common.race(), args.every),
                "points": points, "special": lambda: special_strings(args.random, args.seed),
                "random": lambda: (s for b in common.random_strings(args.random, args.seed, pieces) if (s := b.decode("utf-8", "ignore"))),
            }.items():
                if kind in only:
                    different += compare(kind, lines())
            if "pairs" in only:
                count = common.Counter(f"{name}: pairs")
                texts = list(itertools.islice(special_strings(4000, args.seed + 2), 4000))
                pairs = list(zip(texts[::2], texts[1::2]))
                out = common.albert_lines(["encode", "--model", folder, "--special", "--format", "jsonl", "--input-format", "auto"],
                                          [json.dumps({"text": a, "text_pair": b}).encode() for a, b in pairs])
                for (a, b), got in zip(pairs, out, strict=True):
                    got, want = json.loads(got), hf(a, b)
                    count.check((a + " | " + b), (want["input_ids"], want["token_type_ids"]), (got["ids"], got["token_type_ids"]))
                different += count.report()
            if "decode" in only:
                count = common.Counter(f"{name}: decoded")
                ids = [hf(t)["input_ids"] for t in special_strings(4000, args.seed + 3)]
                out = common.albert_lines(["decode", "--model", folder], [" ".join(map(str, i)).encode() for i in ids])
                for i, got in zip(ids, out, strict=True):
                    count.check(str(i), hf.decode(i), got.decode())
                different += count.report()
    sys.exit(1 if different else 0)


if __name__ == "__main__":
    main()
