"""The test models: one configuration per family, in transformers' own classes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from transformers import (LlamaConfig, LlamaForCausalLM, OPTConfig, OPTForCausalLM, PreTrainedModel,
                          Qwen2Config, Qwen2ForCausalLM)

HERE = Path(__file__).parent
MODELS = HERE / "models"
EXPECTED = HERE / "expected"


@dataclass(frozen=True)
class Trained:
    name: str
    corpus: str
    model: type[PreTrainedModel]
    config: Any
    between: tuple[int, ...]  # ids that end a document and start the next one
    bos: int | None
    generation: dict[str, Any]
    steps: int
    shard_bytes_max: int


OPT_TINY = Trained(
    name="opt-tiny", corpus="licences", model=OPTForCausalLM, between=(2,), bos=2,
    config=OPTConfig(
        vocab_size=1506, hidden_size=128, num_hidden_layers=4, num_attention_heads=8, ffn_dim=512,
        max_position_embeddings=256, do_layer_norm_before=True, word_embed_proj_dim=128,
        dropout=0.0, attention_dropout=0.0, layerdrop=0.0, init_std=0.06,
        bos_token_id=2, eos_token_id=2, pad_token_id=1),
    generation={"bos_token_id": 2, "eos_token_id": 2, "pad_token_id": 1},
    steps=1800, shard_bytes_max=1 << 30)

LLAMA_TINY = Trained(
    name="llama-tiny", corpus="perl", model=LlamaForCausalLM, between=(1271, 1270), bos=1270,
    config=LlamaConfig(
        vocab_size=1280, hidden_size=128, intermediate_size=320, num_hidden_layers=4,
        num_attention_heads=8, num_key_value_heads=4, max_position_embeddings=512,
        rms_norm_eps=1e-5, initializer_range=0.06, tie_word_embeddings=False,
        rope_parameters={"rope_type": "llama3", "rope_theta": 10000.0, "factor": 8.0,
                         "low_freq_factor": 1.0, "high_freq_factor": 4.0,
                         "original_max_position_embeddings": 128},
        bos_token_id=1270, eos_token_id=[1271, 1276], pad_token_id=None),
    generation={"bos_token_id": 1270, "eos_token_id": [1271, 1276]},
    steps=2000, shard_bytes_max=2_300_000)

QWEN2_TINY = Trained(
    name="qwen2-tiny", corpus="git", model=Qwen2ForCausalLM, between=(1412,), bos=None,
    config=Qwen2Config(
        # More rows than the tokenizer has ids, as published Qwen2 files do.
        vocab_size=1424, hidden_size=128, intermediate_size=256, num_hidden_layers=6,
        num_attention_heads=8, num_key_value_heads=4, max_position_embeddings=512,
        rms_norm_eps=1e-6, initializer_range=0.06, tie_word_embeddings=True,
        use_sliding_window=False, sliding_window=None,
        rope_parameters={"rope_type": "default", "rope_theta": 1000000.0},
        bos_token_id=1412, eos_token_id=1412, pad_token_id=None),
    generation={"bos_token_id": 1412, "eos_token_id": [1414, 1412], "pad_token_id": 1412},
    steps=1900, shard_bytes_max=1 << 30)

TRAINED = {m.name: m for m in (OPT_TINY, LLAMA_TINY, QWEN2_TINY)}


def build(spec: Trained, seed: int) -> PreTrainedModel:
    torch.manual_seed(seed)
    return spec.model(spec.config).float()
