"""What the comparisons share: the texts, random strings, and running albert."""

import gzip
import io
import json
import os
import random
import subprocess
import tarfile
import tempfile

DATA = os.environ["ALBERT_DATA"]
ALBERT = os.environ["ALBERT_BIN"]
PAIRS = os.environ["PAIRS_BIN"]


def novels():
    with gzip.open(os.path.join(DATA, "text/novels-dev.txt.gz"), "rb") as f:
        yield from (line.rstrip(b"\n") for line in f)


def glue():
    """Every line of every GLUE file as it stands, and every field that is text."""
    for top in ("glue", "glue-sample"):
        for folder, _, names in sorted(os.walk(os.path.join(DATA, top))):
            for name in sorted(names):
                with open(os.path.join(folder, name), "rb") as f:
                    for line in f:
                        line = line.rstrip(b"\n")
                        yield line
                        if name.endswith(".json"):
                            try:
                                fields = json.loads(line)
                            except ValueError:
                                continue
                            if isinstance(fields, dict):
                                yield from (v.encode() for v in fields.values() if isinstance(v, str))
                        else:
                            yield from (v for v in line.split(b"\t") if len(v) > 8)


def race():
    with tarfile.open(os.path.join(DATA, "race/race-train-dev.tar.gz")) as tar:
        for member in tar:
            if not member.isfile() or "dev" not in member.name:
                continue
            for line in io.TextIOWrapper(tar.extractfile(member), "utf-8", newline="\n"):
                try:
                    fields = json.loads(line)
                except ValueError:
                    yield line.rstrip("\n").encode()
                    continue
                todo = list(fields.values()) if isinstance(fields, dict) else [fields]
                while todo:
                    v = todo.pop()
                    if isinstance(v, str):
                        yield from (s.encode("utf-8", "replace") for s in v.split("\n"))
                    elif isinstance(v, list):
                        todo += v


def code_points():
    """Every code point but the line feed alone, in a word, and between words."""
    for cp in range(0x110000):
        if cp == 10 or 0xD800 <= cp < 0xE000:
            continue
        c = chr(cp).encode()
        yield c
        yield b"wo" + c + b"rd"
        yield b"a " + c + b" b" + c + c


RANGES = [(0x20, 0x7F)] * 6 + [
    (0x00, 0x20), (0x7F, 0x180), (0x180, 0x300), (0x300, 0x370), (0x370, 0x530), (0x5D0, 0x700), (0x900, 0xD80), (0xE00, 0x1000),
    (0x1100, 0x1200), (0x1E00, 0x2000), (0x2000, 0x2070), (0x2070, 0x2200), (0x2460, 0x2600), (0x2580, 0x2590), (0x2E80, 0x3200),
    (0x3200, 0x3400), (0x4E00, 0xA000), (0xAC00, 0xD7A4), (0xE000, 0xE100), (0xF900, 0xFB50), (0xFB50, 0xFE30), (0xFE30, 0x10000),
    (0x10000, 0x10400), (0x1D000, 0x1D800), (0x1F000, 0x1FB00), (0x20000, 0x20100), (0x2F800, 0x2FA20), (0x30000, 0x110000),
]


def random_strings(count, seed, pieces):
    """Strings of every kind without line feeds: all planes, controls, invalid UTF-8, long runs, fragments of the vocabulary."""
    rnd = random.Random(seed)
    signs = ["(", ")", '"', "-", ".", "–", "£", "€", "▁", " ", "  ", "\t", "\u3000", "\u00a0", ",", "0", "9", "'", "``", "[CLS]", "[MASK]", "<unk>"]

    def point(ranges=RANGES):
        while True:
            a, b = ranges[int(rnd.random() * len(ranges))]
            cp = a + int(rnd.random() * (b - a))
            if cp != 10 and not 0xD800 <= cp < 0xE000:
                return chr(cp)

    for _ in range(count):
        kind = rnd.random()
        n = int(rnd.random() ** 2 * 40)
        if kind < 0.3:
            s = "".join([point() for _ in range(n)]).encode()
        elif kind < 0.5:  # pieces and signs, as they meet in text
            s = "".join([signs[int(rnd.random() * len(signs))] if rnd.random() < 0.3 else pieces[int(rnd.random() * len(pieces))]
                         for _ in range(n // 3)])
            s = s.replace("▁", " ").encode()
        elif kind < 0.6:  # one script, with combining characters
            a, b = RANGES[int(rnd.random() * len(RANGES))]
            s = "".join([point([(a, b), (a, b), (0x300, 0x370), (0x20, 0x21)]) for _ in range(n)]).encode()
        elif kind < 0.65:  # jamo
            s = "".join([point([(0x1100, 0x1113), (0x1161, 0x1176), (0x11A7, 0x11C3), (0x3131, 0x3164), (0xFFA0, 0xFFDD)]) for _ in range(n)]).encode()
        elif kind < 0.8:  # any bytes
            s = bytes(rnd.choices(range(256), k=n)).replace(b"\n", b"")
        elif kind < 0.95:  # UTF-8 with some bytes broken
            s = bytearray("".join([point() for _ in range(n)]).encode())
            for _ in range(1 + len(s) // 10):
                if s:
                    i = int(rnd.random() * len(s))
                    s[i] = int(rnd.random() * 256)
                    if rnd.random() < 0.3:
                        del s[i]
            s = bytes(s).replace(b"\n", b" ")
        else:  # runs
            s = b"".join([(point() if rnd.random() < 0.7 else signs[int(rnd.random() * len(signs))]).encode() * int(rnd.random() ** 3 * 400) for _ in range(3)])
        yield s


def long_strings(seed):
    """Texts so long that the scores are set back on the way."""
    rnd = random.Random(seed)
    for alphabet in ("abcdefgh ", "漢字 かな", "x", "▁", "é, 1"):
        yield "".join(rnd.choices(alphabet, k=60000)).encode()


def albert_lines(args, lines):
    """Runs albert tokenizer ARGS on lines and yields what it says to each."""
    with tempfile.NamedTemporaryFile() as f:
        for line in lines:
            f.write(line)
            f.write(b"\n")
        f.flush()
        with open(f.name, "rb") as stdin, subprocess.Popen([ALBERT, "tokenizer", *args], stdin=stdin, stdout=subprocess.PIPE) as p:
            for out in p.stdout:
                yield out[:-1]
            if p.wait() != 0:
                raise SystemExit(f"albert tokenizer {' '.join(args)}: exit status {p.returncode}")


def pairs(args, requests=()):
    """Runs the program in the folder pairs, with JSON lines in and out."""
    text = "".join(json.dumps(r) + "\n" for r in requests)
    out = subprocess.run([PAIRS, *args], input=text.encode(), stdout=subprocess.PIPE, check=True).stdout
    return [json.loads(line) for line in out.splitlines()]


class Counter:
    """Counts comparisons and differences, and shows the first ones."""

    def __init__(self, name):
        self.name, self.compared, self.different = name, 0, 0

    def check(self, text, want, got):
        self.compared += 1
        if want != got:
            self.different += 1
            if self.different <= 5:
                print(f"  {self.name}: {text[:200]!r}\n    want {want!r}\n    got  {got!r}"[:4000], flush=True)

    def report(self):
        print(f"{self.name}: {self.compared} compared, {self.different} different", flush=True)
        return self.different
