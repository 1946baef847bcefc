"""`evaluate linear`: a linear SVM on frozen features, its C chosen on the training split alone.

Axis letters: N shapes (Ntr train, Nte test), D feature width, C categories.
"""

from typing import Any

import numpy as np
from jaxtyping import Float, Int64

from crosspoint3d.config import LinearConfig, Protocol
from crosspoint3d.evaluation.classes import ClassScores, finish_classes, guessing
from crosspoint3d.evaluation.machine import CLASSIFIER, PAPER_C, machine_answers, machine_notes
from crosspoint3d.evaluation.metrics import accuracies, confusion
from crosspoint3d.evaluation.result import Result
from crosspoint3d.evaluation.runs import over_seeds
from crosspoint3d.evaluation.seeds import SeedFeatures, SplitFeatures


def linear(config: LinearConfig) -> Result:
    """Score an encoder and its untrained twin by a linear SVM on frozen features.

    Clean: C is chosen by stratified cross-validation on the training split, separately for each encoder and
    seed; the test split is read once. Paper (arXiv 2203.00680 and its code): C = 0.01, and C = 0.1 beside it.

    Raises:
        UsageError: the data or the encoder cannot be used.
    """

    def score(item: SeedFeatures, features: SplitFeatures) -> ClassScores:
        labels = item.clouds.train_labels, item.clouds.test_labels
        return linear_scores(features.train, labels[0], features.test, labels[1], item.seed, config.protocol)

    runs = over_seeds(config, score, guessing, draws=config.protocol == "clean")
    return finish_classes(
        config,
        "linear",
        runs,
        classifier=CLASSIFIER,
        C={who: [fit.choice for fit in fits] for who, fits in runs.both.items()},
        notes=_notes(config.protocol, [fit.choice for fits in runs.both.values() for fit in fits]),
    )


def _notes(protocol: Protocol, choices: list[dict[str, Any]]) -> list[str]:
    notes = []
    if protocol == "paper":
        notes.append("C is fixed as in the published notebook (0.01) and training script (0.1): nothing is chosen here")
        notes.append("the encoder is the last checkpoint; the published procedure kept the one best on the test split")
    return notes + machine_notes(choices)


def linear_scores(
    train_features: Float[np.ndarray, "Ntr D"],
    train_labels: Int64[np.ndarray, " Ntr"],
    test_features: Float[np.ndarray, "Nte D"],
    test_labels: Int64[np.ndarray, " Nte"],
    seed: int,
    protocol: Protocol,
) -> ClassScores:
    """Fit and score the SVM of one seed (`machine_answers`).

    Args:
        train_features: any scale.
        train_labels: counted from 0.
        test_features: as wide as the train features.
        test_labels: read for the scores only.
        seed: decides the folds.
        protocol: clean or paper.
    """
    answers, choice = machine_answers(train_features, train_labels, test_features, seed, protocol)
    categories = int(max(train_labels.max(), test_labels.max())) + 1
    counts = [confusion(test_labels, labels, categories) for labels in answers]
    scores = accuracies(counts[0])
    if protocol == "paper":
        scores |= {f"{name}_C{PAPER_C[1]:g}": value for name, value in accuracies(counts[1]).items()}
    return ClassScores(scores, counts[0], answers[0] == test_labels, choice)
