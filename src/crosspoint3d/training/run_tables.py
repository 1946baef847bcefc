"""Which tables a run began with, so that one that has changed since is named, with what changed."""

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from crosspoint3d.config import RunError, UsageError
from crosspoint3d.data.table import OK, ShapeTable
from crosspoint3d.runtime import atomic

FILE = "tables.json"
SAMPLED = 64
"""Shapes of each table whose content is compared."""


def write_tables(run: Path, paths: Sequence[Path]) -> None:
    """Note in RUN/tables.json each table's path, settings, number of rows, and a hash of 64 shapes spread over it."""
    noted = [_describe(ShapeTable(path)) for path in paths]
    with atomic(run / FILE) as temporary:
        temporary.write_text(json.dumps(noted, indent=1) + "\n", encoding="utf-8")


def require_same_tables(run: Path) -> None:
    """Refuse to go on with tables whose shapes are others than when the run began.

    A mere change of their number is the checkpoint's to judge: the shapes may not be among those that are trained on.

    Raises:
        RunError: names the table and what changed.
    """
    if found := changes(run, counts=False):
        raise RunError(f"the shapes of --data have changed since {run} began ({'; '.join(found)}): start a new run")


def changes(run: Path, *, counts: bool = True) -> list[str]:
    """What differs between the tables as they are and as the run began with them, in words, table by table.

    Empty where nothing does, and for a run of an earlier version, which has no tables.json.

    Args:
        run: the run folder.
        counts: whether more or fewer rows are a difference.
    """
    path = run / FILE
    if not path.is_file():
        return []
    found: list[str] = []
    for before in json.loads(path.read_text(encoding="utf-8")):
        try:
            table = ShapeTable(before["path"])
        except UsageError as error:
            found.append(str(error))
            continue
        if change := _other_shapes(before, table):
            found.append(f"{before['path']}: {change}")
        elif counts and len(table) != before["rows"]:
            found.append(f"{before['path']}: {before['rows']} rows then, {len(table)} now")
    return found


def _other_shapes(before: dict[str, Any], table: ShapeTable) -> str:
    differ = {name: (then, table.settings.get(name)) for name, then in before["settings"].items()}
    other = [f"{name} was {then!r}, is {now!r}" for name, (then, now) in differ.items() if then != now]
    if other:
        return ", ".join(other)
    if _content(table, before["sampled"]) != before["content"]:
        return "the shapes in it are others, or in another order"
    return ""


def _describe(table: ShapeTable) -> dict[str, Any]:
    rows = table.index()
    at = np.unique(np.linspace(0, len(rows) - 1, SAMPLED).astype(np.int64)) if len(rows) else np.empty(0, np.int64)
    sampled = rows[at].tolist()
    content = _content(table, sampled)
    return {
        "path": table.path,
        "rows": len(table),
        "settings": table.settings,
        "sampled": sampled,
        "content": content,
    }


def _content(table: ShapeTable, rows: list[int]) -> str:
    """A hash of the names and points of some shapes; empty where they are no longer there."""
    if not rows:
        return hashlib.sha256().hexdigest()
    if rows[-1] >= len(table) or set(table.take(rows, ["status"])["status"]) != {OK}:
        return ""
    taken = table.take(rows, ["id", "points"])
    digest = hashlib.sha256(json.dumps(taken["id"]).encode())
    digest.update(taken["points"].tobytes())
    return digest.hexdigest()
