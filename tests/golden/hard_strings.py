"""Strings and byte sequences on which byte-level BPE tokenizers go wrong.

All code points are in Unicode 14 or older, so that regular-expression engines of different ages
agree on their classes.
"""

from __future__ import annotations

import random

WHITE = (
    "\t\n\x0b\x0c\r\x1c\x1d\x1e\x1f \x85\xa0\u1680\u180e\u2000\u2001\u2002\u2003\u2004\u2005"
    "\u2006\u2007\u2008\u2009\u200a\u200b\u200c\u200d\u2028\u2029\u202f\u205f\u2060\u3000\ufeff"
)

NAMED: dict[str, str] = {
    "empty": "",
    "one space": " ",
    "two spaces": "  ",
    "three spaces": "   ",
    "leading space": " The work",
    "leading spaces": "    The work",
    "trailing space": "The work ",
    "trailing spaces": "The work   ",
    "inner spaces": "The  work   of    art",
    "tab run": "\t\t\tif x:\t\treturn\t",
    "newline": "\n",
    "newlines": "a\n\nb\n\n\nc\n",
    "crlf": "first\r\nsecond\r\n\r\nthird\r",
    "mixed white": " \t \n \r\n  x \n\t\n  ",
    "white then punctuation": "  !  ?\n\n...  ;",
    "space before newline": "end \nnext  \n  next",
    "nbsp": "a\u00a0b \u00a0 c\u00a0",
    "ideographic space": "日本\u3000語 \u3000 x",
    "all white": WHITE,
    "white between letters": "".join(f"x{w}y" for w in WHITE),
    "white runs": "".join(f"x{w}{w} {w}" for w in WHITE),
    "soft hyphen and marks": "co\u00adop\u200bera\u2060tion\ufeff",
    "english": "You may convey a covered work under the terms of section 6.",
    "perl": "(W numeric) An alpha version can't be numified without losing information.",
    "git": "git rebase --onto <newbase> main~3 'topic/x' && git push -f origin HEAD:refs/heads/x",
    "contractions": "I'm you're he's she'd we'll they've isn't o'clock 'tis 'twas rock'n'roll",
    "contractions upper": "I'M YOU'RE HE'S SHE'D WE'LL THEY'VE ISN'T 'TIS",
    "contractions mixed": "I'm'S'll'LL'Ll'lL'vE'Re''s' 's 'S't",
    "contractions folded": "it'\u017f it'\u017ft \u2019s it\u2019s K'\u212am",
    "digits": "0 1 12 123 1234 12345 123456 1234567 3.14159 1,000,000 0x7fff 1e-10",
    "digit words": "a1b22c333d4444e v2.0-rc1 x86_64 3rd",
    "other digits": "٣٤٥٦ १२३४ ①②③ ½¼ Ⅷ ⅻ ²³ 〇一二 𝟘𝟙𝟚 𒐀",
    "punctuation": "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~",
    "punctuation runs": "--- === ... !!!??? ((())) #### //// \\\\n **bold** __x__",
    "punctuation newlines": "x;\n}\n\n// y --\r\n?!\n",
    "symbols": "€£¥₿ ™®© ±×÷≠∞ → ⇒ █▓ ♠♥ ✓✗ № … — – “q” ‘q’ «q»",
    "latin": "Façade naïve coöperate Ærøskøbing Łódź İstanbul ıI ß ẞ straße",
    "nfc": "é à ö ñ ç Å Ω ﬁ",
    "nfd": "e\u0301 a\u0300 o\u0308 n\u0303 c\u0327 A\u030a",
    "stacked marks": "a\u0323\u0307 q\u0307\u0323 Z\u0351\u036b\u0343\u036a\u0302 e\u0301\u0301",
    "lone marks": "\u0301\u0308 x \u0301y",
    "singletons": "\u212b \u2126 \u212a \u1fbe \u0344 \u2000x\u2001 \uf900 \u2f800",
    "composition exclusions": "\u0958 \u0f43 \ufb1d \u2adc \U0001d15e",
    "hangul": "한국어 각각 \u1112\u1161\u11ab\u1100\u1173\u11af \uac00\u11a8",
    "cyrillic": "Съешь же ещё этих мягких французских булок, да выпей чаю.",
    "greek": "Ξεσκεπάζω την ψυχοφθόρα βδελυγμία ΣΊΣΥΦΟΣ σίσυφος",
    "hebrew": "דג סקרן שט בים מאוכזב שָׁלוֹם",
    "arabic": "نص حكيم له سر قاطع اَلْعَرَبِيَّةُ لا",
    "devanagari": "ऋषियों को सताने वाले दुष्ट क्षत्रिय",
    "tamil": "தமிழ் மொழி நன்று",
    "thai": "เป็นมนุษย์สุดประเสริฐ ก็",
    "chinese": "天地玄黃，宇宙洪荒。日月盈昃，辰宿列張。",
    "japanese": "いろはにほへと ちりぬるを カタカナ ﾊﾝｶｸ 漢字、。",
    "japanese marks": "か\u3099 は\u309a ガ カ\u3099",
    "georgian": "ქართული ᲥᲐᲠᲗᲣᲚᲘ",
    "amharic": "ሰማይ አይታረስ ንጉሥ አይከሰስ።",
    "astral": "𝔘𝔫𝔦𝔠𝔬𝔡𝔢 𐍈 𠜎𠜱 𓀀 𐐀𐐨",
    "mixed scripts": "The 猫 sat on коврик, δηλαδή 매트 위에! 5匹 ok",
    "emoji": "😀😁 hi😂there ❤️ ☃",
    "emoji zwj": "👩‍👩‍👧‍👦 👨🏽‍🚀 🏳️‍🌈 🧑‍💻",
    "emoji skin": "👍🏻👍🏼👍🏽👍🏾👍🏿 ✊🏿",
    "emoji flags": "🇩🇪🇯🇵 🏴󠁧󠁢󠁳󠁣󠁴󠁿 1️⃣#️⃣",
    "controls": "a\x00b\x01\x02\x1b[31mred\x1b[0m\x7f\x80\x9f",
    "nul": "\x00",
    "byte order mark": "\ufeffBOM first",
    "replacement": "\ufffd a\ufffdb",
    "noncharacters": "\ufffe\uffff\ufdd0 \U0001ffff",
    "private use": "\ue000\uf8ff \U000f0000 \U0010ffff",
    "unassigned": "\u0378 x\u0378y \U000e0080",
    "bidi": "a\u202eb\u202cc\u2066d\u2069",
    "byte alphabet": "Ġthe Ċ ĉ č Ā ġ ¡ÿ Ń",
    "brackets": "{\"a\": [1, 2, {\"b\": null}], \"c\": \"\\u00e9\\n\"}",
    "code": "def f(x: int) -> str:\n    return f\"{x:>8}\"  # note\n\n\nclass A:\n\tpass\n",
    "url": "https://example.org/a/b?q=1&r=%20#frag mailto:a.b@example.org",
    "shouting": "THE SOFTWARE IS PROVIDED \"AS IS\", WITHOUT WARRANTY OF ANY KIND",
    "camel": "camelCase PascalCase snake_case kebab-case SCREAMING_SNAKE",
    "long word": "antidisestablishmentarianism" * 8,
    "long same letter": "a" * 300,
    "long spaces": " " * 200 + "x",
    "long newlines": "\n" * 70 + "x" + "\r\n" * 30,
    "long digits": "9876543210" * 20,
    "long punctuation": "-" * 90 + "\n" + "=" * 81,
    "long mixed": "The licensee 被許可者 лицензиат 👩‍💻 may, at 3.5%, re-use\u00a0it.\n" * 40,
}

