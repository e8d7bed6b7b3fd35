"""What a transformers user gets: steps of OPT-13B's shape, random weights made on the device.

    python3 baseline.py --out FILE [--device cpu --scale 0.1] [--compile-seconds 60]

Needs torch and transformers, and nothing of ours. The file is written after every measurement, so
that what was measured stays if a time limit ends the rest.
"""

import argparse
import json
import signal
import statistics
import time

import torch
import transformers
from transformers import DynamicCache, OPTConfig, OPTForCausalLM, StaticCache

LAYERS, HIDDEN, HEADS = 40, 5120, 40  # Zhang et al., arXiv 2205.01068
CONTEXT, ROOM = 512, 640
STEPS, WARM_UPS, PREFILLS = 24, 6, 5
SPREAD = 0.02


def make(options):
    """The model, as from_pretrained() would return it but for its weights."""
    config = OPTConfig(
        hidden_size=HIDDEN, word_embed_proj_dim=HIDDEN, ffn_dim=4 * HIDDEN,
        num_hidden_layers=max(1, round(LAYERS * options.scale)), num_attention_heads=HEADS,
        max_position_embeddings=2048, dropout=0.0, attention_dropout=0.0)
    dtype = torch.float16 if options.device == "cuda" else torch.float32
    with torch.device("meta"):
        model = OPTForCausalLM(config)
    model = model.to(dtype).to_empty(device=options.device).eval()
    model.tie_weights()
    for name, parameter in model.named_parameters():
        if "norm" in name:
            parameter.fill_(1.0 if name.endswith("weight") else 0.0)
        else:
            parameter.normal_(0.0, SPREAD)
    return model


class Bench:
    def __init__(self, options):
        self.options = options
        self.model = make(options)
        self.weights = sum(p.numel() * p.element_size() for p in self.model.parameters())
        self.rows = {}

    def settle(self):
        if self.options.device == "cuda":
            torch.cuda.synchronize()

    def ids(self, batch, tokens):
        return torch.randint(10, 50000, (batch, tokens), device=self.options.device)

    def time(self, call):
        """Seconds of one CALL, alone."""
        self.settle()
        begun = time.perf_counter()
        call()
        self.settle()
        return time.perf_counter() - begun

    def keep(self, name, seconds):
        """In milliseconds: of one step, or of one prefill."""
        self.rows[name] = {"median_ms": round(1e3 * statistics.median(seconds), 3),
                           "min_ms": round(1e3 * min(seconds), 3), "count": len(seconds)}
        print(name, self.rows[name], flush=True)
        gpu = torch.cuda.get_device_name() if self.options.device == "cuda" else "cpu"
        made = {"device": gpu, "torch": torch.__version__, "transformers": transformers.__version__,
                "model": "opt-13b", "scale": self.options.scale, "weight_bytes": self.weights,
                "context": CONTEXT, "rows": self.rows}
        with open(self.options.out, "w", encoding="utf-8") as file:
            json.dump(made, file, indent=1)
            file.write("\n")

    def forward(self, ids, cache, **more):
        return self.model(ids, past_key_values=cache, use_cache=True, logits_to_keep=1, **more)

    def prefill(self, batch):
        cache = DynamicCache(config=self.model.config)
        return self.forward(self.ids(batch, CONTEXT), cache).logits.argmax(-1), cache

    def prefills(self, batch):
        times = [self.time(lambda: self.prefill(batch)) for _ in range(1 + PREFILLS)]
        self.keep(f"prefill_{batch}x{CONTEXT}", times[1:])

    def decode(self, batch):
        """Step after step, each token the next one's input, as in a loop of generate()."""
        tokens, cache = self.prefill(batch)

        def steps(count):
            nonlocal tokens
            for _ in range(count):
                tokens = self.forward(tokens, cache).logits.argmax(-1)

        steps(WARM_UPS)
        self.keep(f"decode_{batch}_eager", [self.time(lambda: steps(STEPS)) / STEPS
                                            for _ in range(3)])

    # --- a static cache ---------------------------------------------------------------------

    def static(self):
        """A cache with CONTEXT tokens, and a step over it whose tensors stay where they are."""
        cache = StaticCache(config=self.model.config, max_cache_len=ROOM)
        mask = torch.ones(1, ROOM, device=self.options.device, dtype=torch.long)
        places = torch.arange(CONTEXT, device=self.options.device)[None]
        first = self.forward(self.ids(1, CONTEXT), cache, attention_mask=mask, position_ids=places)
        token = first.logits.argmax(-1).clone()
        place = torch.full((1, 1), CONTEXT, device=self.options.device)

        def step(model):
            logits = model(token, past_key_values=cache, use_cache=True, attention_mask=mask,
                           position_ids=place, logits_to_keep=1).logits
            token.copy_(logits.argmax(-1))
            place.add_(1)

        return step

    def timed(self, name, step):
        for _ in range(WARM_UPS):
            step()
        self.keep(name, [self.time(lambda: [step() for _ in range(STEPS)]) / STEPS
                         for _ in range(3)])

    def decode_graph(self):
        """Not compiled: a CUDA graph of the eager step."""
        step = self.static()
        aside = torch.cuda.Stream()
        with torch.cuda.stream(aside):
            step(self.model)
        torch.cuda.current_stream().wait_stream(aside)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            step(self.model)
        self.timed("decode_1_cuda_graph", graph.replay)

    def decode_compiled(self):
        """As generate() does it with a static cache."""
        step = self.static()
        mode = {"mode": "reduce-overhead"} if self.options.device == "cuda" else {}
        begun = time.perf_counter()
        compiled = torch.compile(self.model, fullgraph=True, dynamic=False, **mode)
        for _ in range(3):
            step(compiled)
        self.settle()
        self.rows["compile_s"] = round(time.perf_counter() - begun, 1)
        self.timed("decode_1_compiled", lambda: step(compiled))


class Late(BaseException):
    """Not an Exception: what compiles would take it for a failure of its own."""


def late(*_):
    raise Late("the time is over")


def attempt(call):
    """What may not work with every version, or in time: its row is missing then."""
    try:
        call()
    except (RuntimeError, Late) as error:
        print(f"{call.__name__}: {error}", flush=True)


@torch.no_grad()
def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cuda")
    parser.add_argument("--scale", type=float, default=1.0, help="share of the layers to keep")
    parser.add_argument("--compile-seconds", type=int, default=60, help="0: do not compile")
    parser.add_argument("--out", required=True)
    bench = Bench(parser.parse_args())
    bench.decode(1)
    bench.prefills(1)
    bench.prefills(8)
    bench.decode(32)
    if bench.options.device == "cuda":
        attempt(bench.decode_graph)
    if bench.options.compile_seconds:
        signal.signal(signal.SIGALRM, late)
        signal.alarm(bench.options.compile_seconds)
        attempt(bench.decode_compiled)
        signal.alarm(0)


if __name__ == "__main__":
    main()
