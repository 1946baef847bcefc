"""`ShapeTable`: shapes with their points and views in one Lance dataset, one row a shape, failures included.

Lance is not fork-safe: read in the process that opened the table, or in spawned workers, which open it anew.
"""

import json
from collections.abc import Iterable, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import lance
import numpy as np
import pyarrow as pa

from crosspoint3d.config import UsageError

TABLE_VERSION = 1
_KEY = b"crosspoint3d"
_NUMPY = {pa.float16(): np.float16, pa.float32(): np.float32, pa.uint8(): np.uint8}
OK = "ok"


def _schema(points: int, settings: dict[str, Any]) -> pa.Schema:
    header = json.dumps({"version": TABLE_VERSION, "settings": settings | {"points": points}})
    return pa.schema(
        [
            pa.field("id", pa.string(), nullable=False),
            pa.field("source", pa.string(), nullable=False),
            pa.field("category", pa.string()),
            pa.field("split", pa.string()),
            pa.field("points", pa.list_(pa.float16(), points * 3)),
            pa.field("normals", pa.list_(pa.float16(), points * 3)),
            pa.field("parts", pa.list_(pa.uint8(), points)),
            pa.field("views", pa.list_(pa.binary())),
            pa.field("view_poses", pa.list_(pa.float32())),
            pa.field("faces", pa.int32()),
            pa.field("area", pa.float32()),
            pa.field("status", pa.string(), nullable=False),
        ],
        metadata={_KEY: header.encode()},
    )


class ShapeTable:
    """A table of shapes.

    Columns: `id`, `source` (file or generator), `category` and `split` (nullable), `points` (float16 `[P, 3]`,
    centred on their mean, largest radius 1, y up), `normals` (nullable), `parts` (uint8 `[P]`, nullable), `views`
    (encoded images), `view_poses` (float32 `[V, 3]`: azimuth and elevation in radians, distance), `faces`, `area`
    (in the file's units squared) and `status`: `ok`, or why the shape was refused.

    Args:
        path: the folder that `prepare` wrote.

    Raises:
        UsageError: nothing is there, or it is no ShapeTable, or one of another version.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = str(path)
        try:
            self._dataset = lance.dataset(self.path)
        except (ValueError, OSError) as error:
            raise UsageError(f"no table at {self.path}: make one with `crosspoint3d prepare`") from error
        try:
            header = json.loads(self._dataset.schema.metadata[_KEY])
            version, self.settings = header["version"], header["settings"]
        except (TypeError, KeyError, ValueError) as error:
            raise UsageError(
                f"{self.path} is a Lance dataset but not a ShapeTable: make one with `crosspoint3d prepare`"
            ) from error
        if version != TABLE_VERSION:
            raise UsageError(
                f"{self.path} is of version {version}, this package reads version {TABLE_VERSION}: prepare it anew"
            )

    @classmethod
    def create(cls, path: str | Path, *, points: int, settings: dict[str, Any]) -> "ShapeTable":
        """Make an empty table whose rows hold `points` points; `settings` are kept with it."""
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        lance.write_dataset(_schema(points, settings).empty_table(), str(path), mode="create")
        return cls(path)

    def __len__(self) -> int:
        return int(self._dataset.count_rows())

    def __getstate__(self) -> dict[str, Any]:
        return {"path": self.path, "version": self._dataset.version}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(state["path"])  # type: ignore[misc]
        self._dataset = lance.dataset(self.path, version=state["version"])

    @property
    def points(self) -> int:
        """Points a shape."""
        return int(self.settings["points"])

    def append(self, rows: Sequence[dict[str, Any]]) -> None:
        """Add rows (missing columns are null; arrays of any float type). One call is one atomic commit."""
        if not rows:
            return
        schema = self._dataset.schema
        columns = {f.name: pa.array([_flat(row.get(f.name), f.type) for row in rows], type=f.type) for f in schema}
        self._dataset = lance.write_dataset(pa.table(columns, schema=schema), self.path, mode="append")
        self.__dict__.pop("_index", None)

    def delete_failed(self) -> int:
        """Remove the rows whose status is not ok; their number."""
        before = len(self)
        self._dataset.delete(f"status != '{OK}'")
        self._dataset = lance.dataset(self.path)
        self.__dict__.pop("_index", None)
        return before - len(self)

    @cached_property
    def _index(self) -> dict[str, list[Any]]:
        columns: dict[str, list[Any]] = self._dataset.to_table(
            columns=["id", "category", "split", "status"]
        ).to_pydict()
        return columns

    def column(self, name: str, rows: Iterable[int] | np.ndarray | None = None) -> list[Any]:
        """One column as a list of Python values, of all rows or of the given ones."""
        values = self._index[name] if name in self._index else self._dataset.to_table(columns=[name])[name].to_pylist()
        return list(values) if rows is None else [values[row] for row in rows]

    def filled(self, name: str) -> list[bool]:
        """Whether a column holds a value, row by row, without keeping the values."""
        batches = self._dataset.to_batches(columns=[name])
        return [value for batch in batches for value in batch[name].is_valid().to_pylist()]

    def select(self, split: str | None = None, *, or_null: bool = False) -> np.ndarray:
        """Numbers of the rows with status ok, of one split where given (`or_null`: and of those without a split)."""
        status, splits = self._index["status"], self._index["split"]
        keep = [
            row
            for row, (state, part) in enumerate(zip(status, splits, strict=True))
            if state == OK and (split is None or part == split or (or_null and part is None))
        ]
        return np.array(keep, dtype=np.int64)

    def take(self, rows: Sequence[int] | np.ndarray, columns: Sequence[str]) -> dict[str, Any]:
        """Read rows in the given order (they must have status ok for array columns).

        Returns:
            `points` and `normals` as float32 `(n, P, 3)`, `parts` as uint8 `(n, P)`, `views` as a list of lists of
            bytes, `view_poses` as float32 `(n, V, 3)`, other columns as lists.
        """
        wanted = np.asarray(rows, dtype=np.int64)
        order = np.unique(wanted)
        table = self._dataset.take(order.tolist(), columns=list(columns))
        back = np.searchsorted(order, wanted)
        return {name: _unpack(name, table[name].combine_chunks(), back, self.points) for name in columns}


def _flat(value: Any, kind: pa.DataType) -> Any:
    if not isinstance(value, np.ndarray):
        return value
    return value.ravel().astype(_NUMPY[kind.value_type], copy=False)


def _unpack(name: str, array: pa.Array, order: np.ndarray, points: int) -> Any:
    if name in ("points", "normals", "parts", "view_poses"):
        if array.null_count:
            raise ValueError(f"column {name!r} is null in {array.null_count} of the rows asked for")
        flat = array.flatten().to_numpy(zero_copy_only=False)
        if name == "parts":
            return flat.reshape(-1, points)[order]
        rest = points if name != "view_poses" else len(flat) // (3 * max(len(array), 1))
        return flat.astype(np.float32).reshape(len(array), rest, 3)[order]
    values = array.to_pylist()
    return [values[i] for i in order]
