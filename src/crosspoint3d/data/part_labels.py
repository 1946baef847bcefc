"""Shapes whose points are labelled by part: one split of shapes, and a whole data set.

Axis letters: N shapes, P points.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from jaxtyping import Float32, Int16, Int64

from crosspoint3d.parts_table import PartsTable


@dataclass(frozen=True)
class PartSplit:
    """Shapes of one split.

    Attributes:
        points: clouds centred on their mean with largest radius 1, y up.
        parts: global part id of every point.
        categories: indices into the table's categories.
        ids: a name for each shape.
    """

    points: Float32[np.ndarray, "N P 3"]
    parts: Int16[np.ndarray, "N P"]
    categories: Int64[np.ndarray, " N"]
    ids: tuple[str, ...]

    def __len__(self) -> int:
        """N, shapes."""
        return len(self.ids)

    def take(self, rows: Sequence[int] | Int64[np.ndarray, " M"]) -> "PartSplit":
        """Some of the shapes, in the order given."""
        rows = np.asarray(rows, dtype=np.int64)
        return PartSplit(self.points[rows], self.parts[rows], self.categories[rows], tuple(self.ids[r] for r in rows))

    def joined(self, other: "PartSplit") -> "PartSplit":
        """These shapes and those of another split of as many points, in this order."""
        if not len(other):
            return self
        return PartSplit(
            np.concatenate([self.points, other.points]),
            np.concatenate([self.parts, other.parts]),
            np.concatenate([self.categories, other.categories]),
            self.ids + other.ids,
        )


@dataclass(frozen=True)
class PartClouds:
    """A data set for part segmentation; `val` may be empty, `train` and `test` hold at least one shape.

    `record` has the keys of `LabelledClouds.record` (name, split, split_drawn, split_sha256, counts, orientation,
    normalisation, notes) and `parts`; plain values for a protocol record.
    """

    train: PartSplit
    val: PartSplit
    test: PartSplit
    table: PartsTable
    record: dict[str, Any] = field(default_factory=dict)
