"""Greedy tokens and logits by transformers in fp32 on the stored weights: expected/*."""

from __future__ import annotations

import argparse
import json
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from tokenizers import Tokenizer
from transformers import AutoModelForCausalLM, PreTrainedModel

import cast
import families
import make_variants
import prompts
from prompts import GREEDY_TOKENS, Prompt

GAP_MIN = 1e-2
ROWS = (0, 1, 16, GREEDY_TOKENS - 1)  # generated tokens before the logits that are kept
ROOT = families.HERE.parent.parent


@dataclass(frozen=True)
class Path32:
    """What one prompt gives: its greedy tokens and the logits each was taken from."""

    ids: list[int]
    logits: NDArray[np.float32]  # [GREEDY_TOKENS, vocab]

    def gap(self) -> float:
        two = np.partition(self.logits, -2, axis=1)[:, -2:]
        return float((two[:, 1] - two[:, 0]).min())


def load(folder: Path) -> PreTrainedModel:
    model: PreTrainedModel
    info: dict[str, Any]
    model, info = AutoModelForCausalLM.from_pretrained(  # type: ignore[misc]
        folder, dtype=torch.float32, attn_implementation="eager", output_loading_info=True)
    wrong = {k: v for k, v in info.items() if v}
    if wrong:
        raise SystemExit(f"{folder}: {wrong}")
    return model.eval()


@torch.no_grad()
def greedy(model: PreTrainedModel, prompt: list[int]) -> Path32:
    """Plain arg-max, the whole sequence anew for every token: no cache, no end of sequence."""
    ids = list(prompt)
    rows = []
    for _ in range(GREEDY_TOKENS):
        row = model(torch.tensor([ids]), use_cache=False).logits[0, -1]
        rows.append(row.numpy().copy())
        ids.append(int(row.argmax()))
    return Path32(ids[len(prompt):], np.stack(rows))


@torch.no_grad()
def error_against_fp64(model: PreTrainedModel, prompt: list[int], path: Path32) -> float:
    """The relative error of fp32 itself, which a 1e-4 test must leave room for."""
    ids = torch.tensor([prompt + path.ids[:-1]])
    exact = model.double()(ids, use_cache=False).logits[0, len(prompt) - 1:].numpy()
    model.float()
    if (exact.argmax(axis=1) != np.array(path.ids)).any():
        raise SystemExit("fp32 and fp64 choose different tokens")
    difference = np.linalg.norm(path.logits - exact, axis=1)
    return float((difference / np.linalg.norm(exact, axis=1)).max())


def choose(slots: list[prompts.Slot], models: list[PreTrainedModel]
           ) -> list[tuple[Prompt, list[Path32]]]:
    """For each slot the first candidate whose arg-max is clear everywhere, in every stored type."""
    chosen = []
    for slot in slots:
        for candidate in slot.candidates:
            paths = []
            for model in models:
                paths.append(greedy(model, candidate.ids))
                if paths[-1].gap() < GAP_MIN:
                    break
            else:
                chosen.append((candidate, paths))
                break
        else:
            raise SystemExit(f"no candidate of '{slot.name}' has gaps of {GAP_MIN} everywhere")
    return chosen


def write(folder: Path, name: str, dtype: str, model: PreTrainedModel,
          cases: list[tuple[Prompt, Path32]]) -> None:
    tokenizer_path = folder / "tokenizer.json"
    tokenizer = Tokenizer.from_file(str(tokenizer_path)) if tokenizer_path.exists() else None
    stem = f"{name}-{dtype}"
    found: list[dict[str, Any]] = []
    at = 0
    with open(families.EXPECTED / f"{stem}.f32", "wb") as raw:
        for prompt, path in cases:
            case: dict[str, Any] = {"name": prompt.name}
            if prompt.text is not None:
                case["text"] = prompt.text
            case |= {"prompt_ids": prompt.ids, "greedy_ids": path.ids}
            if tokenizer:
                case["greedy_text"] = tokenizer.decode(path.ids, skip_special_tokens=False)
            case |= {"gap_min": round(path.gap(), 5), "logits": []}
            for row in ROWS:
                case["logits"].append({"generated": row, "offset_bytes": at})
                at += raw.write(path.logits[row].astype("<f4").tobytes())
            found.append(case)
    body = {"model": str(folder.relative_to(ROOT)), "dtype": dtype,
            "vocab_size": model.config.vocab_size, "logits_file": f"{stem}.f32"}
    lines = ",\n".join(map(json.dumps, found))
    text = f'{json.dumps(body)[:-1]}, "prompts": [\n{lines}\n]}}\n'
    (families.EXPECTED / f"{stem}.json").write_text(text)


