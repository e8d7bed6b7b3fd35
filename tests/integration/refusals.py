"""Configurations and checkpoints that cannot be served: refused by --check and by the start alike,
once, with a message that names the file and the thing, and with every mistake at once."""

from __future__ import annotations

import json
import shutil
import struct
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from serving import (
    GOLDEN, config, expect, expect_equal, expect_golden, main, run_swapserve, serving,
)  # fmt: skip

REFUSED = 2  # swapserve's exit status for what cannot be served
folder: Path  # of this run


# --- broken checkpoints -------------------------------------------------------------------------


def edit_config(**values: Any) -> Callable[[Path], None]:
    def edit(path: Path) -> None:
        file = path / "config.json"
        file.write_text(json.dumps({**json.loads(file.read_text()), **values}))

    return edit


def read_header(file: Path) -> tuple[dict[str, Any], bytes]:
    raw = file.read_bytes()
    length = struct.unpack("<Q", raw[:8])[0]
    return json.loads(raw[8 : 8 + length]), raw[8 + length :]


def edit_header(change: Callable[[dict[str, Any]], object]) -> Callable[[Path], None]:
    def edit(path: Path) -> None:
        file = path / "model.safetensors"
        header, data = read_header(file)
        change(header)
        text = json.dumps(header).encode()
        file.write_bytes(struct.pack("<Q", len(text)) + text + data)

    return edit


def swap_shape(header: dict[str, Any]) -> None:
    header["model.decoder.layers.1.fc1.weight"]["shape"].reverse()


def overlap(header: dict[str, Any]) -> None:
    tensors = sorted((t for n, t in header.items() if n != "__metadata__"),
                     key=lambda tensor: tensor["data_offsets"][0])  # fmt: skip
    size = tensors[1]["data_offsets"][1] - tensors[1]["data_offsets"][0]
    start = tensors[0]["data_offsets"][0]
    tensors[1]["data_offsets"] = [start + 4, start + 4 + size]


def truncate(path: Path) -> None:
    file = path / "model.safetensors"
    file.write_bytes(file.read_bytes()[:-1000])


def lie(path: Path) -> None:
    file = path / "model.safetensors"
    file.write_bytes(struct.pack("<Q", 1 << 40) + file.read_bytes()[8:])


def empty(path: Path) -> None:
    (path / "model.safetensors").write_bytes(b"")


def leave_out(name: str) -> Callable[[Path], None]:
    return lambda path: (path / name).unlink()


def break_json(path: Path) -> None:
    (path / "config.json").write_text('{"model_type": "opt",\n "hidden_size": }')


def break_tokenizer(path: Path) -> None:
    file = path / "tokenizer.json"
    file.write_text(file.read_text()[:5000])


def rename_tensor(header: dict[str, Any]) -> None:
    header["model.decoder.other"] = header.pop("model.decoder.layers.2.self_attn.k_proj.weight")


def set_dtype(header: dict[str, Any]) -> None:
    header["model.decoder.final_layer_norm.weight"]["dtype"] = "I32"


Case = tuple[str, str, Callable[[Path], None], tuple[str, ...]]
CASES: list[Case] = [  # name, model that is broken, how, words of the message
    ("truncated", "opt-tiny", truncate, ("model.safetensors",)),
    ("lying", "opt-tiny", lie, ("model.safetensors",)),
    ("empty", "opt-tiny", empty, ("model.safetensors",)),
    ("overlapping", "opt-tiny", edit_header(overlap), ("model.safetensors", "overlap")),
    ("missing-tensor", "opt-tiny", edit_header(rename_tensor),
     ("layers.2.self_attn.k_proj.weight",)),
    ("wrong-shape", "opt-tiny", edit_header(swap_shape), ("layers.1.fc1.weight", "128", "512")),
    ("wrong-dtype", "opt-tiny", edit_header(set_dtype), ("final_layer_norm.weight", "I32")),
    ("no-weights", "opt-tiny", leave_out("model.safetensors"), ("model.safetensors",)),
    ("no-shard", "llama-tiny", leave_out("model-00002-of-00002.safetensors"),
     ("model-00002-of-00002.safetensors",)),
    ("broken-config", "opt-tiny", break_json, ("config.json:2",)),
    ("unknown-family", "opt-tiny", edit_config(model_type="bert"),
     ("config.json", "bert", "llama")),
    ("quantised", "llama-tiny", edit_config(quantization_config={"quant_method": "gptq"}),
     ("config.json", "quantization_config")),
    ("window", "qwen2-tiny", edit_config(use_sliding_window=True, sliding_window=64,
     max_window_layers=0, layer_types=["sliding_attention"] * 6), ("config.json", "sliding")),
    ("yarn", "llama-tiny", edit_config(rope_parameters={"rope_type": "yarn", "factor": 4.0,
     "rope_theta": 10000.0}), ("config.json", "yarn", "llama3")),
    ("activation", "opt-tiny", edit_config(activation_function="swish9"),
     ("config.json", "swish9")),
    ("no-heads", "opt-tiny", edit_config(num_attention_heads=0), ("num_attention_heads", "0")),
]
TOKENIZER: Case = ("bad-tokenizer", "opt-tiny", break_tokenizer, ("tokenizer.json:",))  # fmt: skip


def make_case(case: Case) -> None:
    name, model, damage, _ = case
    shutil.copytree(GOLDEN / "models" / model, folder / name)
    damage(folder / name)


def write(content: dict[str, Any], name: str = "config.yaml") -> Path:
    path = folder / name
    path.write_text(json.dumps(content, indent=1))
    return path


