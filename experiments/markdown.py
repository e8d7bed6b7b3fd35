"""Tables in READMEs that programs write: they stand between two lines, <!-- NAME --> and <!-- end -->."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def put(path: Path, name: str, text: str) -> None:
    """TEXT in the place of what stands between NAME's lines in the file; none where it is missing."""
    if not path.exists():
        return
    content = path.read_text(encoding="utf-8")
    before, begin, rest = content.partition(f"<!-- {name} -->\n")
    _, end, after = rest.partition("<!-- end -->\n")
    if not begin or not end:
        raise ValueError(f"{path}: no lines <!-- {name} --> and <!-- end -->")
    path.write_text(f"{before}{begin}{text}\n{end}{after}", encoding="utf-8")
