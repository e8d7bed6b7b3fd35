"""Trains the three tokenizer.json files, each built the way its family's published ones are."""

from __future__ import annotations

import json
from pathlib import Path

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers
from tokenizers import pre_tokenizers, processors, trainers

import corpus

MODELS = Path(__file__).parent / "models"
CONTRACTIONS = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)"
WORDS = r"[^\r\n\p{L}\p{N}]?\p{L}+"
REST = r" ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
LLAMA3_SPLIT = rf"{CONTRACTIONS}|{WORDS}|\p{{N}}{{1,3}}|{REST}"
QWEN2_SPLIT = rf"{CONTRACTIONS}|{WORDS}|\p{{N}}|{REST}"


def _train(tokenizer: Tokenizer, texts: list[str], size: int, first: list[str]) -> None:
    trainer = trainers.BpeTrainer(
        vocab_size=size,
        min_frequency=2,
        special_tokens=first,
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    if tokenizer.get_vocab_size() != size:
        raise SystemExit(f"{tokenizer.get_vocab_size()} tokens were learned, {size} were asked for")


def _split(pattern: str) -> pre_tokenizers.PreTokenizer:
    return pre_tokenizers.Sequence([
        pre_tokenizers.Split(Regex(pattern), behavior="isolated", invert=False),
        pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
    ])


def _special(content: str) -> AddedToken:
    return AddedToken(content, special=True, normalized=False)


def _plain(content: str) -> AddedToken:
    return AddedToken(content, special=False, normalized=False)


def opt() -> Tokenizer:
    """GPT-2's split; every text starts with </s>, which is also eos. 1506 ids."""
    tokenizer = Tokenizer(models.BPE(unk_token=None))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
    tokenizer.decoder = decoders.ByteLevel()
    _train(tokenizer, corpus.load("licences") + corpus.foreign()[::9], 1503,
           ["<s>", "<pad>", "</s>", "<unk>"])
    tokenizer.add_special_tokens([
        AddedToken("<mask>", special=True, lstrip=True, normalized=False)])
    tokenizer.add_tokens([
        _plain("<blank>"), AddedToken("swapserve", special=False, normalized=True)])
    tokenizer.post_processor = processors.TemplateProcessing(
        single="</s>:0 $A:0", pair="</s>:0 $A:0 </s>:0 $B:1", special_tokens=[("</s>", 2)])
    return tokenizer


def llama3() -> Tokenizer:
    """Llama 3's split; <|begin_of_text|> first; special tokens behind the vocabulary. 1280 ids."""
    tokenizer = Tokenizer(models.BPE(ignore_merges=True))
    tokenizer.pre_tokenizer = _split(LLAMA3_SPLIT)
    tokenizer.decoder = decoders.ByteLevel()
    _train(tokenizer, corpus.load("perl"), 1270, [])
    tokenizer.add_special_tokens([_special(s) for s in (
        "<|begin_of_text|>", "<|end_of_text|>", "<|reserved_special_token_0|>",
        "<|reserved_special_token_1|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>",
        "<|python_tag|>")])
    tokenizer.add_tokens([_plain("<|note|>"), _plain("<|")])
    tokenizer.post_processor = processors.Sequence([
        processors.ByteLevel(trim_offsets=False),
        processors.TemplateProcessing(
            single="<|begin_of_text|>:0 $A:0",
            pair="<|begin_of_text|>:0 $A:0 <|begin_of_text|>:1 $B:1",
            special_tokens=[("<|begin_of_text|>", 1270)]),
    ])
    return tokenizer


def qwen2() -> Tokenizer:
    """Qwen2's split behind NFC; no bos; some added tokens are not special. 1419 ids."""
    tokenizer = Tokenizer(models.BPE(
        unk_token=None, continuing_subword_prefix="", end_of_word_suffix=""))
    tokenizer.normalizer = normalizers.NFC()
    tokenizer.pre_tokenizer = _split(QWEN2_SPLIT)
    tokenizer.decoder = decoders.ByteLevel()
    _train(tokenizer, corpus.load("git") + corpus.foreign()[::3], 1412, [])
    tokenizer.add_special_tokens(
        [_special(s) for s in ("<|endoftext|>", "<|im_start|>", "<|im_end|>")])
    tokenizer.add_tokens(
        [_plain(s) for s in ("<tool_call>", "</tool_call>", "<think>", "</think>")])
    tokenizer.post_processor = processors.ByteLevel(trim_offsets=False)
    return tokenizer


BUILDERS = {"opt-tiny": opt, "llama-tiny": llama3, "qwen2-tiny": qwen2}


def main() -> None:
    for name, build in BUILDERS.items():
        tokenizer = build()
        folder = MODELS / name
        folder.mkdir(parents=True, exist_ok=True)
        tokenizer.save(str(folder / "tokenizer.json"))
        found = json.loads((folder / "tokenizer.json").read_text())
        print(name, tokenizer.get_vocab_size(), "ids,", len(found["model"]["merges"]), "merges")


if __name__ == "__main__":
    main()
