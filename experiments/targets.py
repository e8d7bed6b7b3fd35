"""Every target beside what was measured, from the committed results: experiments/targets.md.

    .venv/bin/python experiments/targets.py            # writes it
    .venv/bin/python experiments/targets.py --check    # exit status 1 where it is not as written

What bounds a missed target is said in BOUNDS, by the target's name.
"""

from __future__ import annotations

import json
import statistics
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).resolve().parent
PAGE = FOLDER / "targets.md"
GPU = "tests/gpu.sh run FOLDER RESULTS {}"
OPT_13B = {"layers": 40, "hidden": 5120}
CONTEXT = 512

BOUNDS: dict[str, str] = json.loads((FOLDER / "targets-bounds.json").read_text(encoding="utf-8"))


@dataclass(frozen=True)
class Line:
    name: str  # key into BOUNDS
    target: str
    measured: str
    met: bool | None  # None: reported, there is no target
    file: str
    command: str


def read(file: str) -> Any:
    """The file's content; FileNotFoundError makes its lines say that it was not measured."""
    return json.loads((FOLDER / file).read_text(encoding="utf-8"))


def layout(name: str) -> str:
    return f"({name.replace('x', ',')})"


def ms(seconds: float) -> str:
    return f"{1e3 * seconds:.1f} ms"


# --- swap ----------------------------------------------------------------------------------------


def loads() -> Iterator[Line]:
    for name, least in (("1x1", 0.97), ("4x1", 0.95), ("1x4", 0.95), ("2x2", 0.95)):
        file = f"swapbench/results/swap-{name}.json"
        row = read(file)["rows"][0]
        share = row["share_of_ceiling"]
        rate = row["bytes"] / row["load_s"] / 1e9
        text = f"{share:.1%}, {row['load_s']:.3f} s, {rate:.0f} GB/s"
        target = f"load at {layout(name)}: at least {least:.0%} of bare copies, same run"
        yield Line(f"load-{name}", target, text, share >= least, file, GPU.format("swap"))


def steps(name: str) -> dict[str, float]:
    """By what was measured; of what is measured of several steps, that of the first, batch 1."""
    found: dict[str, float] = {}
    for row in read(f"stepbench/results/step-{name}.json"):
        found.setdefault(row["what"].strip(), row["value"])
    return found


def layouts_of(pattern: str) -> list[str]:
    """The layouts that PATTERN, with one * for "TPxPP", has files of; fewest ranks first."""
    head, tail = pattern.split("*")
    names = [path.name.removeprefix(Path(head).name).removesuffix(tail) for path in FOLDER.glob(pattern)]
    return sorted((name for name in names if len(name) == 3),
                  key=lambda name: (int(name[0]) * int(name[2]), name[2]))  # fmt: skip


def drops() -> Iterator[Line]:
    names = layouts_of("stepbench/results/step-*.json")
    worst = max(steps(name)["drop, host time"] for name in names)
    yield Line("drop-time", "a drop: under 100 µs of host time",
               f"{1e6 * worst:.0f} µs at most, {len(names)} layouts",
               worst < 100e-6, "stepbench/results/step-*.json", GPU.format("steps"))  # fmt: skip
    found = read("hiding/results/drops.json")["rows"][0]
    yield Line("drop-bytes", "a drop: no byte to the host",
               f"{found['bytes_copied_back']} bytes in {found['drops']} drops (CPU device)",
               found["bytes_copied_back"] == 0, "hiding/results/drops.json",
               "experiments/hiding/run.py --parts drops")  # fmt: skip


def cold() -> Iterator[Line]:
    for name in layouts_of("stepbench/results/step-*.json"):
        found = steps(name)
        stages = int(name[-1])
        over = found["load and first token of 8, cold"] - found["load alone"]
        most = (stages - 1) / stages * found["first token of 8, resident"] + 0.010
        yield Line(f"cold-{name}", f"first token of 8, cold, at {layout(name)}: at most {ms(most)} over the load",
                   ms(over), over <= most, f"stepbench/results/step-{name}.json",
                   GPU.format("steps"))  # fmt: skip


