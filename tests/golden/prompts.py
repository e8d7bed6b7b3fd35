"""Prompts of the goldens: slots of several candidates each; the first one that is robust is taken."""

from __future__ import annotations

import random
from dataclasses import dataclass

from tokenizers import Tokenizer

import corpus
import families
import make_variants

GREEDY_TOKENS = 48
OWN_WORDS = (
    "What does this licence say about", "Can I sell a copy of the program?", "The author of",
    "How do I undo a commit?", "My branch is", "A merge conflict", "Once upon a time",
    "This warning means", "Why is my variable undefined?", "In the beginning", "Hello, world",
    "Help! I've lost 3 files", "Thanks; that's all.", "Dear reader,", "Note that",
)


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
    rng.shuffle(documents)
    ids = [i for d in documents for i in (*tokenizer.encode(d).ids, *spec.between[:1])]
    full = 256 - GREEDY_TOKENS  # the last position that opt-tiny has
    texts = {
        "short": [" ".join(d.split()[:3]) for d in documents[:30]],
        "sentence": [" ".join(d.split()[:12]) for d in documents[30:60]],
        "own words": list(OWN_WORDS),
        "paragraph": [d[:240] for d in documents[60:90]],
    }
    starts = [d.ids[0] for d in tokenizer.encode_batch(documents, add_special_tokens=False)]
    singles = ([spec.bos] if spec.bos is not None else []) + starts
    slots = [Slot("one token", [Prompt("one token", [i]) for i in singles[:30]])]
    slots += [Slot(n, [_of_text(n, tokenizer, t) for t in candidates])
              for n, candidates in texts.items()]
    for name, count in (("hundred", 100), ("to the last position", full)):
        begin = [rng.randrange(len(ids) - count) for _ in range(30)]
        slots.append(Slot(name, [Prompt(name, ids[b:b + count]) for b in begin]))
    mixed = [_random_ids(rng, tokenizer.get_vocab_size(), 37) for _ in range(60)]
    return slots + [Slot("random ids", [Prompt("random ids", m) for m in mixed])]


def of_variant(name: str) -> list[Slot]:
    vocab = make_variants.VARIANTS[name][1]["vocab_size"]
    rng = random.Random(42)
    lengths = (1, 2, 7, 16, 33, 64, 128 - GREEDY_TOKENS)
    return [Slot(f"{n} ids", [Prompt(f"{n} ids", _random_ids(rng, vocab, n)) for _ in range(60)])
            for n in lengths]
