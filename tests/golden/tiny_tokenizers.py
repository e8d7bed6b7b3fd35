"""Small hand-made tokenizer.json files, one for each feature that published files differ in."""

from __future__ import annotations

from typing import Any

Json = dict[str, Any]

MERGES = [
    ("h", "e"), ("l", "l"), ("he", "ll"), ("hell", "o"), ("Ġ", "w"), ("o", "r"), ("Ġw", "or"),
    ("Ġwor", "l"), ("Ġworl", "d"), ("l", "o"), ("Ġ", "a"), ("Ġ", "Ġ"), ("Ġ", "hello"), ("i", "n"),
    ("in", "g"), ("1", "2"), ("Ã", "©"), ("ã", "ģ"), ("Ċ", "Ċ"), ("a", "b"), ("ab", "c"),
]
TEXTS = (
    "", "hello", " hello", "hello world", "  hello  world ", "helo hellohello", "Hello HELLO",
    "the inning 1212 12", "é cafe\u0301 ã", "あいう", "\n\n\n x\n\n", "abc abcd xabc", "hel lo",
    "\thello", "\u00a0hello", "hello\u3000world", "unseen", " unseen", "unseenx", "un seen", "a b",
    "[L] x", "x [L] y", "x  \n[L]y", "x [R] y", "x[R]  \n y", "x [B]  y", "x \t[B]", "word",
    "a word.", "sword words word", "(word)word_word", "éword word", "word1 1word",
    "Norm", "NORM norm nOrM",
    "[Raw]", "[raw] [Raw]", "cafe\u0301 [CAFÉ]", "é", "xéx", "[X][XY][XYZ]", "[X] [XY [XYZ",
    "[L][R][B]", "[L] [L] [R] [R]", "<gap>", "x<gap>hello", "<s>hello</s>", "ÀÉ [Raw]À", "\x00\x01",
    "▁hello ▁", "hello▁world", "x\nhello", "日本 hello", "😀 hello",
)


def byte_alphabet() -> list[str]:
    """GPT-2's printable stand-in for each byte value."""
    shown = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    hidden = [b for b in range(256) if b not in shown]
    letters = {b: chr(b) for b in shown} | {b: chr(256 + i) for i, b in enumerate(hidden)}
    return [letters[b] for b in range(256)]


def _added(content: str, number: int, **flags: bool) -> Json:
    base = dict(single_word=False, lstrip=False, rstrip=False, normalized=False, special=False)
    return {"id": number, "content": content, **base, **flags}


def _byte_level(prefix_space: bool = False, use_regex: bool = True) -> Json:
    return {"type": "ByteLevel", "add_prefix_space": prefix_space, "trim_offsets": True,
            "use_regex": use_regex}


def _base() -> Json:
    vocab = {token: i for i, token in enumerate(byte_alphabet())}
    for a, b in MERGES:
        vocab.setdefault(a + b, len(vocab))
    return {
        "version": "1.0", "truncation": None, "padding": None, "added_tokens": [],
        "normalizer": None, "pre_tokenizer": _byte_level(), "post_processor": None,
        "decoder": _byte_level(),
        "model": {"type": "BPE", "dropout": None, "unk_token": None,
                  "continuing_subword_prefix": None, "end_of_word_suffix": None,
                  "fuse_unk": False, "byte_fallback": False, "ignore_merges": False,
                  "vocab": vocab, "merges": [list(m) for m in MERGES]},
    }


def _merges_as_strings() -> Json:
    """An older file: merges as "a b", and keys that came later are absent."""
    made = _base()
    made["model"] = {"type": "BPE", "dropout": None, "unk_token": None,
                     "continuing_subword_prefix": "", "end_of_word_suffix": "", "fuse_unk": False,
                     "vocab": made["model"]["vocab"], "merges": [f"{a} {b}" for a, b in MERGES]}
    made["pre_tokenizer"] = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True}
    return made


def _whole_words(ignore_merges: bool) -> Json:
    """Vocabulary entries that no merge reaches: found only where ignore_merges is true."""
    made = _base()
    for word in ("unseen", "Ġunseen", "lo", "hel", "Ġabc", "ing"):
        made["model"]["vocab"].setdefault(word, len(made["model"]["vocab"]))
    made["model"]["ignore_merges"] = ignore_merges
    return made


def _prefix_space() -> Json:
    made = _base()
    made["pre_tokenizer"] = _byte_level(prefix_space=True)
    made["added_tokens"] = [_added("[X]", 277), _added("<s>", 278, special=True)]
    return made


