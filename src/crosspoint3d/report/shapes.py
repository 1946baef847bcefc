"""The shapes that a report shows, read from the tables of the run: held-out ones where there are any.

Axis letters: N shapes, P points.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from jaxtyping import Float32

from crosspoint3d.config import RunError, UsageError
from crosspoint3d.data.table import ShapeTable
from crosspoint3d.geometry import CAMERA_DISTANCE

CHUNK = 256
DEFAULT_POSE = (0.6, 0.5, CAMERA_DISTANCE)
HELD_OUT = ("test", "val")


@dataclass(frozen=True)
class ShownShapes:
    """A sample of shapes.

    Attributes:
        points: all points of the table (of the smallest one, if there are several tables).
        views: the first and the last encoded picture of each shape; one or none where the table has no more.
        poses: azimuth, elevation (rad) and distance of the camera of the first picture.
        ids, categories: names; a category may be None.
        split: which split they are from: test, val, or train.
        available: shapes of that split, of which these are a random sample.
    """

    points: Float32[np.ndarray, "N P 3"]
    views: list[list[bytes]]
    poses: Float32[np.ndarray, "N 3"]
    ids: tuple[str, ...]
    categories: tuple[str | None, ...]
    split: str
    available: int

    @property
    def pictured(self) -> bool:
        """Whether every shape has at least one picture."""
        return all(self.views)


def open_tables(paths: Sequence[str]) -> tuple[list[ShapeTable], list[str]]:
    """The tables that can be opened, and a sentence about each that cannot."""
    tables, problems = [], []
    for path in paths:
        try:
            tables.append(ShapeTable(path))
        except (UsageError, RunError) as error:
            problems.append(f"{error} (paths are as given to pretrain: make the report from the same folder)")
    return tables, problems


def held_out(tables: Sequence[ShapeTable]) -> str:
    """The split to show: test where any table has it, else val, else train."""
    return next((split for split in HELD_OUT if any(len(table.select(split)) for table in tables)), "train")


def draw_shapes(
    tables: Sequence[ShapeTable],
    split: str,
    count: int,
    generator: np.random.Generator,
    *,
    spread_categories: bool = False,
    column: Literal["views", "depth"] = "views",
) -> ShownShapes | None:
    """A random sample of up to `count` shapes of a split, or None when there is none.

    Shapes without a split count as `train`, as they do for `pretrain`. With `spread_categories` each is of another
    category as long as there are any. Pictures are those of `column`, which all tables must have.
    """
    places = [
        (number, int(row))
        for number, table in enumerate(tables)
        for row in table.select(split, or_null=split == "train")
    ]
    if not places:
        return None
    order = generator.permutation(len(places)).tolist()
    if spread_categories:
        names = [tables[number].column("category", [row])[0] for number, row in places]
        order = spread(order, names)
    chosen = sorted(order[:count])
    kept = [places[index] for index in chosen]
    size = min(tables[number].points for number in {number for number, _ in kept})
    columns: dict[str, list[Any]] = {name: [] for name in ("points", "views", "pose", "id", "category")}
    for number, table in enumerate(tables):
        rows = [row for owner, row in kept if owner == number]
        for start in range(0, len(rows), CHUNK):
            _read(table, rows[start : start + CHUNK], size, columns, column)
    return ShownShapes(
        points=np.stack(columns["points"]),
        views=columns["views"],
        poses=np.array(columns["pose"], dtype=np.float32),
        ids=tuple(columns["id"]),
        categories=tuple(columns["category"]),
        split=split,
        available=len(places),
    )


def spread(order: list[int], categories: Sequence[str | None]) -> list[int]:
    """`order` with rows of categories that came before put off to the next round; rows index `categories`."""
    times: Counter[str | None] = Counter()
    rounds = []
    for row in order:
        times[categories[row]] += 1
        rounds.append(times[categories[row]])
    return [order[place] for place in sorted(range(len(order)), key=lambda place: rounds[place])]


def _read(table: ShapeTable, rows: list[int], size: int, columns: dict[str, list[Any]], column: str) -> None:
    taken = table.take(rows, ["points", column, "id", "category"])
    columns["points"] += list(taken["points"][:, :size])
    columns["views"] += [_ends(list(views or [])) for views in taken[column]]
    columns["id"] += taken["id"]
    columns["category"] += taken["category"]
    try:
        columns["pose"] += [poses[0] for poses in table.take(rows, ["view_poses"])["view_poses"]]
    except (ValueError, IndexError):
        columns["pose"] += [DEFAULT_POSE] * len(rows)


def _ends(views: list[bytes]) -> list[bytes]:
    return views if len(views) < 2 else [views[0], views[-1]]
