"""albert tokenizer against the C++ SentencePiece library: ids, pieces, byte offsets, decoded text, n-best paths and scores."""

import argparse
import itertools
import json
import os
import struct
import sys
import tempfile

import sentencepiece
from sentencepiece import sentencepiece_pb2

import common
import models

BATCH = 20000


def batches(items):
    it = iter(items)
    while batch := list(itertools.islice(it, BATCH)):
        yield batch


def float32(x):
    return struct.unpack("f", struct.pack("f", x))[0]


def text_pieces(sp):
    return [sp.id_to_piece(i) for i in range(sp.get_piece_size()) if not (sp.is_control(i) or sp.is_byte(i) or sp.is_unknown(i))]


def encode(sp, path, name, lines):
    count, decoded = common.Counter(f"{name}: ids, pieces, offsets"), common.Counter(f"{name}: decoded")
    for batch in batches(lines):
        all_ids = []
        out = common.albert_lines(["encode", "--model", path, "--format", "jsonl"], batch)
        for line, got in zip(batch, out, strict=True):
            got = json.loads(got)
            want = sp.encode(line, return_type="offset_mapping", return_bytes=True)
            all_ids.append(want["ids"])
            if (ids := sp.encode(line, out_type=int)) != want["ids"]:
                print(f"  {name}: C++ contradicts itself: {line!r} {ids} {want['ids']}")
            count.check(line, (want["ids"], [p.decode("utf-8", "replace") for p in want["pieces"]], [list(o) for o in want["offsets"]]),
                        (got["ids"], got["pieces"], got["offsets"]))
        # Decoded text may have line feeds: the whole output is compared, and line by line only to show a difference.
        id_lines = [" ".join(map(str, ids)).encode() for ids in all_ids]
        got = b"".join(o + b"\n" for o in common.albert_lines(["decode", "--model", path], id_lines))
        want = [sp.decode(ids).encode("utf-8", "surrogatepass") for ids in all_ids]
        if got == b"".join(w + b"\n" for w in want):
            decoded.compared += len(want)
        else:
            for line, w, g in zip(batch, want, got.split(b"\n")):
                decoded.check(line, w, g)
    return count.report() + decoded.report()


def nbest(sp, path, name, lines):
    count = common.Counter(f"{name}: ids, offsets, scores")
    for n in (1, 2, 5, 64):
        part = lines[: len(lines) // (1 if n < 10 else 10)]
        out = common.albert_lines(["encode", "--model", path, "--format", "jsonl", "--nbest", str(n)], part)
        for line in part:
            proto = sentencepiece_pb2.NBestSentencePieceText()
            proto.ParseFromString(sp.nbest_encode(line, nbest_size=n, out_type="serialized_proto", add_bos=False, add_eos=False))
            want = [([p.id for p in b.pieces], [[p.begin, p.end] for p in b.pieces], float32(b.score)) for b in proto.nbests]
            got = [json.loads(next(out)) for _ in want]
            count.check(line, want, [(g["ids"], g["offsets"], float32(g["score"])) for g in got])
        if next(out, None) is not None:
            count.check(b"", "the end", "more paths")
    return count.report()


KINDS = ["novels", "glue", "race", "points", "random", "long", "nbest", "variants"]


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", nargs="*", help="model files (default: spiece.model of the data)")
    parser.add_argument("--random", type=int, default=1000000, help="random strings")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--nbest", type=int, default=20000, help="strings whose 1 to 64 best ways are compared")
    parser.add_argument("--variants", type=int, default=20000, help="random strings for each of the small models with other settings")
    parser.add_argument("--only", default=",".join(KINDS), help="a comma list of " + ", ".join(KINDS))
    args = parser.parse_args()
    only = args.only.split(",")
    different = 0
    for path in args.model or [os.path.join(common.DATA, "spiece.model")]:
        print(path, "sentencepiece", sentencepiece.__version__, flush=True)
        sp = sentencepiece.SentencePieceProcessor(model_file=path)
        pieces = text_pieces(sp)
        for name, lines in {
            "novels": common.novels, "glue": common.glue, "race": common.race, "points": common.code_points,
            "random": lambda: common.random_strings(args.random, args.seed, pieces), "long": lambda: common.long_strings(args.seed),
        }.items():
            if name in only:
                different += encode(sp, path, name, lines())
        if "nbest" in only:
            lines = list(common.random_strings(args.nbest // 2, args.seed + 1, pieces))
            lines += [line[:80] for line in itertools.islice(common.novels(), args.nbest // 2)]
            different += nbest(sp, path, "n-best", lines)
    if "variants" in only:
        with tempfile.TemporaryDirectory() as folder:
            for name in models.VARIANTS:
                path = models.train(name, folder)
                sp = sentencepiece.SentencePieceProcessor(model_file=path)
                lines = list(common.random_strings(args.variants, args.seed + 4, text_pieces(sp)))
                different += encode(sp, path, f"model {name}", lines)
                different += nbest(sp, path, f"model {name}, n-best", lines[: args.variants // 10])
    sys.exit(1 if different else 0)


if __name__ == "__main__":
    main()