def report(name: str, dtypes: list[str], models: list[PreTrainedModel],
           chosen: list[tuple[Prompt, list[Path32]]]) -> None:
    for i, dtype in enumerate(dtypes):
        gap = min(paths[i].gap() for _, paths in chosen)
        error = max(error_against_fp64(models[i], p.ids, paths[i]) for p, paths in chosen)
        spread = np.mean([paths[i].logits.std(axis=1).mean() for _, paths in chosen])
        kinds = len({t for _, paths in chosen for t in paths[i].ids})
        print(f"{name}-{dtype}: {len(chosen)} prompts, gap {gap:.3f}, logits spread {spread:.2f}, "
              f"{kinds} kinds of token, error against fp64 {error:.1e}", flush=True)


def check_old_config(model: PreTrainedModel, prompt: list[int]) -> None:
    """Writes llama-tiny's config as files before transformers 5 had it: the same model."""
    source = families.MODELS / "llama-tiny"
    config = json.loads((source / "config.json").read_text())
    rope = config.pop("rope_parameters")
    config |= {"torch_dtype": config.pop("dtype"), "rope_theta": rope.pop("rope_theta"),
               "rope_scaling": rope, "transformers_version": "4.43.0"}
    text = json.dumps(config, indent=2, sort_keys=True) + "\n"
    (families.HERE / "configs").mkdir(exist_ok=True)
    (families.HERE / "configs" / "llama-tiny-old.json").write_text(text)
    with tempfile.TemporaryDirectory() as scratch:
        cast.cast(source, Path(scratch), "fp32")
        (Path(scratch) / "config.json").write_text(text)
        old = load(Path(scratch))
    ids = torch.tensor([prompt])
    with torch.no_grad():
        if not torch.equal(model(ids).logits, old(ids).logits):
            raise SystemExit("the old form of llama-tiny's config gives other logits")


def trained(name: str) -> None:
    source = families.MODELS / name
    dtypes = ["fp32", "fp16", "bf16"]
    with tempfile.TemporaryDirectory() as scratch:
        for dtype in dtypes:
            cast.cast(source, Path(scratch) / dtype, dtype)
        models = [load(Path(scratch) / dtype) for dtype in dtypes]
    chosen = choose(prompts.of_trained(families.TRAINED[name]), models)
    for i, dtype in enumerate(dtypes):
        write(source, name, dtype, models[i], [(p, paths[i]) for p, paths in chosen])
    report(name, dtypes, models, chosen)
    if name == "llama-tiny":
        check_old_config(models[0], chosen[-1][0].ids)


def variant(name: str) -> None:
    folder = families.MODELS / name
    dtype = make_variants.VARIANTS[name][0]
    model = load(folder)
    chosen = choose(prompts.of_variant(name), [model])
    write(folder, name, dtype, model, [(p, paths[0]) for p, paths in chosen])
    report(name, [dtype], [model], chosen)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*",
                        default=[*families.TRAINED, *make_variants.VARIANTS])
    torch.set_num_threads(2)
    families.EXPECTED.mkdir(exist_ok=True)
    for name in parser.parse_args().names:
        (trained if name in families.TRAINED else variant)(name)


if __name__ == "__main__":
    main()
