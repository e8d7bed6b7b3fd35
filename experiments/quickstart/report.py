"""What the quickstart prints: texts and a table."""

from __future__ import annotations

import sys
import textwrap
from collections.abc import Sequence

from experiments.traces import Load
from swapserve import Status
from swapserve.load.report import percentile

from .stream import Answer

WIDTH = 96
COLUMNS = (
    "model", "requests", "cold", "latency p50", "p99", "first token p50", "p99", "tokens", "loads",
    "moved", "hidden",
)  # fmt: skip


def _style(code: str, text: str) -> str:
    return f"\033[{code}m{text}\033[0m" if sys.stdout.isatty() else text


def heading(text: str) -> None:
    print("\n" + _style("1", text))


def show_texts(answers: Sequence[Answer], per_model: int) -> None:
    """Some answers of each model: what was asked, then what was generated."""
    for model in dict.fromkeys(answer.request.model for answer in answers):
        heading(model)
        seen: set[str] = set()
        mine = [a for a in answers if a.request.model == model and a.result]
        for answer in sorted(mine, key=lambda a: (a.request.temperature > 0, a.request.due)):
            assert answer.result
            request = answer.request
            if request.prompt in seen:
                continue
            # The last of those shown is a sampled one.
            if len(seen) == per_model - 1 and request.temperature == 0:
                continue
            seen.add(request.prompt)
            how = f"sampled, seed {request.seed}" if request.temperature else "greedy"
            _show(request.prompt, answer.result.text, how)
            if len(seen) == per_model:
                break


def _show(prompt: str, text: str, how: str) -> None:
    body = " ".join(f"{prompt}[…]{text}".split())
    lines = textwrap.wrap(body, WIDTH - 4, initial_indent="  ", subsequent_indent="  ")
    print("\n".join(lines).replace("[…]", _style("36", " ▸ "), 1) + _style("2", f"  ({how})"))


def _ms(seconds: Sequence[float], share: float) -> str:
    return f"{percentile(sorted(seconds), share) * 1e3:.0f} ms" if seconds else "-"


def _hidden(loads: Sequence[Load]) -> str:
    total = sum(load.length for load in loads)
    return f"{sum(load.hidden for load in loads) / total:.0%}" if total else "-"


def table(answers: Sequence[Answer], loads: Sequence[Load], status: Status) -> list[list[str]]:
    """The rows of the table, heading first, all models last. Bytes are counted by rank only."""
    rows = [list(COLUMNS)]
    models = sorted({answer.request.model for answer in answers})
    for name, chosen in [*((model, {model}) for model in models), ("all", set(models))]:
        mine = [a for a in answers if a.request.model in chosen and a.result]
        own = [load for load in loads if load.model in chosen]
        latency = [answer.latency for answer in mine]
        first = [answer.first_token for answer in mine if answer.first_token]
        rows.append(
            [
                name,
                str(len(mine)),
                str(sum(a.result.timing.cold for a in mine if a.result)),
                *(_ms(latency, share) for share in (0.5, 0.99)),
                *(_ms(first, share) for share in (0.5, 0.99)),
                str(sum(a.result.usage.completion_tokens for a in mine if a.result)),
                str(len(own)),
                f"{status.bytes_loaded / 1e6:.0f} MB" if name == "all" else "",
                _hidden(own),
            ]
        )
    return rows


def show_table(rows: Sequence[Sequence[str]]) -> None:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for index, row in enumerate(rows):
        cells = [row[0].ljust(widths[0]), *(c.rjust(w) for c, w in zip(row[1:], widths[1:]))]
        line = "  ".join(cells)
        if index == len(rows) - 1:
            print("  " + "─" * len(line))
        print("  " + (_style("2", line) if index == 0 else line))


def show_totals(status: Status) -> None:
    share = status.hidden_ns / status.load_ns if status.load_ns else 0.0
    print(
        f"\n  {status.loads} loads and {status.guesses} guesses moved {status.bytes_loaded / 1e6:.1f} MB to the devices in "
        f"{status.load_ns / 1e9:.2f} s, {share:.0%} of it hidden behind computing;\n"
        f"  {status.drops} drops moved {status.bytes_copied_back} bytes back"
    )
