"""Linear support vector machines on one Gram matrix that all values of C and all folds share.

The machines are those of `SVC(kernel="linear")`: one against one, to libsvm's tolerance, in its float32 products. What
makes them fast: the products of all features are computed once; every pair of categories is a task of its own for some
thread (`smo`), which reads the rows it needs of the whole matrix; and decisions are sums over normals, one a pair.

Axis letters: N shapes (Ntr train, Nte test), Q queries, D feature width, R rows to train with, K numbers a shape.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Float32, Int64

from crosspoint3d.config import UsageError
from crosspoint3d.evaluation.smo import solve
from crosspoint3d.ops.threads import in_parallel

MAX_ITER = 200_000
"""Iterations of one binary problem: libsvm has no end of its own when C is huge and the classes overlap."""
BLOCK = 64
"""Rows of features that are widened at a time."""
CONSTANT = 1e-13
"""Features are constant where their spread is so small a part of their squared length."""


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


@dataclass(frozen=True)
class Queries:
    """Shapes to label: products with all shapes are `train.T`, or `features @ train.T` where features are given."""

    train: Float[np.ndarray, "N K"]
    features: Float[np.ndarray, "Q K"] | None = None


class Predictions(NamedTuple):
    """What one machine says: a label of each query, and whether every pair came to an end before `MAX_ITER`."""

    labels: Int64[np.ndarray, " Q"]
    converged: bool


def scaled(train: Float[np.ndarray, "Ntr D"], test: Float[np.ndarray, "Nte D"]) -> Scaled:
    """Centre and scale features in float64; the centre changes no machine, the scale only what C means."""
    blocks = range(0, len(train), BLOCK)
    total, size = np.zeros(train.shape[1]), 0.0
    for start in blocks:
        wide = train[start : start + BLOCK].astype(np.float64)
        total += wide.sum(axis=0)
        size += float(np.vdot(wide, wide))
    mean = total / len(train)
    spread = 0.0
    for start in blocks:
        wide = train[start : start + BLOCK] - mean
        spread += float(np.vdot(wide, wide))
    unit = spread / len(train)
    if unit <= CONSTANT * size / len(train):
        return Scaled(np.zeros(train.shape, np.float32), np.zeros(test.shape, np.float32), 1.0, True)
    factor = 1 / np.sqrt(unit)
    both = np.empty(train.shape, np.float32), np.empty(test.shape, np.float32)
    for rows, result in zip((train, test), both, strict=True):
        for start in range(0, len(rows), BLOCK):
            result[start : start + BLOCK] = (rows[start : start + BLOCK] - mean) * factor
    return Scaled(*both, unit, False)


def by_products(queries: Float[np.ndarray, "Q N"]) -> Queries:
    """Of queries whose products with all shapes are known."""
    return Queries(queries.T)


def by_features(train: Float[np.ndarray, "N D"], queries: Float[np.ndarray, "Q D"]) -> Queries:
    """Of queries by their features: normals first, which takes far fewer operations than the products would."""
    return Queries(train, queries)


def svm_predictions(
    gram: Float[np.ndarray, "N N"],
    labels: Int64[np.ndarray, " N"],
    queries: Queries,
    cs: Sequence[float],
    rows: Int64[np.ndarray, " R"] | None = None,
) -> list[Predictions]:
    """Labels of queries by the machine of each C.

    Args:
        gram: products of all shapes with each other.
        labels: of all shapes.
        queries: `by_products` or `by_features` of them.
        cs: penalties, on the scale of `gram`.
        rows: shapes to train with; None takes all.

    Returns:
        One entry for each C, what `SVC(kernel="precomputed", C=c)` predicts.

    Raises:
        UsageError: the shapes to train with are of one category.
    """
    chosen = np.arange(len(labels)) if rows is None else rows
    names = np.unique(labels[chosen])
    if len(names) < 2:
        raise UsageError("the training shapes are of one category: a linear SVM needs two or more to tell apart")
    members = [chosen[labels[chosen] == name] for name in names]
    pairs, costs = list(combinations(range(len(names)), 2)), np.array(cs, dtype=np.float64)
    gram = np.ascontiguousarray(gram)
    # Of each category: a column for every pair it is in and every C.
    coefficients = [np.zeros((len(member), len(cs), len(names) - 1)) for member in members]
    intercepts, converged = np.empty((len(cs), len(pairs))), np.empty((len(cs), len(pairs)), dtype=bool)
    waiting = iter(sorted(range(len(pairs)), key=lambda pair: -sum(len(members[side]) for side in pairs[pair])))

    def work(start: int, stop: int) -> None:
        for pair in waiting:
            first, second = pairs[pair]
            split, both = len(members[first]), np.concatenate([members[first], members[second]])
            found, intercepts[:, pair], converged[:, pair], _ = solve(gram, both, split, costs, MAX_ITER)
            coefficients[first][:, :, second - 1] = found[:, :split].T
            coefficients[second][:, :, first] = found[:, split:].T

    in_parallel(work, torch.get_num_threads())
    sums = _normals(members, coefficients, queries, pairs)
    return [
        Predictions(names[_vote(trial, intercept, queries, pairs)], bool(end.all()))
        for trial, intercept, end in zip(sums, intercepts, converged, strict=True)
    ]


def _normals(
    members: list[np.ndarray], coefficients: list[np.ndarray], queries: Queries, pairs: list[tuple[int, int]]
) -> np.ndarray:
    """(M, P, K): of each C and pair the sum of what the train shapes are, each by its coefficient."""
    of_pair = np.array(pairs)
    result = np.zeros((coefficients[0].shape[1], len(pairs), queries.train.shape[1]))
    for category, (member, own) in enumerate(zip(members, coefficients, strict=True)):
        support = own.any(axis=(1, 2))
        columns = own[support].reshape(support.sum(), own.shape[1] * own.shape[2])
        part = columns.T @ queries.train[member[support]].astype(np.float64)
        result[:, (of_pair == category).any(axis=1)] += part.reshape(*own.shape[1:], part.shape[1])
    return result


def _vote(normals: np.ndarray, intercepts: np.ndarray, queries: Queries, pairs: list[tuple[int, int]]) -> np.ndarray:
    """Position of the category of each query: of equally many votes the first wins, as in libsvm."""
    decisions = normals if queries.features is None else normals @ queries.features.T.astype(np.float64)
    votes = np.zeros((pairs[-1][1] + 1, decisions.shape[1]), dtype=np.int64)
    for (first, second), wins in zip(pairs, decisions + intercepts[:, None] > 0, strict=True):
        votes[first] += wins
        votes[second] += ~wins
    winner: np.ndarray = votes.argmax(axis=0)
    return winner
