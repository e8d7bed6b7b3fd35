"""Trains the three test models: python make_models.py [NAME...]; about 20 minutes on two cores."""

from __future__ import annotations

import argparse
import json
import random
import time

import torch
from tokenizers import Tokenizer
from torch import Tensor
from transformers import GenerationConfig, PreTrainedModel

import corpus
import families

CONTEXT = 256
ROWS = 12
RATE_MAX = 3e-3
STEPS_WARM = 40
TOKENS_MAX = 60_000  # what a million parameters learn in some minutes


def _documents(spec: families.Trained) -> list[list[int]]:
    tokenizer = Tokenizer.from_file(str(families.MODELS / spec.name / "tokenizer.json"))
    texts = corpus.load(spec.corpus)
    documents, tokens = [], 0
    for encoding in tokenizer.encode_batch(texts, add_special_tokens=False):
        if tokens < TOKENS_MAX:
            documents.append(encoding.ids)
            tokens += len(encoding.ids)
    return documents


def _batch(spec: families.Trained, documents: list[list[int]], rng: random.Random) -> Tensor:
    """Rows that start at a document or, one in three, inside it; after bos where there is one."""
    rows = []
    for _ in range(ROWS):
        at = rng.randrange(len(documents))
        skip = rng.randrange(len(documents[at])) if rng.random() < 0.33 else 0
        row = ([] if spec.bos is None else [spec.bos]) + documents[at][skip:]
        while len(row) < CONTEXT:
            at = (at + 1) % len(documents)
            row += [*spec.between, *documents[at]]
        rows.append(row[:CONTEXT])
    return torch.tensor(rows)


def train(spec: families.Trained, steps: int) -> PreTrainedModel:
    documents = _documents(spec)
    model = families.build(spec, seed=7)
    model.train()
    rng = random.Random(8)
    decayed = [p for p in model.parameters() if p.dim() > 1]
    others = [p for p in model.parameters() if p.dim() <= 1]
    optimizer = torch.optim.AdamW(
        [{"params": decayed, "weight_decay": 0.01}, {"params": others, "weight_decay": 0.0}],
        lr=RATE_MAX, betas=(0.9, 0.98))
    tokens = sum(map(len, documents))
    parameters = sum(p.numel() for p in model.parameters())
    print(f"{spec.name}: {tokens} tokens of text, {parameters} parameters", flush=True)
    start, smooth = time.monotonic(), 0.0
    for step in range(steps):
        rate = RATE_MAX * min(1.0, (step + 1) / STEPS_WARM) * max(0.02, 1.0 - step / steps)
        for group in optimizer.param_groups:
            group["lr"] = rate
        rows = _batch(spec, documents, rng)
        loss = model(input_ids=rows, labels=rows, use_cache=False).loss
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        smooth = loss.item() if step == 0 else 0.95 * smooth + 0.05 * loss.item()
        if step % 100 == 0:
            print(f"  step {step} loss {smooth:.3f}", flush=True)
    seconds = time.monotonic() - start
    print(f"{spec.name}: {steps} steps of {ROWS * CONTEXT} tokens in {seconds:.0f} s,"
          f" loss {smooth:.3f}")
    return model.eval()


def save(spec: families.Trained, model: PreTrainedModel) -> None:
    folder = families.MODELS / spec.name
    for old in folder.glob("model*.safetensors*"):
        old.unlink()
    model.generation_config = GenerationConfig(**spec.generation)
    model.save_pretrained(folder, max_shard_size=spec.shard_bytes_max)
    shards = sorted(folder.glob("*.safetensors"))
    if len(shards) != (1 if spec.shard_bytes_max > 1 << 24 else 2):
        raise SystemExit(f"{spec.name} came out as {len(shards)} files; change shard_bytes_max")
    written = json.loads((folder / "config.json").read_text())
    print(f"{spec.name}: {[(s.name, s.stat().st_size) for s in shards]}, dtype {written['dtype']}")


def show(spec: families.Trained, model: PreTrainedModel) -> None:
    tokenizer = Tokenizer.from_file(str(families.MODELS / spec.name / "tokenizer.json"))
    for document in corpus.load(spec.corpus)[5:150:40]:
        ids = tokenizer.encode(document[:40]).ids
        with torch.no_grad():
            for _ in range(60):
                logits = model(torch.tensor([ids]), use_cache=False).logits[0, -1]
                ids.append(int(logits.argmax()))
        print("  >", repr(tokenizer.decode(ids, skip_special_tokens=False)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", default=list(families.TRAINED))
    parser.add_argument("--steps", type=int, help="instead of each model's own number")
    parser.add_argument("--dry-run", action="store_true", help="train and show, but save nothing")
    options = parser.parse_args()
    torch.set_num_threads(2)
    for name in options.names:
        spec = families.TRAINED[name]
        model = train(spec, options.steps or spec.steps)
        if not options.dry_run:
            save(spec, model)
        show(spec, model)


if __name__ == "__main__":
    main()
