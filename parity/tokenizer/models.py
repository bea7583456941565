"""Small models with every setting that changes encoding, trained by the C++ library on text made here."""

import os
import random

import sentencepiece

WORDS = """the a of and to in is was that for on with as by at from it his her they we you this be are were have had not but or an which
their all there been one if more when will would who so no out up into has could its then them time some only other new than two may
first any man my now such like our over me even most made after also did many before must through years where much your way well down
should because each just those people how too little state good very make world still own see men work long get here between both life
being under never day same another know while last might us great old year off come since against go came right used take three river
mountain bridge window garden letter school teacher student question answer number reading writing walking running quickly slowly
beautiful terrible wonderful different important possible impossible nation national international information understanding""".split()
OTHER = ["café", "naïve", "Zürich", "Ångström", "über", "niño", "Привет", "мир", "Ελλάδα", "漢字", "日本語", "東京", "한국어", "עברית", "ﬁnal", "①"]


def sentences(count=3000, seed=7):
    rnd = random.Random(seed)
    for _ in range(count):
        words = []
        for _ in range(rnd.randrange(3, 18)):
            kind = rnd.random()
            if kind < 0.86:
                w = WORDS[int(rnd.random() ** 2 * len(WORDS))]
                if rnd.random() < 0.1:
                    w = w.capitalize()
            elif kind < 0.92:
                w = rnd.choice(OTHER)
            else:
                w = str(int(10 ** (rnd.random() * 5)))
            if rnd.random() < 0.12:
                w += rnd.choice([",", ";", "'s", ", and", "-made", ")", '"'])
            words.append(w)
        yield " ".join(words) + rnd.choice([".", "?", "!", "..."])


VARIANTS = {
    # As ALBERT's own is trained.
    "albert": dict(pad_id=0, unk_id=1, bos_id=-1, eos_id=-1, control_symbols=["[CLS]", "[SEP]", "[MASK]"],
                   user_defined_symbols=["(", ")", '"', "-", ".", "–", "£", "€"], character_coverage=0.9995),
    "bytes": dict(byte_fallback=True, remove_extra_whitespaces=False, character_coverage=0.98, user_defined_symbols=["ab", "abc", "the ", "  ", "漢"],
                  normalization_rule_name="nmt_nfkc_cf", vocab_size=700),
    "suffix": dict(treat_whitespace_as_suffix=True, normalization_rule_name="nfkc", allow_whitespace_only_pieces=True),
    "identity": dict(normalization_rule_name="identity", add_dummy_prefix=False, split_by_whitespace=False, split_by_number=False, unk_surface="?"),
    # Rules of its own for encoding and for decoded text: a letter for another, nothing, spaces, and what overlaps.
    "custom": dict(normalization_rule_tsv="41\t61\n42 42\t\n43\t20 20\n44\t20 58 20\n44 45\t64\n1F600\t3A 29\n",
                   denormalization_rule_tsv="61\t41\n20\t20 20\n62 63\t\n"),
    "fold": dict(normalization_rule_name="nfkc_cf", remove_extra_whitespaces=False, split_digits=True, user_defined_symbols=["▁", "a▁b", "é", "\u0301"]),
}


def train(name, folder, **more):
    """Trains a variant and gives its model file."""
    prefix = os.path.join(folder, name)
    files = {}
    for option, text in VARIANTS[name].items():
        if option.endswith("_tsv"):
            files[option] = f"{prefix}.{option}"
            with open(files[option], "w") as f:
                f.write(text)
    options = dict(vocab_size=500, model_type="unigram", num_threads=1, minloglevel=2, hard_vocab_limit=False) | VARIANTS[name] | files | more
    sentencepiece.SentencePieceTrainer.train(sentence_iterator=iter(sentences()), model_prefix=prefix, **options)
    return prefix + ".model"
