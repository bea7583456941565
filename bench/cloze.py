"""Questions about passages of a text, made of its own words: what a model can learn to search a passage from before it sees a real question.

    python3 bench/cloze.py TEXT.gz OUT.json N SEED      N questions in SQuAD's form

A question is a noisy copy of the words around one to four words of a sentence of the passage; the answer is those words. Noisy: as in
copies.py.
"""

import json
import random
import sys

from copies import documents, noisy


def questions(texts, n):
    """Paragraphs of SQuAD's form, each with a passage of up to 280 words and one question."""
    made = 0
    while made < n:
        document = random.choice(texts)
        i = k = random.randrange(len(document) - 3)
        want, size = random.choice([30, 60, 120, 180, 220]), 0
        while k < len(document) and size < want:
            size += len(document[k].split())
            k += 1
        sentences = document[i:k]
        asked = [j for j, s in enumerate(sentences) if 6 <= len(s.split()) <= 40]
        if not asked or size > 280:
            continue
        j = random.choice(asked)
        words = sentences[j].split(" ")
        if "" in words:
            continue
        length = random.randint(1, 4)
        at = random.randrange(len(words) - length + 1)
        start = sum(len(s) + 1 for s in sentences[:j]) + sum(len(w) + 1 for w in words[:at])
        first, last = max(0, at - random.randint(3, 10)), min(len(words), at + length + random.randint(3, 10))
        parts = [noisy(" ".join(run), random.choice([0, 0.2, 0.4])) for run in (words[first:at], words[at + length:last]) if run]
        if random.random() < 0.3:
            parts.reverse()
        ask = random.choice(["what", "who", "where", "which", "how"])
        parts.insert(0 if random.random() < 0.5 else 1, ask)
        answer = {"text": " ".join(words[at:at + length]), "answer_start": start}
        yield {"context": " ".join(sentences), "qas": [{"id": str(made), "question": " ".join(parts) + "?", "answers": [answer]}]}
        made += 1


def main():
    match sys.argv[1:]:
        case [source, target, n, seed]:
            random.seed(int(seed))
            texts = [d for d in documents(source) if len(d) > 12]
            with open(target, "w", encoding="utf-8") as out:
                json.dump({"version": "1.1", "data": [{"title": "", "paragraphs": list(questions(texts, int(n)))}]}, out)
        case _:
            sys.exit(__doc__)


if __name__ == "__main__":
    main()
