"""Shapes that a run leaves out by name, such as near-duplicates of the shapes it will be tested on."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from crosspoint3d.config import UsageError
from crosspoint3d.data.row_index import RowIndex
from crosspoint3d.data.table import ShapeTable


def training_rows(tables: list[ShapeTable], exclude: Path | None) -> tuple[RowIndex, ...]:
    """Rows of each table to train on: status ok, split train or none, and not listed in `exclude`.

    Args:
        tables: as `prepare` wrote them.
        exclude: a text file of shape ids, one a line; what follows a tab is ignored.

    Raises:
        UsageError: the file cannot be read, or lists an id that no table has.
    """
    if exclude is None:
        return tuple(table.index("train", or_null=True) for table in tables)
    try:
        lines = exclude.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"--exclude {exclude}: {error}; give a text file of shape ids, one a line") from error
    listed = {line.split("\t")[0].strip() for line in lines} - {""}
    names, found = pa.array(sorted(listed), pa.string()), set[str]()
    rows = tuple(RowIndex.of(_not_listed(table, names, found)) for table in tables)
    if unknown := sorted(listed - found):
        shown = ", ".join(unknown[:3])
        raise UsageError(f"--exclude {exclude}: no table of --data has {len(unknown)} of its ids (first: {shown})")
    return rows


def _not_listed(table: ShapeTable, listed: pa.Array, found: set[str]) -> Iterator[np.ndarray]:
    """Which rows to train on, some at a time; the listed ids that come by go to `found`."""
    for batch, keep in table.usable("train", or_null=True, columns=["id"]):
        out = pc.is_in(batch["id"], value_set=listed)
        found.update(batch["id"].filter(out).to_pylist())
        yield keep & ~out.to_numpy(zero_copy_only=False)
