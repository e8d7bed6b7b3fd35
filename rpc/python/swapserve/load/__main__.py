"""The command line: python -m swapserve.load."""

from __future__ import annotations

import argparse
import os
import sys
from typing import Any, Callable, Dict, List, Optional, Tuple

from swapserve import Error

from . import files, report
from .arrivals import Arrival, LoadError
from .arrivals import write as write_arrivals
from .live import Plan, run_live

EPILOGUE = """\
what is sent:
  --workload takes a workload file (configs/workloads/*.yaml) and makes its arrivals from --seed:
  the same file and seed give the same requests here and in swapsim. --arrivals takes a list that
  was made before (time_s,model,prompt_tokens,output_tokens,class; by --save-arrivals, here or of
  swapsim).
  Prompts are random token ids; every answer has exactly the tokens that were asked for.

how it is timed:
  open loop: a request is sent at its time, however slow the answers to earlier ones are, and its
  latency counts from that time, not from when it was sent (a --timeout from when it was sent). Only
  workloads of `turns` are a closed loop: one request after the other. Percentiles are of the requests
  that were answered; --slo is on whole answers and counts every request.

when it is interrupted:
  Ctrl-C sends no more, takes back what is on its way, and reports what was answered until then.

what comes out:
  Files are tried before the run; the report is printed before they are written. When the server has
  ended or restarted meanwhile, what it counts (loads, drops, bytes) is null in the summary.

exit status:
  0 done; 1 it could not be run, every request failed, or what came out could not be written; 2 wrong
  usage; 3 --slo was missed, or no request was answered that could have kept it; 130 interrupted

examples:
  python -m swapserve.load --workload configs/workloads/computron-1-1-1.yaml --out out/
  python -m swapserve.load --arrivals out/arrivals.csv --slo 500 --attain 0.99
"""

WRITERS: Dict[str, Callable[[str, Any], None]] = {
    "arrivals": write_arrivals,
    "tokens": report.write_tokens,
    "summary": report.write_summary,
    "requests": report.write_requests,
}


def positive(text: str) -> float:
    value = float(text)
    if not 0 < value < float("inf"):
        raise ValueError
    return value


def share(text: str) -> float:
    value = float(text)
    if not 0 < value <= 1:
        raise ValueError
    return value


def make_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m swapserve.load",
        description="Offer a load to a running swapserve and say how it was answered.",
        epilog=EPILOGUE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    what = parser.add_argument_group("what is sent").add_mutually_exclusive_group(required=True)
    what.add_argument("--workload", metavar="FILE", help="a workload file")
    what.add_argument("--arrivals", metavar="FILE", help="a list of arrivals, as CSV")
    change = parser.add_argument_group("changes to it")
    change.add_argument("--seed", type=int, default=1, help="of arrivals and prompts (default 1)")
    change.add_argument(
        "--duration", type=positive, metavar="S",
        help="arrivals for S seconds, whatever the workload says; of a list: its first S seconds",
    )  # fmt: skip
    change.add_argument(
        "--scale", "--rate", type=positive, metavar="X", default=1.0,
        help="X times every rate; of a list: times divided by X",
    )  # fmt: skip
    change.add_argument(
        "--cv", type=positive, metavar="CV",
        help="burstiness of all gamma, zipf and cyclic streams of a workload",
    )  # fmt: skip
    server = parser.add_argument_group("the server")
    server.add_argument(
        "--endpoint", metavar="URL",
        help="tcp://HOST:PORT or ipc://PATH (default $SWAPSERVE_ENDPOINT, else "
        "tcp://127.0.0.1:5555)",
    )  # fmt: skip
    server.add_argument(
        "--timeout", type=positive, metavar="S", help="give a request up after S seconds"
    )
    server.add_argument(
        "--whole", action="store_true",
        help="ask for whole answers, not for streams: less work for both sides at high rates; times "
        "of first tokens are then the server's own",
    )  # fmt: skip
    out = parser.add_argument_group("what comes out")
    out.add_argument("--out", metavar="DIR", help="write summary.json and requests.csv there")
    out.add_argument(
        "--tokens", metavar="FILE",
        help="write a line for each token that was streamed: when, and how long after the last",
    )  # fmt: skip
    out.add_argument("--json", action="store_true", help="print the summary as JSON")
    out.add_argument(
        "--save-arrivals", metavar="FILE", help="write the list of arrivals to FILE"
    )
    out.add_argument(
        "--dry-run", metavar="MODELS",
        help="ask no server: only make the list for these models (a,b,c) and describe it",
    )  # fmt: skip
    out.add_argument("--quiet", action="store_true", help="no progress on the terminal")
    goal = parser.add_argument_group("a goal")
    goal.add_argument("--slo", type=positive, metavar="MS", help="latency that requests must keep")
    goal.add_argument(
        "--attain", type=share, metavar="SHARE", default=0.99,
        help="share of all requests that must keep it (default 0.99); refused ones do not",
    )  # fmt: skip
    return parser


