"""The SVM's C by cross-validation on the training split, over a grid that follows the features' own scale."""

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Float64, Int64
from joblib import Parallel, delayed
from sklearn.exceptions import ConvergenceWarning
from sklearn.svm import SVC

from crosspoint3d.config import UsageError

FOLDS = 5
EXPONENTS = tuple(float(e) for e in range(-1, 5))
"""First grid: C = 10^e on a Gram matrix whose mean diagonal is 1."""
LIMITS = (-6.0, 8.0)
CENTRE = 1.0
MAX_ITER = 200_000
"""Iterations of one binary problem: libsvm has no end of its own when C is huge and the classes overlap."""


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


def choose_c(gram: Float64[np.ndarray, "N N"], labels: Int64[np.ndarray, " N"], seed: int) -> dict[str, Any]:
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
        inner, outer = gram[np.ix_(train, train)], gram[np.ix_(check, train)]

        def hits(
            exponent: float, inner: Any = inner, outer: Any = outer, train: Any = train, check: Any = check
        ) -> int:
            model = SVC(kernel="precomputed", C=10.0**exponent, cache_size=500, max_iter=MAX_ITER).fit(
                inner, labels[train]
            )
            return int((model.predict(outer) == labels[check]).sum())

        # Threads, because libsvm releases the interpreter lock and all share one Gram matrix.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            correct += Parallel(n_jobs=-1, prefer="threads")(delayed(hits)(e) for e in exponents)
    return {e: float(right / (fold >= 0).sum()) for e, right in zip(exponents, correct, strict=True)}