def expect_refused(path: Path, ranks: int, *words: str, arguments: tuple[str, ...] = ()) -> str:
    """Refused by --check, and by a start on RANKS ranks, which say the same, once."""
    for check in (True, False):
        more = (*arguments, "--check") if check else arguments
        done = run_swapserve(path, 0 if check else ranks, *more)
        what = f"{path}, {'--check' if check else f'{ranks} ranks'}:\n{done.stdout}"
        expect_equal(done.returncode, REFUSED, f"exit status of {what}")
        for word in words:
            lines = [line for line in done.stdout.splitlines() if word in line]
            expect(lines, f"{word!r} is not named by {what}")
        lines = [line for line in done.stdout.splitlines() if str(folder) in line]
        expect_equal(len(lines), len(set(lines)), f"said more than once by {what}")
    return done.stdout


# --- the tests ----------------------------------------------------------------------------------


def test_each_checkpoint() -> None:
    """Each by itself, so that no other's message can stand in for its own."""
    for case in (*CASES, TOKENIZER):
        name, _, _, words = case
        path = write(config(models=[{"name": name, "path": str(folder / name)}]), f"{name}.yaml")
        done = run_swapserve(path, 0, "--check")
        what = f"{name}:\n{done.stdout}"
        print(f"  {name}: {done.stdout.splitlines()[0] if done.stdout else '(nothing)'}")
        expect_equal(done.returncode, REFUSED, f"exit status of {what}")
        for word in (f"model {name}", *words):
            expect(word in done.stdout.splitlines()[0], f"{word!r} is not in the line of {what}")


def test_all_at_once() -> None:
    models = [{"name": case[0], "path": str(folder / case[0])} for case in CASES]
    path = write({**config("opt-tiny"), "models": models}, "all.yaml")
    text = expect_refused(path, 4, *(f"model {case[0]}: " for case in CASES))
    for name, _, _, words in CASES:
        lines = [line for line in text.splitlines() if f"model {name}: " in line]
        expect_equal(len(lines), 1, f"lines about {name} in\n{text}")
        expect(all(word in lines[0] for word in words), f"{words} in {lines[0]}")


def test_tokenizers() -> None:
    """They are read when all checkpoints are good, beside the check of the pool."""
    made = {"name": "bad-tokenizer", "path": str(folder / "bad-tokenizer")}
    other = {**made, "name": "absent-tokenizer", "tokenizer": str(folder / "tokenizer.json")}
    (folder / "tokenizer.json").write_text("{}")
    big = {"name": "swapped", "path": str(GOLDEN / "models" / "llama-tiny"),
           "tokenizer": str(GOLDEN / "models" / "opt-tiny" / "tokenizer.json")}  # fmt: skip
    path = write(config(models=[made, other, big], device={"pool": "768KiB"}))
    text = expect_refused(path, 4, "model bad-tokenizer: ", "model absent-tokenizer: ",
                          "model swapped: ", "device.pool")  # fmt: skip
    line = next(line for line in text.splitlines() if "vocab_size" in line)
    expect("1505" in line and "1280" in line, line)


def test_layouts() -> None:
    three = config("opt-tiny", "llama-tiny", group={"tp": 3, "pp": 1})
    text = expect_refused(write(three), 3, "model opt-tiny", "model llama-tiny")
    expect("3" in text and "8" in text, f"tp 3 and 8 heads are named:\n{text}")
    deep = config("opt-tiny", group={"tp": 1, "pp": 5})
    expect_refused(write(deep), 5, "model opt-tiny", "5", "4")
    small = config(device={"pool": "768KiB"})
    text = expect_refused(write(small), 4, "device.pool", "768 KiB", "model qwen2-tiny")
    expect("needs" in text, text)
    done = run_swapserve(write(config("opt-tiny")), 3)
    expect_equal(done.returncode, REFUSED, f"three ranks for four:\n{done.stdout}")
    lines = [line for line in done.stdout.splitlines() if "needs 4 ranks, found 3" in line]
    expect_equal(len(lines), 1, f"said once:\n{done.stdout}")


def test_every_mistake_of_a_file() -> None:
    device = {"pool": "3", "page": "3KiB"}
    wrong = config("opt-tiny", device=device, limits={"requests": 0}, spead=1)
    wrong["models"].append({"name": "nowhere", "path": str(folder / "nowhere")})
    wrong["models"].append({"name": "opt-tiny", "path": wrong["models"][0]["path"]})
    expect_refused(write(wrong), 4, "device.pool", "device.page", "limits.requests", '"spead"',
                   "nowhere", "models[2].name")  # fmt: skip
    broken = folder / "broken.yaml"
    broken.write_text("group: {tp: 2\ndevice: [")
    expect_refused(broken, 4, f"{broken}:")
    expect_refused(folder / "absent.yaml", 4, "absent.yaml")


def test_plan() -> None:
    """A good file: --check prints the plan, starts nothing, and the start does serve."""
    path = write(config())
    done = run_swapserve(path, 0, "--check")
    expect_equal(done.returncode, 0, done.stdout)
    for word in ("tp 2 x pp 2 = 4 ranks", "3.0 MiB", "opt-tiny", "qwen2-tiny", "stage 1",
                 "fits at once: 2 of 3"):  # fmt: skip
        expect(word in done.stdout, f"{word!r} is not in the plan:\n{done.stdout}")
    with serving(path) as server, server.client() as client:
        expect_golden(client, "opt-tiny")
        expect_equal(server.drain(), 0, "exit status")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory(prefix="refusals-") as made:
        folder = Path(made)
        for each in (*CASES, TOKENIZER):
            make_case(each)
        main(test_each_checkpoint, test_all_at_once, test_tokenizers, test_layouts,
             test_every_mistake_of_a_file, test_plan)  # fmt: skip
