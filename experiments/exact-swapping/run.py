"""Does a swap ever change an answer? Each request under load, and again on an unloaded server; or,
with --replay, every step under load, and the same step again with everything resident.

    PYTHONPATH=rpc/python:. .venv/bin/python experiments/exact-swapping/run.py
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from experiments import results, traces
from experiments.server import MPI, ROOT, Server, ServerError, default_build
from mix import Request, make
from swapserve import AsyncClient, Client, Error, Status

GOLDEN = ROOT / "tests" / "golden"
# In pages, pieces, slots and blocks that are small for the models, everything happens often:
# loads of many pieces, compaction, sequences set aside.
POOL_KIB = 7680  # of all ranks: 1.5 of the largest model
PACED_LINK = {"bandwidth": "60MB/s", "latency": "20us"}
LOADED: dict[str, Any] = {
    "device": {"page": "4KiB", "piece": "16KiB"},
    "arena": {"spill": "64KiB"},
    "limits": {"slots": 16, "batch": 6, "step_tokens": 64},
    "kv_block_tokens": 8,
}
UNLOADED_POOL = {"cpu": "64MiB", "cuda": "1GiB"}
# Two ranks or fewer would be bound to a core each, with all their threads.
UNBOUND = {"OMPI_MCA_hwloc_base_binding_policy": "none"}
REPLAY_SECONDS = 300.0
# Where nothing moves for a quarter of it, the ranks' logs say what they are at.
PEER_TIMEOUT = {"cuda": "12s"}
BEGUN = time.monotonic()


def say(what: str) -> None:
    print(f"{time.monotonic() - BEGUN:6.1f} s: {what}", file=sys.stderr, flush=True)


def stop(*_: object) -> None:
    raise ServerError("told to end")


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


def config(
    kind: dict[str, Any], folders: dict[str, Path], options: argparse.Namespace
) -> dict[str, Any]:
    listed = [{"name": name, "path": str(path)} for name, path in folders.items()]
    group = {"tp": options.tp, "pp": options.pp}
    exact = {"deterministic": True} if options.deterministic else {}
    return {"group": group, **kind, **exact, "models": listed}


def loaded_config(folders: dict[str, Path], options: argparse.Namespace) -> dict[str, Any]:
    device: dict[str, Any] = {"kind": options.device, **LOADED["device"]}
    device["pool"] = f"{POOL_KIB // (options.tp * options.pp)}KiB"
    if options.device == "cpu":
        device["link"] = PACED_LINK
    limits = dict(LOADED["limits"])
    if options.device in PEER_TIMEOUT:
        limits["peer_timeout"] = PEER_TIMEOUT[options.device]
    return config({**LOADED, "device": device, "limits": limits}, folders, options)


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
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument("--tp", type=int, default=2)
    parser.add_argument("--pp", type=int, default=2)
    parser.add_argument("--deterministic", action="store_true",
                        help="on cuda: answers do not depend on the batch either")
    parser.add_argument("--replay", action="store_true",
                        help="compare the bits of every step's logits; always so on cuda")
    parser.add_argument("--out", type=Path, help="file for the results; none: no file")
    options = parser.parse_args()
    options.replay |= options.device == "cuda"
    return options


def serve_loaded(
    folders: dict[str, Path], options: argparse.Namespace, folder: Path
) -> tuple[list[Request], list[Answer], Status]:
    """Leaves trace.json, config.yaml and, for a replay, record in FOLDER."""
    path = folder / "config.yaml"
    path.write_text(json.dumps(loaded_config(folders, options)), encoding="utf-8")  # JSON is YAML
    more = ["--record", str(folder / "record")] if options.replay else []
    with (
        Server(path, options.tp * options.pp, trace=folder / "trace.json", environ=UNBOUND,
               arguments=more) as server,
        server.client() as client,
    ):  # fmt: skip
        say("the loaded server is ready")
        vocabularies = {model.name: model.vocab_tokens for model in client.models()}
        # The last rows of a table may be padding that the tokenizer does not know.
        sizes = {name: size - 16 for name, size in vocabularies.items()}
        requests = make(sizes, options.requests, options.rate, options.seed)
        try:
            answers = asyncio.run(under_load(server.endpoint, requests))
            status = client.status()
            say("all answered")
            if server.drain() != 0:
                raise ServerError(f"exit status {server.exit_code}")
        except BaseException:
            print(server.tail(100), file=sys.stderr)
            raise
        say("drained")
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


def replay(folder: Path, options: argparse.Namespace) -> str:
    """What the replay of the record says; a difference is a ServerError."""
    program = default_build() / "experiments" / "exact-swapping" / "replay"
    command = ["mpirun", "-np", str(options.tp * options.pp), str(program),
               str(folder / "config.yaml"), str(folder / "record")]  # fmt: skip
    environ = {**os.environ, **MPI, **UNBOUND, "OMPI_MCA_orte_tmpdir_base": str(folder)}
    done = subprocess.run(
        command, capture_output=True, text=True, env=environ, timeout=REPLAY_SECONDS
    )
    if done.returncode != 0:
        raise ServerError(f"the replay ended with {done.returncode}:\n{done.stdout}{done.stderr}")
    return done.stdout.strip()


def serve_alone(
    folders: dict[str, Path], requests: list[Request], options: argparse.Namespace
) -> list[Answer]:
    content = config({"device": {"kind": options.device, "pool": UNLOADED_POOL[options.device]}}, folders, options)
    with (
        Server(content, options.tp * options.pp, environ=UNBOUND) as server,
        server.client() as client,
    ):
        for model in folders:
            client.load(model)
        answers = [alone(client, request) for request in requests]
        if server.drain() != 0:
            raise ServerError(f"exit status {server.exit_code}:\n{server.tail()}")
    return answers


def main() -> int:
    options = parse()
    begun = time.monotonic()
    signal.signal(signal.SIGTERM, stop)
    with tempfile.TemporaryDirectory(prefix="swapserve-") as name:
        folders = models(Path(name))
        requests, loaded, status = serve_loaded(folders, options, Path(name))
        kinds = entries(Path(name) / "trace.json")
        middle = time.monotonic()
        replayed = replay(Path(name), options) if options.replay else None
        say("replayed" if replayed else "not replayed")
        reference = loaded
        if options.device == "cpu" or options.deterministic:
            reference = serve_alone(folders, requests, options)
    different = [
        request.number
        for request, mine, other in zip(requests, loaded, reference)
        if not is_equal(mine, other)
    ]
    content = {
        "commit": results.commit(),
        "requests": len(requests),
        "seed": options.seed,
        "device": options.device,
        "compared_alone": options.device == "cpu" or options.deterministic,
        "layout": {"tp": options.tp, "pp": options.pp},
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
        "seconds_again": round(time.monotonic() - middle, 1),
        "replay": replayed,
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