# Around the added tokens of the three test tokenizers.
ADDED = (
    "</s>", "<s></s><pad><unk>", "a</s>b", " </s> ", "x <mask> y", "x  \t\n<mask>  y",
    "<mask><mask>", "<ma sk> <mask", "</s", "</s>>", "<</s>", "<blank>x <blank>", "swapserve",
    "run swapserve!", "swapserver", "xswapserve", "swapserve swapserve", "Swapserve", "swap serve",
    "<|begin_of_text|>", "<|begin_of_text|><|begin_of_text|>x", "a <|eot_id|>\n\n b",
    "<|start_header_id|>user<|end_header_id|>\n\nHello, who are you?<|eot_id|>",
    "<|reserved_special_token_0|><|reserved_special_token_1|><|reserved_special_token_2|>",
    "<|note|>", "<|", "<|x|>", "a<|b", "<|note", "<|begin_of_text", "<|<|note|>|>", "|>", "< |",
    "<|endoftext|>", "<|im_start|>user\nHello<|im_end|>\n<|im_start|>assistant\n",
    "<tool_call>\n{\"name\": \"f\"}\n</tool_call>", "<think>hm</think>ok", "<tool_call",
    "<think><|im_end|></think>", "é<think>e\u0301</think>\u0301", "日<|eot_id|>本<|im_end|>語</s>",
    "\u00a0<mask>\u3000</s>\u00a0",
)