def _flags(normalizer: Json | None) -> Json:
    made = _base()
    first = len(made["model"]["vocab"])
    made["normalizer"] = normalizer
    tokens = [
        ("[L]", {"lstrip": True}), ("[R]", {"rstrip": True}),
        ("[B]", {"lstrip": True, "rstrip": True, "special": True}), ("word", {"single_word": True}),
        ("Norm", {"normalized": True}), ("[Raw]", {}), ("[X]", {}), ("[XY]", {}), ("[XYZ]", {}),
        ("[X", {"normalized": True}), ("é", {}), ("[CAFÉ]", {"normalized": True}),
        ("hello", {"normalized": True, "single_word": True}),
    ]
    for content, flags in tokens:
        # An added token may repeat one of the vocabulary ("é", "hello"), with that one's id.
        number = made["model"]["vocab"].get(content, first)
        first += number == first
        made["added_tokens"].append(_added(content, number, **flags))
    made["added_tokens"].sort(key=lambda token: token["id"])
    return made


def _gap() -> Json:
    """Ids that no token has (277 to 399, and more); a template with a token behind the text."""
    made = _base()
    vocab = made["model"]["vocab"]
    vocab.update({"<s>": 400, "</s>": 410, "<gap>": 500})
    made["added_tokens"] = [_added("<s>", 400, special=True), _added("</s>", 410, special=True),
                            _added("<gap>", 500)]
    made["post_processor"] = {
        "type": "TemplateProcessing",
        "single": [{"SpecialToken": {"id": "<s>", "type_id": 0}},
                   {"Sequence": {"id": "A", "type_id": 0}},
                   {"SpecialToken": {"id": "</s>", "type_id": 0}}],
        "pair": [{"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 1}}],
        "special_tokens": {"<s>": {"id": "<s>", "ids": [400], "tokens": ["<s>"]},
                           "</s>": {"id": "</s>", "ids": [410], "tokens": ["</s>"]}},
    }
    return made


def _byte_fallback() -> Json:
    """The shape of Llama 2's file: SentencePiece's letters, unknown ones as <0xNN>."""
    merges = [("h", "e"), ("l", "l"), ("he", "ll"), ("hell", "o"), ("▁", "hello"), ("▁", "w"),
              ("o", "r"), ("▁w", "or"), ("l", "d"), ("▁wor", "ld"), ("▁", "▁")]
    vocab = {"<unk>": 0, "<s>": 1, "</s>": 2} | {f"<0x{b:02X}>": b + 3 for b in range(256)}
    for token in ["▁", *"abcdefghilmnorstuwxé", *(a + b for a, b in merges)]:
        vocab.setdefault(token, len(vocab))
    return {
        "version": "1.0", "truncation": None, "padding": None,
        "added_tokens": [_added(t, i, special=True)
                         for i, t in enumerate(("<unk>", "<s>", "</s>"))],
        "normalizer": {"type": "Sequence", "normalizers": [
            {"type": "Prepend", "prepend": "▁"},
            {"type": "Replace", "pattern": {"String": " "}, "content": "▁"}]},
        "pre_tokenizer": None,
        "post_processor": {
            "type": "TemplateProcessing",
            "single": [{"SpecialToken": {"id": "<s>", "type_id": 0}},
                       {"Sequence": {"id": "A", "type_id": 0}}],
            "pair": [{"Sequence": {"id": "A", "type_id": 0}},
                     {"Sequence": {"id": "B", "type_id": 1}}],
            "special_tokens": {"<s>": {"id": "<s>", "ids": [1], "tokens": ["<s>"]}}},
        "decoder": {"type": "Sequence", "decoders": [
            {"type": "Replace", "pattern": {"String": "▁"}, "content": " "},
            {"type": "ByteFallback"}, {"type": "Fuse"},
            {"type": "Strip", "content": " ", "start": 1, "stop": 0}]},
        "model": {"type": "BPE", "dropout": None, "unk_token": "<unk>",
                  "continuing_subword_prefix": None, "end_of_word_suffix": None,
                  "fuse_unk": True, "byte_fallback": True, "ignore_merges": False,
                  "vocab": vocab, "merges": [f"{a} {b}" for a, b in merges]},
    }


def all_files() -> dict[str, Json]:
    return {
        "merges-strings": _merges_as_strings(),
        "merges-pairs": _base(),
        "ignore-merges-true": _whole_words(True),
        "ignore-merges-false": _whole_words(False),
        "prefix-space": _prefix_space(),
        "added-flags": _flags(None),
        "added-flags-nfc": _flags({"type": "NFC"}),
        "added-flags-lowercase": _flags({"type": "Sequence", "normalizers": [
            {"type": "NFC"}, {"type": "Lowercase"}]}),
        "id-gap": _gap(),
        "byte-fallback": _byte_fallback(),
    }
