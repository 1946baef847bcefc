"""`evaluate knn`: a weighted vote of the most similar train shapes; nothing is fitted but the number of neighbours.

Axis letters: N train shapes, Q queries, D feature width, C categories, K numbers of neighbours, B rows of a block.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Float, Float32, Int64
from sklearn.preprocessing import normalize

from crosspoint3d.config import KnnConfig, UsageError
from crosspoint3d.config_file import require_at_least
from crosspoint3d.evaluation.classes import ClassScores, finish_classes, guessing
from crosspoint3d.evaluation.metrics import TIE, accuracies, confusion
from crosspoint3d.evaluation.result import Result
from crosspoint3d.evaluation.runs import over_seeds
from crosspoint3d.evaluation.seeds import SeedFeatures, SplitFeatures

TEMPERATURE = 0.07
NUMBERS = (1, 2, 5, 10, 20, 50, 100)
"""Numbers of neighbours to choose from."""
PAPER_NUMBER = 20
BLOCK = 512
"""Queries whose similarities with all train shapes are held at a time."""


def knn(config: KnnConfig) -> Result:
    """Score an encoder and its untrained twin by weighted nearest neighbours on frozen features.

    A train shape votes for its category with exp(cosine / 0.07), as in Wu et al. 2018 (arXiv 1805.01978) and DINO.
    Clean: the number of voters is the best of `NUMBERS` in leave-one-out on the training split, separately for each
    encoder. Paper: 20. `neighbours` fixes it in both.

    Raises:
        UsageError: there are fewer train shapes than neighbours, or the data or the encoder cannot be used.
    """
    require_at_least(config, {"neighbours": 0})
    fixed = config.neighbours or (PAPER_NUMBER if config.protocol == "paper" else 0)

    def score(item: SeedFeatures, features: SplitFeatures) -> ClassScores:
        clouds, shapes = item.clouds, len(features.train)
        if fixed > shapes:
            what = f"--neighbours {fixed}" if config.neighbours else f"--protocol paper: {fixed} neighbours"
            raise UsageError(f"{what}: there are {shapes} train shapes only; --neighbours {shapes} or fewer works")
        return knn_scores(features.train, clouds.train_labels, features.test, clouds.test_labels, fixed)

    runs = over_seeds(config, score, guessing, draws=False)
    notes = []
    if config.protocol == "paper":
        usual = "" if config.neighbours else f": {PAPER_NUMBER} neighbours as usual elsewhere"
        notes.append(f"the CrossPoint paper has no nearest-neighbour evaluation{usual}")
    if not fixed and any(f.choice["neighbours"] == NUMBERS[-1] for all_found in runs.both.values() for f in all_found):
        notes.append(f"the best number of neighbours is the largest one tried, {NUMBERS[-1]}")
    return finish_classes(
        config,
        "knn",
        runs,
        classifier="vote of the most similar train shapes by exp(cosine / temperature); equal votes: first category",
        scaler="each feature vector divided by its length",
        temperature=TEMPERATURE,
        tie=f"cosines within {TIE:g} of the last voter's share the places that are left",
        neighbours={who: [found.choice for found in all_found] for who, all_found in runs.both.items()},
        notes=notes,
    )


def knn_scores(
    train_features: Float[np.ndarray, "N D"],
    train_labels: Int64[np.ndarray, " N"],
    test_features: Float[np.ndarray, "Q D"],
    test_labels: Int64[np.ndarray, " Q"],
    neighbours: int = 0,
) -> ClassScores:
    """Score the test split.

    Args:
        train_features: any length.
        train_labels: counted from 0.
        test_features: as wide as the train features.
        test_labels: read for the scores only.
        neighbours: train shapes that vote; 0 chooses the number by leave-one-out on the training split, of equally
            good ones the smallest.
    """
    train, test = unit_length(train_features), unit_length(test_features)
    choice: dict[str, Any] = {"neighbours": neighbours}
    if not neighbours:
        numbers = [number for number in NUMBERS if number < len(train)]
        right = [
            int((predicted == train_labels).sum())
            for predicted in knn_predictions(train, train_labels, train, numbers, leave_one_out=True)
        ]
        choice = {
            "neighbours": numbers[int(np.argmax(right))],
            "leave_one_out": {str(number): r / len(train) for number, r in zip(numbers, right, strict=True)},
        }
    predicted = knn_predictions(train, train_labels, test, [choice["neighbours"]])[0]
    counts = confusion(test_labels, predicted, int(max(train_labels.max(), test_labels.max())) + 1)
    return ClassScores(accuracies(counts), counts, predicted == test_labels, choice)


def unit_length(features: Float[np.ndarray, "N D"]) -> Float32[np.ndarray, "N D"]:
    """Each row divided by its length, in float64; a zero row stays zero."""
    rows: np.ndarray = normalize(features.astype(np.float64), copy=False).astype(np.float32)
    return rows


def knn_predictions(
    train: Float32[np.ndarray, "N D"],
    labels: Int64[np.ndarray, " N"],
    queries: Float32[np.ndarray, "Q D"],
    numbers: Sequence[int],
    *,
    leave_one_out: bool = False,
) -> Int64[np.ndarray, "K Q"]:
    """The category with most votes, for several numbers of neighbours at once.

    Train shapes as similar to the query as the last voter (within `TIE`) share the places that are left: the vote is
    the mean over all orders of equals, so neither the order of the shapes nor rounding noise can decide. Of equal
    votes the first category wins: constant features so get the most frequent train category for every query.

    Args:
        train: unit rows.
        labels: of the train rows, counted from 0.
        queries: unit rows.
        numbers: of neighbours, from 1 to N (N - 1 with `leave_one_out`).
        leave_one_out: the queries are the train rows, and none votes for itself.
    """
    kinds = np.eye(int(labels.max()) + 1, dtype=np.float32)[labels]
    result = np.empty((len(numbers), len(queries)), dtype=np.int64)
    for start in range(0, len(queries), BLOCK):
        similarities = queries[start : start + BLOCK] @ train.T
        if leave_one_out:
            own = np.arange(len(similarities))
            similarities[own, start + own] = -np.inf
        result[:, start : start + len(similarities)] = _vote(similarities, kinds, numbers)
    return result


def _vote(
    similarities: Float32[np.ndarray, "B N"], kinds: Float32[np.ndarray, "N C"], numbers: Sequence[int]
) -> Int64[np.ndarray, "K B"]:
    places = [similarities.shape[1] - number for number in numbers]
    last_voters = np.partition(similarities, places, axis=1)[:, places].T
    strength = np.exp(similarities / TEMPERATURE)
    result = np.empty((len(numbers), len(similarities)), dtype=np.int64)
    for index, (number, last) in enumerate(zip(numbers, last_voters, strict=True)):
        better = similarities > last[:, None] + TIE
        equal = (similarities >= last[:, None] - TIE) & ~better
        share = (number - better.sum(axis=1)) / equal.sum(axis=1)
        votes = (strength * np.where(better, 1, equal * share[:, None].astype(np.float32))) @ kinds
        result[index] = (votes >= votes.max(axis=1, keepdims=True) * (1 - TIE / TEMPERATURE)).argmax(axis=1)
    return result
