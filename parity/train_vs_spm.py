"""Tokenizers trained by albert beside those of spm_train: same text, same settings.

For each pair: whether the pieces that are not learned are the same, which share of the learned ones is, the log-likelihood of text per
character under the likeliest cut, whether the C++ library and transformers' AlbertTokenizer read our model and cut text as
`albert tokenizer encode` does, time and memory. Exit status 1 if a pair is outside the limits below.
"""

import argparse
import gzip
import os
import subprocess
import sys
import tempfile
import time

import sentencepiece
from sentencepiece import sentencepiece_model_pb2 as proto

LEAST_COMMON = 0.95  # spm_train's own releases share 94 to 97 %
MOST_WORSE = 0.001  # of the log-likelihood

ALBERT_SETTINGS = {
    "pad_id": 0, "unk_id": 1, "bos_id": -1, "eos_id": -1, "control_symbols": "[CLS],[SEP],[MASK]",
    "user_defined_symbols": '(,),"""",-,.,–,£,€', "shuffle_input_sentence": True, "input_sentence_size": 10_000_000,
    "character_coverage": 0.99995,
}

# What differs from ALBERT's settings; the vocabulary has 4,000 pieces unless it says otherwise. A note says why a pair may share less.
OPTIONS = {
    "albert": {},
    "spm_train": {"pad_id": -1, "unk_id": 0, "bos_id": 1, "eos_id": 2, "control_symbols": "", "user_defined_symbols": "",
                  "character_coverage": 0.9995, "input_sentence_size": 0},
    "bytes": {"byte_fallback": True, "character_coverage": 0.999},
    "required": {"required_chars": "äöüßéλ", "character_coverage": 0.998},
    "long": {"max_sentencepiece_length": 30},
    "short": {"max_sentencepiece_length": 4},
    "digits": {"split_digits": True},
    "numbers": {"split_by_number": False, "split_by_unicode_script": False},
    "suffix": {"treat_whitespace_as_suffix": True},
    "across": {"split_by_whitespace": False, "max_sentence_length": 1000},
    "spaces": {"allow_whitespace_only_pieces": True, "remove_extra_whitespaces": False},
    "no_prefix": {"add_dummy_prefix": False},
    "folded": {"normalization_rule_name": "nmt_nfkc_cf"},
    "identity": {"normalization_rule_name": "identity"},
    "delimiter": {"pretokenization_delimiter": "th"},
    "few_seeds": {"seed_sentencepiece_size": 20_000},
    "slow": {"shrinking_factor": 0.9, "num_sub_iterations": 4},
    "symbols": {"user_defined_symbols": "the,ing,▁of", "control_symbols": "<pad>,X", "unk_piece": "[UNK]"},
    "soft": {"hard_vocab_limit": False, "vocab_size": 100_000},
}


def flags(settings, prefix):
    for name, value in settings.items():
        yield f"{prefix}{name}={str(value).lower() if isinstance(value, bool) else value}"


def run(command):
    """Runs a command; gives wall seconds, processor seconds, and megabytes at most."""
    start = time.time()
    p = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    text = p.stderr.read()
    _, status, usage = os.wait4(p.pid, 0)
    p.returncode = os.waitstatus_to_exitcode(status)
    if p.returncode != 0:
        sys.exit(f"{command[0]}: status {p.returncode}\n{text.decode(errors='replace')[-2000:]}")
    return time.time() - start, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


def spm_train(settings, text, prefix, threads):
    code = "import sys, sentencepiece; sentencepiece.SentencePieceTrainer.Train(sys.argv[1])"
    # One string of arguments, as spm_train has them: values with spaces or quotes are not used here.
    args = " ".join(flags({**settings, "input": text, "model_prefix": prefix, "num_threads": threads, "minloglevel": 1}, "--"))
    return run([sys.executable, "-c", code, args])


def albert_train(settings, text, prefix, threads):
    return run([os.environ["ALBERT_BIN"], "tokenizer", "train", "--quiet", f"--input={text}", f"--model-prefix={prefix}",
                f"--threads={threads}", *flags({k.replace("_", "-"): v for k, v in settings.items()}, "--")])


def load(path):
    m = proto.ModelProto()
    with open(path, "rb") as f:
        m.ParseFromString(f.read())
    return m


NORMAL = proto.ModelProto.SentencePiece.NORMAL


def likelihood(path, model, lines):
    """Log-likelihood per character of the lines' likeliest cuts, and how many pieces they have."""
    p = sentencepiece.SentencePieceProcessor(model_file=path)
    score = [x.score for x in model.pieces]
    if p.unk_id() >= 0:
        score[p.unk_id()] = min(x.score for x in model.pieces if x.type == NORMAL) - 10
    total = count = 0
    for ids in p.encode(lines):
        total += sum(score[i] for i in ids)
        count += len(ids)
    return total / sum(map(len, lines)), count


