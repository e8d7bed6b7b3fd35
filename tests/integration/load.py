"""The load generator, python -m swapserve.load, against a live server."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from experiments.server import ROOT
from serving import config, expect, expect_drained, expect_equal, main, serving
from swapserve.load.arrivals import Arrival, write

# A load takes about a second.
SLOW = config("opt-tiny", "llama-tiny", device={"link": {"bandwidth": "1MB/s"}})


def load(
    endpoint: str, *arguments: str | Path, status: int = 0
) -> "subprocess.CompletedProcess[str]":
    """Runs it to its end, which has to have STATUS."""
    done = subprocess.run(
        [sys.executable, "-m", "swapserve.load", "--endpoint", endpoint, *map(str, arguments)],
        env={**os.environ, "PYTHONPATH": str(ROOT / "rpc" / "python")},
        capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    expect_equal(done.returncode, status, f"its exit status:\n{done.stdout}{done.stderr}")
    return done


def read(folder: Path) -> tuple[dict[str, Any], list[dict[str, str]]]:
    with (folder / "requests.csv").open(newline="") as file:
        return json.loads((folder / "summary.json").read_text()), list(csv.DictReader(file))


def test_open_loop() -> None:
    """Nothing is answered before all is sent, yet all is sent on time, and who waited says so."""
    with tempfile.TemporaryDirectory() as name, serving(SLOW) as server:
        folder = Path(name)
        made = [Arrival(i * 10_000_000, "opt-tiny", 5, 1 + i % 3) for i in range(40)]
        write(folder / "list.csv", made)
        load(server.endpoint, "--arrivals", folder / "list.csv", "--out", folder)
        summary, rows = read(folder)
        expect_equal([float(row["arrival_s"]) for row in rows], [i.time_s for i in made], "times")
        first = min(float(row["end_s"]) for row in rows)
        expect(first > made[-1].time_s, f"the first answer after {first} s is no test of this")
        expect_equal(summary["answered"], len(made), "answered")
        expect_equal(summary["refused"], {}, "refused")
        expect(summary["sent_late_s"]["max"] < 0.2, f"sent late: {summary['sent_late_s']}")
        latency = [float(row["end_s"]) - float(row["arrival_s"]) for row in rows]
        expect(abs(sum(latency) / len(latency) - summary["latency_s"]["mean"]) < 1e-6, "the mean")
        expect(min(latency) > first - made[-1].time_s - 1e-6, f"latencies {sorted(latency)}")
        expect_equal(summary["loads"], 1, "loads")
        expect_equal(summary["cold"], len(made), "requests that came cold")
        models = {model["name"]: model["requests"] for model in summary["models"]}
        expect_equal(models, {"opt-tiny": len(made)}, "of the model")
        for row, item in zip(rows, made):
            expect_equal(int(row["output_tokens"]), item.output_tokens, "tokens asked for")
            expect(float(row["first_s"]) <= float(row["end_s"]), f"the first token of {row}")
        gaps = sum(int(row["output_tokens"]) - 1 for row in rows)
        expect_equal(summary["between_tokens_s"]["count"], gaps, "times between tokens")
        expect_drained(server)


def test_turns() -> None:
    """A closed loop: two clients, the models in turn, never more than two requests at once."""
    with tempfile.TemporaryDirectory() as name, serving(config()) as server:
        folder = Path(name)
        text = "duration: 2s\noutput: {tokens: 4}\nstreams:\n  - turns: {clients: 2}\n"
        (folder / "turns.yaml").write_text(text)
        load(server.endpoint, "--workload", folder / "turns.yaml", "--out", folder,
             "--save-arrivals", folder / "list.csv")  # fmt: skip
        summary, rows = read(folder)
        expect(summary["answered"] == len(rows) > 4, f"answered: {summary}")
        turn = ["opt-tiny", "llama-tiny", "qwen2-tiny"]
        counts = [sum(row["model"] == model for row in rows) for model in turn]
        expect(max(counts) - min(counts) <= 1, f"turns: {counts}")
        for row in rows:
            at = float(row["arrival_s"])
            live = [r for r in rows if float(r["arrival_s"]) <= at < float(r["end_s"])]
            expect(len(live) <= 2, f"{len(live)} requests at once at {at}")
        lines = (folder / "list.csv").read_text().splitlines()
        expect_equal(len(lines), len(rows) + 1, "lines of the list that was kept")
        expect_drained(server)


def test_goal() -> None:
    """The exit status tells of a goal that was missed; what was refused misses it."""
    limits = {"requests": 5}
    with tempfile.TemporaryDirectory() as name:
        with serving({**SLOW, "limits": {**SLOW["limits"], **limits}}) as server:
            folder = Path(name)
            write(folder / "list.csv", [Arrival(0, "opt-tiny", 5, 1)] * 10)
            arguments = ("--arrivals", folder / "list.csv", "--out", folder)
            load(server.endpoint, *arguments, "--slo", "60000", "--attain", "0.9", status=3)
            summary, rows = read(folder)
            expect_equal(summary["refused"], {"overloaded": 5}, "refused")
            expect_equal((summary["slo_s"], summary["slo_attainment"]), (60.0, 0.5), "the goal")
            reasons = sorted(row["reason"] for row in rows)
            expect_equal(reasons, ["length"] * 5 + ["overloaded"] * 5, "reasons")
            load(server.endpoint, *arguments, "--slo", "60000", "--attain", "0.5")
            done = load(server.endpoint, *arguments, "--slo", "0.001", "--json", status=3)
            expect_equal(json.loads(done.stdout)["slo_attainment"], 0.0, "the goal as JSON")
            expect_drained(server)


def test_mistakes() -> None:
    with tempfile.TemporaryDirectory() as name, serving(config("opt-tiny")) as server:
        path = Path(name) / "list.csv"
        write(path, [Arrival(0, "opt-13b", 5, 1)])
        done = load(server.endpoint, "--arrivals", path, status=1)
        expect("opt-13b" in done.stderr and "opt-tiny" in done.stderr, done.stderr)
        done = load(server.endpoint, "--workload", path, status=1)
        expect(str(path) in done.stderr, done.stderr)
        load(server.endpoint, status=2)
        # Every request fails: too long for the model.
        write(path, [Arrival(0, "opt-tiny", 5, 100000)])
        done = load(server.endpoint, "--arrivals", path, status=1)
        expect("too_long" in done.stdout, done.stdout)
        expect_drained(server)


def test_interrupted() -> None:
    """Ctrl-C ends it soon; what was answered is reported, and the server goes on."""
    with tempfile.TemporaryDirectory() as name, serving(config("opt-tiny")) as server:
        folder = Path(name)
        made = [Arrival(i * 100_000_000, "opt-tiny", 5, 1) for i in range(600)]
        write(folder / "list.csv", made)
        process = subprocess.Popen(
            [sys.executable, "-m", "swapserve.load", "--endpoint", server.endpoint, "--json",
             "--arrivals", str(folder / "list.csv"), "--out", str(folder)],
            env={**os.environ, "PYTHONPATH": str(ROOT / "rpc" / "python")},
            stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        with server.client() as client:
            while client.status().answered < 3:
                time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        output, _ = process.communicate(timeout=20)
        expect_equal(process.returncode, 130, "its exit status")
        summary, rows = read(folder)
        expect_equal(json.loads(output), summary, "what it printed")
        expect(3 <= summary["answered"] < len(made) - 1, f"answered: {summary['answered']}")
        expect_equal(len(rows), summary["requests"], "lines")
        expect_equal(summary["refused"], {}, "refused")
        load(server.endpoint, "--arrivals", folder / "list.csv", "--duration", "0.3")
        expect_drained(server)


if __name__ == "__main__":
    main(test_open_loop, test_turns, test_goal, test_mistakes, test_interrupted)