def bare_copies(tp: int, pp: int) -> list[float]:
    """Of a layout, in each run that has them."""
    found = []
    for file in ("swap-scaling/results/cuda.json", "swap-scaling/results/cuda-guessing.json"):
        found += [row["bare_copies_s"] for row in read(file)["rows"]
                  if (row["system"], row["tp"], row["pp"]) == ("ceiling", tp, pp)]  # fmt: skip
    path = FOLDER / f"swapbench/results/swap-{tp}x{pp}.json"
    if path.exists():
        found.append(json.loads(path.read_text(encoding="utf-8"))["rows"][0]["ceiling_s"])
    return found


DISTURBED = 1.05  # times the layout's fastest bare copies of any run


def turns() -> Iterator[Line]:
    command = "experiments/gpu.sh FOLDER swap-scaling/run.py --device cuda --torch python3 --out RESULTS"
    for tp, pp in ((1, 1), (2, 1), (4, 1), (1, 2), (1, 4), (2, 2)):
        # An earlier run, with guessing, has four GPUs: there the load had begun when a request came.
        guessed = " (a guess had begun the load)" if tp * pp == 4 else ""
        file = f"swap-scaling/results/cuda{'-guessing' if guessed else ''}.json"
        rows = [row for row in read(file)["rows"] if (row["tp"], row["pp"]) == (tp, pp)]
        named = {row["variant"]: row for row in rows}
        bare = [row["bare_copies_s"] for row in rows if row["system"] == "ceiling"]
        if not bare or "ours" not in named:
            continue
        response = named["ours"]["response_s"]["median"]
        ratio, fastest = response / min(bare), min(bare_copies(tp, pp))
        # A yardstick that something disturbed judges nothing, for us or against us.
        disturbed = min(bare) > DISTURBED * fastest or (ratio < 1 and not guessed)
        text = f"{ratio:.2f}, {response:.3f} s"
        if disturbed:
            text += f" (disturbed copies: {min(bare):.3f} s, of another run {fastest:.3f} s)"
        text += "".join(
            f"; {name} {named[name]['response_s']['median'] / response:.2f} of ours"
            + (" (another run)" if named[name].get("measured") else "")
            for name in ("torch", "computron", "all") if name in named)  # fmt: skip
        target = f"two models in turn, response at ({tp},{pp}): at most 1.1 of bare copies{guessed}"
        met = None if guessed or disturbed else ratio <= 1.1
        yield Line(f"turns-{tp}x{pp}", target, text, met, file, command)


def served() -> Iterator[Line]:
    """Four GPUs without guessing: a server of before, beside bare copies of another run."""
    file = "gpu-serve/results.json"
    first = statistics.median(read(file)["cold_first_token_ms"]) / 1e3
    fastest = min(bare_copies(2, 2))
    ratio = first / fastest
    yield Line("served-2x2", "two models in turn, first token at (2,2), without guessing: at most 1.1 of bare copies, "
               "of another run", f"{ratio:.2f}, {first:.3f} s to {fastest:.3f} s", ratio <= 1.1, file,
               "experiments/gpu-serve/run.sh FOLDER")  # fmt: skip


def busy() -> Iterator[Line]:
    after = layouts_of("swapbench/results/busy-*.json")
    before = [name for name in layouts_of("swapbench/results/busy-*-before.json") if name not in after]
    for name in after + before:  # before anything was done about it
        file = f"swapbench/results/busy-{name}{'' if name in after else '-before'}.json"
        row = read(file)["rows"][0]
        gap, load = row["gap_p99_change"], row["load_change"]
        command = GPU.format("busy")
        yield Line(f"busy-gap-{name}", f"p99 between tokens beside loads, {layout(name)}: under +5%",
                   f"{gap:+.1%}, {ms(row['gap_alone_p99_s'])} to {ms(row['gap_beside_p99_s'])}",
                   gap < 0.05, file, command)  # fmt: skip
        yield Line(f"busy-load-{name}", f"a load beside decoding, {layout(name)}: under +3%",
                   f"{load:+.1%}", load < 0.03, file, command)  # fmt: skip


