"""One linear SVM, trained once, that answers several sets of queries.

Axis letters: Ntr train shapes, Q queries of a set, D feature width.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Float, Int64

from crosspoint3d.config import Protocol
from crosspoint3d.evaluation.choose_c import choose_c
from crosspoint3d.evaluation.linear_probe import PAPER_C
from crosspoint3d.evaluation.svm import by_features, scaled, svm_predictions


def machine_answers(
    train: Float[np.ndarray, "Ntr D"],
    labels: Int64[np.ndarray, " Ntr"],
    queries: Sequence[Float[np.ndarray, "_ D"]],
    seed: int,
    protocol: Protocol,
) -> tuple[list[Int64[np.ndarray, " _"]], dict[str, Any]]:
    """Answers of one machine to several sets of queries.

    Args:
        train: features, any scale.
        labels: of the train shapes, counted from 0.
        queries: features of each set.
        seed: of the folds.
        protocol: clean chooses C by cross-validation, paper takes `PAPER_C[0]`.

    Returns:
        Labels of each set, and plain values: C, how it was chosen, and whether the SVM converged.
    """
    features = scaled(train, np.concatenate(queries))
    gram = features.train @ features.train.T
    choice: dict[str, Any] = {"exponent": 0.0} if protocol == "clean" else {}
    if protocol == "clean" and not features.constant:
        choice = choose_c(gram, labels, seed)
    c = PAPER_C[0] * features.unit if protocol == "paper" else 10.0 ** choice["exponent"]
    (found,) = svm_predictions(gram, labels, by_features(features.train, features.test), [c])
    answers = np.split(found.labels, np.cumsum([len(part) for part in queries])[:-1])
    choice |= {"C": c / features.unit, "mean_squared_length": features.unit}
    return answers, choice | {"constant_features": features.constant, "converged": found.converged}
