"""Remakes tokenizer/testdata: small models and what the C++ library and transformers' AlbertTokenizer make of texts with them.

The models are stored without their charsmaps, which would be most of their bytes; the tests put our own in their place.
"""

import argparse
import hashlib
import json
import os
import random
import shutil
import struct
import sys
import tempfile
import unicodedata

os.environ["TRANSFORMERS_VERBOSITY"] = "critical"
import sentencepiece
import transformers
from sentencepiece import sentencepiece_model_pb2, sentencepiece_pb2
from transformers import AlbertTokenizer, AlbertTokenizerFast, BertTokenizer

import common
import fast
import models
import prepare
import wordpiece
from hf import OPTIONS, special_strings

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--skip-models", action="store_true", help="leave the files of the C++ library alone")
parser.add_argument("--output", default=os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../tokenizer/testdata"))
args = parser.parse_args()
os.makedirs(args.output, exist_ok=True)


def write(name, rows):
    with open(os.path.join(args.output, name), "w", encoding="ascii") as f:
        for row in rows:
            f.write(json.dumps(row) + "\n")


def float32(x):
    return struct.unpack("f", struct.pack("f", x))[0]


def texts(sp, count):
    words = [sp.id_to_piece(i).replace("▁", " ") for i in range(sp.get_piece_size()) if not (sp.is_control(i) or sp.is_byte(i) or sp.is_unknown(i))]
    yield b""
    yield b"  "
    yield " The  first reading of 2,000, and 92000, is naïve. ".encode()
    yield from (s.encode() for s in models.sentences(count // 4, 11))
    yield from (s[:60] for s in common.random_strings(count, 5, words))


def spm(path, count):
    sp = sentencepiece.SentencePieceProcessor(model_file=path)
    for text in texts(sp, count):
        got = sp.encode(text, return_type="offset_mapping", return_bytes=True)
        row = {"text": text.hex(), "ids": got["ids"], "pieces": [p.decode("utf-8", "replace") for p in got["pieces"]], "offsets": got["offsets"],
               "decoded": sp.decode(got["ids"]).encode("utf-8", "replace").decode()}
        if len(text) < 40:
            proto = sentencepiece_pb2.NBestSentencePieceText()
            proto.ParseFromString(sp.nbest_encode(text, nbest_size=4, out_type="serialized_proto", add_bos=False, add_eos=False))
            row["nbest"] = [{"ids": [p.id for p in b.pieces], "score": float32(b.score)} for b in proto.nbests]
        yield row


def hf(path, option, seed, count):
    with tempfile.TemporaryDirectory() as folder:
        shutil.copy(path, os.path.join(folder, "spiece.model"))
        with open(os.path.join(folder, "tokenizer_config.json"), "w") as f:
            json.dump(OPTIONS[option], f)
        tok = AlbertTokenizer.from_pretrained(folder)
        lines = list(special_strings(count, seed)) + list(models.sentences(count // 4, seed))
        lines += [s.decode("utf-8", "ignore")[:60] for s in common.random_strings(count, seed, models.WORDS)]
        for text in lines:
            tokens = tok.tokenize(text)
            ids = tok.convert_tokens_to_ids(tokens)
            yield {"text": text, "ids": ids, "pieces": tokens, "decoded": tok.decode(ids)}


def charsmap(blob):
    """The rules of a precompiled charsmap."""
    size = struct.unpack("<I", blob[:4])[0]
    units, text = struct.unpack(f"<{size // 4}I", blob[4 : 4 + size]), blob[4 + size :]
    offset = lambda u: (u >> 10) << ((u & 0x200) >> 6)
    todo = [(0, b"")]
    while todo:
        at, key = todo.pop()
        base = at ^ offset(units[at])
        for b in range(1, 256):
            unit = units[base ^ b]
            if unit & 0x800000FF == b:
                longer = key + bytes([b])
                if unit >> 8 & 1:
                    value = units[base ^ b ^ offset(unit)] & 0x7FFFFFFF
                    yield longer, text[value : text.index(0, value)]
                todo.append((base ^ b, longer))


def rules(folder):
    for name in ("nmt_nfkc", "nfkc", "nmt_nfkc_cf", "nfkc_cf"):
        proto = sentencepiece_model_pb2.ModelProto()
        with open(models.train("albert", folder, normalization_rule_name=name), "rb") as f:
            proto.ParseFromString(f.read())
        pairs = sorted(charsmap(proto.normalizer_spec.precompiled_charsmap))
        lines = "".join(f"{k.hex()} {v.hex()}\n" for k, v in pairs)
        yield {"rule": name, "rules": len(pairs), "sha256": hashlib.sha256(lines.encode()).hexdigest()}


def ranges(test):
    out = []
    for cp in range(0x110000):
        if test(chr(cp)):
            if out and out[-1][1] == cp - 1:
                out[-1][1] = cp
            else:
                out.append([cp, cp])
    return out


def python():
    """What Python's str says, for code points that its Unicode version knows."""
    known = lambda c: unicodedata.category(c) != "Cn"
    yield {"unicode": unicodedata.unidata_version, "known": ranges(known), "space": ranges(str.isspace), "digit": ranges(str.isdigit),
           "combining": ranges(lambda c: unicodedata.combining(c) != 0)}
    lower = [(f"{cp:x}", [f"{ord(d):x}" for d in chr(cp).lower()]) for cp in range(0x110000) if chr(cp).lower() != chr(cp)]
    yield {"lower": lower}
    rnd = random.Random(3)
    signs = "ΣΣΣAaß.'’·:\u0301\u00ad\u2019 1-ʰˆ゜\u1f88ǅ"
    yield {"sigma": [(s, s.lower()) for s in ("".join(rnd.choices(signs, k=rnd.randrange(1, 7))) for _ in range(400))]}


def published(path, option):
    """The tokenizer.json of a model as transformers makes it, in the form of the published ones, without the charsmap."""
    with tempfile.TemporaryDirectory() as folder:
        shutil.copy(path, os.path.join(folder, "spiece.model"))
        own = fast.backend(AlbertTokenizerFast.from_pretrained(folder, **OPTIONS[option]))
    j = json.loads(fast.published_json(own))
    for step in j["normalizer"]["normalizers"]:
        if step["type"] == "Precompiled":
            step["precompiled_charsmap"] = ""
    return j


def words(option, count):
    """What BertTokenizer makes of texts with wordpiece.txt."""
    with tempfile.TemporaryDirectory() as folder:
        shutil.copy(os.path.join(args.output, "wordpiece.txt"), os.path.join(folder, "vocab.txt"))
        tok = BertTokenizer.from_pretrained(folder, **wordpiece.OPTIONS[option])
        lines = list(wordpiece.texts(count, 31)) + [s[:60] for b in common.random_strings(count, 32, ["##a"]) if wordpiece.known(s := b.decode("utf-8", "ignore"))]
        for text in lines:
            tokens = tok.tokenize(text)
            ids = tok.convert_tokens_to_ids(tokens)
            yield {"text": text, "ids": ids, "pieces": tokens, "decoded": tok.decode(ids)}


def prepared(path, count):
    """Requests to prepare texts, and what the slow AlbertTokenizer and, for windows and places, the fast one answer."""
    with tempfile.TemporaryDirectory() as folder:
        shutil.copy(path, os.path.join(folder, "spiece.model"))
        tok = AlbertTokenizer.from_pretrained(folder)
        quick = fast.published(AlbertTokenizerFast.from_pretrained(folder))
        quick = AlbertTokenizerFast(tokenizer_object=quick)
    for q in prepare.requests(random.Random(41), count):
        windowed = q.get("overlap") is not None
        if windowed and q["how"] == "longest_first" and q["b"] is not None:
            continue
        ids, types, done = prepare.slow(tok, q)
        alike = quick(q["a"], q["b"])["input_ids"] == tok(q["a"], q["b"])["input_ids"]
        if windowed and done:
            if not alike:
                continue
            try:
                e = quick(q["a"], q["b"], truncation=q["how"], max_length=q["max"] or None, stride=q["overlap"], return_overflowing_tokens=True,
                          return_offsets_mapping=True)
            except BaseException:
                continue  # a stride that does not fit (a panic of the Rust library is no Exception)
            yield {"request": q, "want": [{"ids": i, "types": t, "offsets": o} for i, t, o in zip(e["input_ids"], e["token_type_ids"], e["offset_mapping"])]}
        elif not windowed:
            row = {"ids": ids, "types": types}
            e = quick(q["a"], q["b"], truncation=q["how"], max_length=q["max"] or None, return_offsets_mapping=True) if done else {"input_ids": None}
            if done and alike and e["input_ids"] == ids:
                row["offsets"] = e["offset_mapping"]
            yield {"request": q, "want": [row] if done else []}


with tempfile.TemporaryDirectory() as folder:
    if not args.skip_models:
        write("rules.jsonl", rules(folder))
    for name in models.VARIANTS:
        if args.skip_models and name != "albert":
            continue
        path = models.train(name, folder)
        if not args.skip_models:
            write(f"{name}.jsonl", spm(path, 100))
        if name == "albert":
            for option in OPTIONS:
                write(f"hf-{option}.jsonl", hf(path, option, 21, 60))
            for option in fast.OPTIONS:
                write(f"tokenizer-{option}.json", [published(path, option)])
            write("prepare.jsonl", prepared(path, 150))
        proto = sentencepiece_model_pb2.ModelProto()
        with open(path, "rb") as f:
            proto.ParseFromString(f.read())
        if proto.normalizer_spec.name != "user_defined":
            proto.normalizer_spec.precompiled_charsmap = b""
        proto.trainer_spec.ClearField("model_prefix")
        with open(os.path.join(args.output, f"{name}.model"), "wb") as f:
            f.write(proto.SerializeToString())
write("python.jsonl", python())
with open(os.path.join(args.output, "wordpiece.txt"), "w", newline="") as f:
    f.write("\n".join(wordpiece.vocabulary()) + "\n")
for option in wordpiece.OPTIONS:
    write(f"wordpiece-{option.replace(' ', '-')}.jsonl", words(option, 80))
spiece = os.path.join(common.DATA, "spiece.model")
if os.path.exists(spiece):
    write("spiece.jsonl", spm(spiece, 80))
    for option in ("default", "keep_accents"):
        write(f"spiece-hf-{option}.jsonl", hf(spiece, option, 22, 60))
else:
    print("no spiece.model in", common.DATA, "- its golden files are left as they are")
with open(os.path.join(args.output, "README.md"), "w") as f:
    f.write(f"""Golden files of the tokenizer's tests, made by `parity/tokenizer.sh golden` with sentencepiece {sentencepiece.__version__},
transformers {transformers.__version__}, Python {sys.version.split()[0]} (Unicode {unicodedata.unidata_version}).

| file | what |
|---|---|
| `*.model` | small models trained by the C++ library on text that `parity/tokenizer/models.py` makes; their charsmaps are taken out unless they have rules of their own |
| `NAME.jsonl` | what the C++ library makes of texts (hexadecimal: not all are UTF-8) with NAME.model |
| `hf-*.jsonl` | what AlbertTokenizer makes of texts with albert.model, by its options |
| `tokenizer-*.json` | the tokenizer.json that AlbertTokenizerFast makes of albert.model, by its options, in the form of the published ones (`fast.py`), without charsmap |
| `wordpiece.txt`, `wordpiece-*.jsonl` | a vocab.txt, and what BertTokenizer makes of texts with it, by its options |
| `prepare.jsonl` | texts and pairs, truncated and in windows, by AlbertTokenizer; windows and places by AlbertTokenizerFast where it cuts alike |
| `spiece*.jsonl` | the same with ALBERT's own spiece.model, which is found through ALBERT_DATA and not kept here |
| `rules.jsonl` | how many rules the C++ library's normalization rules have, and the SHA-256 of all |
| `python.jsonl` | what Python's str says of characters |
""")
