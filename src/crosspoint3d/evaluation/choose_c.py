"""The SVM's C by cross-validation on the training split, over a grid that follows the features' own scale."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Float, Int64

from crosspoint3d.config import UsageError
from crosspoint3d.evaluation.svm import by_products, svm_predictions

FOLDS = 5
EXPONENTS = tuple(float(e) for e in range(-1, 5))
"""First grid: C = 10^e on a Gram matrix whose mean diagonal is 1."""
LIMITS = (-6.0, 8.0)
CENTRE = 1.0


def stratified_folds(
    labels: Int64[np.ndarray, " N"], folds: int, generator: np.random.Generator
) -> Int64[np.ndarray, " N"]:
    """The fold of each shape, even within each category; -1 for a category's only shape: it always trains."""
    fold = np.full(len(labels), -1, dtype=np.int64)
    start = 0
    for category in np.unique(labels):
        members = generator.permutation(np.flatnonzero(labels == category))
        if len(members) > 1:
            fold[members] = (start + np.arange(len(members))) % folds
            start += len(members)
    return fold


def choose_c(gram: Float[np.ndarray, "N N"], labels: Int64[np.ndarray, " N"], seed: int) -> dict[str, Any]:
    """Choose C by stratified cross-validation: decades first, then half decades around the best one.

    The grid grows while the best C lies on its edge, up to `LIMITS`. Of equally good values the one nearest to
    10 is taken: towards both ends the predictions stop changing, and such a plateau is no reason to go on.

    Args:
        gram: train Gram matrix with mean diagonal 1.
        labels: train labels.
        seed: decides the folds.

    Returns:
        Plain values: exponent, accuracy of each exponent tried, folds, extended, limit_reached.

    Raises:
        UsageError: no category has two shapes.
    """
    counts = np.bincount(labels)
    if counts.max() < 2:
        raise UsageError("every training category has one shape only: no part of them can be held out to choose C")
    folds = int(min(FOLDS, counts[counts > 1].min()))
    fold = stratified_folds(labels, folds, np.random.default_rng(seed))
    accuracy = _cross_validate(gram, labels, fold, EXPONENTS)

    def best() -> float:
        return min(accuracy, key=lambda e: (-accuracy[e], abs(e - CENTRE), e))

    while (e := best()) in (min(accuracy), max(accuracy)) and LIMITS[0] < e < LIMITS[1]:
        further = e - 1 if e == min(accuracy) else e + 1
        accuracy |= _cross_validate(gram, labels, fold, [further])
    extended = len(accuracy) > len(EXPONENTS)
    limit_reached = e in LIMITS
    accuracy |= _cross_validate(gram, labels, fold, [e - 0.5, e + 0.5])
    return {
        "exponent": best(),
        "cross_validation": {f"{e:g}": accuracy[e] for e in sorted(accuracy)},
        "folds": folds,
        "extended": extended,
        "limit_reached": limit_reached,
    }


def _cross_validate(
    gram: np.ndarray, labels: np.ndarray, fold: np.ndarray, exponents: Sequence[float]
) -> dict[float, float]:
    correct = np.zeros(len(exponents))
    for held_out in range(int(fold.max()) + 1):
        train, check = np.flatnonzero(fold != held_out), np.flatnonzero(fold == held_out)
        found = svm_predictions(gram, labels, by_products(gram[check]), [10.0**e for e in exponents], train)
        correct += [(predictions.labels == labels[check]).sum() for predictions in found]
    return {e: float(right / (fold >= 0).sum()) for e, right in zip(exponents, correct, strict=True)}
