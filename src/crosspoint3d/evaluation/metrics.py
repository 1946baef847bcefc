"""Scores as pure functions of arrays: accuracies, ranks, recalls, and the spread over seeds.

Axis letters: Q queries, G gallery.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Float, Float64, Int64
from scipy.special import stdtrit

RECALLS = (1, 5, 10)
TIE = 1e-6
"""Similarities closer than this count as equal: float32 noise must not tell collapsed embeddings apart."""


def summary(values: Sequence[float]) -> dict[str, Any]:
    """Mean, standard deviation (n - 1), half width of the 95 % t interval of the mean, count and the values.

    One value has no spread: both widths are 0 then, and `n` says why.
    """
    array = np.asarray(values, dtype=np.float64)
    n = len(array)
    if n == 0:
        raise ValueError("values is empty: nothing to summarise")
    std = float(array.std(ddof=1)) if n > 1 and np.ptp(array) > 0 else 0.0
    ci95 = float(stdtrit(n - 1, 0.975)) * std / n**0.5 if n > 1 else 0.0
    return {"mean": float(array.mean()), "std": std, "ci95": ci95, "n": n, "values": array.tolist()}


def mean_scores(runs: Sequence[dict[str, float]]) -> dict[str, float]:
    """The mean of each score over the runs, which all have the same."""
    return {name: float(np.mean([run[name] for run in runs])) for name in runs[0]}


def summaries(runs: Sequence[dict[str, float]]) -> dict[str, dict[str, Any]]:
    """`summary` of every score over several runs that have the same scores; empty without runs."""
    return {name: summary([run[name] for run in runs]) for name in (runs[0] if runs else {})}


def confusion(
    labels: Int64[np.ndarray, " Q"], predicted: Int64[np.ndarray, " Q"], categories: int
) -> Int64[np.ndarray, "C C"]:
    """How often category r (row) was taken for category c (column)."""
    counts = np.zeros((categories, categories), dtype=np.int64)
    np.add.at(counts, (labels, predicted), 1)
    return counts


def accuracies(counts: Int64[np.ndarray, "C C"]) -> dict[str, float]:
    """Overall accuracy, and mean accuracy of the categories with test shapes, from a confusion matrix."""
    shapes = counts.sum(axis=1)
    present = shapes > 0
    if not present.any():
        raise ValueError("the confusion matrix counts no shape")
    correct = np.diag(counts)
    return {
        "overall_accuracy": float(correct.sum() / shapes.sum()),
        "mean_class_accuracy": float((correct[present] / shapes[present]).mean()),
    }


def accuracy_chance(
    train_labels: Int64[np.ndarray, " Ntr"], test_labels: Int64[np.ndarray, " Nte"]
) -> dict[str, float]:
    """What always answering the most frequent train category scores."""
    largest = np.bincount(train_labels).argmax()
    return {
        "overall_accuracy": float((test_labels == largest).mean()),
        "mean_class_accuracy": float(np.isin(largest, test_labels)) / len(np.unique(test_labels)),
    }


def cosines(queries: Float[np.ndarray, "Q D"], gallery: Float[np.ndarray, "G D"]) -> Float64[np.ndarray, "Q G"]:
    """Cosine similarity of every query with every gallery row; a zero vector is similar to nothing (0)."""

    def unit(rows: np.ndarray) -> np.ndarray:
        wide = rows.astype(np.float64)
        lengths = np.linalg.norm(wide, axis=1, keepdims=True)
        result: np.ndarray = wide / np.where(lengths > 0, lengths, 1.0)
        return result

    similarities: np.ndarray = unit(queries) @ unit(gallery).T
    return similarities


def ranks(similarities: Float64[np.ndarray, "Q G"], own: Int64[np.ndarray, " Q"]) -> Float64[np.ndarray, " Q"]:
    """Rank of each query's own gallery row, 1 is best.

    Ties (within `TIE`) share their places: 1 + strictly better rows + half the other equal ones. Constant
    embeddings so get the middle rank for every query, never a lucky first place.
    """
    target = np.take_along_axis(similarities, own[:, None], axis=1)
    better = (similarities > target + TIE).sum(axis=1)
    equal = (np.abs(similarities - target) <= TIE).sum(axis=1) - 1
    result: np.ndarray = 1.0 + better + equal / 2
    return result


def retrieval_scores(rank: Float64[np.ndarray, " Q"]) -> dict[str, float]:
    """Recall at 1, 5 and 10 (share of queries whose own shape is among so many), mean and median rank."""
    recalls = {f"recall@{r}": float((rank <= r).mean()) for r in RECALLS}
    return recalls | {"mean_rank": float(rank.mean()), "median_rank": float(np.median(rank))}


def retrieval_chance(gallery: int) -> dict[str, float]:
    """Expected scores of a random order of `gallery` shapes: r / n and (n + 1) / 2."""
    recalls = {f"recall@{r}": min(1.0, r / gallery) for r in RECALLS}
    return recalls | {"mean_rank": (gallery + 1) / 2, "median_rank": (gallery + 1) / 2}
