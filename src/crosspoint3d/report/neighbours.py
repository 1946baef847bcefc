"""Picture to shape search among the shapes of the report: which come first for some pictures.

Axis letters: N shapes, E width of the joint space.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from crosspoint3d.evaluation.metrics import cosines, ranks
from crosspoint3d.report.shapes import spread

SHOWN = 5


@dataclass(frozen=True)
class Search:
    """One query picture and what it found.

    Attributes:
        query: row of the shape whose picture is searched for.
        found: rows of the nearest shapes, best first.
        similarity: cosines of these, and of the query's own shape last.
        rank: place of the query's own shape, 1 is best; ties share their places.
    """

    query: int
    found: list[int]
    similarity: list[float]
    rank: float


def search_pictures(
    clouds: Float[np.ndarray, "N E"],
    pictures: Float[np.ndarray, "N E"],
    categories: Sequence[str | None],
    count: int,
    generator: np.random.Generator,
) -> tuple[list[Search], float]:
    """Searches for `count` random pictures, each of another category as long as there are any.

    Args:
        clouds: projections of the shapes.
        pictures: projections of a picture of each; row i of both belongs to shape i.
        categories: of the shapes.
        count: searches to return.
        generator: draws the queries; nothing else decides them.

    Returns:
        The searches, and recall@1 over all N pictures.
    """
    similarities = cosines(pictures, clouds)
    rank = ranks(similarities, np.arange(len(clouds)))
    searches = []
    for query in spread(generator.permutation(len(clouds)).tolist(), categories)[:count]:
        found = np.argsort(-similarities[query], kind="stable")[:SHOWN].tolist()
        values = [float(similarities[query, row]) for row in [*found, query]]
        searches.append(Search(query, found, values, float(rank[query])))
    return searches, float((rank <= 1).mean())
