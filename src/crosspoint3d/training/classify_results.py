"""What a fine-tuned classifier's result keeps beyond its scores: categories, calibration, single shapes to look at.

Axis letters: N test shapes, C categories.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool, Float32, Int64

from crosspoint3d.data.class_clouds import ClassSplit
from crosspoint3d.evaluation.calibration import Calibration, calibration
from crosspoint3d.evaluation.classes import class_details
from crosspoint3d.evaluation.metrics import confusion
from crosspoint3d.evaluation.runs import paired
from crosspoint3d.runtime import atomic

WRONG, RIGHT = 12, 6
"""Shapes of each kind in the file of examples."""


@dataclass(frozen=True)
class ClassAnswers:
    """What one seed's network says about its test shapes.

    Attributes:
        test: the shapes with the points that were seen.
        probabilities: of each category, at the network's temperature.
        uncalibrated: the same at temperature 1.
    """

    test: ClassSplit
    probabilities: Float32[np.ndarray, "N C"]
    uncalibrated: Float32[np.ndarray, "N C"]

    @property
    def predicted(self) -> Int64[np.ndarray, " N"]:
        """The most probable category of each shape, of equal ones the first."""
        answers: np.ndarray = self.probabilities.argmax(axis=1)
        return answers

    @property
    def correct(self) -> Bool[np.ndarray, " N"]:
        """Which answers are right."""
        right: np.ndarray = self.predicted == self.test.labels
        return right

    def calibration(self) -> Calibration:
        """Confidence against truth at the network's temperature."""
        return calibration(self.probabilities, self.test.labels)


def classify_details(runs: Sequence[ClassAnswers], categories: Sequence[str], *, same: bool) -> dict[str, Any]:
    """`Result.details` of fine-tuned classification, plain values.

    Args:
        runs: the answers of each seed; one at least.
        categories: names, in the order of the labels.
        same: whether every seed has the same test shapes.

    Returns:
        What `class_details` gives; `paired`: which test shapes are right; `calibration`: the answers of all seeds taken
        together, `before` (temperature 1) and `after`, each as `Calibration.to_dict` has it.
    """
    counts = [confusion(run.test.labels, run.predicted, len(categories)) for run in runs]
    labels = np.concatenate([run.test.labels for run in runs])
    both = {"before": [run.uncalibrated for run in runs], "after": [run.probabilities for run in runs]}
    return class_details(categories, {"trained": counts}) | {
        "paired": {"overall_accuracy": paired("test shape", [run.correct for run in runs], same=same)},
        "calibration": {when: calibration(np.concatenate(rows), labels).to_dict() for when, rows in both.items()},
    }


def save_examples(path: Path, run: ClassAnswers, categories: Sequence[str]) -> None:
    """Write the 12 wrong answers of highest confidence, and 6 right ones of different categories, as an NPZ file.

    Arrays (M shapes, wrong ones first, each kind by falling confidence; fewer where there are fewer): points (M, P, 3)
    float16, truth and predicted (M,) int16, probability (M,) float32 of what was predicted, ids and kinds (`wrong`,
    `right`) (M,), category_names (C,).

    Args:
        path: of the file; written whole or not at all.
        run: the answers of one seed.
        categories: names, in the order of the labels.
    """
    confidence = run.probabilities.max(axis=1)
    order = np.argsort(-confidence, kind="stable")
    wrong = [int(row) for row in order if not run.correct[row]][:WRONG]
    right: dict[int, int] = {}
    for row in order:
        if run.correct[row]:
            right.setdefault(int(run.test.labels[row]), int(row))
    rows = [*wrong, *list(right.values())[:RIGHT]]
    shown = run.test.take(rows)
    with atomic(path) as temporary, temporary.open("wb") as file:
        np.savez_compressed(
            file,
            points=shown.points.astype(np.float16),
            truth=shown.labels.astype(np.int16),
            predicted=run.predicted[rows].astype(np.int16),
            probability=confidence[rows],
            ids=np.array(shown.ids, dtype=np.str_),
            kinds=np.array(["wrong"] * len(wrong) + ["right"] * (len(rows) - len(wrong)), dtype=np.str_),
            category_names=np.array(categories, dtype=np.str_),
        )