def describe_plan(arrivals: List[Arrival], duration_s: float) -> str:
    lines = [f"{len(arrivals)} requests over {duration_s:g} s"]
    for model, row in report.rates(arrivals, duration_s).items():
        cv = report.show(row["cv"], "{:.2f}")
        lines.append(f"  {model}: {row['requests']}, {row['rate']:.3f} a second, CV {cv}")
    return "\n".join(lines)


def files_of(options: argparse.Namespace) -> Dict[str, str]:
    """The files that OPTIONS ask for, by what is in them."""
    found = {"arrivals": options.save_arrivals}
    if not options.dry_run:
        found["tokens"] = options.tokens
    if options.out and not options.dry_run:
        found["summary"] = os.path.join(options.out, "summary.json")
        found["requests"] = os.path.join(options.out, "requests.csv")
    return {content: path for content, path in found.items() if path}


def write_files(options: argparse.Namespace, contents: Dict[str, Any]) -> bool:
    """Whether all files that OPTIONS ask for could be written."""
    written = [
        files.write(path, WRITERS[content], contents[content])
        for content, path in files_of(options).items()
    ]
    return all(written)


def dry_run(plan: Plan, options: argparse.Namespace) -> int:
    if plan.closed:
        raise LoadError("a workload of turns has no arrivals without a server's answers")
    source = plan.open(options.dry_run.split(","))
    made = list(iter(source.next, None))
    said = files.say(describe_plan(made, plan.duration_s(made)))
    return 0 if write_files(options, {"arrivals": made}) and said else 1


def exit_status(summary: Dict[str, Any], attain: float) -> Tuple[int, str]:
    """Of a run that nobody interrupted, and what there is to say about it."""
    if "slo_s" in summary and summary["answered"] == 0:
        return 3, f"none of {summary['requests']} requests was answered, so --slo judges nothing"
    if summary["answered"] == 0 and summary["requests"] > 0:
        return 1, ""
    missed = "slo_s" in summary and summary["slo_attainment"] < attain
    return (3 if missed else 0), ""


def main(arguments: Optional[List[str]] = None) -> int:
    parser = make_parser()
    options = parser.parse_args(arguments)
    if options.arrivals and options.cv is not None:
        parser.error("--cv changes a workload's streams; a list of --arrivals has none")
    plan = Plan(options)
    if options.out and not options.dry_run:
        files.make_folder(options.out)
    for path in files_of(options).values():
        files.try_path(path)
    if options.dry_run:
        return dry_run(plan, options)
    run = run_live(plan, options)
    arrivals = sorted((item.arrival for item in run.outcomes), key=lambda one: one.at_ns)
    slo_s = None if options.slo is None else options.slo / 1e3
    duration_s = run.seconds if run.interrupted else plan.duration_s(arrivals)
    summary = report.summarise(run, duration_s, slo_s)
    said = files.say(report.to_json(summary) if options.json else report.describe(summary))
    contents = {
        "arrivals": arrivals, "tokens": run.outcomes, "summary": summary, "requests": run.outcomes,
    }  # fmt: skip
    if not write_files(options, contents) or not said:
        return 1
    if run.interrupted:
        return 130
    status, text = exit_status(summary, options.attain)
    if text:
        print(f"swapserve.load: {text}", file=sys.stderr)
    return status


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (LoadError, Error, OSError, ValueError) as trouble:
        sys.exit(f"swapserve.load: {trouble}")
    except KeyboardInterrupt:
        sys.exit(130)
