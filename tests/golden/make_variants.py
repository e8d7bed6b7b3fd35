"""Writes the random-weighted variants: shapes and file habits that the trained ones lack."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import cast

MODELS = Path(__file__).parent / "models"
Tensors = dict[str, NDArray[np.float32]]

OPT_COMMON: dict[str, Any] = {
    "architectures": ["OPTForCausalLM"], "model_type": "opt", "activation_function": "relu",
    "bos_token_id": 2, "eos_token_id": 2, "pad_token_id": 1, "prefix": "</s>",
    "hidden_size": 32, "ffn_dim": 128, "num_attention_heads": 4, "num_hidden_layers": 4,
    "max_position_embeddings": 128, "dropout": 0.0, "attention_dropout": 0.0,
    "activation_dropout": 0.0, "layerdrop": 0.0, "init_std": 0.02, "use_cache": True,
}
# name -> (stored type, config)
VARIANTS: dict[str, tuple[str, dict[str, Any]]] = {
    # As opt-350m: norms behind the blocks, none at the end, narrower word embeddings.
    "opt-postnorm": ("fp32", {**OPT_COMMON, "do_layer_norm_before": False, "vocab_size": 257,
                              "word_embed_proj_dim": 16, "torch_dtype": "float32"}),
    # Tensor names without "model.", as in the first OPT files.
    "opt-noprefix": ("fp16", {**OPT_COMMON, "do_layer_norm_before": True, "vocab_size": 250,
                              "word_embed_proj_dim": 32, "torch_dtype": "float16"}),
    # Tied head; config keys as before transformers 5.
    "llama-tied": ("bf16", {
        "architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_act": "silu",
        "bos_token_id": 1, "eos_token_id": [2, 7], "hidden_size": 64, "intermediate_size": 96,
        "num_attention_heads": 8, "num_key_value_heads": 4, "num_hidden_layers": 4,
        "max_position_embeddings": 128, "rms_norm_eps": 1e-06, "rope_theta": 500000.0,
        "rope_scaling": None, "tie_word_embeddings": True, "attention_bias": False,
        "attention_dropout": 0.0, "mlp_bias": False, "pretraining_tp": 1, "vocab_size": 250,
        "torch_dtype": "bfloat16", "use_cache": True}),
}


class Weights:
    """Draws tensors, so scaled that signals keep their size and logits spread by several units."""

    def __init__(self, seed: int) -> None:
        self._rng = np.random.default_rng(seed)
        self.tensors: Tensors = {}

    def _put(self, name: str, values: NDArray[np.float64]) -> None:
        self.tensors[name] = values.astype(np.float32)

    def table(self, name: str, rows: int, columns: int, scale: float) -> None:
        self._put(name, scale * self._rng.standard_normal((rows, columns)))

    def linear(self, name: str, outputs: int, inputs: int, bias: bool, gain: float = 1.0,
               centred: bool = False) -> None:
        weight = self._rng.standard_normal((outputs, inputs)) * gain / np.sqrt(inputs)
        if centred:  # inputs that are never negative would add the same vector everywhere
            weight -= weight.mean(axis=1, keepdims=True)
        self._put(f"{name}.weight", weight)
        if bias:
            self._put(f"{name}.bias", 0.1 * self._rng.standard_normal(outputs))

    def norm(self, name: str, size: int, bias: bool) -> None:
        self._put(f"{name}.weight", 1.0 + 0.2 * self._rng.standard_normal(size))
        if bias:
            self._put(f"{name}.bias", 0.1 * self._rng.standard_normal(size))


def opt(config: dict[str, Any], prefix: str, seed: int) -> Tensors:
    draw = Weights(seed)
    hidden, words = config["hidden_size"], config["word_embed_proj_dim"]
    draw.table(f"{prefix}embed_tokens.weight", config["vocab_size"], words, 1.0)
    positions = config["max_position_embeddings"] + 2
    draw.table(f"{prefix}embed_positions.weight", positions, hidden, 3.0)
    if words != hidden:
        draw.linear(f"{prefix}project_in", hidden, words, bias=False)
        draw.linear(f"{prefix}project_out", words, hidden, bias=False)
    for i in range(config["num_hidden_layers"]):
        layer = f"{prefix}layers.{i}"
        for part in ("q", "k"):
            draw.linear(f"{layer}.self_attn.{part}_proj", hidden, hidden, bias=True, gain=1.5)
        for part in ("v", "out"):
            draw.linear(f"{layer}.self_attn.{part}_proj", hidden, hidden, bias=True)
        draw.linear(f"{layer}.fc1", config["ffn_dim"], hidden, bias=True, gain=1.5)
        draw.linear(f"{layer}.fc2", hidden, config["ffn_dim"], bias=True, centred=True)
        draw.norm(f"{layer}.self_attn_layer_norm", hidden, bias=True)
        draw.norm(f"{layer}.final_layer_norm", hidden, bias=True)
    if config["do_layer_norm_before"]:
        draw.norm(f"{prefix}final_layer_norm", hidden, bias=True)
    return draw.tensors


def llama(config: dict[str, Any], seed: int) -> Tensors:
    draw = Weights(seed)
    hidden, inner = config["hidden_size"], config["intermediate_size"]
    kv = hidden // config["num_attention_heads"] * config["num_key_value_heads"]
    draw.table("model.embed_tokens.weight", config["vocab_size"], hidden, 0.7)
    for i in range(config["num_hidden_layers"]):
        layer = f"model.layers.{i}"
        for part, outputs in (("q", hidden), ("k", kv), ("v", kv), ("o", hidden)):
            draw.linear(f"{layer}.self_attn.{part}_proj", outputs, hidden, bias=False, gain=1.5)
        draw.linear(f"{layer}.mlp.gate_proj", inner, hidden, bias=False, gain=1.5)
        draw.linear(f"{layer}.mlp.up_proj", inner, hidden, bias=False, gain=1.5)
        draw.linear(f"{layer}.mlp.down_proj", hidden, inner, bias=False, gain=1.5)
        draw.norm(f"{layer}.input_layernorm", hidden, bias=False)
        draw.norm(f"{layer}.post_attention_layernorm", hidden, bias=False)
    draw.norm("model.norm", hidden, bias=False)
    return draw.tensors


def main() -> None:
    made = {
        "opt-postnorm": opt(VARIANTS["opt-postnorm"][1], "model.decoder.", 31),
        "opt-noprefix": opt(VARIANTS["opt-noprefix"][1], "decoder.", 32),
        "llama-tied": llama(VARIANTS["llama-tied"][1], 33),
    }
    for name, tensors in made.items():
        dtype, config = VARIANTS[name]
        folder = MODELS / name
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "config.json").write_text(json.dumps(config, indent=2) + "\n")
        path = folder / "model.safetensors"
        cast.write_safetensors(path, tensors, dtype, {"format": "pt"})
        print(name, dtype, path.stat().st_size, "bytes")


if __name__ == "__main__":
    main()
