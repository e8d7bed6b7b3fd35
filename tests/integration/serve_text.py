"""Text and tokens from a whole server: the goldens, streams, sampling, stops, and swapctl."""

from __future__ import annotations

import json
from contextlib import ExitStack

from experiments.server import Server
from serving import (
    GOLDEN, MODELS, QUICKSTART, config, eventually, expect, expect_drained, expect_equal,
    expect_error, expect_golden, golden, goldens, main, serving, swapctl,
)  # fmt: skip
from swapserve import Busy, Client, Result, TooLong, UnknownModel, Unsupported

server: Server
client: Client
answers: list[tuple[str, Result]] = []
refusals = 2  # by test_limits


def generate(model: str, prompt: object, **options: object) -> Result:
    result = client.generate(model, prompt, **options)  # type: ignore[arg-type]
    answers.append((model, result))
    return result


def special_ids(model: str) -> set[int]:
    text = (GOLDEN / "models" / model / "tokenizer.json").read_text(encoding="utf-8")
    return {token["id"] for token in json.loads(text)["added_tokens"] if token["special"]}


def test_goldens() -> None:
    """The models take turns, so that every answer but the first few follows a swap."""
    for prompts in zip(*(goldens(model) for model in MODELS)):
        for model, item in zip(MODELS, prompts):
            result = generate(model, item["prompt_ids"], max_tokens=48, ignore_eos=True)
            what = f"{model}, {item['name']}"
            expect_equal(result.tokens, item["greedy_ids"], what)
            expect_equal(result.finish_reason, "length", what)
            expect_equal(result.usage.prompt_tokens, len(item["prompt_ids"]), what)
            expect_equal(result.usage.completion_tokens, 48, what)
            if not special_ids(model) & set(result.tokens):
                expect_equal(result.text, item["greedy_text"], what)


def test_text_prompts() -> None:
    """A text gives what its tokens give, whole or as a stream."""
    for model in MODELS:
        for item in goldens(model):
            if "text" not in item or len(item["text"]) > 80:
                continue
            what = f"{model}, {item['name']}"
            whole = generate(model, item["text"], max_tokens=24, ignore_eos=True)
            expect_equal(whole.tokens, item["greedy_ids"][:24], what)
            with client.stream(model, item["text"], max_tokens=24, ignore_eos=True) as stream:
                pieces = list(stream)
            assert stream.result
            answers.append((model, stream.result))
            expect(len(pieces) > 1, f"{what}: a stream in one piece")
            expect_equal("".join(piece.text for piece in pieces), whole.text, what)
            expect_equal([id for piece in pieces for id in piece.tokens], whole.tokens, what)
            expect_equal(stream.result.finish_reason, whole.finish_reason, what)


def test_limits() -> None:
    item = golden("opt-tiny")
    for count in (1, 2, 17):
        result = generate("opt-tiny", item["prompt_ids"], max_tokens=count, ignore_eos=True)
        expect_equal(result.tokens, item["greedy_ids"][:count], f"max_tokens {count}")
    full = generate("opt-tiny", [2] * 255, max_tokens=1, ignore_eos=True)
    expect_equal(len(full.tokens), 1, "an answer of one token fills the context")
    expect_error(TooLong, lambda: client.generate("opt-tiny", [2] * 255, max_tokens=2),
                 "255", "256", "opt-tiny")  # fmt: skip
    expect_error(UnknownModel, lambda: client.generate("opt-huge", "x"), "opt-huge")


def test_ends() -> None:
    """Stop strings, stop ids and the end of sequence."""
    item = golden("llama-tiny")
    text, ids = item["greedy_text"], item["greedy_ids"]
    word = text[20:27]
    cut = text[: text.index(word)]
    options = {"max_tokens": 48, "ignore_eos": True}
    result = generate("llama-tiny", item["prompt_ids"], stop=["\x00none", word], **options)
    expect_equal((result.text, result.finish_reason), (cut, "stop"), f"stop {word!r}")
    expect(0 < result.usage.completion_tokens < 48, "a stop string ends the generation")
    with client.stream("llama-tiny", item["prompt_ids"], stop=word, **options) as stream:
        streamed = "".join(piece.text for piece in stream)
    assert stream.result
    answers.append(("llama-tiny", stream.result))
    expect_equal((streamed, stream.result.finish_reason), (cut, "stop"), f"stream, stop {word!r}")
    stop_id = ids[9]
    upto = ids[: ids.index(stop_id)]
    result = generate("llama-tiny", item["prompt_ids"], stop_token_ids=[stop_id], **options)
    expect_equal(result.finish_reason, "stop", "a stop id")
    expect(result.tokens in (upto, upto + [stop_id]), f"stop id {stop_id}: found {result.tokens}")
    item = golden("llama-tiny", "random ids")  # whose continuation holds an end of sequence
    at = item["greedy_ids"].index(1271)
    result = generate("llama-tiny", item["prompt_ids"], max_tokens=48)
    expect_equal(result.finish_reason, "eos", "an end of sequence")
    expect(result.tokens in (item["greedy_ids"][:at], item["greedy_ids"][: at + 1]), "eos tokens")
    expect("<|" not in result.text, f"the end of sequence is no text: {result.text!r}")


