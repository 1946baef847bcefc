"""Labels of data in the numbers of a network: categories and parts that have the same names."""

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Int16, Int64

from crosspoint3d.config import UsageError
from crosspoint3d.data.part_labels import PartSplit
from crosspoint3d.parts_table import PartsTable


@dataclass(frozen=True)
class Matching:
    """How the labels of data become those of a network.

    Attributes:
        table: the network's parts.
        categories: the network's number of each category of the data.
        parts: the network's id of each part of the data.
        notes: what a reader of the numbers should know.
    """

    table: PartsTable
    categories: Int64[np.ndarray, " C"]
    parts: Int16[np.ndarray, " Q"]
    notes: tuple[str, ...] = ()

    def apply(self, split: PartSplit) -> PartSplit:
        """The shapes with the network's labels."""
        return replace(split, parts=self.parts[split.parts], categories=self.categories[split.categories])


def match_parts(data: PartsTable, network: PartsTable, *, published: bool) -> Matching:
    """Match categories by name, and the parts within each by name; the data may lack categories of the network.

    Published weights hold no names. Where theirs do not match, as many categories and as many parts as the data has
    are taken to be these, in their order.

    Args:
        data: its parts.
        network: its parts.
        published: whether the network's names are only those that its size suggests.

    Raises:
        UsageError: a category or its parts are not those of the network; names both.
    """
    categories = np.empty(len(data.categories), dtype=np.int64)
    parts = np.empty(len(data), dtype=np.int16)
    wrong = ""
    for place, name in enumerate(data.categories):
        own = data.parts[place]
        if name not in network.categories:
            wrong = f"the data has the category {name}, the network only {', '.join(network.categories)}"
            if set(network.categories) < set(data.categories):
                wrong += f" (--categories {' '.join(network.categories)} takes these)"
            break
        categories[place] = network.categories.index(name)
        theirs = network.parts[categories[place]]
        ids = {network.names[part]: part for part in theirs}
        names = [data.names[part] for part in own]
        if sorted(names) != sorted(network.names[part] for part in theirs) or len(ids) < len(theirs):
            wrong = (
                f"parts of {name}: {', '.join(names)} in the data, "
                f"{', '.join(network.names[part] for part in theirs)} in the network"
            )
            break
        parts[list(own)] = [ids[part] for part in names]
    if not wrong:
        missing = [name for name in network.categories if name not in data.categories]
        note = f"the data has {len(data.categories)} of the network's {len(network.categories)} categories"
        return Matching(network, categories, parts, (note,) * bool(missing))
    if published and (len(data.categories), len(data)) == (len(network.categories), len(network)):
        note = (
            f"published weights hold no names: their {len(data.categories)} categories and {len(data)} parts are taken "
            "to be those of the data, in its order"
        )
        return Matching(data, np.arange(len(data.categories)), np.arange(len(data), dtype=np.int16), (note,))
    raise UsageError(
        f"--model and --data do not have the same parts: {wrong}; use data labelled as that which the network was "
        "trained on"
    )
