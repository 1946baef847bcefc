"""`metrics.jsonl`: one JSON object a logged step, appended; cut back to the checkpoint when a run goes on."""

import json
from pathlib import Path
from typing import Any

from crosspoint3d.runtime import atomic

FILE = "metrics.jsonl"


def append(run: Path, row: dict[str, Any]) -> None:
    """Add one line."""
    with (run / FILE).open("a", encoding="utf-8") as handle:
        handle.write(json.dumps(row) + "\n")


def read(run: Path) -> list[dict[str, Any]]:
    """Every whole line; a last line that a kill cut short is left out."""
    path = run / FILE
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True) if path.exists() else []
    return [json.loads(line) for line in lines if line.endswith("\n")]


def cut(run: Path, step: int) -> None:
    """Drop what was logged after `step`."""
    kept = [row for row in read(run) if row["step"] <= step]
    with atomic(run / FILE) as path:
        path.write_text("".join(json.dumps(row) + "\n" for row in kept), encoding="utf-8")