# --- run -----------------------------------------------------------------------------------------


def bits() -> Iterator[Line]:
    for name in layouts_of("exact-swapping/results-cuda-*.json"):
        file = f"exact-swapping/results-cuda-{name}.json"
        found = read(file)
        same = not found["different"] and ", 0 of them different" in found["replay"]
        yield Line(f"bits-{name}", f"a swap changes no bit, {layout(name)}: every step of a loaded run again, all "
                   "resident", f"{found['replay'].partition(';')[0]}; {found['loads']} loads", same, file,
                   GPU.format("exact"))  # fmt: skip


def decode() -> Iterator[Line]:
    file, command = "stepbench/results/step-1x1.json", GPU.format("steps")
    found = steps("1x1")
    weights, rate = found["weights of rank 0"], found["device memory, read"]
    kv = 32 * CONTEXT * OPT_13B["layers"] * 2 * OPT_13B["hidden"] * 2
    one, many = found["decode, batch 1, context 512"], found["decode, batch 32, context 512"]
    share = weights / rate / one
    yield Line("decode-1", "decode, batch 1: at least 70% of what only reading takes (85% wanted)",
               f"{share:.0%}, {ms(one)}", share >= 0.7, file, command)  # fmt: skip
    share = (weights + kv) / rate / many
    yield Line("decode-32", "decode, batch 32, context 512: at least 60% of (weights + KV) over bandwidth",
               f"{share:.0%}, {ms(many)}", share >= 0.6, file, command)  # fmt: skip
    tokens, hidden = 8 * CONTEXT, OPT_13B["hidden"]
    flops = tokens * OPT_13B["layers"] * (2 * 12 * hidden**2 + 4 * hidden * CONTEXT / 2)
    took = found["prefill 8 x 512"]
    share = flops / took / found["matrix product of 8192 x 8192 x 8192"]
    yield Line("prefill", "prefill 8 x 512: at least 65% of the matrix ceiling (75% wanted)",
               f"{share:.0%}, {ms(took)}", share >= 0.65, file, command)  # fmt: skip


def deterministic() -> Iterator[Line]:
    for name in layouts_of("exact-swapping/deterministic-cuda-*.json"):
        file = f"exact-swapping/deterministic-cuda-{name}.json"
        found = read(file)
        yield Line(f"same-{name}", f"`deterministic: true`, {layout(name)}: equal answers whatever the batch",
                   f"{found['requests']} requests under load and alone, {len(found['different'])} of them different; "
                   f"{found['loads']} loads", not found["different"], file, GPU.format("exact"))  # fmt: skip
    file = "stepbench/results/step-1x1-deterministic.json"
    before, after = steps("1x1"), steps("1x1-deterministic")
    text = ", ".join(f"{short} {after[what] / before[what]:.1f} times" for short, what in
                     (("decode at batch 1", "decode, batch 1, context 512"),
                      ("at 32", "decode, batch 32, context 512"), ("prefill 8 x 512", "prefill 8 x 512")))  # fmt: skip
    yield Line("same-cost", "`deterministic: true`, its cost: reported", text, None, file,
               GPU.format("steps deterministic"))  # fmt: skip


def between() -> Iterator[Line]:
    found = steps("1x1").get("between two steps on the device")
    if found is not None:
        yield Line("gap", "between two steps on an unloaded device: under 50 µs", f"{1e6 * found:.1f} µs",
                   found < 50e-6, "stepbench/results/step-1x1.json", GPU.format("steps"))  # fmt: skip