def test_sampling() -> None:
    prompt = golden("qwen2-tiny")["prompt_ids"]

    def sample(**options: object) -> list[int]:
        return generate(
            "qwen2-tiny", prompt, max_tokens=24, ignore_eos=True, **options
        ).tokens  # fmt: skip

    greedy = golden("qwen2-tiny")["greedy_ids"][:24]
    hot = {"temperature": 1.5}
    first = sample(seed=7, **hot)
    expect_equal(sample(seed=7, **hot), first, "the same seed twice")
    generate("opt-tiny", [2], max_tokens=1)
    generate("llama-tiny", [1270], max_tokens=1)
    expect_equal(sample(seed=7, **hot), first, "the same seed after swaps")
    expect(first != greedy, "a temperature of 1.5 changes something")
    expect(sample(seed=8, **hot) != first, "another seed gives other tokens")
    # One answer in five is the likeliest: two may well be alike, eight are not.
    expect(len({tuple(sample(**hot)) for _ in range(8)}) > 1, "without a seed, each request has its own")
    expect_equal(sample(seed=7, top_k=1, **hot), greedy, "top_k 1 is greedy")
    expect_equal(sample(seed=7, top_p=1e-6, **hot), greedy, "a tiny top_p is greedy")
    expect_equal(sample(seed=7, temperature=0.0), greedy, "temperature 0 is greedy")


def test_status() -> None:
    status = client.status()
    count = len(answers)
    expect_equal((status.accepted, status.answered), (count, count), "accepted and answered")
    expect_equal((status.queued, status.running, status.draining), (0, 0, False), "at rest")
    expect_equal(status.refused, refusals, "refused")
    for found in status.models:
        mine = [result for model, result in answers if model == found.name]
        expect_equal(found.answered, len(mine), f"{found.name}: answered")
        tokens = sum(result.usage.completion_tokens for result in mine)
        expect(tokens <= found.tokens <= tokens + 2 * len(mine), f"{found.name}: {found.tokens} "
               f"tokens generated, {tokens} delivered")  # fmt: skip
        expect(found.loads >= 2, f"{found.name} was loaded {found.loads} times")
        expect(found.resident_bytes <= found.total_bytes, f"{found.name}: more than all is there")
        whole = found.resident_chunks == found.chunks
        expect_equal(whole, found.state == "resident", f"{found.name}: {found.state}")
        expect_equal(whole, found.resident_bytes == found.total_bytes, f"{found.name}: bytes")
    expect_equal(sum(model.loads for model in status.models), status.loads, "loads")
    expect_equal(sum(rank.bytes_loaded for rank in status.ranks), status.bytes_loaded, "bytes")
    expect_equal(status.bytes_copied_back, 0, "bytes copied back")
    expect(status.load_ns > 0, "load time")
    expect(0 <= status.hidden_ns <= status.load_ns, "hidden is a part of the load time")
    expect_equal([(r.rank, r.stage, r.tp) for r in status.ranks],
                 [(0, 0, 0), (1, 0, 1), (2, 1, 0), (3, 1, 1)], "ranks")  # fmt: skip
    for rank in status.ranks:
        expect(0 < rank.pool_used_bytes <= rank.pool_bytes, f"rank {rank.rank}: pool")
        expect(0 <= rank.busy <= 1, f"rank {rank.rank}: busy {rank.busy}")
    drops = status.drops
    resident = [model.name for model in status.models if model.resident_chunks]
    for model in resident:
        client.drop(model)
    status = client.status()
    expect_equal(status.drops, drops + len(resident), "drops")
    expect_equal({m.state for m in status.models}, {"absent"}, "after dropping all")
    expect_equal({r.pool_used_bytes for r in status.ranks}, {0}, "an empty pool")


