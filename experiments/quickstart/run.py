"""Serves three small models on four ranks, sends them a stream of prompts, shows what came of it."""

from __future__ import annotations

import argparse
import asyncio
import sys
import time
from pathlib import Path

from experiments import traces
from experiments.plot import cdf, timeline
from experiments.server import ROOT, Server, ServerError
from swapserve import Error, Status

from . import report
from .prompts import PROMPTS
from .stream import Answer, Plan, send

CONFIG = ROOT / "configs" / "quickstart.yaml"
RANKS = 4


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="quickstart.sh", description=__doc__)
    parser.add_argument("--requests", type=int, default=120, help="how many (default: 120)")
    parser.add_argument("--rate", type=float, default=10, help="of them in a second (default: 10)")
    parser.add_argument("--seed", type=int, default=1, help="of the arrivals (default: 1)")
    parser.add_argument("--texts", type=int, default=4, help="shown of each model (default: 4)")
    parser.add_argument(
        "--out", type=Path, default=ROOT / "out" / "quickstart", help="folder for the pictures"
    )
    parser.add_argument(
        "--publish", action="store_true", help="also replace the pictures in experiments/quickstart"
    )
    options = parser.parse_args(arguments)
    if not (1 <= options.requests <= 1000 and options.rate > 0 and options.texts >= 0):
        parser.error("1 to 1000 requests, at a rate above 0")
    return options


class Progress:
    """One line that is written anew on a terminal, and now and then elsewhere."""

    def __init__(self, count: int) -> None:
        self.count, self.done, self.said = count, 0, time.monotonic()
        self.terminal = sys.stdout.isatty()

    def __call__(self, answer: Answer) -> None:
        self.done += 1
        now, last = time.monotonic(), self.done == self.count
        if not last and now - self.said < (0.05 if self.terminal else 5):
            return
        self.said = now
        line = f"{self.done} of {self.count} requests answered"
        print(f"\r{line}" if self.terminal else line, end="\n" if last or not self.terminal else "",
              flush=True)  # fmt: skip


def serve(options: argparse.Namespace, trace: Path) -> tuple[list[Answer], Status, int]:
    """Starts the server, sends the stream, drains."""
    plan = Plan.make(PROMPTS, options.requests, options.rate, options.seed)
    print(f"server: {RANKS} ranks under mpirun, {CONFIG.relative_to(ROOT)}", flush=True)
    with Server(CONFIG, RANKS, trace=trace) as server:
        print(f"ready at {server.endpoint}; {len(plan.requests)} requests in "
              f"{plan.requests[-1].due:.0f} s", flush=True)  # fmt: skip
        answers = asyncio.run(send(server.endpoint, plan, Progress(len(plan.requests))))
        with server.client() as client:
            status = client.status()
        code = server.drain()
        if code != 0:
            print(server.tail(), file=sys.stderr)
    return answers, status, code


def draw(answers: list[Answer], events: list[traces.Event], folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    latency: dict[str, list[float]] = {}
    for answer in sorted(answers, key=lambda answer: answer.request.model):
        if answer.result:
            latency.setdefault(answer.request.model, []).append(answer.latency * 1e3)
    cdf.draw(latency, folder / "latency.png", "Latency of whole answers", unit="milliseconds")
    window = timeline.busiest_window(events, 0.3)
    timeline.draw(events, folder / "timeline.png", "Four ranks swapping three models", window)


def main() -> int:
    options = parse()
    options.out.mkdir(parents=True, exist_ok=True)
    trace = options.out / "trace.json"
    answers, status, code = serve(options, trace)
    events = traces.read(trace)
    report.show_texts(answers, options.texts)
    report.heading("what it took")
    report.show_table(report.table(answers, traces.loads(events), status))
    report.show_totals(status)
    draw(answers, events, options.out)
    print(f"\n  pictures: {options.out}/latency.png and timeline.png; trace.json opens in "
          "https://ui.perfetto.dev")  # fmt: skip
    if options.publish:
        draw(answers, events, Path(__file__).parent)
    failed = [answer for answer in answers if not answer.result]
    for answer in failed[:5]:
        print(f"  {answer.request.model} failed: {answer.error}", file=sys.stderr)
    print(f"  drained, exit status {code}")
    return 0 if code == 0 and not failed else 1


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (ServerError, Error, OSError) as error:
        sys.exit(f"quickstart: {error}")
    except KeyboardInterrupt:
        sys.exit("quickstart: stopped")
