"""`ShapeTable`: shapes with their points and views in one Lance dataset, one row a shape, failures included.

Lance is not fork-safe: read in the process that opened the table, or in spawned workers, which open it anew.
"""

import contextlib
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
from crosspoint3d.data.columns import TABLE_VERSION, header_of, packed, schema_of, unpacked
from crosspoint3d.data.location import entries_of, storage_options
from crosspoint3d.data.row_index import RowIndex
from crosspoint3d.data.store_errors import store_named, whole

OK = "ok"
_KEPT = ("id", "category", "split", "status")  # columns that stay in memory once read
BROKEN = (OSError, pa.ArrowException)
"""What Lance raises for files that are damaged or missing."""


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
            version, self.settings = header_of(self._dataset.schema)
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
        empty = schema_of(points, settings).empty_table()
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
        data = packed(rows, self._dataset.schema)
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
        before, options = self._dataset.version, storage_options(self.path)
        if self._dataset.latest_version == before:
            written = lance.write_dataset(data, self.path, mode="append", storage_options=options)
            if written.version == before + 1:
                return written
            # Lance commits after whoever came in between, who may have added the same shapes.
            others = {each.fragment_id for each in self._newest(written.version - 1).get_fragments()}
            own = [each.fragment_id for each in written.get_fragments() if each.fragment_id not in others]
            undo = lance.LanceOperation.Delete([], own, "true")
            lance.LanceDataset.commit(self.path, undo, read_version=written.version, storage_options=options)
        raise RunError(
            f"{self.path}: another process writes to it; the {len(data):,} rows of this one since its last "
            "commit are not kept: let one process do the work, then run this command again"
        )

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
        order, back = np.unique(wanted, return_inverse=True)
        table = self.take_arrow(order, columns)
        return {name: unpacked(name, table[name].combine_chunks(), back, self.points) for name in columns}

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