def reported() -> Iterator[Line]:
    def line(name: str, what: str, text: str, file: str, command: str) -> Line:
        return Line(name, what, text, None, file, command)

    for name, file in (("OPT-13B, (4,1)", "step-4x1"), ("Llama 3 8B, (1,1)", "llama-1x1"),
                       ("Llama 3 8B, (4,1)", "llama-4x1")):  # fmt: skip
        path = f"stepbench/results/{file}.json"
        if (FOLDER / path).exists():
            found = {row["what"].strip(): row["value"] for row in read(path)}
            text = (f"batch 1 {ms(found['decode, batch 1, context 512'])}, batch 32 "
                    f"{ms(found['decode, batch 32, context 512'])}, prefill 8 x 512 "
                    f"{ms(found['prefill 8 x 512'])}")  # fmt: skip
            yield line(file, f"{name}: reported", text, path, GPU.format("steps llama"))
    path = "transformers-baseline/results.json"
    rows = read(path)["rows"]
    text = "; ".join(f"{name.replace('_', ' ')} {row['median_ms']:.1f} ms"
                     for name, row in rows.items() if isinstance(row, dict))  # fmt: skip
    yield line("transformers", "what a transformers user gets on the same card, OPT-13B", text, path,
               "python3 experiments/transformers-baseline/baseline.py --out FILE")  # fmt: skip


# --- the scheduler and the workloads -------------------------------------------------------------


def decide() -> Iterator[Line]:
    for index, target in enumerate(read("ablation/results.json")["targets"]):
        yield Line(f"scheduler-{index}", target["text"], target["found"], target["met"],
                   "ablation/results.json", "experiments/ablation/run.py")  # fmt: skip
    file = "workloads/results/simulated.json"
    found = read(file)
    rows = len({(cell["rates"], cell["cv"]) for cell in found["cells"]})
    for name, key, target in (("workloads-lru", "worse_than_lru", "never worse than lru, mean and p99"),
                              ("workloads-bound", "far_from_the_bound", "mean within 1.5 of the offline bound")):  # fmt: skip
        good = rows - len({text.rpartition(":")[0] for text in found[key]})
        yield Line(name, f"Computron's 18 workloads: swap_aware {target}", f"{good} of {rows}",
                   good == rows, file, "experiments/workloads/run.py")  # fmt: skip


PARTS: list[tuple[str, list[Callable[[], Iterator[Line]]]]] = [
    ("Swap, 4x H200, OPT-13B in fp16", [loads, drops, cold, turns, served, busy]),
    ("Run", [decode, between, bits, deterministic, reported]),
    ("Decide", [decide]),
]


def table(lines: list[Line]) -> str:
    rows = ["| target | measured | | file |", "|---|---|---|---|"]
    words = {True: "met", False: "**missed**", None: ""}
    for line in lines:
        link = line.file if "*" in line.file else f"[{line.file}]({line.file})"
        rows.append(f"| {line.target} | {line.measured} | {words[line.met]} | {link} |")
    return "\n".join(rows)


def missed(lines: list[Line]) -> str:
    texts = [f"- {line.target}: {BOUNDS[line.name]}" for line in lines
             if line.met is False and line.name in BOUNDS]  # fmt: skip
    return "What bounds those that are missed:\n\n" + "\n".join(texts) if texts else ""


def page() -> str:
    blocks = ["# Targets beside what was measured",
              "Drawn by `experiments/targets.py` from the committed results; each file's folder says how it "
              "was measured. Every share is of a ceiling measured in the same run."]  # fmt: skip
    commands: dict[str, str] = {}
    for title, makers in PARTS:
        lines: list[Line] = []
        for maker in makers:
            try:
                lines += maker()
            except FileNotFoundError as error:
                name = Path(error.filename).relative_to(FOLDER)
                lines.append(Line("", f"{maker.__name__}", "not measured", None, str(name), ""))
        blocks += [f"## {title}", table(lines)]
        if missed(lines):
            blocks.append(missed(lines))
        commands |= {line.file: line.command for line in lines if line.command}
    listed = "\n".join(f"| {file} | `{command}` |" for file, command in commands.items())
    blocks += ["## Commands", "GPU programs are packed and run as [tests/gpu.sh](../tests/gpu.sh) says.",
               "| file | command |\n|---|---|\n" + listed]  # fmt: skip
    return "\n\n".join(blocks) + "\n"


def main() -> int:
    text = page()
    if "--check" in sys.argv[1:]:
        return int(not PAGE.exists() or PAGE.read_text(encoding="utf-8") != text)
    PAGE.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
