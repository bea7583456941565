#!/usr/bin/env python3
"""How far the vectors of int8 are from those of fp32: the cosine between both for each line of a file, the mean and the least.

    bench/cosine.py MODEL TEXTS [albert]      # albert: the command to run (default: albert)
"""

import json
import math
import subprocess
import sys


def vectors(albert, model, texts, precision):
    out = subprocess.run([albert, "embed", model, "--input", texts, "--precision", precision], check=True, capture_output=True, text=True).stdout
    return [json.loads(line)["embedding"] for line in out.splitlines()]


def cosine(a, b):
    return sum(x * y for x, y in zip(a, b)) / math.sqrt(sum(x * x for x in a) * sum(y * y for y in b))


def main():
    if len(sys.argv) not in (3, 4):
        sys.exit(__doc__)
    albert = sys.argv[3] if len(sys.argv) > 3 else "albert"
    cosines = [cosine(*pair) for pair in zip(*(vectors(albert, sys.argv[1], sys.argv[2], p) for p in ("fp32", "int8")))]
    print(f"{len(cosines)} texts: mean {sum(cosines) / len(cosines):.6f}, least {min(cosines):.6f}")


main()
