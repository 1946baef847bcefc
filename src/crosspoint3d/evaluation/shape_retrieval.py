"""Shape to shape: every labelled test shape looks for those of its own category among all the others.

Shapes whose similarities to a query are within `TIE` of the first of them have no order that means anything. Scores are
the exact expectations over all orders of such a group (McSherry & Najork 2008,
https://doi.org/10.1007/978-3-540-78646-7_38), so an encoder that tells no shapes apart scores chance.

Axis letters: N labelled test shapes, Q queries, M = N - 1 shapes that are searched, D feature width.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Float64, Int64

from crosspoint3d.config import RetrievalConfig, UsageError
from crosspoint3d.data.clouds import LabelledClouds
from crosspoint3d.evaluation.metrics import RECALLS, TIE, cosines
from crosspoint3d.evaluation.runs import over_seeds, paired
from crosspoint3d.evaluation.searched import Searched
from crosspoint3d.evaluation.seeds import SeedFeatures, SplitFeatures

SHAPE_TO_SHAPE = "shape_to_shape"
BLOCK = 256
"""Queries at a time: what bounds the memory."""


@dataclass(frozen=True)
class Found:
    """What each query found; a row a query.

    Attributes:
        labels: category of the query.
        average_precision: its mean over the relevant shapes of the precision down to each.
        within: probability that one of the first 1, 5, 10 shapes is relevant.
    """

    labels: Int64[np.ndarray, " Q"]
    average_precision: Float64[np.ndarray, " Q"]
    within: Float64[np.ndarray, "Q R"]

    def scores(self) -> dict[str, float]:
        """Means over the queries, and of the average precision also over categories (macro)."""
        precision = self.average_precision
        macro = np.mean([precision[self.labels == label].mean() for label in np.unique(self.labels)])
        recalls = {f"recall@{r}": float(v) for r, v in zip(RECALLS, self.within.mean(axis=0), strict=True)}
        scores = {"map": float(precision.mean()), "map_by_category": float(macro)} | recalls
        return {f"{SHAPE_TO_SHAPE}_{name}": value for name, value in scores.items()}


def shape_to_shape(config: RetrievalConfig) -> Searched:
    """Search among the labelled test shapes by the cosine of features, for every seed and both encoders.

    Raises:
        UsageError: the data or the encoder cannot be used, or no category has two test shapes.
    """

    def score(item: SeedFeatures, features: SplitFeatures) -> Found:
        require_pairs(config.data, item.clouds)
        return search(features.test, item.clouds.test_labels)

    runs = over_seeds(config, score, lambda item: chance(item.clouds.test_labels).scores(), parts=["test"], draws=False)
    clouds, drawn = runs.clouds, bool(runs.clouds.record["split_drawn"])
    shapes, queries = len(clouds.test_labels), len(query_rows(clouds.test_labels))
    precision = {
        who: {
            name: float(np.mean([of.mean() for of in values]))
            for label, name in enumerate(clouds.categories)
            if (values := [of for run in found if len(of := run.average_precision[run.labels == label])])
        }
        for who, found in runs.both.items()
    }
    record = {
        "gallery": f"the other {shapes - 1} labelled test shapes",
        "queries": queries,
        "queries_left_out": {"no other test shape of their category": shapes - queries},
        "similarity": "cosine of features",
        "ties": f"similarities within {TIE:g} of the first of a group: expectation over all orders of the group",
    }
    values = [run.average_precision for run in runs.trained]
    return Searched(
        trained=[run.scores() for run in runs.trained],
        untrained=[run.scores() for run in runs.untrained],
        chance=runs.chance,
        encoders=runs.encoders,
        data=clouds.record,
        repeated=runs.repeated,
        choices={SHAPE_TO_SHAPE: record},
        details={
            "paired": {f"{SHAPE_TO_SHAPE}_map": paired("query", values, same=not drawn)},
            "average_precision_by_category": precision,
        },
    )


def require_pairs(spec: str, clouds: LabelledClouds) -> None:
    """Refuse data in which no query has anything to find.

    Raises:
        UsageError: no category has two test shapes.
    """
    if not len(query_rows(clouds.test_labels)):
        raise UsageError(
            f"--data {spec}: no category has two test shapes among {len(clouds.test_labels)}; a search from shape to "
            "shape needs them: use more shapes (--limit 1 keeps all)"
        )


def query_rows(labels: Int64[np.ndarray, " N"]) -> Int64[np.ndarray, " Q"]:
    """Rows of the shapes that have another one of their category."""
    return np.flatnonzero(np.bincount(labels)[labels] > 1)


def search(features: Float[np.ndarray, "N D"], labels: Int64[np.ndarray, " N"]) -> Found:
    """Rank all other shapes for each query by the cosine of features."""
    rows = query_rows(labels)
    parts = []
    for start in range(0, len(rows), BLOCK):
        part = rows[start : start + BLOCK]
        others = np.arange(len(labels)) != part[:, None]
        similarities = cosines(features[part], features)[others].reshape(len(part), -1)
        relevant = (labels == labels[part][:, None])[others].reshape(len(part), -1)
        parts.append(expected(similarities, relevant))
    precision, within = (np.concatenate(columns) for columns in zip(*parts, strict=True))
    return Found(labels[rows], precision, within)


def expected(
    similarities: Float64[np.ndarray, "Q M"], relevant: Bool[np.ndarray, "Q M"]
) -> tuple[Float64[np.ndarray, " Q"], Float64[np.ndarray, "Q R"]]:
    """Expected average precision, and probability of success within the first 1, 5, 10, over orders of equal shapes.

    At place j of a group of n shapes, r of them relevant, with c relevant ones before the group, a shape is relevant
    with probability r / n, and then c + 1 + (j - 1) (r - 1) / (n - 1) relevant ones are expected down to it.

    Args:
        similarities: of each query to the shapes that it searches.
        relevant: which of them it should find; one at least.
    """
    order = np.argsort(-similarities, axis=1, kind="stable")
    relevant = np.take_along_axis(relevant, order, axis=1)
    start, end = _groups(np.take_along_axis(similarities, order, axis=1))
    place = np.arange(relevant.shape[1])
    count = np.zeros((len(relevant), len(place) + 1), dtype=np.int64)
    count[:, 1:] = relevant.cumsum(axis=1)
    before, size = np.take_along_axis(count, start, axis=1), end - start
    inside = np.take_along_axis(count, end, axis=1) - before
    down_to = before + 1 + (place - start) * (inside - 1) / np.maximum(size - 1, 1)
    precision = (inside / size * down_to / (place + 1)).sum(axis=1) / count[:, -1]
    first = (inside > 0).argmax(axis=1)[:, None]
    n, r = (np.take_along_axis(values, first, axis=1) for values in (size, inside))
    return precision, _one_within(n, r, np.array(RECALLS) - first)


def chance(labels: Int64[np.ndarray, " N"]) -> Found:
    """What a random order of all other shapes is expected to score, in closed form.

    With R relevant ones among M, the expected average precision is (H + (M - H) (R - 1) / (M - 1)) / M, where H is the
    M-th harmonic number.
    """
    known = labels[query_rows(labels)]
    others, relevant = len(labels) - 1, np.bincount(labels)[known] - 1
    harmonic = float((1 / np.arange(1, others + 1)).sum())
    precision = (harmonic + (others - harmonic) * (relevant - 1) / max(others - 1, 1)) / others
    within = _one_within(np.full((len(known), 1), others), relevant[:, None], np.array([RECALLS]))
    return Found(known, precision, within)


def _groups(descending: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Where the group of each place starts, and where it ends (the first place after it)."""
    columns = np.ascontiguousarray(descending.T)
    begins = np.empty(columns.shape, dtype=bool)
    leader = np.full(columns.shape[1], np.inf)
    for place, column in enumerate(columns):  # a group is as wide as TIE from its first, however many follow
        begins[place] = column < leader - TIE
        leader = np.where(begins[place], column, leader)
    count, places = len(columns), np.arange(len(columns))
    start = np.maximum.accumulate(np.where(begins.T, places, -1), axis=1)
    after = np.full(start.shape, count)
    after[:, :-1] = np.where(begins.T, places, count)[:, 1:]
    return start, np.minimum.accumulate(after[:, ::-1], axis=1)[:, ::-1]


def _one_within(size: np.ndarray, relevant: np.ndarray, draws: np.ndarray) -> np.ndarray:
    """Probability that one of `relevant` among `size` is within so many draws without putting back."""
    missed = np.ones(np.broadcast_shapes(size.shape, draws.shape))
    for drawn in range(max(RECALLS)):
        miss = np.maximum(size - relevant - drawn, 0) / np.maximum(size - drawn, 1)
        missed *= np.where(drawn < np.minimum(draws, size), miss, 1.0)
    return 1 - missed
