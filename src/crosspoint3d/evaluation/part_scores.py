"""Scores of part segmentation from labels alone: mean IoU by shape and by category, accuracies, IoU by part.

Axis letters: N shapes, P points, C categories, Q parts of all categories.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Float64, Int64, Integer

from crosspoint3d.parts_table import PartsTable

BLOCK = 1 << 20
"""Points that are counted at once: what bounds the memory."""


@dataclass(frozen=True)
class PartCounts:
    """How many points of each shape have each part: all that the scores need.

    Attributes:
        both: points whose truth and prediction are the part.
        truth: points whose truth it is.
        predicted: points whose prediction it is.
        categories: of the shapes.
        table: the parts.
    """

    both: Int64[np.ndarray, "N Q"]
    truth: Int64[np.ndarray, "N Q"]
    predicted: Int64[np.ndarray, "N Q"]
    categories: Int64[np.ndarray, " N"]
    table: PartsTable

    def shape_ious(self) -> Float64[np.ndarray, " N"]:
        """IoU of each shape: the mean over the parts of its category.

        A part that is neither there nor predicted counts 1, as in PointNet (arXiv 1612.00593) and every table since.
        """
        union = self.truth + self.predicted - self.both
        iou = np.divide(self.both, union, out=np.ones(union.shape), where=union > 0)
        allowed = self.table.allowed()[self.categories]
        means: np.ndarray = np.where(allowed, iou, 0.0).sum(axis=1) / allowed.sum(axis=1)
        return means

    def scores(self) -> dict[str, float]:
        """The four scores of `part_scores`."""
        ious = self.shape_ious()
        means = [ious[self.categories == category].mean() for category in np.unique(self.categories)]
        both, truth = self.both.sum(axis=0), self.truth.sum(axis=0)
        there = truth > 0
        return {
            "instance_miou": float(ious.mean()),
            "class_miou": float(np.mean(means)),
            "part_accuracy": float(both.sum() / truth.sum()),
            "mean_part_accuracy": float((both[there] / truth[there]).mean()),
        }

    def by_category(self) -> list[dict[str, Any]]:
        """The rows of `category_table`."""
        ious, rows = self.shape_ious(), []
        for category, name in enumerate(self.table.categories):
            mine = self.categories == category
            points = int(self.truth[mine].sum())
            rows.append(
                {
                    "name": name,
                    "shapes": int(mine.sum()),
                    "iou": float(ious[mine].mean()) if points else None,
                    "point_accuracy": float(self.both[mine].sum() / points) if points else None,
                }
            )
        return rows

    def by_part(self) -> list[dict[str, Any]]:
        """One row a part: name, category, iou over all points; None where no point has it or is given it."""
        both, owner = self.both.sum(axis=0), self.table.category_of()
        union = self.truth.sum(axis=0) + self.predicted.sum(axis=0) - both
        return [
            {
                "name": name,
                "category": self.table.categories[owner[part]],
                "iou": float(both[part] / union[part]) if union[part] else None,
            }
            for part, name in enumerate(self.table.names)
        ]


def part_counts(
    predicted: Integer[np.ndarray, "N P"],
    truth: Integer[np.ndarray, "N P"],
    categories: Int64[np.ndarray, " N"],
    table: PartsTable,
) -> PartCounts:
    """Count the points of each part in each shape.

    Args:
        predicted: global part id of every point; parts of other categories are wrong everywhere.
        truth: global part id of every point, a part of the shape's category.
        categories: indices into the table's categories.
        table: the parts.

    Raises:
        ValueError: there is no point, a category or a prediction is not in the table, or a shape's truth is not a part
            of its category; names the shape's row.
    """
    if truth.size == 0:
        raise ValueError(f"part_counts: truth of shape {truth.shape} has no points; it needs one shape at least")
    if not 0 <= categories.min() <= categories.max() < len(table.categories):
        row = int(np.flatnonzero((categories < 0) | (categories >= len(table.categories)))[0])
        raise ValueError(
            f"part_counts: categories[{row}] is {categories[row]}; the table has 0 to {len(table.categories) - 1}"
        )
    for name, labels in (("truth", truth), ("predicted", predicted)):
        if not 0 <= labels.min() <= labels.max() < len(table):
            row, column = np.argwhere((labels < 0) | (labels >= len(table)))[0]
            raise ValueError(
                f"part_counts: {name}[{row}, {column}] is {labels[row, column]}; the table has parts 0 to "
                f"{len(table) - 1}"
            )
    found = _count(truth, len(table))
    strange = np.argwhere((found > 0) & ~table.allowed()[categories])
    if len(strange):
        row, part = strange[0]
        raise ValueError(
            f"part_counts: shape {row} has points of part {part} ({table.names[part]}), which its category "
            f"{table.categories[categories[row]]} does not have"
        )
    return PartCounts(
        both=_count(truth, len(table), predicted == truth),
        truth=found,
        predicted=_count(predicted, len(table)),
        categories=categories,
        table=table,
    )


def _count(
    labels: Integer[np.ndarray, "N P"], count: int, where: Bool[np.ndarray, "N P"] | None = None
) -> Int64[np.ndarray, "N _"]:
    """How often each label from 0 to `count` less one stands in each row, at the places that `where` marks."""
    rows = max(1, BLOCK // labels.shape[1])
    counts = np.empty((len(labels), count), dtype=np.int64)
    for start in range(0, len(labels), rows):
        block = labels[start : start + rows]
        places = block + count * np.arange(len(block))[:, None]
        marked = places.ravel() if where is None else places[where[start : start + rows]]
        counts[start : start + rows] = np.bincount(marked, minlength=count * len(block)).reshape(-1, count)
    return counts


def shape_ious(
    predicted: Integer[np.ndarray, "N P"],
    truth: Integer[np.ndarray, "N P"],
    categories: Int64[np.ndarray, " N"],
    table: PartsTable,
) -> Float64[np.ndarray, " N"]:
    """IoU of each shape: the mean over its category's parts, one that is absent and not predicted counts 1.

    Arguments and errors are those of `part_counts`.
    """
    return part_counts(predicted, truth, categories, table).shape_ious()


def part_scores(
    predicted: Integer[np.ndarray, "N P"],
    truth: Integer[np.ndarray, "N P"],
    categories: Int64[np.ndarray, " N"],
    table: PartsTable,
) -> dict[str, float]:
    """The scores of part segmentation, 0 to 1; arguments and errors are those of `part_counts`.

    Returns:
        instance_miou: mean IoU of the shapes.
        class_miou: mean over the categories with shapes of their shapes' mean IoU.
        part_accuracy: share of the points that are right.
        mean_part_accuracy: mean over the parts that occur of the share of their points that are right.
    """
    return part_counts(predicted, truth, categories, table).scores()


def category_table(
    predicted: Integer[np.ndarray, "N P"],
    truth: Integer[np.ndarray, "N P"],
    categories: Int64[np.ndarray, " N"],
    table: PartsTable,
) -> list[dict[str, Any]]:
    """One row a category: name, shapes, iou (mean of its shapes), point_accuracy; None where it has no shapes.

    Arguments and errors are those of `part_counts`.
    """
    return part_counts(predicted, truth, categories, table).by_category()
