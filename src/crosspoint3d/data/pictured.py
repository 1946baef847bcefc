"""Clouds with the pictures of the same shapes.

Axis letters: N shapes, P points.
"""

from collections import Counter
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from jaxtyping import Float32

from crosspoint3d.config import UsageError
from crosspoint3d.data.loaded import DRAWN, NORMALISATION, ORIENTATION, SEEN, normalise_all, table_places
from crosspoint3d.data.published import PREFIXES
from crosspoint3d.data.split import draw_split, split_hash
from crosspoint3d.data.table import ShapeTable


@dataclass(frozen=True)
class PicturedClouds:
    """Clouds of one split with their encoded pictures; `categories` holds None for shapes without one."""

    points: Float32[np.ndarray, "N P 3"]
    views: list[list[bytes]]
    categories: tuple[str | None, ...]
    ids: tuple[str, ...]
    record: dict[str, Any] = field(default_factory=dict)


def load_views(
    spec: str, split: str | None = "test", *, seed: int, column: Literal["views", "depth"] = "views"
) -> PicturedClouds:
    """Read the clouds and pictures of a table's split (of all shapes when `split` is None), labelled or not.

    Raises:
        UsageError: the data has no such pictures or no shape in that split, or a cloud is not finite.
    """
    if spec.startswith(("clouds:", "procedural:", *PREFIXES)):
        raise UsageError(f"--data {spec} has no pictures: use a table made by `crosspoint3d prepare`")
    table = ShapeTable(spec)
    if not table.has(column):
        raise UsageError(f"--data {spec} has no depth pictures: use a table made by `crosspoint3d prepare --depth`")
    rows = table.select()
    categories, splits = (table.column(name, rows.tolist()) for name in ("category", "split"))
    drawn = split is not None and not any(splits)
    if drawn:
        splits = np.where(draw_split(categories, seed), "test", "train").tolist()
    kept = [index for index, part in enumerate(splits) if split is None or part == split]
    if not kept:
        there = ", ".join(f"{count} {part or 'none'}" for part, count in Counter(splits).items()) or "no usable shape"
        raise UsageError(f"--data {spec}: no shape in the split {split!r} (there is: {there})")
    taken = table.take(rows[kept], ["points", column, "id"])
    places = table_places(rows[kept].tolist(), taken["id"])
    views = [list(row or []) for row in taken[column]]
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
    points = normalise_all(np.asarray(taken["points"], dtype=np.float32), places, spec)
    return PicturedClouds(points, views, chosen, ids, record)
