"""Which shapes probes look at: chosen by hashes, in one pass over a small column, however many rows there are."""

from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from jaxtyping import Int64, Shaped

from crosspoint3d.data.id_hash import hashed_ids
from crosspoint3d.data.permutation import hashed, key_of
from crosspoint3d.data.row_index import RowIndex
from crosspoint3d.data.table import ShapeTable

SHARE, MOST_HELD_OUT, MOST_FITTED = 0.1, 1000, 2000
_KEY = 0x70726F62
_ENTRY = np.dtype([("hash", np.uint64), ("table", np.int64), ("row", np.int64)])
Rows = tuple[RowIndex, ...]
Picked = tuple[Int64[np.ndarray, " _"], ...]


def split_rows(tables: Sequence[ShapeTable], rows: Rows, seed: int) -> tuple[Rows, Picked]:
    """The rows to train on, and those that probes look at: a tenth of the shapes, 2 at least and 1,000 at most.

    A function of the ids and the seed; the order of rows and tables does not matter, and a shape that two tables hold
    is held out of both.
    """
    key = key_of(seed, _KEY)
    ids = ((number, at, hashed_ids(names, key)) for number, at, names in _values(tables, rows, "id"))
    entries = _smallest(ids, round(MOST_HELD_OUT / SHARE))
    different = np.unique(entries["hash"])
    count = min(max(2, round(SHARE * len(different))), MOST_HELD_OUT)
    held_out = _by_table(entries[np.isin(entries["hash"], different[:count])], len(tables))
    return tuple(mine.without(out) for mine, out in zip(rows, held_out, strict=True)), held_out


def some_labelled(tables: Sequence[ShapeTable], rows: Rows, seed: int) -> Picked:
    """At most `MOST_FITTED` of the rows that have a category, drawn from all tables alike."""

    def labelled() -> Iterator[tuple[int, np.ndarray, np.ndarray]]:
        for number, at, names in _values(tables, rows, "category"):
            at = at[pc.fill_null(pc.not_equal(names, ""), False).to_numpy(zero_copy_only=False)]
            yield number, at, hashed(key_of(seed, _KEY, number), at)

    return _by_table(_smallest(labelled(), MOST_FITTED), len(tables))


def _values(tables: Sequence[ShapeTable], rows: Rows, column: str) -> Iterator[tuple[int, np.ndarray, pa.Array]]:
    """Number of the table, some of its rows, and their values in a column, until all rows came by."""
    for number, (table, mine) in enumerate(zip(tables, rows, strict=True)):
        start = 0
        for batch, _ in table.usable(columns=[column]):
            mask = mine.mask(start, start + len(batch))
            yield number, start + np.flatnonzero(mask), batch[column].filter(pa.array(mask))
            start += len(batch)


def _smallest(parts: Iterable[tuple[int, np.ndarray, np.ndarray]], most: int) -> Shaped[np.ndarray, " _"]:
    """The entries with the `most` smallest different hashes, of (number of the table, rows, hashes)."""
    kept, limit = np.empty(0, dtype=_ENTRY), np.uint64(2**64 - 1)
    for number, rows, hashes in parts:
        small = hashes <= limit
        new = np.empty(np.count_nonzero(small), dtype=_ENTRY)
        new["hash"], new["table"], new["row"] = hashes[small], number, rows[small]
        kept = np.concatenate([kept, new])
        if len(kept) > 2 * most and len(different := np.unique(kept["hash"])) > most:
            limit = different[most - 1]
            kept = kept[kept["hash"] <= limit]
    return kept[np.isin(kept["hash"], np.unique(kept["hash"])[:most])]


def _by_table(entries: Shaped[np.ndarray, " _"], tables: int) -> Picked:
    return tuple(np.sort(entries["row"][entries["table"] == number]) for number in range(tables))
