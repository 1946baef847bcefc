"""Clouds with the pictures of the same shapes; and what all loaded clouds have in common.

Axis letters: N shapes, P points.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from jaxtyping import Float32

from crosspoint3d import geometry
from crosspoint3d.config import UsageError
from crosspoint3d.data.published import PREFIXES
from crosspoint3d.data.split import draw_split, split_hash
from crosspoint3d.data.table import ShapeTable

ORIENTATION = "as stored, y up, not rotated"
NORMALISATION = "centred on the mean, largest radius 1, before any subset of the points is drawn"
DRAWN = "no row has a split: stratified 80/20, drawn from the seed"
SEEN = "the split was drawn here: pre-training may have seen the test shapes, without their labels"


@dataclass(frozen=True)
class PicturedClouds:
    """Clouds of one split with their encoded pictures; `categories` holds None for shapes without one."""

    points: Float32[np.ndarray, "N P 3"]
    views: list[list[bytes]]
    categories: tuple[str | None, ...]
    ids: tuple[str, ...]
    record: dict[str, Any] = field(default_factory=dict)


def load_views(spec: str, split: str | None = "test", *, seed: int) -> PicturedClouds:
    """Read the clouds and pictures of a table's split (of all shapes when `split` is None), labelled or not.

    Raises:
        UsageError: the data has no pictures or no shape in that split, or a cloud is not finite.
    """
    if spec.startswith(("clouds:", "procedural:", *PREFIXES)):
        raise UsageError(f"--data {spec} has no pictures: use a table made by `crosspoint3d prepare`")
    table = ShapeTable(spec)
    rows = table.select()
    categories, splits = (table.column(name, rows.tolist()) for name in ("category", "split"))
    drawn = split is not None and not any(splits)
    if drawn:
        splits = np.where(draw_split(categories, seed), "test", "train").tolist()
    kept = [index for index, part in enumerate(splits) if split is None or part == split]
    if not kept:
        there = ", ".join(f"{count} {part or 'none'}" for part, count in Counter(splits).items()) or "no usable shape"
        raise UsageError(f"--data {spec}: no shape in the split {split!r} (there is: {there})")
    taken = table.take(rows[kept], ["points", "views", "id"])
    views = [list(row or []) for row in taken["views"]]
    bare = [name for name, row in zip(taken["id"], views, strict=True) if not row]
    if bare:
        raise UsageError(f"--data {spec}: {len(bare)} shapes have no pictures, such as {bare[0]}")
    chosen = tuple(categories[index] for index in kept)
    ids = tuple(taken["id"])
    record = {
        "name": spec,
        "split": DRAWN if drawn else "as the table says",
        "split_drawn": drawn,
        "split_sha256": split_hash([], zip(ids, chosen, strict=True)),
        "shapes": len(ids),
        "orientation": ORIENTATION,
        "normalisation": NORMALISATION,
        "notes": [SEEN] if drawn else [],
    }
    points = normalise_all(np.asarray(taken["points"], dtype=np.float32), ids, spec)
    return PicturedClouds(points, views, chosen, ids, record)


def normalise_all(points: Float32[np.ndarray, "N P 3"], ids: Sequence[str], spec: str) -> Float32[np.ndarray, "N P 3"]:
    """Each cloud centred on its mean with largest radius 1.

    Raises:
        UsageError: a cloud is not finite or has no extent; names the shape.
    """
    result = np.empty(points.shape, dtype=np.float32)
    for row, cloud in enumerate(points):
        try:
            result[row] = geometry.normalise(cloud)[0]
        except ValueError as error:
            raise UsageError(f"--data {spec}: shape {ids[row]}: {error}") from error
    return result
