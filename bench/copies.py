"""Texts whose second half repeats the first, for a next-sentence run that learns to compare: every word of them is of the text given.

    python3 bench/copies.py TEXT.gz OUT.txt SEED [plain]

Per document of TEXT, first the document with a noisy copy after each sentence; then, two lines a document, a sentence and a noisy copy of it,
or a passage of up to 140 words and a noisy copy of a few words of it, in either order. Noisy: words left out, neighbours swapped, sometimes
the end put first. "plain" adds the documents as they are. Prepare OUT with --sentences lines.
"""

import gzip
import random
import re
import sys

SENTENCE_END = re.compile(r'(?<=[.!?])["”’\')]*\s+(?=["“‘\'(]*[A-Z])')


def documents(path):
    """Lists of sentences; an empty line ends a document."""
    document = []
    with gzip.open(path, "rt", encoding="utf-8") as text:
        for line in text:
            if not line.strip() and document:
                yield document
                document = []
            document.extend(s for s in SENTENCE_END.split(line.strip()) if s)
    if document:
        yield document


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


def main():
    match sys.argv[1:]:
        case [source, target, seed]:
            plain = False
        case [source, target, seed, "plain"]:
            plain = True
        case _:
            sys.exit(__doc__)
    random.seed(int(seed))
    with open(target, "w", encoding="utf-8") as out:
        for document in documents(source):
            for s in document:
                out.write(s + "\n" + noisy(s, random.choice([0.1, 0.2, 0.4])) + "\n")
            out.write("\n")
            for first, second in pairs([s for s in document if len(s.split()) > 3]):
                out.write(first + "\n" + second + "\n\n")
        if plain:
            out.writelines("\n".join(document) + "\n\n" for document in documents(source))


if __name__ == "__main__":
    main()
