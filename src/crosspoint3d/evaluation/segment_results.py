"""What a result of part segmentation keeps: scores by category, by part and by shape, and shapes to look at.

Axis letters: N shapes, P points.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float64, Integer

from crosspoint3d.data.part_labels import PartSplit
from crosspoint3d.evaluation.metrics import summaries, summary
from crosspoint3d.evaluation.part_scores import PartCounts, part_counts
from crosspoint3d.evaluation.runs import paired
from crosspoint3d.parts_table import PartsTable
from crosspoint3d.runtime import atomic

EXAMPLES = 6
"""Shapes of each kind in the file of examples."""


@dataclass(frozen=True)
class PartAnswers:
    """The parts that one network named on the shapes of one split.

    Attributes:
        split: the shapes with the points that were labelled, and their true parts.
        predicted: global part id of every point.
    """

    split: PartSplit
    predicted: Integer[np.ndarray, "N P"]

    def counts(self, table: PartsTable) -> PartCounts:
        """Points of each part in each shape."""
        return part_counts(self.predicted, self.split.parts, self.split.categories, table)


def segment_scores(runs: Sequence[PartAnswers], table: PartsTable) -> dict[str, dict[str, Any]]:
    """Summaries over the seeds of the scores of `part_scores`, for `Result.scores`."""
    return summaries([run.counts(table).scores() for run in runs])


def most_frequent_parts(train: PartSplit, split: PartSplit, table: PartsTable) -> dict[str, float]:
    """What always answering the part that most points of the category's train shapes have scores: chance.

    Args:
        train: shapes whose labels are known; a category without any is answered by its first part.
        split: shapes to score.
        table: the parts.
    """
    answer = np.array([own[0] if own else 0 for own in table.parts], dtype=np.int16)
    for category in np.unique(train.categories):
        answer[category] = np.bincount(train.parts[train.categories == category].ravel()).argmax()
    predicted = np.repeat(answer[split.categories][:, None], split.parts.shape[1], axis=1)
    return PartAnswers(split, predicted).counts(table).scores()


def segment_details(runs: Sequence[PartAnswers], table: PartsTable) -> dict[str, Any]:
    """`Result.details` of part segmentation, plain values; a category or part that never occurs has None.

    Args:
        runs: the answers of each seed; one at least. A shape that several seeds test counts by its mean.
        table: the parts.

    Returns:
        categories: names.
        per_category: name, shapes (mean over the seeds), iou (mean of its shapes, then over the seeds), ci95 (over the
            seeds), point_accuracy.
        per_part: name, category, iou over all points.
        paired: IoU of single shapes, to compare networks shape by shape.
        shapes: id, category, iou of every test shape, mean over the seeds that test it.
    """
    counts = [run.counts(table) for run in runs]
    ious = [count.shape_ious() for count in counts]
    same = all(run.split.ids == runs[0].split.ids for run in runs)
    return {
        "categories": list(table.categories),
        "per_category": [_mean_row(rows) for rows in zip(*(count.by_category() for count in counts), strict=True)],
        "per_part": [_mean_row(rows) for rows in zip(*(count.by_part() for count in counts), strict=True)],
        "paired": {"instance_miou": paired("test shape", ious, same=same)},
        "shapes": _shapes(runs, ious, table),
    }


def _mean_row(rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """One row of the same category or part over the seeds; ci95 for a category's IoU."""
    mean = dict(rows[0])
    for name in ("shapes", "iou", "point_accuracy"):
        if name in mean:
            values = [float(row[name]) for row in rows if row[name] is not None]
            spread = summary(values) if values else {"mean": None, "ci95": None}
            mean[name] = spread["mean"]
            if name == "iou" and "shapes" in mean:
                mean["ci95"] = spread["ci95"]
    return mean


def _shapes(
    runs: Sequence[PartAnswers], ious: Sequence[Float64[np.ndarray, " N"]], table: PartsTable
) -> list[dict[str, Any]]:
    found: dict[str, tuple[int, list[float]]] = {}
    for run, values in zip(runs, ious, strict=True):
        for name, category, value in zip(run.split.ids, run.split.categories.tolist(), values.tolist(), strict=True):
            found.setdefault(name, (category, []))[1].append(value)
    return [
        {"id": name, "category": table.categories[category], "iou": round(float(np.mean(values)), 6)}
        for name, (category, values) in found.items()
    ]


def save_examples(path: Path, run: PartAnswers, table: PartsTable) -> None:
    """Write the 6 worst, 6 median and 6 best shapes by IoU as an NPZ file, whole or not at all.

    Arrays (M shapes, worst first; fewer than 18 where there are fewer, none twice): points (M, P, 3) float16, truth and
    predicted (M, P) int16, ids, categories (names), kinds (`worst`, `median`, `best`), iou (M,) float32, and of all
    parts part_names and part_categories (Q,).

    Args:
        path: of the file.
        run: the answers of one seed.
        table: the parts.
    """
    ious = run.counts(table).shape_ious()
    rows, kinds = _examples(ious)
    split = run.split
    with atomic(path) as temporary, temporary.open("wb") as file:
        np.savez_compressed(
            file,
            points=split.points[rows].astype(np.float16),
            truth=split.parts[rows].astype(np.int16),
            predicted=run.predicted[rows].astype(np.int16),
            ids=np.array([split.ids[row] for row in rows], dtype=np.str_),
            categories=np.array([table.categories[split.categories[row]] for row in rows], dtype=np.str_),
            kinds=np.array(kinds, dtype=np.str_),
            iou=ious[rows].astype(np.float32),
            part_names=np.array(table.names, dtype=np.str_),
            part_categories=np.array([table.categories[c] for c in table.category_of()], dtype=np.str_),
        )


def _examples(ious: Float64[np.ndarray, " N"]) -> tuple[list[int], list[str]]:
    """Rows of the examples, worst first, and their kinds."""
    order = np.argsort(ious, kind="stable").tolist()
    most = min(EXAMPLES, -(-len(order) // 3))
    worst, rest = order[:most], order[most:]
    best = rest[max(0, len(rest) - most) :]
    middle = rest[: len(rest) - len(best)]
    start = max(0, (len(middle) - most) // 2)
    median = middle[start : start + most]
    return [*worst, *median, *best], ["worst"] * len(worst) + ["median"] * len(median) + ["best"] * len(best)
