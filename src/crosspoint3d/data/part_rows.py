"""Shapes with part labels as they are stored, and the checks that make them a split: labels, parts, points.

A `Naming` gives each category its parts: label as stored to name. Stored labels may count through all categories or
start anew in each; in a `PartSplit` they always count through.

Axis letters: N shapes, P points.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float32, Int16

from crosspoint3d import geometry
from crosspoint3d.config import UsageError
from crosspoint3d.data.part_labels import PartSplit
from crosspoint3d.parts_table import PartsTable

Naming = dict[str, dict[int, str]]
HIGHEST = np.iinfo(np.int16).max


class PartRows(NamedTuple):
    """Shapes of one split as stored; `places` says where each was read, for errors."""

    points: Float32[np.ndarray, "N P 3"]
    labels: Int16[np.ndarray, "N P"]
    categories: list[str]
    ids: list[str]
    places: list[str]

    def take(self, rows: Sequence[int] | np.ndarray) -> "PartRows":
        """Some of the shapes, in the order given; the arrays are copied."""
        rows = [int(row) for row in rows]
        picked = ([column[row] for row in rows] for column in (self.categories, self.ids, self.places))
        return PartRows(self.points[rows], self.labels[rows], *picked)

    def of(self, categories: Sequence[str]) -> "PartRows":
        """The shapes of some categories."""
        return self.take([row for row, name in enumerate(self.categories) if name in categories])


def whole_labels(spec: str, values: np.ndarray, place: Callable[[int], str]) -> Int16[np.ndarray, "N P"]:
    """Stored part labels `(N, P)` of any number type as whole numbers from 0.

    Raises:
        UsageError: a point has no label (NaN or negative), or a label is no whole number or above 32,767; names the
            place of the first such shape.
    """
    if values.dtype.kind not in "iuf":
        raise UsageError(f"--data {spec}: {place(0)}: part labels are of type {values.dtype}, expected whole numbers")
    for row, own in enumerate(values):
        missing = int((np.isnan(own) | (own < 0)).sum())
        if missing == len(own):
            raise UsageError(f"--data {spec}: {place(row)}: the shape has no part labels (they are NaN or negative)")
        if missing:
            raise UsageError(
                f"--data {spec}: {place(row)}: {missing:,} of {len(own):,} points have no part label (NaN or "
                "negative); leave the shape or the points out"
            )
        strange = own[(own > HIGHEST) | (own != np.floor(own))]
        if len(strange):
            raise UsageError(
                f"--data {spec}: {place(row)}: part label {strange[0]:g} is no whole number from 0 to {HIGHEST:,}"
            )
    return values.astype(np.int16)


def found_naming(splits: Iterable[PartRows]) -> Naming:
    """The labels that occur in each category, named after it."""
    found: dict[str, set[int]] = {}
    for rows in splits:
        for category, labels in zip(rows.categories, rows.labels, strict=True):
            found.setdefault(category, set()).update(np.unique(labels).tolist())
    return {name: {label: f"{name} part {label}" for label in sorted(found[name])} for name in sorted(found)}


def number_parts(naming: Naming) -> PartsTable:
    """The table of all parts: by stored label where no two parts share one, else category by category."""
    parts = [(label, place, name) for place, own in enumerate(naming.values()) for label, name in own.items()]
    distinct = len({label for label, _, _ in parts}) == len(parts)
    parts.sort(key=lambda part: part[0] if distinct else (part[1], part[0]))
    owned = tuple(tuple(i for i, part in enumerate(parts) if part[1] == place) for place in range(len(naming)))
    return PartsTable(tuple(naming), owned, tuple(name for _, _, name in parts))


def require_parts(spec: str, rows: PartRows, naming: Naming) -> None:
    """Refuse categories without parts.

    Raises:
        UsageError: names the place of the first such shape, and the categories that have parts.
    """
    for category, place in zip(rows.categories, rows.places, strict=True):
        if category not in naming:
            raise UsageError(
                f"--data {spec}: {place}: the category {category!r} is not in the table of parts, which has "
                f"{', '.join(naming)}"
            )


def make_split(spec: str, rows: PartRows, naming: Naming, table: PartsTable, hint: str = "") -> PartSplit:
    """Labels as global part ids, clouds normalised; `rows.points` and `rows.labels` are overwritten.

    Args:
        spec: `--data`, to be named in errors.
        rows: as stored.
        naming: the parts of each category.
        table: made of `naming`.
        hint: what to do about labels that are none of their category's parts.

    Raises:
        UsageError: a label is none of its category's parts, or a cloud is not finite or has no extent; names the place
            of the first such shape.
    """
    numbers: dict[str, np.ndarray] = {}
    order = {name: category for category, name in enumerate(naming)}
    for name, own in naming.items():
        numbers[name] = np.full(HIGHEST + 1, -1, dtype=np.int16)
        numbers[name][sorted(own)] = table.parts[order[name]]
    for row, (category, place) in enumerate(zip(rows.categories, rows.places, strict=True)):
        parts = numbers[category][rows.labels[row]]
        if parts.min() < 0:
            label, points = Counter(rows.labels[row][parts < 0].tolist()).most_common(1)[0]
            raise UsageError(
                f"--data {spec}: {place}: {points:,} of {len(parts):,} points have the part label {label}, but the "
                f"parts of {category} are {', '.join(map(str, sorted(naming[category])))}{hint}"
            )
        rows.labels[row] = parts
        try:
            rows.points[row] = geometry.normalise(rows.points[row])[0]
        except ValueError as error:
            raise UsageError(f"--data {spec}: {place}: {error}") from error
    categories = np.array([order[name] for name in rows.categories], dtype=np.int64)
    return PartSplit(rows.points, rows.labels, categories, tuple(rows.ids))
