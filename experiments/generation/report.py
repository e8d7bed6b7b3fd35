"""The README's tables."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from cases import POLICIES
from simulated import Cell

from experiments import markdown

SHOWN = [1.0, 2.0, 3.0, 4.0]


def simulated(cells: Sequence[Cell]) -> str:
    found = {(c.output, c.rate, c.policy): c for c in cells}
    lines = []
    for rate in SHOWN:
        for policy in POLICIES:
            chat, one = (found[output, rate, policy] for output in ("chat", "one token"))
            lines.append(
                [
                    f"{rate:g}",
                    policy,
                    f"{chat.tokens_per_s:.0f} of {chat.offered_per_s:.0f}",
                    f"{chat.until_s:.0f}",
                    f"{chat.first_p50_s:.2f} / {chat.first_p99_s:.2f}",
                    f"{chat.gap_p50_s * 1e3:.0f} / {chat.gap_p99_s * 1e3:.0f}",
                    f"{chat.stalled:.1%}",
                    str(chat.spilled),
                    f"{one.first_p50_s:.2f} / {one.first_p99_s:.2f}",
                ]
            )
    head = ["requests/s", "policy", "tokens/s, of offered", "last answer, s", "first token p50 / p99, s", "between, ms",
            "waiting in gaps over 1 s", "set aside", "one token: first, s"]  # fmt: skip
    return markdown.table(head, lines)


def live(rows: Sequence[dict[str, Any]]) -> str:
    lines = []
    for row in rows:
        sides = row["live"], row["simulated"]
        lines.append(
            [
                f"{row['rate']:g}",
                row["policy"],
                " / ".join(f"{side['tokens_per_s']:.0f}" for side in sides),
                *(" / ".join(f"{side[key][part] * 1e3:.0f}" for side in sides)
                  for key in ("first_token_s", "between_tokens_s") for part in ("mean", "p99")),
                " / ".join(f"{side['between_tokens_s']['max'] * 1e3:.0f}" for side in sides),
                " / ".join(str(side["loads"]) for side in sides),
            ]
        )  # fmt: skip
    head = ["requests/s", "policy", "tokens/s to the end, live / sim.", "first token mean, ms", "p99",
            "between tokens mean, ms", "p99", "largest", "loads"]  # fmt: skip
    return "Live, room for three of six models:\n\n" + markdown.table(head, lines)


