"""From options to a run: the plan of what to send, and the run against a live server."""

from __future__ import annotations

import argparse
import asyncio
import signal
import sys
from typing import Optional, Sequence

from swapserve import AsyncClient, Error, Status

from . import arrivals as lists
from . import workload
from .arrivals import NS, Arrival, Listed, LoadError, shift
from .driver import Driver, Run, Source, run_loop
from .process import Arrivals
from .report import percentile

PROGRESS_S = 0.5
STATUS_S = 3.0  # a server at rest that says nothing for so long is gone


class Plan:
    """What OPTIONS ask to be sent, once the models are known."""

    def __init__(self, options: argparse.Namespace) -> None:
        self._options = options
        self._workload = workload.read(options.workload) if options.workload else None
        duration_ns = None if options.duration is None else round(options.duration * NS)
        if self._workload:
            self._workload.scale(options.scale)
            if options.cv is not None:
                self._workload.set_cv(options.cv)
            self._workload.duration_ns = duration_ns or self._workload.duration_ns
        else:
            self._listed = shift(lists.read(options.arrivals), duration_ns, options.scale)

    @property
    def closed(self) -> bool:
        """Arrivals depend on answers."""
        return self._workload is not None and self._workload.closed

    def open(self, names: Sequence[str]) -> Source:
        """The arrivals, for the models NAMES of a server."""
        if self._workload:
            return Arrivals(self._workload, names, self._options.seed)
        missing = sorted({item.model for item in self._listed} - set(names))
        if missing and names:
            raise LoadError(
                f"the server has no model {', '.join(missing)}; it has {', '.join(names)}"
            )
        return Listed(self._listed)

    @property
    def planned_s(self) -> Optional[float]:
        """When the last request comes, or a little later, where that is known beforehand."""
        if self._workload:
            return self._workload.duration_ns / NS or None
        return self._listed[-1].time_s if self._listed else None

    def duration_s(self, arrivals: Sequence[Arrival]) -> float:
        """The time over which ARRIVALS, all there are, are spread."""
        if self._workload and self._workload.duration_ns:
            return self._workload.duration_ns / NS
        if self._options.duration and not self._workload:
            return self._options.duration / self._options.scale
        return max((item.time_s for item in arrivals), default=0.0)


def run_live(plan: Plan, options: argparse.Namespace) -> Run:
    return run_loop(_run(plan, options))


async def _run(plan: Plan, options: argparse.Namespace) -> Run:
    async with AsyncClient(options.endpoint) as client:
        sizes = {model.name: model.vocab_tokens for model in await client.models()}
        source = plan.open(list(sizes))
        driver = Driver(
            client, sizes, seed=options.seed, stream=not options.whole, timeout=options.timeout
        )
        before = await client.status()
        progress = None
        if not options.quiet and sys.stderr.isatty():
            progress = asyncio.ensure_future(_show(driver, plan.planned_s))
        loop = asyncio.get_running_loop()

        def interrupt() -> None:
            """What was answered is still reported; a second Ctrl-C ends it at once."""
            loop.remove_signal_handler(signal.SIGINT)
            driver.stop()

        loop.add_signal_handler(signal.SIGINT, interrupt)
        try:
            await driver.run(source)
        finally:
            loop.remove_signal_handler(signal.SIGINT)
            if progress:
                progress.cancel()
                sys.stderr.write("\r\x1b[K")
        seconds = max((item.end_s or 0.0 for item in driver.outcomes), default=0.0)
        after = await _settled(client, before)
        return Run(driver.outcomes, before, after, seconds, driver.stopped, driver.cut)


async def _settled(client: AsyncClient, before: Status) -> Optional[Status]:
    """The server's counts when the last report of the last load has come in. None: the server that
    counted BEFORE is gone."""
    try:
        status = await client.status(timeout=STATUS_S)
        for _ in range(20):
            await asyncio.sleep(0.05)
            last, status = status, await client.status(timeout=STATUS_S)
            if (last.loads, last.bytes_loaded) == (status.loads, status.bytes_loaded):
                break
    except Error:
        return None
    return None if status.uptime_ns < before.uptime_ns else status


async def _show(driver: Driver, planned_s: Optional[float]) -> None:
    """One line, rewritten twice a second."""
    until = f" of {planned_s:.1f}" if planned_s else ""
    while True:
        recent = sorted(
            item.latency_s for item in driver.outcomes[-200:] if item.latency_s is not None
        )
        refused = sum(1 for item in driver.outcomes if item.end_s is not None and not item.answered)
        line = (
            f"{max(0.0, driver.now()):6.1f}{until} s  {len(driver.outcomes)} sent  "
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
