"""`ShapeTable`: shapes with their points and views in one Lance dataset, one row a shape, failures included.

Lance is not fork-safe: read in the process that opened the table, or in spawned workers, which open it anew.
"""

import contextlib
import json
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import lance
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from crosspoint3d.address import address_of, is_url
from crosspoint3d.config import RunError, UsageError
from crosspoint3d.data.location import entries_of, storage_options
from crosspoint3d.data.row_index import RowIndex
from crosspoint3d.data.store_errors import store_named, whole

TABLE_VERSION = 1
_KEY = b"crosspoint3d"
_NUMPY = {pa.float16(): np.float16, pa.float32(): np.float32, pa.uint8(): np.uint8}
OK = "ok"
_KEPT = ("id", "category", "split", "status")  # columns that stay in memory once read
BROKEN = (OSError, pa.ArrowException)
"""What Lance raises for files that are damaged or missing."""


def _schema(points: int, settings: dict[str, Any]) -> pa.Schema:
    header = json.dumps({"version": TABLE_VERSION, "settings": settings | {"points": points}})
    depth = [pa.field("depth", pa.list_(pa.binary()))] if settings.get("depth") else []
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
            *depth,
            pa.field("view_poses", pa.list_(pa.float32())),
            pa.field("faces", pa.int32()),
            pa.field("area", pa.float32()),
            pa.field("status", pa.string(), nullable=False),
            pa.field("content", pa.string()),
            pa.field("notes", pa.string()),
        ],
        metadata={_KEY: header.encode()},
    )


