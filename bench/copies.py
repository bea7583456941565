"""Texts whose second half repeats the first, for a next-sentence run that learns to compare: every word of them is of the text given.

    python3 bench/copies.py TEXT.gz OUT.txt SEED [passages] [plain]

Per document of TEXT, first the document with a noisy copy after each sentence; then, two lines a document, a sentence and a noisy copy of it,
or a passage of up to 140 words and a noisy copy of a few words of it, in either order. Noisy: words left out, neighbours swapped, sometimes
the end put first. With "passages" two lines a document and nothing else: a passage of 30 to 280 words, and noisy copies of its sentences in
another order, or of a few runs of words, in either order. "plain" adds the documents as they are. Prepare OUT with --sentences lines.
"""

import gzip
import random
import re
import sys

SENTENCE_END = re.compile(r'(?<=[.!?])["”’\')]*\s+(?=["“‘\'(]*[A-Z])')


def noisy(text, drop, rotate=0.0):
    words = text.split()
    words = [w for w in words if random.random() > drop] or words
    for i in range(len(words) - 1):
        if random.random() < 0.1:
            words[i], words[i + 1] = words[i + 1], words[i]
    if random.random() < rotate:
        k = random.randrange(len(words))
        words = words[k:] + words[:k]
    return " ".join(words)


def clip(text, n):
    words = text.split()
    start = random.randrange(max(1, len(words) - n + 1))
    return " ".join(words[start:start + n])


def pairs(sentences):
    i = 0
    while i < len(sentences):
        if random.random() < 0.6:
            source = clip(sentences[i], random.randint(6, 24))
            first, second = noisy(source, 0.1), noisy(source, random.choice([0.1, 0.3, 0.5]), 0.3)
            i += 1
        else:
            n = random.choice([2, 3, 10])
            first = clip(" ".join(sentences[i:i + n]), 14 * n)
            second = noisy(clip(first, random.randint(6, 16)), random.choice([0.1, 0.3, 0.5]), 0.3)
            if random.random() < 0.5:
                first, second = second, first
            i += n
        yield first, second


def passages(sentences):
    i = 0
    while i < len(sentences):
        want, n, end = random.choice([30, 60, 120, 180, 240]), 0, i
        while end < len(sentences) and n < want:
            n += len(sentences[end].split())
            end += 1
        passage, i = sentences[i:end], end
        if random.random() < 0.5:
            m = random.randint(max(1, len(passage) // 3), len(passage))
            start = random.randrange(len(passage) - m + 1)
            copied = passage[start:start + m]
            if random.random() < 0.7:
                random.shuffle(copied)
            drop = random.choice([0.1, 0.3, 0.5])
            second = " ".join(noisy(s, drop, 0.2) for s in copied)
        else:
            second = " ".join(noisy(clip(random.choice(passage), random.randint(4, 14)), random.choice([0.1, 0.3, 0.5]), 0.3)
                              for _ in range(random.randint(1, 3)))
        first = " ".join(noisy(" ".join(passage), 0.05).split()[:280])
        if random.random() < 0.35:
            first, second = second, first
        yield first, second


def main():
    source, target, seed, *more = sys.argv[1:]
    random.seed(int(seed))
    document, plain = [], []

    def flush(out):
        if document:
            make = passages if "passages" in more else pairs
            if make is pairs:
                for s in document:
                    out.write(s + "\n" + noisy(s, random.choice([0.1, 0.2, 0.4])) + "\n")
                out.write("\n")
            for first, second in make([s for s in document if len(s.split()) > 3]):
                out.write(first + "\n" + second + "\n\n")
            if "plain" in more:
                plain.append("\n".join(document) + "\n\n")
        document.clear()

    with gzip.open(source, "rt", encoding="utf-8") as text, open(target, "w", encoding="utf-8") as out:
        for line in text:
            if not line.strip():
                flush(out)
            document.extend(s for s in SENTENCE_END.split(line.strip()) if s)
        flush(out)
        out.writelines(plain)


if __name__ == "__main__":
    main()
