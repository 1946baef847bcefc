"""Shapes whose points are labelled by part: the table of parts, one split of shapes, and a whole data set.

Axis letters: N shapes, P points, C categories, Q parts of all categories.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from jaxtyping import Bool, Float32, Int16, Int64


@dataclass(frozen=True)
class PartsTable:
    """Which parts each category has; a part belongs to one category.

    Attributes:
        categories: names, in the order of the category labels.
        parts: for each category the global ids of its parts, ascending.
        names: of each part, by global id.
    """

    categories: tuple[str, ...]
    parts: tuple[tuple[int, ...], ...]
    names: tuple[str, ...]

    def __post_init__(self) -> None:
        ids = sorted(part for own in self.parts for part in own)
        if len(self.parts) != len(self.categories) or ids != list(range(len(self.names))):
            raise ValueError(
                f"PartsTable: the part ids 0 to {len(self.names) - 1} must be shared out to {len(self.categories)} "
                f"categories, each once; got {len(self.parts)} lists of {len(ids)} ids"
            )

    def __len__(self) -> int:
        """Q, parts of all categories."""
        return len(self.names)

    def allowed(self) -> Bool[np.ndarray, "C Q"]:
        """Whether a category has a part."""
        mask = np.zeros((len(self.categories), len(self)), dtype=bool)
        for category, own in enumerate(self.parts):
            mask[category, list(own)] = True
        return mask

    def category_of(self) -> Int64[np.ndarray, " Q"]:
        """The category of each part."""
        owner = np.empty(len(self), dtype=np.int64)
        for category, own in enumerate(self.parts):
            owner[list(own)] = category
        return owner

    def to_dict(self) -> dict[str, Any]:
        """Plain values for a config.json."""
        return {"categories": list(self.categories), "parts": [list(own) for own in self.parts], "names": [*self.names]}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "PartsTable":
        """The table that `to_dict` wrote.

        Raises:
            KeyError, TypeError, ValueError: the values are no table of parts.
        """
        own = tuple(tuple(int(part) for part in parts) for parts in values["parts"])
        return cls(tuple(map(str, values["categories"])), own, tuple(map(str, values["names"])))


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
