"""Questions about passages of a text, made of its own words: what a model that compares texts can learn from before it sees a real question.

    python3 bench/cloze.py spans TEXT.gz OUT.json N SEED       N questions in SQuAD's form
    python3 bench/cloze.py choices TEXT.gz OUT.jsonl N SEED    N questions with four choices, for the task choice

A span question is a noisy copy of the words around one to four words of a sentence of the passage; the answer is those words. A question
with choices is a noisy run of words of a sentence, the right choice a noisy copy of the words after it, the others come from other sentences:
of the passage, or of the same chapter outside of it, and then half of the questions do not say which sentence is meant. Noisy: as in copies.py.
"""

import gzip
import json
import random
import sys

from copies import SENTENCE_END, noisy

LONGEST = 280  # words of a passage


def documents(path, shortest):
    """Lists of sentences, of those documents that have more than the shortest."""
    document = []
    with gzip.open(path, "rt", encoding="utf-8") as text:
        for line in list(text) + [""]:
            if not line.strip():
                if len(document) > shortest:
                    yield document
                document = []
            document.extend(s for s in SENTENCE_END.split(line.strip()) if s)


def passage(document, lengths):
    """Where a passage of about one of the lengths, in words, begins and ends."""
    i = k = random.randrange(len(document) - 3)
    want, n = random.choice(lengths), 0
    while k < len(document) and n < want:
        n += len(document[k].split())
        k += 1
    return i, k


def spans(texts, n):
    paragraphs = []
    while len(paragraphs) < n:
        document = random.choice(texts)
        i, k = passage(document, [30, 60, 120, 180, 220])
        sentences = document[i:k]
        asked = [j for j, s in enumerate(sentences) if 6 <= len(s.split()) <= 40]
        context = " ".join(sentences)
        if not asked or len(context.split()) > LONGEST:
            continue
        j = random.choice(asked)
        words = sentences[j].split(" ")
        if "" in words:
            continue
        length = random.randint(1, 4)
        at = random.randrange(len(words) - length + 1)
        answer = " ".join(words[at:at + length])
        start = sum(len(s) + 1 for s in sentences[:j]) + len(" ".join(words[:at])) + (at > 0)
        first, last = max(0, at - random.randint(3, 10)), min(len(words), at + length + random.randint(3, 10))
        parts = [noisy(" ".join(run), random.choice([0, 0.2, 0.4])) for run in (words[first:at], words[at + length:last]) if run]
        if random.random() < 0.3:
            parts.reverse()
        ask = random.choice(["what", "who", "where", "which", "how"])
        parts.insert(0 if random.random() < 0.5 else 1, ask)
        paragraphs.append({"context": context, "qas": [{"id": str(len(paragraphs)), "question": " ".join(parts) + "?",
                                                        "answers": [{"text": answer, "answer_start": start}]}]})
    return [{"version": "1.1", "data": [{"title": "", "paragraphs": paragraphs}]}]


def cut(sentence):
    """A run of words, and the run after it."""
    words = sentence.split()
    c = random.randint(4, len(words) - 3)
    return words[max(0, c - random.randint(4, 12)):c], words[c:c + random.randint(3, 8)]


def shaken(words):
    return noisy(" ".join(words), random.choice([0, 0.1, 0.3, 0.5]), 0.2)


def choices(texts, n):
    while n > 0:
        document = random.choice(texts)
        i, k = passage(document, [20, 20, 40, 40, 60, 120, 200])
        context = " ".join(document[i:k])
        if len(context.split()) > LONGEST:
            continue
        inside = [s for s in document[i:k] if 8 <= len(s.split()) <= 60]
        outside = [s for s in document[max(0, i - 60):i] + document[k:k + 60] if 8 <= len(s.split()) <= 60]
        within = random.random() < 0.6
        if within and len(inside) < 4 or not inside or len(outside) < 4:
            continue
        sentence = random.choice(inside)
        asked, right = cut(sentence)
        others = random.sample([s for s in inside if s is not sentence] if within else outside, 3)
        answers = [shaken(right)] + [shaken(cut(s)[1]) for s in others]
        if not within and random.random() < 0.5:
            asked = []
        order = list(range(4))
        random.shuffle(order)
        ask = random.choice(["what", "who", "where", "which", "why", "how"])
        if asked and random.random() < 0.6:
            question = shaken(asked) + " _ ."
        elif asked:
            question = f"{ask} {shaken(asked)} ?"
        else:
            question = "which of the following is true ?"
        yield {"context": context, "question": question, "choices": [answers[j] for j in order], "label": order.index(0)}
        n -= 1


def main():
    match sys.argv[1:]:
        case [("spans" | "choices") as kind, source, target, n, seed]:
            random.seed(int(seed))
            make, shortest = (spans, 12) if kind == "spans" else (choices, 40)
            with open(target, "w", encoding="utf-8") as out:
                out.writelines(json.dumps(row) + "\n" for row in make(list(documents(source, shortest)), int(n)))
        case _:
            sys.exit(__doc__)


if __name__ == "__main__":
    main()
