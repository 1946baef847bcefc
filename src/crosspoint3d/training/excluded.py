"""Shapes that a run leaves out by name, such as near-duplicates of the shapes it will be tested on."""

from pathlib import Path

import numpy as np
from jaxtyping import Int64

from crosspoint3d.config import UsageError
from crosspoint3d.data.table import ShapeTable


def training_rows(tables: list[ShapeTable], exclude: Path | None) -> tuple[Int64[np.ndarray, " _"], ...]:
    """Rows of each table to train on: status ok, split train or none, and not listed in `exclude`.

    Args:
        tables: as `prepare` wrote them.
        exclude: a text file of shape ids, one a line; what follows a tab is ignored.

    Raises:
        UsageError: the file cannot be read, or lists an id that no table has.
    """
    rows = tuple(table.select("train", or_null=True) for table in tables)
    if exclude is None:
        return rows
    try:
        lines = exclude.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"--exclude {exclude}: {error}; give a text file of shape ids, one a line") from error
    listed = {line.split("\t")[0].strip() for line in lines} - {""}
    ids = [table.column("id") for table in tables]
    unknown = sorted(listed.difference(*ids))
    if unknown:
        shown = ", ".join(unknown[:3])
        raise UsageError(f"--exclude {exclude}: no table of --data has {len(unknown)} of its ids (first: {shown})")
    return tuple(
        np.array([row for row in mine if names[row] not in listed], dtype=np.int64)
        for mine, names in zip(rows, ids, strict=True)
    )
