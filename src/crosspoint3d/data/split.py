"""Train and test parts of a set of shapes: drawing one, thinning one, and a hash that names it."""

import hashlib
from collections.abc import Iterable, Sequence

import numpy as np
from jaxtyping import Bool, Int64

TEST_SHARE = 0.2


def _by_category(categories: Sequence[str | None]) -> list[Int64[np.ndarray, " _"]]:
    groups: dict[str, list[int]] = {}
    for index, category in enumerate(categories):
        groups.setdefault(category or "", []).append(index)
    return [np.array(groups[name], dtype=np.int64) for name in sorted(groups)]


def draw_split(categories: Sequence[str | None], seed: int) -> Bool[np.ndarray, " N"]:
    """Which shapes a stratified 80/20 split holds out for testing.

    Each category gives a fifth of its shapes, rounded, at least one; a category of one shape stays in
    training. Shapes without a category count as one more category.

    Args:
        categories: the category of each shape.
        seed: decides the split, together with the order of the shapes.
    """
    generator = np.random.default_rng(seed)
    test = np.zeros(len(categories), dtype=bool)
    for members in _by_category(categories):
        held_out = max(1, round(TEST_SHARE * len(members))) if len(members) > 1 else 0
        test[generator.permutation(members)[:held_out]] = True
    return test


def stratified_share(
    categories: Sequence[str | None], share: float, *, least: int, seed: int = 0
) -> Int64[np.ndarray, " M"]:
    """Indices, ascending, of a share of the shapes, taken within each category.

    Args:
        categories: the category of each shape.
        share: fraction to keep, above 0 and up to 1.
        least: shapes a category keeps at least (or all, if it has fewer).
        seed: decides which.
    """
    generator = np.random.default_rng(seed)
    kept = [
        generator.permutation(members)[: max(least, round(share * len(members)))]
        for members in _by_category(categories)
    ]
    return np.sort(np.concatenate(kept)) if kept else np.empty(0, dtype=np.int64)


def labelled_rows(
    labels: Int64[np.ndarray, " Ntr"], fractions: Sequence[float], seed: int
) -> list[Int64[np.ndarray, " _"]]:
    """Rows whose labels are known, ascending, for each fraction: of two fractions the larger has all of the smaller's.

    Args:
        labels: of the train shapes.
        fractions: shares of each category's shapes, rounded, at least one shape.
        seed: decides which.
    """
    generator = np.random.default_rng(seed)
    orders = [generator.permutation(np.flatnonzero(labels == category)) for category in np.unique(labels)]
    return [
        np.sort(np.concatenate([order[: max(1, round(fraction * len(order)))] for order in orders]))
        for fraction in fractions
    ]


def split_hash(train: Iterable[tuple[str, str | None]], test: Iterable[tuple[str, str | None]]) -> str:
    """SHA-256 over the sorted (part, id, category) of every shape: equal exactly when two splits are."""
    lines = [
        f"{part}\t{name}\t{category or ''}"
        for part, rows in (("train", train), ("test", test))
        for name, category in rows
    ]
    return hashlib.sha256("\n".join(sorted(lines)).encode()).hexdigest()
