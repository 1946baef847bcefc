"""Linear support vector machines on one Gram matrix that all values of C and all folds share.

The machines are those of `SVC(kernel="linear")`: one against one, solved by libsvm. Three things make them fast: the
products of all features are computed once, in float32, which is what libsvm's own cache holds; shapes go category by
category, so that a pair of categories reads rows without gaps; and decisions are a matrix product a category.

Axis letters: N shapes (Ntr train, Nte test), Q queries, D feature width, R rows to train with, S some of them.
"""

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Float32, Float64, Int64
from joblib import Parallel, delayed
from sklearn.exceptions import ConvergenceWarning
from sklearn.svm import SVC

MAX_ITER = 200_000
"""Iterations of one binary problem: libsvm has no end of its own when C is huge and the classes overlap."""
BLOCK = 512
"""Rows of the Gram matrix that are copied at a time."""
CONSTANT = 1e-13
"""Features are constant where their spread is so small a part of their squared length."""


Expand = Callable[[Int64[np.ndarray, " S"], Float64[np.ndarray, "S M"]], Float64[np.ndarray, "Q M"]]
"""Takes some train shapes and M columns of their coefficients to M sums of products for each query."""


@dataclass(frozen=True)
class Scaled:
    """Features around the train mean, scaled to a mean squared length of 1 of the train features.

    Attributes:
        train: `train @ train.T` is the Gram matrix.
        test: around the same mean, on the same scale.
        unit: mean squared length before; C on the features as they are is C here by `unit`.
        constant: the train features do not differ; all are 0 then, and `unit` is 1.
    """

    train: Float32[np.ndarray, "Ntr D"]
    test: Float32[np.ndarray, "Nte D"]
    unit: float
    constant: bool


class Predictions(NamedTuple):
    """What one machine says: a label of each query, and whether libsvm came to an end before `MAX_ITER`."""

    labels: Int64[np.ndarray, " Q"]
    converged: bool


def scaled(train: Float[np.ndarray, "Ntr D"], test: Float[np.ndarray, "Nte D"]) -> Scaled:
    """Centre and scale features in float64; the centre changes no machine, the scale only what C means."""
    wide = train.astype(np.float64)
    size = float(np.einsum("nd,nd->", wide, wide)) / len(wide)
    mean = wide.mean(axis=0)
    wide -= mean
    unit = float(np.einsum("nd,nd->", wide, wide)) / len(wide)
    if unit <= CONSTANT * size:
        return Scaled(np.zeros(train.shape, np.float32), np.zeros(test.shape, np.float32), 1.0, True)
    factor = 1 / np.sqrt(unit)
    return Scaled((wide * factor).astype(np.float32), ((test - mean) * factor).astype(np.float32), unit, False)


def by_products(queries: Float[np.ndarray, "Q N"]) -> Expand:
    """Of queries whose products with all shapes are known."""
    return lambda rows, coefficients: queries[:, rows].astype(np.float64) @ coefficients


def by_features(train: Float[np.ndarray, "N D"], queries: Float[np.ndarray, "Q D"]) -> Expand:
    """Of queries by their features: normals first, which takes far fewer operations than the products would."""
    wide = queries.astype(np.float64)
    return lambda rows, coefficients: wide @ (train[rows].astype(np.float64).T @ coefficients)


def svm_predictions(
    gram: Float[np.ndarray, "N N"],
    labels: Int64[np.ndarray, " N"],
    queries: Expand,
    cs: Sequence[float],
    rows: Int64[np.ndarray, " R"] | None = None,
) -> list[Predictions]:
    """Labels of queries by the machine of each C.

    Args:
        gram: products of all shapes with each other.
        labels: of all shapes; two categories or more among `rows`.
        queries: `by_products` or `by_features` of them.
        cs: penalties, on the scale of `gram`.
        rows: shapes to train with; None takes all.

    Returns:
        One entry for each C, what `SVC(kernel="precomputed", C=c)` predicts.
    """
    chosen = np.arange(len(labels)) if rows is None else rows
    order = chosen[np.argsort(labels[chosen], kind="stable")]
    inner = np.empty((len(order), len(order)))
    for start in range(0, len(order), BLOCK):
        inner[start : start + BLOCK] = gram[np.ix_(order[start : start + BLOCK], order)]
    known = labels[order]

    def predict(c: float) -> Predictions:
        model = SVC(kernel="precomputed", C=c, cache_size=500, max_iter=MAX_ITER).fit(inner, known)
        return Predictions(_vote(model, order, queries), model.fit_status_ == 0)

    # Threads, because libsvm releases the interpreter lock and all share one Gram matrix.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        found: list[Predictions] = Parallel(n_jobs=-1, prefer="threads")(delayed(predict)(c) for c in cs)
    return found


def _vote(model: SVC, order: Int64[np.ndarray, " N"], queries: Expand) -> Int64[np.ndarray, " Q"]:
    """`model.predict` of the queries: of equally many votes the first category wins, as in libsvm."""
    ends, count = np.cumsum(model.n_support_), len(model.classes_)
    sign = -1 if count == 2 else 1  # scikit-learn turns the sign of a lone pair
    support, coefficients = order[model.support_], sign * model.dual_coef_.T
    sums = [
        queries(support[start:end], coefficients[start:end])
        for start, end in zip(ends - model.n_support_, ends, strict=True)
    ]
    votes = np.zeros((len(sums[0]), count), dtype=np.int64)
    pairs = zip(*np.triu_indices(count, 1), strict=True)
    for (first, second), intercept in zip(pairs, sign * model.intercept_, strict=True):
        wins = sums[first][:, second - 1] + sums[second][:, first] + intercept > 0
        votes[:, first] += wins
        votes[:, second] += ~wins
    labels: np.ndarray = model.classes_[votes.argmax(axis=1)]
    return labels.astype(np.int64)
