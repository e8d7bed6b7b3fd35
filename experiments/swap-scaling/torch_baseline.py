"""The baseline: two models take turns under torch, one process per GPU, by Computron's rules.

Parameters lie in pinned host memory, one tensor each. A model comes in with `.to()` per parameter
and goes out with a copy back per parameter, on streams of their own; the two overlap, as there is
memory for both. The batch is sent when every rank has acknowledged its whole load. Nothing polls.

    RANK=0 MASTER_ADDR=127.0.0.1 MASTER_PORT=29500 \\
        python torch_baseline.py --device cuda --model opt-13b --tp 1 --pp 1 --prompt 2 3 --out FILE

is rank 0 of tp x pp. Needs torch and nothing else; `run.py --torch PYTHON` starts it.
"""

import argparse
import json
import os
import statistics
import time
import zlib
from datetime import timedelta

import torch
import torch.distributed as dist
import torch.nn.functional as F

VOCAB, POSITIONS, POSITION_OFFSET = 50272, 2050, 2
SHAPES = {  # Zhang et al., arXiv 2205.01068: layers, hidden, heads, width of the embedding, norm first
    "opt-125m": (12, 768, 12, 768, True),
    "opt-350m": (24, 1024, 16, 512, False),
    "opt-1.3b": (24, 2048, 32, 2048, True),
    "opt-13b": (40, 5120, 40, 5120, True),
}
WARM_UPS, RESIDENT_REPEATS = 2, 3
SWAP, BATCH, END = range(3)
SPREAD = 0.02


class Ranks:
    """Where this process stands, and its groups: `tp` peers, and gloo for commands."""

    def __init__(self, options):
        self.rank = int(os.environ["RANK"])
        self.tp, self.pp = options.tp, options.pp
        self.world = self.tp * self.pp
        self.stage, self.index = divmod(self.rank, self.tp)
        self.cuda = options.device == "cuda"
        self.device = torch.device("cuda", self.rank) if self.cuda else torch.device("cpu")
        if self.cuda:
            torch.cuda.set_device(self.device)
        dist.init_process_group(
            "nccl" if self.cuda else "gloo", rank=self.rank, world_size=self.world,
            timeout=timedelta(seconds=200))
        self.control = dist.new_group(backend="gloo")
        groups = [dist.new_group([s * self.tp + i for i in range(self.tp)]) for s in range(self.pp)]
        self.peers = groups[self.stage]

    def tell(self, *command):
        """Rank 0's COMMAND, for all: three integers."""
        box = torch.tensor(command if command else (0, 0, 0), dtype=torch.int64)
        dist.broadcast(box, 0, group=self.control)
        return box.tolist()

    def collect(self, value):
        """Every rank's VALUE, on every rank."""
        boxes = [torch.zeros(1, dtype=torch.float64) for _ in range(self.world)]
        dist.all_gather(boxes, torch.tensor([value], dtype=torch.float64), group=self.control)
        return [box.item() for box in boxes]

    def summed(self, tensor):
        if self.tp > 1:
            dist.all_reduce(tensor, group=self.peers)
        return tensor

    def settle(self, stream=None):
        if self.cuda:
            (stream or torch.cuda.current_stream()).synchronize()


