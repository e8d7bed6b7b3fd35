"""Prompts of the goldens: slots of several candidates; the first robust one is taken."""

from __future__ import annotations

import random
from dataclasses import dataclass

from tokenizers import Tokenizer

import corpus
import families
import make_variants

GREEDY_TOKENS = 48
OWN_WORDS = {
    "licences": ("You may not sell", "A copy of the program must", "This licence applies to any",
                 "If you modify the library", "The warranty", "The author of", "Free software is"),
    "perl": ("You tried to open a file", "You wrote a regular expression that",
             "You used a variable", "The subroutine", "Perl was unable to", "This warning means"),
    "git": ("To undo a commit", "The merge conflict", "A branch is", "The index",
            "If the working tree has changes", "Use this command to",
            "When you push to a remote repository"),
}


@dataclass(frozen=True)
class Prompt:
    name: str
    ids: list[int]
    text: str | None = None


@dataclass(frozen=True)
class Slot:
    name: str
    candidates: list[Prompt]


def _of_text(name: str, tokenizer: Tokenizer, text: str) -> Prompt:
    return Prompt(name, tokenizer.encode(text).ids, text)


def _random_ids(rng: random.Random, ids_max: int, count: int) -> list[int]:
    return [rng.randrange(ids_max) for _ in range(count)]


def of_trained(spec: families.Trained) -> list[Slot]:
    tokenizer = Tokenizer.from_file(str(families.MODELS / spec.name / "tokenizer.json"))
    documents = corpus.load(spec.corpus)[:150]
    rng = random.Random(41)
    encoded = tokenizer.encode_batch(documents, add_special_tokens=False)
    stream = [[*e.ids, *spec.between] for e in encoded]  # as in training
    rng.shuffle(documents)
    full = 256 - GREEDY_TOKENS  # the last position that opt-tiny has
    texts = {
        "short": [" ".join(d.split()[:3]) for d in documents[:30]],
        "sentence": [" ".join(d.split()[:12]) for d in documents[30:60]],
        "own words": list(OWN_WORDS[spec.corpus]),
        "paragraph": [d[:240] for d in documents[60:90]],
    }
    bos = [] if spec.bos is None else [spec.bos]
    singles = bos + [e.ids[0] for e in encoded]
    slots = [Slot("one token", [Prompt("one token", [i]) for i in singles[:30]])]
    slots += [Slot(n, [_of_text(n, tokenizer, t) for t in candidates])
              for n, candidates in texts.items()]
    for name, count in (("hundred", 100), ("to the last position", full)):
        begin = rng.sample(range(100), 30)
        runs = [bos + [i for ids in stream[b:b + 20] for i in ids] for b in begin]
        slots.append(Slot(name, [Prompt(name, ids[:count]) for ids in runs]))
    mixed = [_random_ids(rng, tokenizer.get_vocab_size(), 37) for _ in range(60)]
    return slots + [Slot("random ids", [Prompt("random ids", m) for m in mixed])]


def of_variant(name: str) -> list[Slot]:
    vocab = make_variants.VARIANTS[name][1]["vocab_size"]
    rng = random.Random(42)
    lengths = (1, 2, 7, 16, 33, 64, 128 - GREEDY_TOKENS)
    return [Slot(f"{n} ids", [Prompt(f"{n} ids", _random_ids(rng, vocab, n)) for _ in range(60)])
            for n in lengths]
