"""Encodes and decodes hard strings with the `tokenizers` package: tokenizers/*.json."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer

import hard_strings
import tiny_tokenizers

HERE = Path(__file__).parent
GOLDENS = HERE / "tokenizers"
ROOT = HERE.parent.parent
TRAINED = ("opt-tiny", "llama-tiny", "qwen2-tiny")


def _encode(tokenizer: Tokenizer, name: str, text: str) -> dict[str, Any]:
    ids = tokenizer.encode(text, add_special_tokens=True).ids
    bare = tokenizer.encode(text, add_special_tokens=False).ids
    return {
        "name": name,
        "text": text,
        "ids": ids,
        "ids_bare": bare,
        "decoded": tokenizer.decode(ids, skip_special_tokens=False),
        "decoded_skip": tokenizer.decode(ids, skip_special_tokens=True),
    }


def _decode(tokenizer: Tokenizer, ids: list[int]) -> dict[str, Any]:
    return {
        "ids": ids,
        "decoded": tokenizer.decode(ids, skip_special_tokens=False),
        "decoded_skip": tokenizer.decode(ids, skip_special_tokens=True),
    }


def _id_lists(tokenizer: Tokenizer) -> list[list[int]]:
    """Bytes that are no UTF-8 (as single-byte tokens), random ids, ids that no token has."""
    alphabet = tiny_tokenizers.byte_alphabet()
    by_byte = [tokenizer.get_vocab()[letter] for letter in alphabet]
    lists = [[by_byte[b] for b in data] for data in hard_strings.invalid_bytes()]
    rng = random.Random(22)
    used = sorted(tokenizer.get_vocab().values())
    cut = [i for i in used if "\ufffd" in tokenizer.decode([i])]
    lists += [rng.choices(used, k=rng.randint(2, 24)) for _ in range(40)]
    lists += [rng.choices(cut, k=rng.randint(2, 8)) for _ in range(40)]
    return lists + [[], [used[-1] + 1], [5, used[-1] + 1, 6], used[-12:]]


def _write(name: str, tokenizer_path: Path, encodes: list[Any], decodes: list[Any]) -> None:
    path = str(tokenizer_path.relative_to(ROOT))
    body = {"tokenizer": path, "encode": encodes, "decode": decodes}
    lines = ",\n".join(
        f'"{key}": ' + (json.dumps(value) if isinstance(value, str) else
                        "[\n" + ",\n".join(map(json.dumps, value)) + "\n]")
        for key, value in body.items())
    (GOLDENS / f"{name}.json").write_text(f"{{\n{lines}\n}}\n")
    print(f"{name}: {len(encodes)} encodings, {len(decodes)} decodings")


def trained() -> None:
    for name in TRAINED:
        path = HERE / "models" / name / "tokenizer.json"
        tokenizer = Tokenizer.from_file(str(path))
        encodes = [_encode(tokenizer, n, t) for n, t in hard_strings.texts()]
        singles = [_decode(tokenizer, [i]) for i in sorted(tokenizer.get_vocab().values())]
        _write(name, path, encodes, singles + [_decode(tokenizer, i) for i in _id_lists(tokenizer)])


def features() -> None:
    rng = random.Random(23)
    for name, content in tiny_tokenizers.all_files().items():
        path = GOLDENS / "features" / name / "tokenizer.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(content, ensure_ascii=False, separators=(",", ":")) + "\n")
        tokenizer = Tokenizer.from_file(str(path))
        for token in content["added_tokens"]:
            if tokenizer.token_to_id(token["content"]) != token["id"]:
                raise SystemExit(f"{name}: {token['content']} does not get its id {token['id']}")
        used = sorted(tokenizer.get_vocab().values())
        encodes = [_encode(tokenizer, t[:30], t) for t in tiny_tokenizers.TEXTS]
        decodes = [_decode(tokenizer, [i]) for i in used]
        decodes += [_decode(tokenizer, rng.choices(used, k=rng.randint(2, 9))) for _ in range(40)]
        _write(f"features-{name}", path, encodes, decodes)


if __name__ == "__main__":
    trained()
    features()
