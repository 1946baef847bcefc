"""What evaluations that give every test shape a category share: chance, accuracy by category, single shapes.

Axis letters: Nte test shapes, C categories.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Bool, Int64

from crosspoint3d.data.clouds import LabelledClouds
from crosspoint3d.evaluation.metrics import accuracy_chance
from crosspoint3d.evaluation.runs import paired
from crosspoint3d.evaluation.seeds import SeedFeatures


def guessing(item: SeedFeatures) -> dict[str, float]:
    """What always answering the most frequent train category scores on a seed's data."""
    return accuracy_chance(item.clouds.train_labels, item.clouds.test_labels)


def class_details(categories: Sequence[str], counts: dict[str, list[Int64[np.ndarray, "C C"]]]) -> dict[str, Any]:
    """Accuracy of each category and the confusion matrix, both over all seeds taken together.

    Args:
        categories: names, in the order of the labels.
        counts: confusion matrices of each seed by `trained` and `untrained`.

    Returns:
        Plain values for `Result.details`; a category without test shapes has the accuracy None.
    """
    details: dict[str, Any] = {"categories": list(categories)}
    for who, matrices in counts.items():
        total = np.sum(matrices, axis=0)
        shapes = total.sum(axis=1)
        accuracy = [float(total[c, c] / shapes[c]) if shapes[c] else None for c in range(len(total))]
        details[who] = {"per_class_accuracy": accuracy, "confusion_over_seeds": total.tolist()}
    return details


def paired_shapes(clouds: LabelledClouds, correct: Sequence[Bool[np.ndarray, " Nte"]]) -> dict[str, Any]:
    """Which test shapes are right, for each seed, as `runs.paired` has it."""
    return paired("test shape", correct, same=not clouds.record["split_drawn"])
