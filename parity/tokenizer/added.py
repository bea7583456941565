"""albert with added tokens against transformers' slow AlbertTokenizer and BertTokenizer: random tokens with random flags, in every file
that can hold them, in random texts; what albert writes, read by transformers; and text decoded."""

import argparse
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile

os.environ["TRANSFORMERS_VERBOSITY"] = "critical"
import transformers
from tokenizers import AddedToken
from transformers import AlbertTokenizer, BertTokenizer

import common

LETTERS = ["a", "b", "ab", "B", "A", "<", ">", "<e", "1", ",", " ", "  ", "\t", "é", "É", "Σ", "中", "龘", ".", "[", "]", "``", "'", "\u3000", "n't", "(", "-"]
PLAIN = ["<e1>", "<E1>", "</e1>", "[E]", "<e1>x", "new", "New", "ab", "abX", "b", "b a", "a b", "龘", "é1", "Σa", "aΣ", "2,", "the", "(", "[unused1]", "X", "aXb", "##a", " c", "c "]
SPECIALS = ["[CLS]", "[SEP]", "[MASK]", "<pad>", "<unk>", "[PAD]", "[UNK]"]
CLASS = {"unigram": AlbertTokenizer, "wordpiece": BertTokenizer}


def base(kind, folder, rnd, rule="nmt_nfkc"):
    """A small tokenizer's file, and its pieces."""
    if kind == "wordpiece":
        pieces = ["[PAD]", "[unused1]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *"abcdexyz<>[]()-.,'12\"", "中", "the", "ab", "##a", "##b", "##ab", "##c", "##1", "##>", "##x"]
        with open(os.path.join(folder, "vocab.txt"), "w") as f:
            f.write("\n".join(pieces) + "\n")
        return pieces
    text = os.path.join(folder, "text")
    with open(text, "w") as f:
        for _ in range(300):
            f.write("".join(rnd.choice([*LETTERS[:-8], "the ", " x", "c", "9, ", "E"]) for _ in range(40)) + "\n")
    subprocess.run([common.ALBERT, "tokenizer", "train", "--input", text, "--model-prefix", os.path.join(folder, "m"), "--vocab-size", "120", "--quiet",
                    "--hard-vocab-limit=false", "--character-coverage", "0.999", "--normalization-rule-name", rule], check=True, stderr=subprocess.DEVNULL)
    os.rename(os.path.join(folder, "m.model"), os.path.join(folder, "spiece.model"))
    sp = AlbertTokenizer(os.path.join(folder, "spiece.model")).sp_model
    return [sp.id_to_piece(i) for i in range(sp.get_piece_size())]


def tokens(rnd, pieces):
    """Some added tokens: new ones, and pieces of the vocabulary, in order."""
    out = {}
    for _ in range(rnd.randrange(1, 7)):
        kind = rnd.random()
        text = rnd.choice(PLAIN) if kind < 0.6 else rnd.choice(pieces) if kind < 0.75 else "".join(rnd.choice(LETTERS) for _ in range(rnd.randrange(1, 4)))
        if text in out or text in SPECIALS or "▁" in text or not text.strip():
            continue
        out[text] = {"content": text, **{k: rnd.random() < 0.3 for k in ["lstrip", "rstrip", "single_word", "special"]}, "normalized": rnd.random() < 0.5}
    return list(out.values())


def write(rnd, kind, folder, pieces):
    """The files of a tokenizer with added tokens, in one of the ways that they come."""
    new, listed = len(pieces), tokens(rnd, pieces)
    for t in listed:
        t["id"] = pieces.index(t["content"]) if t["content"] in pieces else new
        new += t["id"] == new
    # AlbertTokenizer's own words for its special tokens, now and then with other flags.
    own = [{"content": s, "id": pieces.index(s), "lstrip": s == "[MASK]" and kind == "unigram", "rstrip": rnd.random() < 0.1, "single_word": rnd.random() < 0.1,
            "special": True, "normalized": False} for s in SPECIALS if s in pieces]
    if rnd.random() < 0.4:
        listed = own + listed
    config, names = {"do_lower_case": rnd.random() < 0.7}, {"additional_special_tokens": [t["content"] for t in listed if t["special"] and rnd.random() < 0.6]}
    names["additional_special_tokens"] = [t for t in names["additional_special_tokens"] if t not in SPECIALS]
    if rnd.random() < 0.3:
        names["mask_token"] = "[MASK]"
    if rnd.random() < 0.2:
        names["additional_special_tokens"].append("<extra>")
    if kind == "unigram" and rnd.random() < 0.3:
        config["keep_accents"] = True
    flags = lambda t: {k: v for k, v in t.items() if k != "id"}
    way = rnd.choice(["decoder", "decoder", "added_tokens.json", "tokenizer.json", "saved"])
    if way == "decoder":
        config |= names | {"added_tokens_decoder": {str(t["id"]): flags(t) for t in listed}}
    elif way == "added_tokens.json":
        with open(os.path.join(folder, "added_tokens.json"), "w") as f:
            json.dump({t["content"]: t["id"] for t in listed}, f)
        with open(os.path.join(folder, "special_tokens_map.json"), "w") as f:
            json.dump(names, f)
    elif way == "tokenizer.json":
        with open(os.path.join(folder, "tokenizer.json"), "w") as f:
            json.dump({"added_tokens": listed}, f)
        config |= {k: v for k, v in names.items() if k != "additional_special_tokens"}
    with open(os.path.join(folder, "tokenizer_config.json"), "w") as f:
        json.dump(config, f)
    if way == "saved":
        hf = CLASS[kind].from_pretrained(folder)
        for t in listed:
            if t["content"] not in SPECIALS:
                hf.add_tokens([AddedToken(**flags(t))], special_tokens=t["special"])
        hf.save_pretrained(folder)
    return way, config, listed


def texts(rnd, listed, count):
    parts = [t["content"] for t in listed] * 2 + LETTERS + SPECIALS + [p for t in listed for p in (t["content"].upper(), t["content"][:-1], t["content"][1:], " " + t["content"] + " ")]
    for _ in range(count):
        yield "".join(rnd.choice(parts) for _ in range(rnd.randrange(12)))


def golden(path, seed):
    """Rows for the test: the files of a tokenizer beside added.model or added.txt, which are written, too, and texts with their ids, without
    special ones around them, and decoded."""
    with open(path + ".jsonl", "w") as out, tempfile.TemporaryDirectory() as small:
        for kind, name, to in [("unigram", "spiece.model", path + ".model"), ("wordpiece", "vocab.txt", path + ".txt")]:
            rnd = random.Random(seed)
            pieces = base(kind, small, rnd, "identity")
            shutil.copy(os.path.join(small, name), to)
            for _ in range(12):
                with tempfile.TemporaryDirectory() as folder:
                    shutil.copy(to, os.path.join(folder, name))
                    _, _, listed = write(rnd, kind, folder, pieces)
                    files = {}
                    for other in sorted(os.listdir(folder)):
                        if other != name:
                            with open(os.path.join(folder, other)) as f:
                                files[other] = json.dumps(json.load(f), ensure_ascii=False)
                    hf = CLASS[kind].from_pretrained(folder)
                    rows = []
                    for text in texts(rnd, listed, 16):
                        ids = hf.convert_tokens_to_ids(hf.tokenize(text))
                        rows.append({"text": text, "ids": ids, "decoded": hf.decode(ids)})
                    out.write(json.dumps({"model": name, "files": files, "pieces": len(hf), "rows": rows}, ensure_ascii=False) + "\n")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tokenizers", type=int, default=150, help="random tokenizers of each kind")
    parser.add_argument("--random", type=int, default=300, help="texts for each")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--golden", help="write the test's files under this name, such as ../../tokenizer/testdata/added, instead")
    args = parser.parse_args()
    if args.golden:
        return golden(args.golden, args.seed)
    print("transformers", transformers.__version__, "Python", sys.version.split()[0], flush=True)
    different = 0
    for kind in CLASS:
        rnd = random.Random(args.seed)
        counts = {name: common.Counter(f"{kind}: {name}") for name in ["pieces", "ids", "written again", "decoded"]}
        with tempfile.TemporaryDirectory() as small:
            pieces = base(kind, small, rnd)
            for number in range(args.tokenizers):
                with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryDirectory() as written:
                    name = {"unigram": "spiece.model", "wordpiece": "vocab.txt"}[kind]
                    shutil.copy(os.path.join(small, name), folder)
                    way, config, listed = write(rnd, kind, folder, pieces)
                    hf = CLASS[kind].from_pretrained(folder)
                    common.pairs(["write", folder, written])
                    again = CLASS[kind].from_pretrained(written)
                    about = f"{number} {way} {config} {listed}"
                    info = json.loads(subprocess.run([common.ALBERT, "tokenizer", "info", "--model", folder, "--json"], check=True, capture_output=True).stdout)
                    counts["pieces"].check(about, (len(hf), len(hf)), (info["vocab_size"], len(again)))
                    batch = list(texts(rnd, listed, args.random))
                    out = common.albert_lines(["encode", "--model", folder, "--special"], [t.encode() for t in batch])
                    got = [[int(i) for i in line.split()] for line in out]
                    back = common.albert_lines(["decode", "--model", folder], [" ".join(map(str, i)).encode() for i in got])
                    for text, ids, decoded in zip(batch, got, back, strict=True):
                        want = hf.build_inputs_with_special_tokens(hf.convert_tokens_to_ids(hf.tokenize(text)))
                        counts["ids"].check(f"{text!r} {about}", want, ids)
                        counts["written again"].check(f"{text!r} {about}", want, again.build_inputs_with_special_tokens(again.convert_tokens_to_ids(again.tokenize(text))))
                        counts["decoded"].check(f"{ids} {about}", hf.decode(ids), decoded.decode())
        different += sum(c.report() for c in counts.values())
    sys.exit(1 if different else 0)


if __name__ == "__main__":
    main()