class ShapeTable:
    """A table of shapes.

    Columns: `id`, `source` (file or generator), `category` and `split` (nullable), `points` (float16 `[P, 3]`,
    centred on their mean, largest radius 1, y up), `normals` (nullable), `parts` (uint8 `[P]`, nullable), `views`
    (encoded images), `view_poses` (float32 `[V, 3]`: azimuth and elevation in radians, distance), `faces`, `area`
    (in the file's units squared) and `status`: `ok`, or why the shape was refused. All but the oldest tables have
    `content` (a hash of the geometry as read, nullable) and `notes` (what was left out of a shape, nullable) as well.
    Tables made with the setting `depth` have `depth`: a PNG beside each of the views (see `data.depth`).

    Args:
        path: the folder that `prepare` wrote, or its URL on an object store.

    Raises:
        UsageError: nothing is there, or it is no ShapeTable, or one of another version.
        RunError: the object store does not answer, or refuses.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = address_of(path)
        self._columns: dict[str, list[Any]] = {}
        if is_url(path) and "_versions" not in entries_of(path):
            raise UsageError(f"no table at {self.path}: make one with `crosspoint3d prepare`")
        try:
            with store_named(path):
                self._dataset = self._newest()
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
        if not is_url(path):
            Path(path).parent.mkdir(parents=True, exist_ok=True)
        empty = _schema(points, settings).empty_table()
        with store_named(path):
            lance.write_dataset(empty, address_of(path), mode="create", storage_options=storage_options(path))
        return cls(path)

    def __len__(self) -> int:
        return int(self._dataset.count_rows())

    def __getstate__(self) -> dict[str, Any]:
        return {"path": self.path, "version": self._dataset.version}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(state["path"])  # type: ignore[misc]
        self._dataset = self._newest(state["version"])

    def _newest(self, version: int | None = None) -> lance.LanceDataset:
        return lance.dataset(self.path, version=version, storage_options=storage_options(self.path))

    @property
    def dataset(self) -> lance.LanceDataset:
        """The Lance dataset itself."""
        return self._dataset

    @property
    def points(self) -> int:
        """Points a shape."""
        return int(self.settings["points"])

    def has(self, name: str) -> bool:
        """Whether there is a column of that name: tables of earlier versions lack some."""
        return name in self._dataset.schema.names

    def append(self, rows: Sequence[dict[str, Any]]) -> None:
        """Add rows (missing columns are null; arrays of any float type). One call is one atomic commit.

        Raises:
            RunError: the disk is full, the folder cannot be written or the store not reached, or another process has
                added rows meanwhile; the rows before these are kept.
        """
        if not rows:
            return
        schema = self._dataset.schema
        columns = {f.name: pa.array([_flat(row.get(f.name), f.type) for row in rows], type=f.type) for f in schema}
        data = pa.table(columns, schema=schema)
        try:
            with store_named(self.path):
                self._dataset = whole(lambda: self._with(data))
        except BROKEN as error:
            raise RunError(
                f"{self.path} cannot be written ({lance_reason(error)}): its {len(self):,} rows so far are kept; "
                "make room or give permission and run the same command to go on"
            ) from error
        self._columns = {}

    def _with(self, data: pa.Table) -> lance.LanceDataset:
        if self._dataset.latest_version != self._dataset.version:
            raise RunError(
                f"{self.path}: another process writes to it; the {len(data):,} rows of this one since its last "
                "commit are not kept: let one process do the work, then run this command again"
            )
        return lance.write_dataset(data, self.path, mode="append", storage_options=storage_options(self.path))

    def delete_failed(self, keep: str = "") -> int:
        """Remove the rows whose status is not ok (nor begins with `keep`, where given); their number."""
        before = len(self)
        kept = f" AND NOT starts_with(status, '{keep}')" if keep else ""
        with store_named(self.path):
            whole(lambda: self._dataset.delete(f"status != '{OK}'{kept}"))
            self._dataset = self._newest()
        self._columns = {}
        return before - len(self)

    def column(self, name: str, rows: Iterable[int] | np.ndarray | None = None) -> list[Any]:
        """One column as a list of Python values, of all rows or of the given ones."""
        with self._reading():
            values = self._columns.get(name) or self._dataset.to_table(columns=[name])[name].to_pylist()
        if name in _KEPT:
            self._columns[name] = values
        return list(values) if rows is None else [values[row] for row in rows]

    def filled(self, name: str) -> list[bool]:
        """Whether a column holds a value, row by row, without keeping the values."""
        with self._reading():
            batches = self._dataset.to_batches(columns=[name])
            return [value for batch in batches for value in batch[name].is_valid().to_pylist()]

    def select(self, split: str | None = None, *, or_null: bool = False) -> np.ndarray:
        """Numbers of the rows with status ok, of one split where given (`or_null`: and of those without a split)."""
        kept, start = [], 0
        for _, keep in self.usable(split, or_null=or_null):
            kept.append(start + np.flatnonzero(keep))
            start += len(keep)
        return np.concatenate([np.empty(0, dtype=np.int64), *kept])

    def usable(
        self, split: str | None = None, *, or_null: bool = False, columns: Sequence[str] = ()
    ) -> Iterator[tuple[pa.RecordBatch, np.ndarray]]:
        """All rows in order, some at a time: their values in `columns`, and whether `select` would name them."""
        with self._reading():
            for batch in self._dataset.to_batches(columns=list(dict.fromkeys(["status", "split", *columns]))):
                keep = pc.equal(batch["status"], OK)
                if split is not None:
                    keep = pc.and_(keep, pc.fill_null(pc.equal(batch["split"], split), or_null))
                yield batch, keep.to_numpy(zero_copy_only=False)

    def index(self, split: str | None = None, *, or_null: bool = False) -> RowIndex:
        """What `select` gives, in a bit a row."""
        return RowIndex.of(keep for _, keep in self.usable(split, or_null=or_null))

    def take(self, rows: Sequence[int] | np.ndarray, columns: Sequence[str]) -> dict[str, Any]:
        """Read rows in the given order (they must have status ok for array columns).

        Returns:
            `points` and `normals` as float32 `(n, P, 3)`, `parts` as uint8 `(n, P)`, `views` and `depth` as lists of
            lists of bytes, `view_poses` as float32 `(n, V, 3)`, other columns as lists.
        """
        wanted = np.asarray(rows, dtype=np.int64)
        order = np.unique(wanted)
        table = self.take_arrow(order, columns)
        back = np.searchsorted(order, wanted)
        return {name: _unpack(name, table[name].combine_chunks(), back, self.points) for name in columns}

    def take_arrow(self, rows: np.ndarray, columns: Sequence[str]) -> pa.Table:
        """Read rows, ascending and each once, as they are stored: Arrow, of one chunk or several."""
        with self._reading():
            return self._dataset.take(rows.tolist(), columns=list(columns))

    @contextlib.contextmanager
    def _reading(self) -> Iterator[None]:
        try:
            with store_named(self.path):
                yield
        except BROKEN as error:
            raise RunError(
                f"table {self.path} is broken ({lance_reason(error)}): `crosspoint3d inspect {self.path}` says where"
            ) from error


def lance_reason(error: Exception) -> str:
    """What an error of Lance says, without the places in its source code."""
    line = (str(error) or type(error).__name__).splitlines()[0]
    return re.sub(r",? *\S+\.rs:\d+:\d+$", "", line.removeprefix("External error: ").removeprefix("LanceError(IO): "))


def _flat(value: Any, kind: pa.DataType) -> Any:
    if not isinstance(value, np.ndarray):
        return value
    return value.ravel().astype(_NUMPY[kind.value_type], copy=False)


def _unpack(name: str, array: pa.Array, order: np.ndarray, points: int) -> Any:
    if name in ("points", "normals", "parts", "view_poses"):
        if array.null_count:
            raise ValueError(f"column {name!r} is null in {array.null_count} of the rows asked for")
        if name == "view_poses" and len(np.unique(np.diff(array.offsets.to_numpy()))) > 1:
            raise ValueError("column 'view_poses': the rows asked for have different numbers of views")
        flat = array.flatten().to_numpy(zero_copy_only=False)
        if name == "parts":
            return flat.reshape(-1, points)[order]
        rest = points if name != "view_poses" else len(flat) // (3 * max(len(array), 1))
        return flat.astype(np.float32).reshape(len(array), rest, 3)[order]
    values = array.to_pylist()
    return [values[i] for i in order]
