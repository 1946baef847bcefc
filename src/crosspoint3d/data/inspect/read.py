"""Reading a table that may be broken: fragment by fragment, column by column, noting what cannot be read."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import lance
import pyarrow as pa

from crosspoint3d.data.store_errors import is_store_trouble
from crosspoint3d.data.table import BROKEN, ShapeTable, lance_reason


@dataclass
class Fragment:
    """One piece of a Lance dataset: its first row, number of rows and files, and which columns failed and why."""

    first: int
    rows: int
    files: list[str]
    handle: lance.LanceFragment
    failed: dict[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        last = self.first + self.rows - 1
        return f"{', '.join(self.files)} (fragment {self.handle.fragment_id}, rows {self.first:,} to {last:,})"

    def note(self, name: str, error: Exception) -> None:
        """Keep why a column failed; an object store that does not answer is no fault of the table, and raised again."""
        if is_store_trouble(error):
            raise error
        self.failed[name] = lance_reason(error)


def open_fragments(table: ShapeTable) -> list[Fragment]:
    """The fragments of a table in the order of its rows; nothing but the manifest is read."""
    fragments, first = [], 0
    for handle in table.dataset.get_fragments():
        rows = int(handle.count_rows())
        fragments.append(Fragment(first, rows, [f"data/{file.path}" for file in handle.data_files()], handle))
        first += rows
    return fragments


def read_small(fragment: Fragment, names: Sequence[str]) -> dict[str, list[Any]]:
    """Columns of a whole fragment that hold little a row; those that cannot be read are noted and left out."""
    columns = {}
    for name in names:
        try:
            columns[name] = fragment.handle.to_table(columns=[name])[name].to_pylist()
        except (*BROKEN, UnicodeDecodeError) as error:
            fragment.note(name, error)
    return columns


def read_rows(fragment: Fragment, places: Sequence[int], name: str) -> list[Any]:
    """A column of some rows of a fragment (places in it, rising) as Arrow scalars; nothing where it cannot be read."""
    if name in fragment.failed:
        return []
    try:
        return list(fragment.handle.take(list(places), columns=[name])[name])
    except BROKEN as error:
        fragment.note(name, error)
        return []


def read_all(fragment: Fragment, name: str, batch_rows: int) -> Iterator[pa.Scalar]:
    """A column of a fragment, value by value with `batch_rows` of them in memory, up to where it cannot be read."""
    if name in fragment.failed:
        return
    try:
        for batch in fragment.handle.to_batches(columns=[name], batch_size=batch_rows, batch_readahead=2):
            yield from batch[name]
    except BROKEN as error:
        fragment.note(name, error)


def problems_of(fragments: Sequence[Fragment], small: Sequence[str]) -> list[str]:
    """What could not be read, a line a fragment; one of which all `small` columns failed is broken as a whole."""
    lines = []
    for fragment in fragments:
        if fragment.failed:
            which = "" if fragment.failed.keys() >= set(small) else f": column {', '.join(fragment.failed)}"
            reasons = "; ".join(dict.fromkeys(fragment.failed.values()))
            lines.append(f"{fragment}{which}: {reasons}")
    return lines


def bytes_by_column(table: ShapeTable) -> dict[str, int]:
    """Bytes on disk of each column, the largest first; empty where Lance cannot say (a broken file, an old version)."""
    try:
        sizes = {entry.id: entry.bytes_on_disk for entry in table.dataset.stats.data_stats().fields}
        fields = table.dataset.lance_schema.fields()
        columns = {each.name(): sum(sizes.get(number, 0) for number in _ids(each)) for each in fields}
    except (*BROKEN, ValueError, AttributeError):
        return {}
    return dict(sorted(columns.items(), key=lambda item: -item[1]))


def _ids(each: Any) -> Iterator[int]:
    yield each.id()
    for child in each.children():
        yield from _ids(child)
