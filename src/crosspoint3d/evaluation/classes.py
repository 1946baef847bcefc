"""What evaluations that give every test shape a category share: chance, accuracy by category, single shapes.

Axis letters: Nte test shapes, C categories.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Int64

from crosspoint3d.config import EvaluateConfig
from crosspoint3d.data.clouds import LabelledClouds
from crosspoint3d.evaluation.metrics import accuracy_chance, summaries
from crosspoint3d.evaluation.result import Result
from crosspoint3d.evaluation.runs import Runs, finish, paired
from crosspoint3d.evaluation.seeds import SeedFeatures


@dataclass(frozen=True)
class ClassScores:
    """One encoder's answers on one seed's data.

    Attributes:
        scores: overall_accuracy, mean_class_accuracy; in the paper protocol of `linear` also both with C = 0.1.
        counts: confusion matrix on the test split.
        correct: which test shapes are right.
        choice: plain values: what was chosen (C, the number of neighbours), and by what.
    """

    scores: dict[str, float]
    counts: Int64[np.ndarray, "C C"]
    correct: Bool[np.ndarray, " Nte"]
    choice: dict[str, Any]


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


def finish_classes(config: EvaluateConfig, evaluation: str, runs: Runs[ClassScores], **choices: Any) -> Result:
    """`runs.finish` with the summaries and the details of answers.

    Args:
        config: as it was run.
        evaluation: the verb.
        runs: what `over_seeds` gave.
        choices: notes, classifier, C, ... for `runs.finish`.
    """
    return finish(
        config,
        evaluation,
        runs,
        {who: summaries([found.scores for found in seeds]) for who, seeds in runs.both.items()},
        details=class_details(
            runs.clouds.categories, {who: [found.counts for found in seeds] for who, seeds in runs.both.items()}
        )
        | {"paired": {"overall_accuracy": paired_shapes(runs.clouds, [found.correct for found in runs.trained])}},
        **choices,
    )
