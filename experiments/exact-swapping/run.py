"""Does a swap ever change an answer? Each request under load, and again on an unloaded server.

    PYTHONPATH=rpc/python:. .venv/bin/python experiments/exact-swapping/run.py
"""

from __future__ import annotations

import argparse
import asyncio
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from experiments import results, traces
from experiments.server import ROOT, Server, ServerError
from mix import Request, make
from swapserve import AsyncClient, Client, Error, Status

GOLDEN = ROOT / "tests" / "golden"
TP, PP = 2, 2
# In pages, pieces, slots and blocks that are small for the models, everything happens often:
# loads of many pieces, compaction, sequences set aside.
LOADED = {
    "device": {
        "kind": "cpu",
        "pool": "1920KiB",  # 1.5 of the largest model's part on a rank
        "page": "4KiB",
        "piece": "16KiB",
        "link": {"bandwidth": "60MB/s", "latency": "20us"},
    },
    "arena": {"spill": "64KiB"},
    "limits": {"slots": 16, "batch": 6, "step_tokens": 64},
    "kv_block_tokens": 8,
}
UNLOADED = {"device": {"kind": "cpu", "pool": "64MiB"}}


@dataclass
class Answer:
    tokens: list[int]
    text: str
    reason: str


def models(folder: Path) -> dict[str, Path]:
    """Three small models in fp32, and one of them again in fp16."""
    half = folder / "qwen2-tiny-fp16"
    cast = [sys.executable, str(GOLDEN / "cast.py"), str(GOLDEN / "models" / "qwen2-tiny")]
    subprocess.run([*cast, str(half), "fp16"], check=True)
    names = ["opt-tiny", "llama-tiny", "qwen2-tiny"]
    return {**{name: GOLDEN / "models" / name for name in names}, half.name: half}


def config(kind: dict[str, Any], folders: dict[str, Path]) -> dict[str, Any]:
    listed = [{"name": name, "path": str(path)} for name, path in folders.items()]
    return {"group": {"tp": TP, "pp": PP}, **kind, "models": listed}


async def _ask(client: AsyncClient, request: Request, start: float) -> Answer:
    await asyncio.sleep(max(0.0, start + request.due - time.monotonic()))
    if not request.stream:
        result = await client.generate(request.model, request.tokens, **request.arguments())
        return Answer(result.tokens, result.text, result.finish_reason)
    stream = client.stream(request.model, request.tokens, **request.arguments())
    pieces = 0
    async for _ in stream:
        pieces += 1
        if pieces == request.cancel_after:
            await stream.cancel()
    assert stream.result
    return Answer(stream.result.tokens, stream.result.text, stream.result.finish_reason)


async def under_load(endpoint: str, requests: list[Request]) -> list[Answer]:
    async with AsyncClient(endpoint, timeout=300) as client:
        await client.status()
        start = time.monotonic()
        return list(await asyncio.gather(*(_ask(client, item, start) for item in requests)))


def alone(client: Client, request: Request) -> Answer:
    """One at a time; cancelled requests are generated whole."""
    result = client.generate(request.model, request.tokens, **request.arguments())
    return Answer(result.tokens, result.text, result.finish_reason)


def is_equal(loaded: Answer, reference: Answer) -> bool:
    """A cancelled answer is the start of the whole one; its text may end a character early."""
    if loaded.reason != "cancelled":
        return loaded == reference
    count = len(loaded.tokens)
    return loaded.tokens == reference.tokens[:count] and reference.text.startswith(
        loaded.text.rstrip("\ufffd")
    )


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--requests", type=int, default=500)
    parser.add_argument("--rate", type=float, default=100, help="requests in a second")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", type=Path, help="file for the results; none: no file")
    return parser.parse_args()


def serve_loaded(
    folders: dict[str, Path], options: argparse.Namespace, trace: Path
) -> tuple[list[Request], list[Answer], Status]:
    content = config(LOADED, folders)
    with Server(content, TP * PP, trace=trace) as server, server.client() as client:
        vocabularies = {model.name: model.vocab_tokens for model in client.models()}
        # The last rows of a table may be padding that the tokenizer does not know.
        sizes = {name: size - 16 for name, size in vocabularies.items()}
        requests = make(sizes, options.requests, options.rate, options.seed)
        answers = asyncio.run(under_load(server.endpoint, requests))
        status = client.status()
        if server.drain() != 0:
            raise ServerError(f"exit status {server.exit_code}:\n{server.tail()}")
    return requests, answers, status


def entries(trace: Path) -> dict[str, int]:
    """How many entries of each kind the first rank took."""
    return dict(
        Counter(
            event["name"].split()[0]
            for event in traces.read(trace)
            if event["pid"] == 0 and event["tid"] == traces.ENTRIES
        )
    )


def serve_alone(folders: dict[str, Path], requests: list[Request]) -> list[Answer]:
    with Server(config(UNLOADED, folders), TP * PP) as server, server.client() as client:
        for model in folders:
            client.load(model)
        answers = [alone(client, request) for request in requests]
        if server.drain() != 0:
            raise ServerError(f"exit status {server.exit_code}:\n{server.tail()}")
    return answers


def main() -> int:
    options = parse()
    begun = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="swapserve-") as name:
        folders = models(Path(name))
        trace = Path(name) / "trace.json"
        requests, loaded, status = serve_loaded(folders, options, trace)
        kinds = entries(trace)
        middle = time.monotonic()
        reference = serve_alone(folders, requests)
    different = [
        request.number
        for request, mine, other in zip(requests, loaded, reference)
        if not is_equal(mine, other)
    ]
    content = {
        "requests": len(requests),
        "seed": options.seed,
        "layout": {"tp": TP, "pp": PP},
        "model_bytes": {model.name: model.total_bytes for model in status.models},
        "pool_bytes": sum(rank.pool_bytes for rank in status.ranks),
        "greedy": sum(request.temperature == 0 for request in requests),
        "streamed": sum(request.stream for request in requests),
        "cancelled": sum(answer.reason == "cancelled" for answer in loaded),
        "tokens": sum(len(answer.tokens) for answer in loaded),
        "loads": status.loads,
        "drops": status.drops,
        "bytes_loaded": status.bytes_loaded,
        "entries": kinds,
        "seconds_under_load": round(middle - begun, 1),
        "seconds_alone": round(time.monotonic() - middle, 1),
        "different": different,
    }
    for key, value in content.items():
        print(f"{key:20} {value}")
    for number in different[:3]:
        print(requests[number], loaded[number], reference[number], sep="\n  ")
    if options.out:
        results.write(options.out, content)
    if not status.loads > len(folders):
        print("nothing was swapped: the experiment says nothing", file=sys.stderr)
        return 1
    return 1 if different else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (ServerError, Error, OSError) as error:
        sys.exit(f"exact-swapping: {error}")