class Model:
    """One shard: pinned parameters, and those that are on the device."""

    def __init__(self, ranks, options, number):
        self.ranks, self.number = ranks, number
        layers, self.hidden, self.heads, self.width, self.norm_first = SHAPES[options.model]
        layers = max(1, round(layers * options.scale))
        self.dtype = torch.float16 if ranks.cuda else torch.float32
        first = [layers * s // ranks.pp for s in range(ranks.pp + 1)]
        self.layers = range(first[ranks.stage], first[ranks.stage + 1])
        self.first, self.last = ranks.stage == 0, ranks.stage == ranks.pp - 1
        self.pinned = {}
        self.add_ends()
        for layer in self.layers:
            self.add_layer(f"{layer}.")
        self.there = {}

    def add(self, name, rows, columns=None, split=None, centre=0.0):
        """A parameter, this rank's part along dimension SPLIT. It depends on its name and the model
        alone, so every layout holds the same model."""
        seed = zlib.crc32(f"{self.number} {name}".encode())
        generator = torch.Generator(device=self.ranks.device).manual_seed(seed)
        shape = (rows,) if columns is None else (rows, columns)
        whole = torch.empty(shape, device=self.ranks.device, dtype=self.dtype)
        whole.normal_(centre, SPREAD, generator=generator)
        if split is not None:
            whole = whole.chunk(self.ranks.tp, split)[self.ranks.index]
        part = torch.empty(whole.shape, dtype=self.dtype, pin_memory=self.ranks.cuda)
        part.copy_(whole)
        self.pinned[name] = part

    def add_ends(self):
        if self.first or self.last:  # the head is the embedding: a second copy on another stage
            self.add("tokens", VOCAB, self.width, 0)
        if self.first:
            self.add("positions", POSITIONS, self.hidden)
        if self.width != self.hidden:
            if self.first:
                self.add("in", self.hidden, self.width)
            if self.last:
                self.add("out", self.width, self.hidden)
        if self.last and self.norm_first:
            self.add_norm("final")

    def add_norm(self, name):
        self.add(name + ".weight", self.hidden, centre=1.0)
        self.add(name + ".bias", self.hidden)

    def add_layer(self, name):
        wide = 4 * self.hidden
        for part in ("q", "k", "v"):
            self.add(name + part, self.hidden, self.hidden, 0)
            self.add(name + part + ".bias", self.hidden, split=0)
        self.add(name + "o", self.hidden, self.hidden, 1)
        self.add(name + "o.bias", self.hidden)
        self.add_norm(name + "norm1")
        self.add(name + "up", wide, self.hidden, 0)
        self.add(name + "up.bias", wide, split=0)
        self.add(name + "down", self.hidden, wide, 1)
        self.add(name + "down.bias", self.hidden)
        self.add_norm(name + "norm2")

    def bytes(self):
        return sum(part.numel() * part.element_size() for part in self.pinned.values())

    # --- moving -----------------------------------------------------------------------------

    def come(self, name):
        part = self.pinned[name]
        device = self.ranks.device
        self.there[name] = part.to(device, non_blocking=True) if self.ranks.cuda else part.clone()

    def go(self, name):
        self.pinned[name].copy_(self.there[name], non_blocking=True)

    # --- computing --------------------------------------------------------------------------

    def norm(self, name, x):
        there = self.there
        return F.layer_norm(x, (self.hidden,), there[name + ".weight"], there[name + ".bias"])

    def attend(self, name, x):
        there, heads = self.there, self.heads // self.ranks.tp
        q, k, v = (
            F.linear(x, there[name + p], there[name + p + ".bias"]).view(len(x), heads, -1)
            .transpose(0, 1)
            for p in ("q", "k", "v")
        )
        scores = (q @ k.transpose(1, 2)) * q.shape[-1] ** -0.5
        later = torch.ones(len(x), len(x), dtype=torch.bool, device=x.device).triu(1)
        scores = scores.masked_fill(later, float("-inf")).softmax(-1)
        joined = (scores @ v).transpose(0, 1).reshape(len(x), -1)
        return self.ranks.summed(F.linear(joined, there[name + "o"])) + there[name + "o.bias"]

    def feed(self, name, x):
        there = self.there
        wide = F.relu(F.linear(x, there[name + "up"], there[name + "up.bias"]))
        return self.ranks.summed(F.linear(wide, there[name + "down"])) + there[name + "down.bias"]

    def layer(self, name, x):
        for norm, part in (("norm1", self.attend), ("norm2", self.feed)):
            if self.norm_first:
                x = x + part(name, self.norm(name + norm, x))
            else:
                x = self.norm(name + norm, x + part(name, x))
        return x

    def embed(self, prompt):
        ids = torch.tensor(prompt, device=self.ranks.device)
        rows = len(self.there["tokens"])
        local = ids - rows * self.ranks.index
        ours = (local >= 0) & (local < rows)
        x = F.embedding(local.clamp(0, rows - 1), self.there["tokens"]) * ours[:, None]
        x = self.ranks.summed(x)
        if self.width != self.hidden:
            x = F.linear(x, self.there["in"])
        places = torch.arange(len(prompt), device=x.device) + POSITION_OFFSET
        return x + F.embedding(places, self.there["positions"])

    def choose(self, x):
        """The likeliest next token, on every peer of the last stage."""
        x = x[-1:]
        if self.norm_first:
            x = self.norm("final", x)
        if self.width != self.hidden:
            x = F.linear(x, self.there["out"])
        best, at = F.linear(x, self.there["tokens"]).float().max(-1)
        mine = torch.cat([best, at.float() + len(self.there["tokens"]) * self.ranks.index])
        every = [torch.zeros_like(mine) for _ in range(self.ranks.tp)]
        if self.ranks.tp == 1:
            every = [mine]
        else:
            dist.all_gather(every, mine, group=self.ranks.peers)
        return int(max(pair.tolist() for pair in every)[1])

    def run(self, prompt):
        """One step; the token on the last stage, -1 elsewhere."""
        ranks = self.ranks
        if self.first:
            x = self.embed(prompt)
        else:
            x = torch.empty(len(prompt), self.hidden, dtype=self.dtype, device=ranks.device)
            dist.recv(x, ranks.rank - ranks.tp)
        for layer in self.layers:
            x = self.layer(f"{layer}.", x)
        if self.last:
            return self.choose(x)
        dist.send(x.contiguous(), ranks.rank + ranks.tp)
        return -1


class Rank:
    """One process: does what rank 0 says."""

    def __init__(self, options):
        self.options = options
        self.ranks = Ranks(options)
        self.models = [Model(self.ranks, options, number) for number in (1, 2)]
        self.streams, self.marks = (None, None), None
        if self.ranks.cuda:
            self.marks = [torch.cuda.Event(enable_timing=True) for _ in range(2)]
            self.streams = (torch.cuda.Stream(), torch.cuda.Stream())

    def swap(self, out, back):
        """OUT (or -1) goes, BACK comes: seconds here, seconds on every rank, who leaves."""
        ranks, coming = self.ranks, self.models[back]
        leaving = self.models[out] if out >= 0 else None
        begun = time.perf_counter()
        self.mark(0)
        for name in coming.pinned:  # the two models' parameters are alike
            with torch.cuda.stream(self.streams[0]):
                coming.come(name)
            if leaving:
                with torch.cuda.stream(self.streams[1]):
                    leaving.go(name)
        self.mark(1)
        ranks.settle(self.streams[0])
        came = time.perf_counter() - begun
        loads = ranks.collect(came)  # the acknowledgement that rank 0 waits for
        return came, loads, leaving

    def mark(self, end):
        """The copies back begin, or end, here in their stream."""
        if self.marks:
            self.marks[end].record(self.streams[1])

    def settle_out(self, came, leaving):
        """Seconds that the copies back took on the slowest rank. On the CPU nothing is queued: they
        were over with the load."""
        self.ranks.settle(self.streams[1])
        took = self.marks[0].elapsed_time(self.marks[1]) / 1e3 if self.marks else came
        if leaving:
            leaving.there.clear()
        return max(self.ranks.collect(took))

    def batch(self, model):
        """The token, on every rank: it travels as the answer would."""
        token = self.models[model].run(self.options.prompt)
        box = torch.tensor([token], dtype=torch.int64)
        dist.broadcast(box, (self.ranks.pp - 1) * self.ranks.tp, group=self.ranks.control)
        return int(box.item())

    def serve(self):
        held = None
        while True:
            command, out, model = self.ranks.tell()
            if command == END:
                return
            if command == SWAP:
                held = self.swap(out, model)
            else:
                self.batch(model)
                if held:
                    self.settle_out(held[0], held[2])
                held = None

    # --- rank 0 -----------------------------------------------------------------------------

    def request(self, out, model):
        """One blocking request that swaps, unless OUT is MODEL; its times in seconds."""
        begun, held, load = time.perf_counter(), None, 0.0
        if out != model:
            self.ranks.tell(SWAP, out, model)
            held = self.swap(out, model)
            load = max(held[1])
        loaded = time.perf_counter()
        self.ranks.tell(BATCH, out, model)
        token = self.batch(model)
        ended = time.perf_counter()
        offload = self.settle_out(held[0], held[2]) if held else 0.0
        return {"load": load, "offload": offload, "compute": ended - loaded,
                "response": ended - begun, "token": token}

    def drive(self):
        turns = [i % 2 for i in range(WARM_UPS + self.options.repeats)]
        found = [self.request(i - 1 if i < 1 else turns[i - 1], turn) for i, turn in enumerate(turns)]
        resident = [self.request(turns[-1], turns[-1]) for _ in range(1 + RESIDENT_REPEATS)][1:]
        self.ranks.tell(END, 0, 0)
        return found[WARM_UPS:], resident


def summary(values):
    return {"median": round(statistics.median(values), 6), "min": round(min(values), 6),
            "max": round(max(values), 6), "count": len(values)}


def report(rank, found, resident, bytes_of_model):
    options = rank.options
    every = {name: [one[name] for one in found] for name in ("load", "offload", "compute", "response")}
    overheads = [one["response"] - one["load"] - one["compute"] for one in found]
    tokens = [found[0]["token"], found[1]["token"]]
    for i, one in enumerate(found):
        if one["token"] != tokens[i % 2]:
            raise SystemExit(f"model {i % 2} says {one['token']} after {tokens[i % 2]}: a swap broke it")
    return {
        "variant": "torch", "tp": options.tp, "pp": options.pp, "torch": torch.__version__,
        "model_bytes": round(bytes_of_model), "tokens": tokens,
        "load_s": summary(every["load"]), "offload_s": summary(every["offload"]),
        "first_token_s": summary(every["response"]), "response_s": summary(every["response"]),
        "resident_s": summary([one["response"] for one in resident]),
        "swap_s": round(statistics.median(every["load"]), 6),
        "compute_s": round(statistics.median(every["compute"]), 6),
        "overhead_s": round(statistics.median(overheads), 6),
    }


def parse():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cuda")
    parser.add_argument("--model", choices=sorted(SHAPES), default="opt-13b")
    parser.add_argument("--scale", type=float, default=1.0, help="share of the layers to keep")
    parser.add_argument("--tp", type=int, default=1)
    parser.add_argument("--pp", type=int, default=1)
    parser.add_argument("--repeats", type=int, default=8)
    parser.add_argument("--prompt", type=int, nargs="+", required=True)
    parser.add_argument("--out", required=True)
    return parser.parse_args()


@torch.no_grad()
def main():
    options = parse()
    rank = Rank(options)
    bytes_of_model = sum(rank.ranks.collect(rank.models[0].bytes()))
    if rank.ranks.rank == 0:
        found, resident = rank.drive()
        with open(options.out, "w", encoding="utf-8") as file:
            json.dump(report(rank, found, resident, bytes_of_model), file)
    else:
        rank.serve()
    dist.destroy_process_group()


if __name__ == "__main__":
    main()
