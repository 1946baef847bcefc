"""Labelled clouds to train categories on: labelled train shapes, shapes to choose the epoch by, and the test split.

Axis letters: N shapes, P points.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from jaxtyping import Float32, Int64

from crosspoint3d.config import Protocol, UsageError
from crosspoint3d.data.clouds import LabelledClouds
from crosspoint3d.data.loaded import DRAWN_VAL, NO_VAL, OWN_VAL, drawn_val, normalise_all
from crosspoint3d.data.split import labelled_rows, split_hash

PAPER_VAL = "none: the paper protocol trains on all labelled train shapes and chooses on test"
VAL_STREAM = 5
"""Beside the seed: validation shapes are drawn apart from the labelled ones."""


@dataclass(frozen=True)
class ClassSplit:
    """Shapes of one split.

    Attributes:
        points: clouds centred on their mean with largest radius 1, y up.
        labels: indices into the categories.
        ids: a name for each shape.
    """

    points: Float32[np.ndarray, "N P 3"]
    labels: Int64[np.ndarray, " N"]
    ids: tuple[str, ...]

    def __len__(self) -> int:
        """N, shapes."""
        return len(self.ids)

    def take(self, rows: Sequence[int] | Int64[np.ndarray, " M"]) -> "ClassSplit":
        """Some of the shapes, in the order given."""
        rows = np.asarray(rows, dtype=np.int64)
        return ClassSplit(self.points[rows], self.labels[rows], tuple(self.ids[row] for row in rows))


@dataclass(frozen=True)
class ClassClouds:
    """A data set to train categories on; `val` may be empty, `train` and `test` hold every category they are scored on.

    Attributes:
        train: shapes to train on, all labelled.
        val: shapes to choose the epoch by, none of them in `train`.
        test: shapes to score.
        categories: names, in the order of the labels.
        record: of `LabelledClouds`, with `labelled` (share, shapes, hash) and `val` (where from, shapes, hash).
    """

    train: ClassSplit
    val: ClassSplit
    test: ClassSplit
    categories: tuple[str, ...]
    record: dict[str, Any] = field(default_factory=dict)


def deal_labels(clouds: LabelledClouds, *, seed: int, fraction: float, protocol: Protocol) -> ClassClouds:
    """Know the labels of a share of the train shapes, and hold some out to choose the epoch by.

    Clean: the data's own split `val` chooses, but for categories that train lacks. Data without one gives a fifth of
    each category's labelled shapes, as `drawn_val` draws them. Paper: all labelled shapes are trained on, and `val` is
    empty.

    Args:
        clouds: as `load_clouds` gave them.
        seed: draws the labelled shapes, and those held out of them.
        fraction: share of each category's train shapes, rounded, at least one.
        protocol: clean or paper.

    Raises:
        UsageError: the fraction is out of range, or a val cloud is not finite; names its place.
    """
    if not 0 < fraction <= 1:
        raise UsageError(f"--labels {fraction:g}: a share of the train shapes, above 0 and up to 1")
    whole = ClassSplit(clouds.train_points, clouds.train_labels, clouds.train_ids)
    train = whole.take(labelled_rows(whole.labels, [fraction], seed)[0]) if fraction < 1 else whole
    val, source = whole.take([]), PAPER_VAL
    record = dict(clouds.record)
    if protocol == "clean":
        val, source = _own_val(clouds), OWN_VAL
        if len(val):
            left_out = record["left_out"]
            record["left_out"] = left_out | {"val": left_out["val"] - len(val)}
        else:
            held = drawn_val(train.labels, np.random.default_rng([seed, VAL_STREAM]))
            train, val = train.take(np.flatnonzero(~held)), train.take(np.flatnonzero(held))
            source = DRAWN_VAL if len(val) else NO_VAL
    test = ClassSplit(clouds.test_points, clouds.test_labels, clouds.test_ids)
    record |= {
        "train_shapes": len(train),
        "val_shapes": len(val),
        "labelled": {
            "share": fraction,
            "drawn": "stratified, from the seed and the labels alone; one shape a category at least",
            "of": len(whole),
            "sha256": _hash(train, clouds),
        },
        "val": {"from": source, "shapes": len(val), "sha256": _hash(val, clouds)},
    }
    return ClassClouds(train, val, test, clouds.categories, record)


def _own_val(clouds: LabelledClouds) -> ClassSplit:
    """The data's val shapes of the categories that train has."""
    index = {name: number for number, name in enumerate(clouds.categories)}
    rows = [row for row, name in enumerate(clouds.val.categories) if name in index] if clouds.val else []
    if clouds.val is None or not rows:
        return ClassSplit(clouds.train_points[:0], clouds.train_labels[:0], ())
    labels = np.array([index[clouds.val.categories[row]] for row in rows], dtype=np.int64)
    places = [clouds.val.places[row] for row in rows]
    points = normalise_all(clouds.val.points[rows], places, str(clouds.record["name"]))
    return ClassSplit(points, labels, tuple(clouds.val.ids[row] for row in rows))


def _hash(split: ClassSplit, clouds: LabelledClouds) -> str:
    names = [clouds.categories[label] for label in split.labels]
    return split_hash(zip(split.ids, names, strict=True), ())
