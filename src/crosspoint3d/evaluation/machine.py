"""The linear SVM of every evaluation that trains one: its C by the protocol, and what a reader should know of it.

Axis letters: Ntr train shapes, Q queries, D feature width.
"""

from collections.abc import Iterable
from typing import Any

import numpy as np
from jaxtyping import Float, Int64

from crosspoint3d.config import Protocol
from crosspoint3d.evaluation.choose_c import CENTRE, choose_c
from crosspoint3d.evaluation.svm import MAX_ITER, by_features, scaled, svm_predictions

CLASSIFIER = "linear SVM, one against one, to the tolerance of libsvm, on features as they are (no scaler)"
PAPER_C = (0.01, 0.1)


def machine_answers(
    train: Float[np.ndarray, "Ntr D"],
    labels: Int64[np.ndarray, " Ntr"],
    queries: Float[np.ndarray, "Q D"],
    seed: int,
    protocol: Protocol,
) -> tuple[list[Int64[np.ndarray, " Q"]], dict[str, Any]]:
    """Train a machine and let it label queries.

    Everything happens on one Gram matrix of the centred features, divided by its mean diagonal: the
    predictions are those of `SVC(kernel="linear")` on the features themselves with C divided by the same
    number, and a factor on all features changes nothing in the clean protocol.

    Args:
        train: features, any scale.
        labels: of the train shapes, counted from 0.
        queries: features as wide as the train features.
        seed: of the folds.
        protocol: clean chooses C by cross-validation on the train shapes (where every category has one only, it is 10
            on the scaled features), paper takes both of `PAPER_C`.

    Returns:
        Labels of the queries, in paper one set for each of `PAPER_C`, and plain values: C (the first), how it was
        chosen, the features' mean squared length, whether they are constant, whether the SVM converged.
    """
    features = scaled(train, queries)
    gram = features.train @ features.train.T
    choice: dict[str, Any] = {"exponent": 0.0} if protocol == "clean" else {}
    if protocol == "clean" and np.bincount(labels).max() == 1:
        choice = {"exponent": CENTRE, "one_shape_a_category": True}
    elif protocol == "clean" and not features.constant:
        choice = choose_c(gram, labels, seed)
    relative = [c * features.unit for c in PAPER_C] if protocol == "paper" else [10.0 ** choice["exponent"]]
    found = svm_predictions(gram, labels, by_features(features.train, features.test), relative)
    choice |= {
        "converged": all(predictions.converged for predictions in found),
        "C": relative[0] / features.unit,
        "mean_squared_length": features.unit,
        "constant_features": features.constant,
    }
    return [predictions.labels for predictions in found], choice


def machine_notes(choices: Iterable[dict[str, Any]]) -> list[str]:
    """What a reader of the numbers should know about the machines of all seeds."""
    found = list(choices)
    notes = []
    if any(choice.get("one_shape_a_category") for choice in found):
        notes.append("one labelled shape a category leaves none to choose C with: 10 on the scaled features")
    if any(choice["constant_features"] for choice in found):
        notes.append("an encoder gives the same features for every shape (collapsed)")
    if not all(choice["converged"] for choice in found):
        notes.append(f"an SVM was stopped after {MAX_ITER:,} iterations of a binary problem")
    if any(choice.get("limit_reached") for choice in found):
        notes.append("the best C lies on the last value that the search allows")
    return notes
