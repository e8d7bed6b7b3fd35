"""What killed servers leave (nothing), what starts after them, and a port in use."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import time
from pathlib import Path

from experiments.server import Server
from serving import (
    Peer, config, eventually, expect, expect_equal, expect_golden, free_port, golden, main,
    run_swapserve, serving,
)  # fmt: skip

CONFIG = config("opt-tiny", device={"link": {"bandwidth": "2MB/s"}})
SLOW = config("opt-tiny", device={"link": {"bandwidth": "400KB/s"}})
SESSION = b"OMPI_MCA_orte_jobfam_session_dir="


class Traces:
    """What a job of Open MPI and its ranks may leave where others find it. Other jobs may be at
    work on this machine, so only this one's names count: its session folder, the shared memory that
    its ranks have mapped, its processes."""

    def __init__(self, server: Server) -> None:
        maps = "".join(Path(f"/proc/{pid}/maps").read_text() for pid in server.rank_pids())
        self.segments = sorted(set(re.findall(r"/dev/shm/\S+", maps)))
        environ = Path(f"/proc/{server.rank_pids()[0]}/environ").read_bytes().split(b"\0")
        folder = next(item for item in environ if item.startswith(SESSION))
        self.session = Path(os.fsdecode(folder[len(SESSION) :]))
        self.pids = server.pids()
        expect(self.segments and self.session.exists(), "a server at work has both")

    def left(self) -> list[str]:
        names = [name for name in self.segments if Path(name).exists()]
        names += [str(self.session)] if self.session.exists() else []
        return names + [f"process {pid}" for pid in self.pids if is_alive(pid)]


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_killed_rank() -> None:
    """The job ends, nothing stays, and the next start at the same place works at once."""
    for victim in (0, 3):
        endpoint = free_port()
        with serving(CONFIG, endpoint=endpoint) as server, Peer(server.endpoint) as peer:
            for number in range(1, 11):
                peer.submit(number, "opt-tiny", golden("opt-tiny")["prompt_ids"], stream=True)
            expect(not peer.is_silent(20), "it is at work")
            traces = Traces(server)
            os.kill(server.rank_pids()[victim], signal.SIGKILL)
            expect(server.wait() != 0, f"rank {victim} was killed")
            eventually(lambda: not traces.left(), f"rank {victim}'s job is gone")
        with serving(CONFIG, endpoint=endpoint) as server, server.client() as client:
            traces = Traces(server)
            expect_golden(client, "opt-tiny")
            expect_equal(server.drain(), 0, "exit status")
            expect_equal(traces.left(), [], "what a drain leaves")


def test_accepted_are_answered() -> None:
    """A rank dies, and mpirun leaves the others a second: what was accepted is answered."""
    prompt = golden("opt-tiny")["prompt_ids"]
    with serving(SLOW) as server, Peer(server.endpoint) as peer, server.client() as client:
        for number in range(1, 31):
            peer.submit(number, "opt-tiny", prompt, max_tokens=200, ignore_eos=True, stream=False)
        eventually(lambda: client.status().accepted >= 30, "all accepted")
        os.kill(server.rank_pids()[3], signal.SIGKILL)
        left = set(range(1, 31))
        while left:
            reply = peer.receive()
            expect_equal(reply.get("code"), "internal", f"request {reply['id']}: {reply}")
            left.remove(reply["id"])
        expect(server.wait() != 0, "rank 3 was killed")
        expect("answered as lost" in server.tail(), server.tail())


def test_stopped_first_rank() -> None:
    """Rank 0 stands still in the middle of its work: the others do not wait for it for ever."""
    slow = config("opt-tiny", device={"link": {"bandwidth": "200KB/s"}},
                  limits={"peer_timeout": "1s"})  # fmt: skip
    with serving(slow) as server, Peer(server.endpoint) as peer:
        peer.submit(1, "opt-tiny", golden("opt-tiny")["prompt_ids"], max_tokens=1)
        time.sleep(0.3)  # it is being loaded, for a second or more
        os.kill(server.rank_pids()[0], signal.SIGSTOP)
        expect(server.wait(30) != 0, "the job ends")
        expect("has not ended the group" in server.tail(60), server.tail(60))


def test_killed_mpirun() -> None:
    """Nobody is left to clean up: the ranks end by themselves, and the next start works. What Open
    MPI leaves then (its segments in /dev/shm) is its own, and hinders nobody."""
    endpoint = free_port()
    with serving(CONFIG, endpoint=endpoint) as server:
        traces = Traces(server)
        os.kill(server.pids()[0], signal.SIGKILL)
        eventually(lambda: not any(map(is_alive, traces.pids)), "the ranks have ended", 15)
        with serving(CONFIG, endpoint=endpoint) as next_server, next_server.client() as client:
            expect_golden(client, "opt-tiny")
            expect_equal(next_server.drain(), 0, "exit status")
    for name in traces.segments:
        Path(name).unlink(missing_ok=True)
    shutil.rmtree(traces.session, ignore_errors=True)


def test_killed_socket_file() -> None:
    """A socket file that a killed server left is no hindrance."""
    with serving(CONFIG) as first:
        os.kill(first.rank_pids()[0], signal.SIGKILL)
        expect(first.wait() != 0, "rank 0 was killed")
        with serving(CONFIG, endpoint=first.endpoint) as server, server.client() as client:
            expect_golden(client, "opt-tiny")
            expect_equal(server.drain(), 0, "exit status")


def test_port_in_use() -> None:
    endpoint = free_port()
    with serving(CONFIG, endpoint=endpoint) as server:
        path = server.log.parent / "config.yaml"
        path.write_text(json.dumps({**json.loads(path.read_text()), "log_level": "debug"}))
        done = run_swapserve(path, 4, "--endpoint", endpoint, timeout=30)
        expect(done.returncode not in (0, 124), f"exit status {done.returncode}:\n{done.stdout}")
        said = [line for line in done.stdout.splitlines() if endpoint in line and "use" in line]
        expect_equal(len(said), 1, f"once: {endpoint} is in use:\n{done.stdout}")
        expect("start: arena" not in done.stdout, f"before memory is reserved:\n{done.stdout}")
        expect_equal(server.drain(), 0, "the first server's exit status")


if __name__ == "__main__":
    main(test_killed_rank, test_accepted_are_answered, test_stopped_first_rank,
         test_killed_mpirun, test_killed_socket_file, test_port_in_use)  # fmt: skip
