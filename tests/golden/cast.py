"""Copies a model folder with its weights stored as another type: cast.py MODEL OUT fp32|fp16|bf16.

Needs the standard library and numpy only. Rounds to nearest, ties to even.
"""

from __future__ import annotations

import argparse
import json
import shutil
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

STORED = {"fp32": "F32", "fp16": "F16", "bf16": "BF16"}
CONFIG = {"fp32": "float32", "fp16": "float16", "bf16": "bfloat16"}


def read_safetensors(path: Path) -> tuple[dict[str, NDArray[np.float32]], dict[str, str]]:
    """The tensors of a file in their stored order, widened to fp32, and its metadata."""
    data = path.read_bytes()
    size = int.from_bytes(data[:8], "little")
    header = json.loads(data[8:8 + size])
    metadata = header.pop("__metadata__", {})
    tensors = {}
    for name, entry in sorted(header.items(), key=lambda item: item[1]["data_offsets"]):
        start, end = entry["data_offsets"]
        raw = data[8 + size + start:8 + size + end]
        tensors[name] = _widen(raw, entry["dtype"]).reshape(entry["shape"])
    return tensors, metadata


def write_safetensors(path: Path, tensors: dict[str, NDArray[np.float32]], dtype: str,
                      metadata: dict[str, str]) -> int:
    """Writes fp32 tensors as dtype (fp32, fp16, bf16); returns the bytes of all tensors."""
    header: dict[str, object] = {"__metadata__": metadata} if metadata else {}
    parts, at = [], 0
    for name, tensor in tensors.items():
        raw = _narrow(tensor, dtype)
        header[name] = {"dtype": STORED[dtype], "shape": list(tensor.shape),
                        "data_offsets": [at, at + len(raw)]}
        parts.append(raw)
        at += len(raw)
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    path.write_bytes(len(text).to_bytes(8, "little") + text + b"".join(parts))
    return at


def _widen(raw: bytes, stored: str) -> NDArray[np.float32]:
    if stored == "F32":
        return np.frombuffer(raw, "<f4").astype(np.float32)
    if stored == "F16":
        return np.frombuffer(raw, "<f2").astype(np.float32)
    if stored == "BF16":
        return (np.frombuffer(raw, "<u2").astype(np.uint32) << 16).view(np.float32)
    raise SystemExit(f"tensors of type {stored} are not supported; F32, F16 and BF16 are")


def _narrow(tensor: NDArray[np.float32], dtype: str) -> bytes:
    if dtype == "fp32":
        return tensor.astype("<f4").tobytes()
    if dtype == "fp16":
        with np.errstate(over="raise"):
            return tensor.astype("<f2").tobytes()
    bits = np.ascontiguousarray(tensor, np.float32).view(np.uint32)
    if not np.isfinite(tensor).all():
        raise SystemExit("a weight is not finite")
    return ((bits + 0x7FFF + (bits >> 16 & 1)) >> 16).astype("<u2").tobytes()


def cast(model: Path, out: Path, dtype: str) -> None:
    out.mkdir(parents=True, exist_ok=True)
    bytes_all = 0
    for path in sorted(p for p in model.iterdir() if p.is_file()):
        if path.suffix == ".safetensors":
            tensors, metadata = read_safetensors(path)
            bytes_all += write_safetensors(out / path.name, tensors, dtype, metadata)
        else:
            shutil.copyfile(path, out / path.name)
    config = json.loads((model / "config.json").read_text())
    config["torch_dtype" if "torch_dtype" in config else "dtype"] = CONFIG[dtype]
    (out / "config.json").write_text(json.dumps(config, indent=2) + "\n")
    index = out / "model.safetensors.index.json"
    if index.exists():
        content = json.loads(index.read_text())
        content["metadata"]["total_size"] = bytes_all
        index.write_text(json.dumps(content, indent=2) + "\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("dtype", choices=STORED)
    options = parser.parse_args()
    cast(options.model, options.out, options.dtype)


if __name__ == "__main__":
    main()
