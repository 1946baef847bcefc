"""Which categories are hard and what they are taken for: from `Result.details` to rows, lines and CSV files.

Axis letters: C categories.
"""

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Int64
from scipy.cluster.hierarchy import leaves_list, linkage
from scipy.spatial.distance import squareform

from crosspoint3d.runtime import atomic

PER_CLASS, CONFUSION = "per_class.csv", "confusion.csv"
HARDEST = 5


@dataclass(frozen=True)
class Category:
    """A row of the table.

    Attributes:
        name: of the category.
        shapes: test shapes, mean over the seeds.
        trained, untrained: accuracy; None without test shapes, or where it is not known.
        taken_for: the category that its shapes are most often taken for, and how many of them are, mean over the seeds;
            None when all are right.
    """

    name: str
    shapes: float
    trained: float | None
    untrained: float | None
    taken_for: tuple[str, float] | None


@dataclass(frozen=True)
class ClassTable:
    """What `classes.class_details` recorded, read back.

    Attributes:
        categories: one row each, in the order of the labels.
        counts: how often category r (row) was taken for category c (column), over all seeds together.
        seeds: how many there were.
    """

    categories: list[Category]
    counts: Int64[np.ndarray, "C C"]
    seeds: int


def class_table(details: dict[str, Any], seeds: int) -> ClassTable | None:
    """The categories of a result, or None where `details` does not hold them (or not whole)."""
    names = details.get("categories")
    counts = _counts(details, "trained")
    if counts is None or not counts.any() or not isinstance(names, list) or len(names) < len(counts) or seeds < 1:
        return None
    names = [str(name) for name in names[: len(counts)]]
    twin = _counts(details, "untrained")
    if twin is None or twin.shape != counts.shape:
        twin = np.zeros_like(counts)
    wrong = counts - np.diag(np.diag(counts))
    rows = []
    for c, name in enumerate(names):
        other = int(wrong[c].argmax())
        taken_for = (names[other], float(wrong[c, other] / seeds)) if wrong[c, other] else None
        shapes = float(counts[c].sum() / seeds)
        rows.append(Category(name, shapes, _accuracy(counts, c), _accuracy(twin, c), taken_for))
    return ClassTable(rows, counts, seeds)


def hardest_lines(table: ClassTable | None) -> list[str]:
    """The categories with the lowest accuracy as lines for a terminal; none where every shape is right."""
    if table is None:
        return []
    known = [row for row in table.categories if row.trained is not None and row.trained < 1]
    hardest = sorted(known, key=lambda row: (row.trained, -row.shapes, row.name))[:HARDEST]
    width = max((len(row.name) for row in hardest), default=0)
    lines = [
        f"hardest of {len(table.categories)} categories" + f" (means over {table.seeds} seeds)" * (table.seeds > 1)
    ]
    for row in hardest:
        words = f"  {row.name.ljust(width)}  {100 * (row.trained or 0):5.1f} % of {number(row.shapes)}"
        if row.taken_for:
            words += f", taken for {row.taken_for[0]} {number(row.taken_for[1])}x"
        lines.append(words)
    return lines if hardest else []


def write_class_tables(folder: Path, table: ClassTable | None) -> None:
    """Write per_class.csv and confusion.csv, whole or not at all; without a table, remove what an older one left."""
    for name, text in ((PER_CLASS, per_class_csv), (CONFUSION, confusion_csv)):
        if table is None:
            (folder / name).unlink(missing_ok=True)
            continue
        with atomic(folder / name) as temporary:
            temporary.write_text(text(table), encoding="utf-8")


def per_class_csv(table: ClassTable) -> str:
    """One row a category: test shapes, accuracy of both encoders, what it is most often taken for, and how often."""
    header = ["category", "test_shapes", "accuracy_trained", "accuracy_untrained", "taken_for", "taken_for_shapes"]
    rows = [
        [
            row.name,
            f"{row.shapes:g}",
            *("" if value is None else f"{value:.6f}" for value in (row.trained, row.untrained)),
            *((row.taken_for[0], f"{row.taken_for[1]:g}") if row.taken_for else ("", "0")),
        ]
        for row in table.categories
    ]
    return _csv([header, *rows])


def confusion_csv(table: ClassTable) -> str:
    """The confusion matrix: truth in the rows, prediction in the columns, counts over all seeds together."""
    names = [row.name for row in table.categories]
    rows = [[name, *map(str, counts)] for name, counts in zip(names, table.counts.tolist(), strict=True)]
    return _csv([["truth", *names], *rows])


def similar_order(counts: Int64[np.ndarray, "C C"], most: int) -> list[int]:
    """An order of categories in which those that are taken for each other stand side by side.

    Leaves of average linkage in their optimal order, where two categories are as far apart as few of the shapes of
    either are taken for the other.

    Args:
        counts: truth in the rows, prediction in the columns.
        most: categories to keep; of more, those with most mistakes from and to them.
    """
    total = counts.sum(axis=1, keepdims=True)
    wrong = counts - np.diag(np.diag(counts))
    mistakes = wrong.sum(axis=0) + wrong.sum(axis=1)
    there = np.flatnonzero((total[:, 0] > 0) | (mistakes > 0))
    kept = np.sort(there[np.argsort(-mistakes[there], kind="stable")[:most]])
    if len(kept) < 3:
        return [int(row) for row in kept]
    shares = (counts / np.maximum(total, 1))[np.ix_(kept, kept)]
    distance = 1 - (shares + shares.T) / 2
    np.fill_diagonal(distance, 0)
    tree = linkage(squareform(np.round(distance, 9), checks=False), "average", optimal_ordering=True)
    return [int(kept[leaf]) for leaf in leaves_list(tree)]


def number(value: float) -> str:
    """A count that may be a mean: 86, 14.6."""
    return f"{value:.0f}" if value == round(value) else f"{value:.1f}"


def _counts(details: dict[str, Any], who: str) -> Int64[np.ndarray, "C C"] | None:
    part = details.get(who)
    try:
        counts = np.array(part["confusion_over_seeds"] if isinstance(part, dict) else None, dtype=np.int64)
    except (KeyError, TypeError, ValueError, OverflowError):
        return None
    square = counts.ndim == 2 and counts.shape[0] == counts.shape[1] and counts.size > 0
    return counts if square and counts.min() >= 0 else None


def _accuracy(counts: Int64[np.ndarray, "C C"], category: int) -> float | None:
    shapes = counts[category].sum()
    return float(counts[category, category] / shapes) if shapes else None


def _csv(rows: Sequence[Sequence[str]]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue()