def test_swapctl() -> None:
    def ctl(*arguments: str, code: int = 0, **named: str) -> str:
        done = swapctl(server.endpoint, *arguments, **named)
        expect_equal(done.returncode, code, f"swapctl {arguments}: {done.stdout}{done.stderr}")
        return done.stdout if code == 0 else done.stderr

    ctl("load", "llama-tiny")
    status = json.loads(ctl("status", "--json"))
    states = {model["name"]: model["state"] for model in status["models"]}
    expect_equal(states["llama-tiny"], "resident", "after swapctl load")
    text = ctl("status")
    for word in (*MODELS, "resident", "absent"):
        expect(word in text, f"swapctl status does not show {word}:\n{text}")
    ctl("drop", "llama-tiny")
    states = {m["name"]: m["state"] for m in json.loads(ctl("status", "--json"))["models"]}
    expect_equal(states["llama-tiny"], "absent", "after swapctl drop")
    listed = json.loads(ctl("models", "--json"))
    expect_equal({m["name"]: m["family"] for m in listed},
                 {"opt-tiny": "OPT", "llama-tiny": "Llama", "qwen2-tiny": "Qwen2"}, "models")
    item = golden("opt-tiny")
    wanted = item["greedy_text"] + "\n"
    for extra in ((), ("--no-stream",)):
        found = ctl("submit", "opt-tiny", item["text"], "-n", "48", "--ignore-eos", *extra)
        expect_equal(found, wanted, f"swapctl submit {extra}")
    found = ctl("submit", "opt-tiny", "-", "-n", "48", "--ignore-eos", stdin=item["text"])
    expect_equal(found, wanted, "swapctl submit -")
    ids = ",".join(map(str, item["prompt_ids"]))
    by_ids = ("submit", "opt-tiny", "--tokens", ids, "-n", "5", "--ignore-eos", "--json")
    found_ids = json.loads(ctl(*by_ids))["tokens"]
    expect_equal(found_ids, item["greedy_ids"][:5], "swapctl submit --tokens --json")
    expect("opt-huge" in ctl("load", "opt-huge", code=1), "an unknown model is named")
    expect("opt-huge" in ctl("submit", "opt-huge", "x", code=1), "an unknown model is named")
    nowhere = swapctl("ipc:///nowhere/socket", "status", "--timeout", "1")
    expect(nowhere.returncode in (3, 4), f"no server there: {nowhere.returncode}")


def test_drain() -> None:
    expect_drained(server)


def test_without_tokenizers() -> None:
    """One rank, other layouts, and models that take and give token ids only."""
    models = [{"name": name, "path": str(GOLDEN / "models" / name)}
              for name in ("llama-tied", "opt-postnorm", "opt-noprefix")]  # fmt: skip
    dtypes = {"llama-tied": "bf16", "opt-postnorm": "fp32", "opt-noprefix": "fp16"}
    options = {"device": {"kind": "cpu", "pool": "4MiB", "page": "4KiB"}, "models": models}
    with serving(options, ranks=1) as single, single.client() as other:
        for name, dtype in dtypes.items():
            for item in goldens(name, dtype):
                count = len(item["greedy_ids"])
                result = other.generate(name, item["prompt_ids"], max_tokens=count, ignore_eos=True)
                expect_equal(result.tokens, item["greedy_ids"], f"{name}, {item['name']}")
                expect_equal(result.text, "", f"{name} has no text")
        expect_error(Unsupported, lambda: other.generate("llama-tied", "text"), "llama-tied")
        expect_error(Unsupported, lambda: other.generate("llama-tied", [1], stop="x"), "stop")
        expect_equal([model.text for model in other.models()], [False] * 3, "models without text")
        again = other.generate("llama-tied", [1], max_tokens=1)
        expect_equal(len(again.tokens), 1, "it still answers")
        expect_drained(single)


def test_pinned() -> None:
    """A pinned model is there from the start, and stays."""
    options = config("opt-tiny", "llama-tiny")
    options["models"][0]["pin"] = True
    with serving(options) as pinning, pinning.client() as other:
        def state(name: str) -> str:
            return next(model.state for model in other.models() if model.name == name)

        eventually(lambda: state("opt-tiny") == "resident", "the pinned model is resident")
        expect_error(Busy, lambda: other.drop("opt-tiny"), "pinned")
        for name in ("llama-tiny", "opt-tiny"):
            expect_golden(other, name)
        expect(not expect_golden(other, "opt-tiny").timing.cold, "a pinned model is never cold")
        expect_drained(pinning)


if __name__ == "__main__":
    with ExitStack() as stack:
        server = stack.enter_context(serving(QUICKSTART, ranks=4))
        client = stack.enter_context(server.client())
        main(test_goldens, test_text_prompts, test_limits, test_ends, test_sampling, test_status,
             test_swapctl, test_drain, test_without_tokenizers, test_pinned)  # fmt: skip
