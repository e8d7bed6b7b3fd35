"""From options to a run: the plan of what to send, and the run against a live server."""

from __future__ import annotations

import argparse
import asyncio
import sys
from dataclasses import dataclass, replace
from typing import List

from swapserve import AsyncClient, Status

from . import arrivals as lists
from .arrivals import Arrival, LoadError
from .driver import Driver, Run, run_loop
from .report import percentile

PROGRESS_S = 0.5


@dataclass(frozen=True)
class Plan:
    arrivals: List[Arrival]
    duration_s: float
    closed: bool = False  # one after the other


def make_plan(options: argparse.Namespace) -> Plan:
    """What OPTIONS ask to be sent."""
    if options.arrivals:
        found = lists.read(options.arrivals)
        plan = Plan(found, found[-1].time_s if found else 0.0)
    else:
        from . import workload  # needs PyYAML, which a list of arrivals does not

        plan = Plan(*workload.read(options.workload).make(options.seed, options.duration))
    return adapt(plan, options.duration, options.scale)


def adapt(plan: Plan, duration_s: float | None, scale: float) -> Plan:
    """The first DURATION_S of PLAN, then SCALE times as fast. A closed loop has no times."""
    if plan.closed:
        return plan
    if duration_s is not None:
        kept = [item for item in plan.arrivals if item.time_s < duration_s]
        plan = Plan(kept, duration_s)
    if scale != 1:
        faster = [replace(item, time_s=item.time_s / scale) for item in plan.arrivals]
        plan = Plan(faster, plan.duration_s / scale)
    return plan


def run_live(plan: Plan, options: argparse.Namespace) -> Run:
    return run_loop(_run(plan, options))


async def _run(plan: Plan, options: argparse.Namespace) -> Run:
    async with AsyncClient(options.endpoint) as client:
        sizes = {model.name: model.vocab_tokens for model in await client.models()}
        missing = sorted({item.model for item in plan.arrivals} - set(sizes))
        if missing:
            raise LoadError(
                f"the server has no model {', '.join(missing)}; it has {', '.join(sorted(sizes))}"
            )
        driver = Driver(
            client, sizes, seed=options.seed, stream=not options.whole, timeout=options.timeout
        )
        before = await client.status()
        progress = None
        if not options.quiet and sys.stderr.isatty():
            progress = asyncio.ensure_future(_show(driver, plan))
        try:
            if plan.closed:
                await driver.run_turns(plan.arrivals, options.duration)
            else:
                await driver.run_open(plan.arrivals)
        finally:
            if progress:
                progress.cancel()
                sys.stderr.write("\r\x1b[K")
        seconds = max((item.end_s or 0.0 for item in driver.outcomes), default=0.0)
        return Run(driver.outcomes, before, await _settled(client), seconds)


async def _settled(client: AsyncClient) -> Status:
    """The server's counts when the last report of the last load has come in."""
    status = await client.status()
    for _ in range(20):
        await asyncio.sleep(0.05)
        last, status = status, await client.status()
        if (last.loads, last.bytes_loaded) == (status.loads, status.bytes_loaded):
            break
    return status


async def _show(driver: Driver, plan: Plan) -> None:
    """One line, rewritten twice a second."""
    while True:
        recent = sorted(
            item.latency_s for item in driver.outcomes[-200:] if item.latency_s is not None
        )
        refused = sum(1 for item in driver.outcomes if item.end_s is not None and not item.answered)
        line = (
            f"{max(0.0, driver.now()):6.1f} s  {len(driver.outcomes)} of {len(plan.arrivals)} sent  "
            f"{driver.in_flight} in flight  {refused} failed"
        )
        if recent:
            line += (
                f"  p50 {percentile(recent, 0.5) * 1e3:.0f} ms"
                f"  p99 {percentile(recent, 0.99) * 1e3:.0f} ms"
            )
        sys.stderr.write(f"\r\x1b[K{line}")
        sys.stderr.flush()
        await asyncio.sleep(PROGRESS_S)
