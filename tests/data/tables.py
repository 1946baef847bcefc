"""Small tables for tests: random clouds, plain pictures, two categories, a fifth held out."""

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import lance
import numpy as np

from crosspoint3d.data.depth import encode_levels
from crosspoint3d.data.rows import encode
from crosspoint3d.data.table import ShapeTable
from crosspoint3d.geometry import normalise


def example_row(i: int, *, points: int = 32, views: int = 2, size: int = 32, depth: bool = False) -> dict[str, Any]:
    """A row with a random ellipsoid whose proportions and colour depend on its category."""
    generator = np.random.default_rng(i)
    stretch = np.array([[3.0, 1, 1], [1.0, 1, 1]])[i % 2] * generator.uniform(0.8, 1.2, 3)
    cloud, _, _ = normalise((generator.normal(size=(points, 3)) * stretch).astype(np.float32))
    colour = generator.integers(0, 256, (views, 1, 1, 3), dtype=np.uint8)
    levels = generator.integers(0, 256, (views, 1, 1), dtype=np.uint8) if depth else ()
    return {
        "id": f"shape/{i}",
        "source": f"shape/{i}.off",
        "category": ["long", "round"][i % 2],
        "split": "test" if i % 5 == 4 else "train",
        "points": cloud.astype(np.float16),
        "normals": cloud.astype(np.float16),
        "parts": generator.integers(0, 4, points, dtype=np.uint8),
        "views": [encode(np.broadcast_to(c, (size, size, 3)).copy()) for c in colour],
        **({"depth": [encode_levels(np.full((size, size), int(g[0, 0]), np.uint8)) for g in levels]} if depth else {}),
        "view_poses": generator.normal(size=(views, 3)).astype(np.float32),
        "faces": 10 + i,
        "area": 1.5,
        "status": "ok",
    }


def example_table(
    path: Path, count: int, *, points: int = 32, views: int = 2, size: int = 32, depth: bool = False
) -> ShapeTable:
    """A table of `count` such rows."""
    settings = {"seed": 0, "views": views, "image_size": size} | ({"depth": True} if depth else {})
    table = ShapeTable.create(path, points=points, settings=settings)
    table.append([example_row(i, points=points, views=views, size=size, depth=depth) for i in range(count)])
    return table


@contextlib.contextmanager
def between(act: Callable[[], Any]) -> Iterator[None]:
    """Within it somebody acts just before the next write, which has already asked whether it is alone."""
    write, acts = lance.write_dataset, [act]

    def late(*arguments: Any, **options: Any) -> Any:
        if acts:
            acts.pop()()
        return write(*arguments, **options)

    with mock.patch.object(lance, "write_dataset", late):
        yield
