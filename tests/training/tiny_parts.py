"""A data set for part segmentation that a tiny network learns in seconds: parts are above and below the middle."""

from typing import Any

import numpy as np

from crosspoint3d.data.loaded import OWN_VAL
from crosspoint3d.data.part_labels import PartClouds, PartSplit
from crosspoint3d.parts_table import PartsTable

TABLE = PartsTable(("pole", "disc"), ((0, 1), (2, 3)), ("foot", "top", "lower", "upper"))
POINTS = 24


def split(shapes: int, seed: int, name: str) -> PartSplit:
    """Poles are tall, discs flat; the part is 1 more where y is above 0."""
    generator = np.random.default_rng(seed)
    categories = np.arange(shapes) % 2
    points = (
        generator.uniform(-1, 1, (shapes, POINTS, 3))
        * np.where(categories[:, None], (1, 0.3, 1), (0.3, 1, 0.3))[:, None]
    )
    parts = 2 * categories[:, None] + (points[:, :, 1] > 0)
    ids = tuple(f"{name}-{row}" for row in range(shapes))
    return PartSplit(points.astype(np.float32), parts.astype(np.int16), categories.astype(np.int64), ids)


def clouds(train: int = 10, val: int = 4, test: int = 6) -> PartClouds:
    """The data set, with the record that a reader of it writes."""
    counts: dict[str, Any] = {"train_shapes": train, "val_shapes": val, "test_shapes": test}
    record = counts | {
        "name": "tiny",
        "split": "as made",
        "split_drawn": False,
        "split_sha256": "of the split",
        "val": {"from": OWN_VAL, "shapes": val, "sha256": "of val"},
        "categories": 2,
        "parts": 4,
        "notes": ["made for a test"],
    }
    return PartClouds(split(train, 0, "train"), split(val, 1, "val"), split(test, 2, "test"), TABLE, record)