def encoded(path, lines, *flags):
    out = subprocess.run([os.environ["ALBERT_BIN"], "tokenizer", "encode", f"--model={path}", *flags], input="\n".join(lines) + "\n",
                         stdout=subprocess.PIPE, check=True, text=True, encoding="utf-8").stdout
    return [[int(x) for x in line.split(" ")] if line else [] for line in out.split("\n")[:-1]]


def cuts_equal(path, lines):
    """In how many lines C++ cuts our model's way otherwise than we do."""
    p = sentencepiece.SentencePieceProcessor(model_file=path)
    return sum(a != b for a, b in zip(p.encode(lines), encoded(path, lines, "--cleanup=none"), strict=True))


def hf_equal(path, lines):
    import warnings

    warnings.filterwarnings("ignore")
    os.environ["TRANSFORMERS_VERBOSITY"] = "error"
    from transformers import AlbertTokenizer

    t = AlbertTokenizer(vocab_file=path)
    ours = encoded(path, lines, "--cleanup=albert")
    return sum(t.encode(a, add_special_tokens=False) != b for a, b in zip(lines, ours, strict=True))


def compare(name, settings, text, held_out, o, folder, hf):
    theirs, ours = (os.path.join(folder, f"{name}-{w}") for w in ("spm", "albert"))
    t1 = spm_train(settings, text, theirs, o.threads)
    t2 = albert_train(settings, text, ours, o.threads)
    a, b = load(theirs + ".model"), load(ours + ".model")
    meta = [[(i, p.piece, p.type, p.score) for i, p in enumerate(m.pieces) if p.type != NORMAL] for m in (a, b)]
    normal = [{p.piece for p in m.pieces if p.type == NORMAL} for m in (a, b)]
    common = len(normal[0] & normal[1]) / max(map(len, normal))
    with open(text, encoding="utf-8", errors="replace") as f:
        trained = [line.rstrip("\n") for line in f]
    rows = []
    for lines in (trained[:: 1 + len(trained) // 40_000], held_out):
        (l1, n1), (l2, n2) = (likelihood(p + ".model", m, lines) for p, m in ((theirs, a), (ours, b)))
        rows.append((l1, l2, l2 / l1 - 1, n1, n2))
    different = cuts_equal(ours + ".model", held_out)
    hf_different = hf_equal(ours + ".model", held_out[:3000]) if hf else 0
    bad = []
    if meta[0] != meta[1]:
        bad.append(f"special pieces {meta[0][:20]} and {meta[1][:20]}")
    if len(a.pieces) != len(b.pieces) and settings.get("hard_vocab_limit", True):
        bad.append(f"{len(a.pieces)} and {len(b.pieces)} pieces")
    if common < LEAST_COMMON:
        bad.append("too few in common")
    if max(r[2] for r in rows) > MOST_WORSE:
        bad.append("likelihood")
    if different or hf_different:
        bad.append(f"{different} lines cut otherwise in C++, {hf_different} in transformers")
    print(f"{name:12} {len(a.pieces):6} {len(b.pieces):6}  {100 * common:6.2f} %  "
          f"{rows[0][0]:.5f} {rows[0][1]:.5f} {100 * rows[0][2]:+.3f} %  {rows[1][0]:.5f} {rows[1][1]:.5f} {100 * rows[1][2]:+.3f} %  "
          f"{t1[0]:6.1f} {t2[0]:6.1f} s {t1[1]:6.1f} {t2[1]:6.1f} s {t1[2]:5.0f} {t2[2]:5.0f} MB  {'; '.join(bad) or 'ok'}", flush=True)
    return not bad


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--only", choices=["novels", "options"], help="one half of the work")
    p.add_argument("--option", action="append", help="of the options, this one (again for more)")
    p.add_argument("--threads", type=int, default=2)
    o = p.parse_args()
    data = os.path.join(os.environ["ALBERT_DATA"], "text")
    print(f"sentencepiece {sentencepiece.__version__}, {o.threads} threads; pairs are spm_train, albert")
    print(f"{'':12} {'pieces':>13}  {'common':>8}  {'ln p/char, trained on':>25}  {'held out':>25}  {'wall':>15} {'processor':>15} {'memory':>14}")
    ok = True
    with tempfile.TemporaryDirectory() as folder:
        def plain(name):
            path = os.path.join(folder, name)
            with gzip.open(os.path.join(data, name + ".gz")) as f, open(path, "wb") as g:
                g.write(f.read())
            return path

        train, dev = plain("novels-train.txt"), plain("novels-dev.txt")
        with open(dev, encoding="utf-8") as f:
            held_out = f.read().split("\n")
        if o.only != "options":
            for size in (8000, 30000):
                ok &= compare(f"novels-{size}", {**ALBERT_SETTINGS, "vocab_size": size}, train, held_out, o, folder, True)
        if o.only != "novels":
            for name, change in OPTIONS.items():
                if o.option is None or name in o.option:
                    ok &= compare(name, {**ALBERT_SETTINGS, "vocab_size": 4000, **change}, dev, held_out[:5000], o, folder, False)
    sys.exit(0 if ok else 1)


main()
