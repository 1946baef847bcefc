"""The table of parts: which parts each category has.

Axis letters: C categories, Q parts of all categories.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Int64


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
