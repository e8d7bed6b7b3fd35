"""Starts a swapserve of several ranks under mpirun, and sees to its end.

    with Server(config, ranks=4) as server:
        with server.client() as client:
            client.generate("opt-tiny", "Permission is hereby")
        assert server.drain() == 0

The programs are taken from $SWAPSERVE_BUILD, else from build/release.
"""

from __future__ import annotations

import ctypes
import json
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any

from swapserve import Client, Error

ROOT = Path(__file__).resolve().parent.parent
START_SECONDS = 60.0
END_SECONDS = 60.0
MPI = {
    "OMPI_ALLOW_RUN_AS_ROOT": "1",
    "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1",
    "OMPI_MCA_rmaps_base_oversubscribe": "1",
}
PR_SET_PDEATHSIG = 1


class ServerError(Exception):
    """The server did not start, or did not end; the message holds the end of its log."""


def default_build() -> Path:
    return Path(os.environ.get("SWAPSERVE_BUILD", ROOT / "build" / "release")).resolve()


class Server:
    """A running server. Leaving the `with` block before drain() ends it at once.

    config    a YAML file, or its content as a mapping (paths in it absolute)
    ranks     as the config's tp x pp
    trace     a file for the server's trace, written when it drains
    endpoint  where it listens; default: a socket file of its own, so that no port can be taken
    log       where its output goes; default: a file that is gone after the `with` block
    environ   added to its environment
    arguments added to its command line
    """

    def __init__(
        self,
        config: str | os.PathLike[str] | Mapping[str, Any],
        ranks: int = 4,
        *,
        build_dir: str | os.PathLike[str] | None = None,
        trace: str | os.PathLike[str] | None = None,
        endpoint: str | None = None,
        log: str | os.PathLike[str] | None = None,
        environ: Mapping[str, str] | None = None,
        arguments: Sequence[str] = (),
        start_seconds: float = START_SECONDS,
    ) -> None:
        self.build_dir = Path(build_dir).resolve() if build_dir else default_build()
        self.ranks = ranks
        self.exit_code: int | None = None
        self._folder = Path(tempfile.mkdtemp(prefix="swapserve-"))
        self._cleanup = ExitStack()
        self._cleanup.callback(shutil.rmtree, self._folder, ignore_errors=True)
        self.endpoint = endpoint or f"ipc://{self._folder}/socket"
        self.log = Path(log) if log else self._folder / "log"
        self._start_seconds = start_seconds
        self._process: subprocess.Popen[bytes] | None = None
        self._known: set[int] = set()
        # Two mpiruns that start at once can fail over the folder that they share by default.
        own = {"OMPI_MCA_orte_tmpdir_base": str(self._folder)}
        self._environ = {**os.environ, **MPI, **own, **(environ or {})}
        self._command = [*self._make_command(config, trace), *arguments]

    def _make_command(
        self,
        config: str | os.PathLike[str] | Mapping[str, Any],
        trace: str | os.PathLike[str] | None,
    ) -> list[str]:
        program = self.build_dir / "engine" / "serve" / "swapserve"
        if not program.exists():
            self._cleanup.close()
            raise ServerError(
                f"{program} is not there: build it first, or set SWAPSERVE_BUILD to the build folder"
            )
        if isinstance(config, Mapping):
            path = self._folder / "config.yaml"
            path.write_text(json.dumps(config, indent=2), encoding="utf-8")  # JSON is YAML
        else:
            path = Path(config).resolve()
        command = ["mpirun", "-np", str(self.ranks), str(program), "--config", str(path)]
        command += ["--endpoint", self.endpoint]
        return command + (["--trace", str(Path(trace).resolve())] if trace else [])

    # --- life -------------------------------------------------------------------------------

    def __enter__(self) -> "Server":
        try:
            self._start()
            self._await_ready()
        except BaseException:
            self.kill()
            self._cleanup.close()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.kill()
        self._cleanup.close()

    def _start(self) -> None:
        """In a session of its own, so that Ctrl-C is this program's to handle."""
        prctl = ctypes.CDLL(None).prctl

        def follow_parent() -> None:  # should this program be killed, mpirun ends its ranks
            prctl(PR_SET_PDEATHSIG, signal.SIGTERM)

        with self.log.open("wb") as log:
            self._process = subprocess.Popen(
                self._command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=self._environ,
                start_new_session=True,
                preexec_fn=follow_parent,
            )

    def _await_ready(self) -> None:
        assert self._process
        limit = time.monotonic() + self._start_seconds
        while True:
            if self._process.poll() is not None:
                raise ServerError(
                    f"swapserve ended with {self._process.returncode} at its start:\n{self.tail()}"
                )
            if " ready after " in self.tail():
                break
            if time.monotonic() > limit:
                raise ServerError(
                    f"swapserve was not ready within {self._start_seconds:g} s:\n{self.tail()}"
                )
            time.sleep(0.05)
        with self.client(timeout=10) as client:
            client.status()
        self._known = set(self.pids())

    def client(self, timeout: float | None = 60) -> Client:
        """A client of this server, for a `with` block."""
        return Client(self.endpoint, timeout=timeout)

    def tail(self, lines: int = 30) -> str:
        """The end of its log."""
        if not self.log.exists():
            return ""
        text = self.log.read_text(encoding="utf-8", errors="replace")
        return "\n".join(text.splitlines()[-lines:])

    def drain(self, timeout: float = END_SECONDS) -> int:
        """Asks for a drain and waits for the end; returns mpirun's exit status."""
        with self.client(timeout=timeout) as client:
            client.drain()
        return self.wait(timeout)

    def wait(self, timeout: float = END_SECONDS) -> int:
        """Waits until it has ended by itself; returns mpirun's exit status."""
        assert self._process
        try:
            self.exit_code = self._process.wait(timeout)
        except subprocess.TimeoutExpired:
            raise ServerError(
                f"swapserve did not end within {timeout:g} s:\n{self.tail()}"
            ) from None
        return self.exit_code

    def kill(self) -> None:
        """Ends all its processes, whatever they do; nothing where they have ended."""
        if self._process is None:
            return
        ranks = (self._known | set(self.pids())) - {self._process.pid}
        self._known.clear()
        if self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(5)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        for pid in ranks:
            if _is_of(pid, self.build_dir):
                os.kill(pid, signal.SIGKILL)
        limit = time.monotonic() + 5
        while any(_is_of(pid, self.build_dir) for pid in ranks) and time.monotonic() < limit:
            time.sleep(0.01)

    # --- its processes ----------------------------------------------------------------------

    def pids(self) -> list[int]:
        """mpirun and all its descendants that live, mpirun first; none when it has ended."""
        if self._process is None or self._process.poll() is not None:
            return []
        children: dict[int, list[int]] = {}
        for pid, parent in _parents():
            children.setdefault(parent, []).append(pid)
        found = [self._process.pid]
        for pid in found:  # grows while it is walked
            found += children.get(pid, ())
        return found

    def rank_pids(self) -> list[int]:
        """The ranks, in the order of their numbers."""
        numbered = []
        for pid in self.pids()[1:]:
            rank = _environment(pid).get("OMPI_COMM_WORLD_RANK")
            if rank is not None:
                numbered.append((int(rank), pid))
        return [pid for _, pid in sorted(numbered)]

    def cpu_seconds(self) -> float:
        """User and system time that mpirun and all its descendants have used so far."""
        ticks = 0
        for pid in self.pids():
            try:
                fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            ticks += int(fields[11]) + int(fields[12])  # utime, stime: proc(5)
        return ticks / os.sysconf("SC_CLK_TCK")


def _parents() -> Iterator[tuple[int, int]]:
    """Every process and its parent."""
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                fields = (folder / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue  # it has just ended
            yield int(folder.name), int(fields[1])


def _environment(pid: int) -> dict[str, str]:
    try:
        raw = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    except OSError:
        return {}
    pairs: Sequence[bytes] = [item for item in raw if b"=" in item]
    return dict(item.decode(errors="replace").split("=", 1) for item in pairs)


def _is_of(pid: int, build_dir: Path) -> bool:
    """Whether the process still is a program of BUILD_DIR: numbers are used again."""
    try:
        return Path(os.readlink(f"/proc/{pid}/exe")).is_relative_to(build_dir)
    except OSError:
        return False