def _every_utf8_byte() -> list[tuple[str, str]]:
    """Every byte that UTF-8 may hold: the 256 first code points, then leads and continuations."""
    cases = [(f"code point {c:02x}", chr(c)) for c in range(256)]
    leads = [chr((lead & 0x1F) << 6 | 0x2A) for lead in range(0xC2, 0xE0)]
    leads += [chr((lead & 0x0F) << 12 | (0x20 if lead == 0xE0 else 0) << 6 | 0x15)
              for lead in range(0xE0, 0xF0) if lead != 0xED]
    leads += ["\ud7ff", "\U00010000", "\U00040000", "\U00080000", "\U000c0000", "\U00100000"]
    tails = "".join(chr(0x3040 + c) for c in range(64))
    return cases + [("utf-8 leads", "".join(leads)), ("utf-8 tails", tails),
                    ("latin-1", "".join(map(chr, range(256))))]


def _random_strings(count: int) -> list[tuple[str, str]]:
    rng = random.Random(20)
    pools = [NAMED[k] for k in (
        "english", "contractions upper", "digits", "symbols", "nfd", "mixed scripts", "emoji zwj",
        "all white", "mixed white", "arabic", "hangul", "code")]
    cases = []
    for i in range(count):
        pieces = []
        for _ in range(rng.randint(2, 12)):
            pool = rng.choice(pools)
            start = rng.randrange(len(pool))
            pieces.append(pool[start:start + rng.randint(1, 9)])
        cases.append((f"random {i}", "".join(pieces)))
    return cases


def texts() -> list[tuple[str, str]]:
    named = list(NAMED.items()) + [(f"added: {a!r}"[:60], a) for a in ADDED]
    return named + _every_utf8_byte() + _random_strings(60)


def invalid_bytes() -> list[bytes]:
    """Byte sequences for decoding: each maximal part that is no UTF-8 must come out as U+FFFD."""
    found = [bytes([b]) for b in range(256)]
    found += [bytes([0x41, b, 0x42]) for b in range(128, 256)]
    found += [bytes.fromhex(h) for h in (
        "c3", "c3a9", "c3c3a9", "e2", "e282", "e282ac", "e28241", "e282e282ac", "f0", "f09f",
        "f09f98", "f09f9880", "f09f9841", "f09ff09f9880", "c080", "c1bf", "e08080", "e09f80",
        "eda080", "edbfbf", "ed9fbf", "f0808080", "f08f8080", "f0908080", "f48fbfbf", "f4908080",
        "f5808080", "f8888080", "fc", "feff", "fffe", "80", "8080", "808080bf", "efbfbd", "efbbbf",
        "e28080e2", "20e2", "e220", "00c300", "efbf", "efbfbfef", "c3a9cc", "65cc81", "cc",
    )]
    rng = random.Random(21)
    for _ in range(60):
        found.append(bytes(rng.choice((0x20, 0x61, 0x80, 0x9f, 0xa0, 0xbf, 0xc3, 0xe2, 0xed, 0xf0,
                                       0xf4, 0xff)) for _ in range(rng.randint(2, 10))))
    return found
