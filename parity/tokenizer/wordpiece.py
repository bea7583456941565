"""albert with a vocab.txt against transformers' slow BertTokenizer: ids, and decoded text, on Chinese, English and mixed text."""

import argparse
import itertools
import json
import os
import random
import sys
import tempfile
import unicodedata

os.environ["TRANSFORMERS_VERBOSITY"] = "error"
import transformers
from transformers import BertTokenizer, BertTokenizerFast

import common
import models

OPTIONS = {
    "default": {},
    "cased": {"do_lower_case": False},
    "accents": {"strip_accents": False},
    "cased without accents": {"do_lower_case": False, "strip_accents": True},
    "Chinese joined": {"tokenize_chinese_chars": False},
    "no basic": {"do_basic_tokenize": False},
}
SPECIALS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
CHINESE = [chr(c) for c in range(0x4E00, 0x4E00 + 1200)] + list("的一是不了人我在有他这中大来上国龘㐀𠀀豈")


def vocabulary(seed=1):
    """Pieces of every kind: letters, Chinese characters, words, parts of words, signs."""
    rnd = random.Random(seed)
    pieces = dict.fromkeys(SPECIALS[:1] + [f"[unused{i}]" for i in range(1, 5)] + SPECIALS[1:])
    letters = list("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789éüñßабвгдеαβγσςאבגかなカナ한국\u1112\u1161\u11ab\u0301")
    pieces.update(dict.fromkeys(letters + ["##" + c for c in letters] + [c for c in CHINESE if rnd.random() < 0.8]))
    pieces.update(dict.fromkeys("##" + c for c in CHINESE if rnd.random() < 0.5))
    pieces.update(dict.fromkeys(c for c in "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~。，、！？「」…—￥" if rnd.random() < 0.9))
    for w in [*models.WORDS, *models.OTHER, "##", "##ing", "[unused9]", "北京", "a-b"]:
        for part in {w, w.capitalize(), w[:3], w[:4], "##" + w[-2:], "##" + w[-3:], "##" + w[1:]}:
            if part and part.strip("#"):
                pieces.setdefault(part)
    return [*pieces, "twice", "the", "", "end"]  # "the" stands there before: the last counts


def texts(count, seed):
    rnd = random.Random(seed)
    signs = ["。", "，", "、", "！", "?", ".", ",", "(", ")", "-", "'", "\"", "…", "“", "”", "#", "##", "$", "^", "~", "«", "¿", "।", "\u3000", "\u00a0", "\t",
             "\r", "\v", "\x1c", "\x85", "\u2028", "\u200b", "\ufffd", "\x00", "\u00ad", "\u0301", "\u0323", "\ue000", "\u0300\u0301\u0323", "\u302e",
             "é", "e\u0301", "İ", "Σ", "ΑΣ", "ſ", "ﬁ", "ǅ", "Å", "\u212b", "\u2126", "한국", "\u1112\u1161\u11ab", "각\u11a8", "ｶﾞ", "が", "\u304b\u3099", "𝔘", "x" * 100, "y" * 101]
    for _ in range(count):
        out = []
        for _ in range(rnd.randrange(14)):
            kind = rnd.random()
            if kind < 0.3:
                out.append("".join(rnd.choices(CHINESE, k=rnd.randrange(1, 6))))
            elif kind < 0.6:
                w = rnd.choice(models.WORDS)
                out.append(rnd.choice([w, w.capitalize(), w.upper(), w + rnd.choice(["s", "ing", "ed"]), w[: rnd.randrange(len(w)) + 1]]))
            elif kind < 0.9:
                out.append(rnd.choice(signs))
            else:
                out.append(rnd.choice(SPECIALS + [s.lower() for s in SPECIALS] + ["[unused1]", "[", "]", "[CL\x00S]", "[MASK"]))
            if rnd.random() < 0.5:
                out.append(rnd.choice([" ", "  ", ""]))
        yield "".join(out)


def known(text):
    """Whether this Python's Unicode tables have every character (Go's are Unicode 15, as Python 3.12's)."""
    return all(unicodedata.category(c) != "Cn" for c in text)


def points(every):
    for cp in range(0, 0x110000, every):
        if cp != 10 and not 0xD800 <= cp < 0xE000:
            yield "wo" + chr(cp) + "rd " + chr(cp) + " e" + chr(cp) + "\u0301"


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--random", type=int, default=20000)
    parser.add_argument("--every", type=int, default=7, help="take one code point of so many, and one line of so many of the novels")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--vocab", help="a vocab.txt (default: one that is made here)")
    args = parser.parse_args()
    print("transformers", transformers.__version__, "Python", sys.version.split()[0], flush=True)
    different = 0
    for name, option in OPTIONS.items():
        with tempfile.TemporaryDirectory() as folder:
            with open(os.path.join(folder, "vocab.txt"), "w", newline="") as f:
                f.write(open(args.vocab).read() if args.vocab else "\n".join(vocabulary()) + "\n")
            with open(os.path.join(folder, "tokenizer_config.json"), "w") as f:
                json.dump(option, f)
            hf = BertTokenizer.from_pretrained(folder)
            for kind, lines in {
                "random": lambda: texts(args.random, args.seed),
                "strings": lambda: (s for b in common.random_strings(args.random, args.seed, ["##a"]) if known(s := b.decode("utf-8", "ignore"))),
                "points": lambda: filter(known, points(args.every)),
                "novels": lambda: (b.decode() for b in itertools.islice(common.novels(), None, None, args.every)),
            }.items():
                count, decoded = common.Counter(f"{name}: {kind}"), common.Counter(f"{name}: {kind} decoded")
                batch = [t.replace("\n", " ") for t in lines()]
                got = [[int(i) for i in out.split()] for out in common.albert_lines(["encode", "--model", folder, "--special"], [t.encode() for t in batch])]
                text = common.albert_lines(["decode", "--model", folder], [" ".join(map(str, ids)).encode() for ids in got])
                for t, ids, back in zip(batch, got, text, strict=True):
                    count.check(t, hf(t)["input_ids"], ids)
                    decoded.check(str(ids), hf.decode(ids), back.decode())
                different += count.report() + decoded.report()
            if name == "no basic":  # the fast tokenizer does not have it
                continue
            # Our tokenizer.json in the fast tokenizer, and read back.
            with tempfile.TemporaryDirectory() as written, tempfile.TemporaryDirectory() as only:
                common.pairs(["write", folder, written])
                fast = BertTokenizerFast.from_pretrained(written)
                own = BertTokenizerFast.from_pretrained(folder)
                os.rename(os.path.join(written, "tokenizer.json"), os.path.join(only, "tokenizer.json"))
                batch = [t.replace("\n", " ") for t in texts(2000, args.seed + 1)]
                got = [[int(i) for i in out.split()] for out in common.albert_lines(["encode", "--model", only, "--special"], [t.encode() for t in batch])]
                count, loaded = common.Counter(f"{name}: tokenizer.json read back"), common.Counter(f"{name}: tokenizer.json in BertTokenizerFast")
                unlike = 0
                for t, ids in zip(batch, got):
                    want = fast(t)["input_ids"]
                    count.check(t, hf(t)["input_ids"], ids)
                    loaded.check(t, own(t)["input_ids"], want)
                    unlike += want != ids
                different += count.report() + loaded.report()
                print(f"{name}: BertTokenizerFast differs from BertTokenizer in {unlike}", flush=True)
    sys.exit(1 if different else 0)


if __name__ == "__main__":
    main()
