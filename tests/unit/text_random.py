"""Prints the table of text_random.c with the `tokenizers` package (0.23.3); run at the root.

The texts are the same as there: ranges and words are read out of the C file."""

import re
import sys
from pathlib import Path

from tokenizers import Tokenizer

MASK = (1 << 64) - 1
MODELS = ("opt-tiny", "llama-tiny", "qwen2-tiny")
SOURCE = Path(__file__).with_suffix(".c").read_text()
PAIRS = SOURCE[SOURCE.index("ranges[][2]"):SOURCE.index("static const char *const words")]
RANGES = [(int(a, 16), int(b, 16)) for a, b in re.findall(r"\{(0x\w+), (0x\w+)\}", PAIRS)]
LIST = SOURCE[SOURCE.index("words[] = {"):SOURCE.index("#define COUNT")]
WORDS = [w.encode().decode("unicode_escape") for w in re.findall(r'"((?:[^"\\]|\\.)*)"', LIST)]
BLOCKS, BLOCK_TEXTS = 10, 1000


def random_u64(seed: int, index: int) -> int:
    z = (seed + 0x9E3779B97F4A7C15 * (index + 1)) & MASK
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & MASK
    return z ^ (z >> 31)


def make_text(seed: int) -> str:
    numbers = (random_u64(seed, i) for i in range(1 << 30))
    out = []
    for _ in range(1 + next(numbers) % 16):
        if next(numbers) % 8 == 0:
            out.append(WORDS[next(numbers) % len(WORDS)])
            continue
        low, high = RANGES[next(numbers) % len(RANGES)]
        for _ in range(1 + next(numbers) % 6):
            code = low + next(numbers) % (high - low + 1)
            if not 0xD800 <= code <= 0xDFFF:
                out.append(chr(code))
    return "".join(out)


def add_bytes(value: int, data: bytes) -> int:
    for byte in data:
        value = ((value ^ byte) * 0x100000001B3) & MASK
    return value


def hash_block(tokenizer: Tokenizer, block: int) -> int:
    value = 0xCBF29CE484222325
    for i in range(BLOCK_TEXTS):
        text = make_text(block * BLOCK_TEXTS + i)
        ids = tokenizer.encode(text, add_special_tokens=i % 2 == 1).ids
        value = add_bytes(value, b"".join(t.to_bytes(4, "little") for t in ids))
        value = add_bytes(value, tokenizer.decode(ids, skip_special_tokens=i % 3 == 0).encode())
    return value


def main() -> None:
    for model in MODELS:
        path = f"tests/golden/models/{model}/tokenizer.json"
        tokenizer = Tokenizer.from_file(path)
        hashes = [hash_block(tokenizer, block) for block in range(BLOCKS)]
        body = ", ".join(f"0x{value:016x}" for value in hashes)
        sys.stdout.write(f'    {{"{path}", {{{body}}}}},\n')


if __name__ == "__main__":
    main()
