"""What the small columns say: shapes by status, category and split, doubled ids, and shapes of the same geometry.

Of every row a few numbers are kept, 27 bytes in all, so that a table of many millions fits.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from crosspoint3d.data.dedup import DUPLICATE
from crosspoint3d.data.inspect.read import Fragment, read_rows, read_small
from crosspoint3d.data.summary import reason_of
from crosspoint3d.data.table import OK

NONE = "none"
EXAMPLES = 3
SMALL = ("id", "category", "split", "status", "content", "notes")


@dataclass
class Rows:
    """The rows of a table by number; those that could not be read are neither ok nor refused.

    Attributes:
        ok: whether a row holds a shape.
        category, split: codes of the names in `categories` and `splits`.
        id_hash, content_hash: 64 bits each; 0 where there is none.
        counts: shapes by (category, split).
        reasons: refused shapes by kind of reason; `examples` has up to three statuses of each kind by id.
        refused_in: refused shapes by category.
        notes: what was left out of shapes, some of `noted` examples by id.
        known: rows whose status could be read.
    """

    ok: np.ndarray
    category: np.ndarray
    split: np.ndarray
    id_hash: np.ndarray
    content_hash: np.ndarray
    categories: list[str] = field(default_factory=list)
    splits: list[str] = field(default_factory=list)
    counts: Counter[tuple[str, str]] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)
    examples: dict[str, dict[str, str]] = field(default_factory=dict)
    refused_in: Counter[str] = field(default_factory=Counter)
    notes: dict[str, str] = field(default_factory=dict)
    noted: int = 0
    known: int = 0


def read_index(fragments: Sequence[Fragment], names: Sequence[str]) -> Rows:
    """Read the small columns (those of `names` that there are), one fragment after the other."""
    total = sum(fragment.rows for fragment in fragments)
    rows = Rows(
        np.zeros(total, bool),
        np.zeros(total, np.int32),
        np.zeros(total, np.int16),
        np.zeros(total, np.uint64),
        np.zeros(total, np.uint64),
    )
    codes: tuple[dict[str, int], dict[str, int]] = ({}, {})
    wanted = [name for name in SMALL if name in names]
    for fragment in fragments:
        read = read_small(fragment, wanted)
        if "status" in read:
            _add(rows, fragment, read, codes)
    rows.categories, rows.splits = list(codes[0]), list(codes[1])
    return rows


def _add(
    rows: Rows, fragment: Fragment, read: dict[str, list[str | None]], codes: tuple[dict[str, int], dict[str, int]]
) -> None:
    here = slice(fragment.first, fragment.first + fragment.rows)
    blank: list[str | None] = [None] * fragment.rows
    statuses = [str(status) for status in read["status"]]
    ids = [str(name) for name in read.get("id") or [f"row {here.start + i}" for i in range(fragment.rows)]]
    categories = [name or NONE for name in read.get("category", blank)]
    splits = [name or NONE for name in read.get("split", blank)]
    rows.known += fragment.rows
    rows.ok[here] = [status == OK for status in statuses]
    rows.category[here] = [codes[0].setdefault(name, len(codes[0])) for name in categories]
    rows.split[here] = [codes[1].setdefault(name, len(codes[1])) for name in splits]
    if "id" in read:
        rows.id_hash[here] = np.array([hash(name) % 2**64 for name in ids], dtype=np.uint64)
    contents = read.get("content", blank)
    rows.content_hash[here] = np.array([hash(text) % 2**64 if text else 0 for text in contents], dtype=np.uint64)
    rows.counts.update(each[:2] for each in zip(categories, splits, statuses, strict=True) if each[2] == OK)
    for name, category, status in zip(ids, categories, statuses, strict=True):
        if status != OK:
            kind = reason_of(status)
            rows.reasons[kind] += 1
            rows.refused_in[category] += 1
            known = rows.examples.setdefault(kind, {})
            if len(known) < EXAMPLES:
                known[name] = status
    for name, note in zip(ids, read.get("notes", blank), strict=True):
        if note is not None:
            rows.noted += 1
            if len(rows.notes) < EXAMPLES:
                rows.notes[name] = note


def repeated(values: np.ndarray, among: np.ndarray) -> list[np.ndarray]:
    """Groups of row numbers with the same value, 0 left out, in the order of their first rows.

    Args:
        values: one number a row.
        among: the rows to look at, rising.
    """
    among = among[values[among] != 0]
    order = among[np.argsort(values[among], kind="stable")]
    if not len(order):
        return []
    same = np.diff(values[order]) == 0
    order = order[np.append(same, False) | np.append(False, same)]
    groups = np.split(order, np.flatnonzero(np.diff(values[order])) + 1) if len(order) else []
    return sorted(groups, key=lambda group: int(group[0]))


def names_of(fragments: Sequence[Fragment], rows: Sequence[int]) -> list[str]:
    """The ids of some rows; of those that cannot be read the number."""
    found = []
    for row in rows:
        fragment = next(each for each in fragments if each.first <= row < each.first + each.rows)
        values = read_rows(fragment, [row - fragment.first], "id")
        found.append(str(values[0].as_py()) if values else f"row {row}")
    return found


@dataclass(frozen=True)
class SameGeometry:
    """Shapes of exactly the same geometry.

    Attributes:
        left_out: refused as duplicates.
        kept: shapes in the table with the geometry of one before them.
        groups: how many different geometries those have.
        across_splits, across_categories: groups that lie in more than one.
        examples: ids of some groups.
    """

    left_out: int
    kept: int
    groups: int
    across_splits: int
    across_categories: int
    examples: list[list[str]]


def same_geometry(rows: Rows, fragments: Sequence[Fragment]) -> SameGeometry:
    """Count them by the hashes."""
    groups = repeated(rows.content_hash, np.flatnonzero(rows.ok))
    return SameGeometry(
        left_out=rows.reasons[DUPLICATE.split()[0]],
        kept=sum(len(group) - 1 for group in groups),
        groups=len(groups),
        across_splits=sum(len(np.unique(rows.split[group])) > 1 for group in groups),
        across_categories=sum(len(np.unique(rows.category[group])) > 1 for group in groups),
        examples=[names_of(fragments, group[:EXAMPLES].tolist()) for group in groups[:EXAMPLES]],
    )
