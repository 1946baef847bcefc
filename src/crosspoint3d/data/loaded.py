"""What all loaded clouds have in common: words of their records, validation shapes where there are none, checks.

Axis letters: N shapes, P points.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Bool, Float32

from crosspoint3d import geometry
from crosspoint3d.config import UsageError
from crosspoint3d.data.shapes import CATEGORIES

ORIENTATION = "as stored, y up, not rotated"
NORMALISATION = "centred on the mean, largest radius 1, before any subset of the points is drawn"
DRAWN = "no row has a split: stratified 80/20, drawn from the seed"
SEEN = "the split was drawn here: pre-training may have seen the test shapes, without their labels"
OWN_VAL = "the data's own val split"
DRAWN_VAL = "a fifth of each category's shapes, drawn from the seed, not trained on"
NO_VAL = "none: no category has three shapes to draw from"


def table_places(rows: Sequence[int], ids: Sequence[str]) -> list[str]:
    """Where shapes of a table are, for errors."""
    return [f"row {row} ({name})" for row, name in zip(rows, ids, strict=True)]


def drawn_val(categories: Sequence[Any] | np.ndarray, generator: np.random.Generator) -> Bool[np.ndarray, " N"]:
    """Which shapes to hold out for validation where the data has no split for it.

    A fifth of each category, rounded, at least one; none of a category of fewer than three, so that two are trained on.
    """
    categories = np.asarray(categories)
    held = np.zeros(len(categories), dtype=bool)
    for category in np.unique(categories):
        rows = generator.permutation(np.flatnonzero(categories == category))
        if len(rows) > 2:
            held[rows[: max(1, round(len(rows) / 5))]] = True
    return held


def require_splits(
    spec: str, splits: Mapping[str, tuple[Sequence[str], Sequence[str]]], *, drawn: bool, shape: str
) -> None:
    """Refuse data to train and score on whose splits do not go together.

    Args:
        spec: `--data`, to be named in errors.
        splits: the categories of each split's shapes, and their places.
        drawn: whether the splits were drawn, as `draw_split` does.
        shape: what belongs to a split, in words.

    Raises:
        UsageError: train or test is empty, or train lacks a category of another split; says what there is, or names the
            place of the first such shape.
    """
    train = set(splits["train"][0])
    for name, (categories, places) in splits.items():
        if not categories and name != "val":
            there = ", ".join(f"{len(own)} {part}" for part, (own, _) in splits.items())
            needed = "both are needed, to train and to score"
            if drawn:
                needed = "it is drawn, one shape at least of each category that has two"
            if spec.startswith("procedural:"):
                needed += f": procedural:{2 * len(CATEGORIES)} has two of each"
            raise UsageError(f"--data {spec}: no {shape} is in the {name} split (there is: {there}); {needed}")
        unseen = sorted(set(categories) - train)
        if unseen:
            place = places[categories.index(unseen[0])]
            raise UsageError(
                f"--data {spec}: {place}: categories of the {name} split that train does not have: {', '.join(unseen)}"
            )


def normalise_all(
    points: Float32[np.ndarray, "N P 3"], places: Sequence[str], spec: str
) -> Float32[np.ndarray, "N P 3"]:
    """Each cloud centred on its mean with largest radius 1.

    Raises:
        UsageError: a cloud is not finite or has no extent; names its place.
    """
    result = np.empty(points.shape, dtype=np.float32)
    for row, cloud in enumerate(points):
        try:
            result[row] = geometry.normalise(cloud)[0]
        except ValueError as error:
            raise UsageError(f"--data {spec}: {places[row]}: {error}") from error
    return result
