"""`evaluate linear`: a linear SVM on frozen features, its C chosen on the training split alone.

Axis letters: N shapes (Ntr train, Nte test), D feature width, C categories.
"""

import time
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float, Int64

from crosspoint3d.config import LinearConfig, Protocol
from crosspoint3d.evaluation.choose_c import choose_c
from crosspoint3d.evaluation.metrics import accuracies, accuracy_chance, confusion, summaries
from crosspoint3d.evaluation.protocol import NOTHING_RANDOM, Result, protocol_record, write_result
from crosspoint3d.evaluation.seeds import SeedFeatures, SplitFeatures, seed_features
from crosspoint3d.evaluation.svm import MAX_ITER, by_features, scaled, svm_predictions

PAPER_C = (0.01, 0.1)


@dataclass(frozen=True)
class LinearScores:
    """One fit: scores, the confusion matrix of the main C, and how C was found.

    Attributes:
        scores: overall_accuracy, mean_class_accuracy; in the paper protocol also both with C = 0.1.
        counts: confusion matrix on the test split.
        choice: plain values: C, its exponent, the cross-validated accuracy of every C tried, folds, whether
            the grid was extended or its limit reached, whether the features are constant.
    """

    scores: dict[str, float]
    counts: Int64[np.ndarray, "C C"]
    choice: dict[str, Any]


def linear(config: LinearConfig) -> Result:
    """Score an encoder and its untrained twin by a linear SVM on frozen features.

    Clean: C is chosen by stratified cross-validation on the training split, separately for each encoder and
    seed; the test split is read once. Paper (arXiv 2203.00680 and its code): C = 0.01, and C = 0.1 beside it.

    Raises:
        UsageError: the data or the encoder cannot be used.
    """
    started = time.monotonic()
    runs: dict[str, list[LinearScores]] = {"trained": [], "untrained": []}
    chances, encoded = [], []
    last: SeedFeatures | None = None
    fixed = False
    for item in seed_features(config):
        clouds = item.clouds
        # The paper's protocol draws no folds: the same features give the same scores.
        same = config.protocol == "paper" and last is not None and item.trained is last.trained
        trained = runs["trained"][-1] if same else _score(config, item, item.trained)
        runs["trained"].append(trained)
        if item.untrained is not None:
            twin = trained if item.untrained is item.trained else _score(config, item, item.untrained)
            runs["untrained"].append(twin)
        encoded.append(item.record())
        chances.append(accuracy_chance(clouds.train_labels, clouds.test_labels))
        last, fixed = item, same
    assert last is not None
    result = Result(
        evaluation="linear",
        scores=summaries([run.scores for run in runs["trained"]]),
        untrained=summaries([run.scores for run in runs["untrained"]]),
        chance={name: float(np.mean([chance[name] for chance in chances])) for name in chances[0]},
        protocol=protocol_record(
            config,
            data=last.clouds.record,
            encoders=encoded,
            seconds=time.monotonic() - started,
            classifier="linear SVM, one against one (libsvm), on features as they are (no scaler)",
            C={who: [run.choice for run in fits] for who, fits in runs.items()},
            notes=_notes(config.protocol, [run.choice for fits in runs.values() for run in fits], fixed),
        ),
        details={"categories": list(last.clouds.categories)}
        | {who: _details([run.counts for run in fits]) for who, fits in runs.items() if fits},
    )
    write_result(config, "linear", result)
    return result


def _score(config: LinearConfig, item: SeedFeatures, features: SplitFeatures) -> LinearScores:
    labels = item.clouds.train_labels, item.clouds.test_labels
    return linear_scores(features.train, labels[0], features.test, labels[1], item.seed, config.protocol)


def _notes(protocol: Protocol, choices: list[dict[str, Any]], fixed: bool) -> list[str]:
    notes = []
    if fixed:
        notes.append(NOTHING_RANDOM)
    if protocol == "paper":
        notes.append("C is fixed as in the published notebook (0.01) and training script (0.1): nothing is chosen here")
        notes.append("the encoder is the last checkpoint; the published procedure kept the one best on the test split")
    if any(choice["constant_features"] for choice in choices):
        notes.append("an encoder gives the same features for every shape (collapsed)")
    if not all(choice["converged"] for choice in choices):
        notes.append(f"an SVM was stopped after {MAX_ITER:,} iterations of a binary problem")
    if any(choice.get("limit_reached") for choice in choices):
        notes.append("the best C lies on the last value that the search allows")
    return notes


def _details(counts: list[np.ndarray]) -> dict[str, Any]:
    total = np.sum(counts, axis=0)
    shapes = total.sum(axis=1)
    per_class = [float(total[c, c] / shapes[c]) if shapes[c] else None for c in range(len(total))]
    return {"per_class_accuracy": per_class, "confusion_over_seeds": total.tolist()}


def linear_scores(
    train_features: Float[np.ndarray, "Ntr D"],
    train_labels: Int64[np.ndarray, " Ntr"],
    test_features: Float[np.ndarray, "Nte D"],
    test_labels: Int64[np.ndarray, " Nte"],
    seed: int,
    protocol: Protocol,
) -> LinearScores:
    """Fit and score the SVM of one seed.

    Everything happens on one Gram matrix of the centred features, divided by its mean diagonal: the
    predictions are those of `SVC(kernel="linear")` on the features themselves with C divided by the same
    number, and a factor on all features changes nothing in the clean protocol.

    Args:
        train_features: any scale.
        train_labels: counted from 0.
        test_features: as wide as the train features.
        test_labels: read for the scores only.
        seed: decides the folds.
        protocol: clean or paper.
    """
    features = scaled(train_features, test_features)
    gram = features.train @ features.train.T
    categories = int(max(train_labels.max(), test_labels.max())) + 1
    choice: dict[str, Any] = {"exponent": 0.0} if protocol == "clean" else {}
    if protocol == "clean" and not features.constant:
        choice = choose_c(gram, train_labels, seed)
    relative = [c * features.unit for c in PAPER_C] if protocol == "paper" else [10.0 ** choice["exponent"]]
    queries = by_features(features.train, features.test)
    found = svm_predictions(gram, train_labels, queries, relative)
    choice["converged"] = all(predictions.converged for predictions in found)
    counts = [confusion(test_labels, predictions.labels, categories) for predictions in found]
    scores = accuracies(counts[0])
    if protocol == "paper":
        scores |= {f"{name}_C{PAPER_C[1]:g}": value for name, value in accuracies(counts[1]).items()}
    choice |= {
        "C": relative[0] / features.unit,
        "mean_squared_length": features.unit,
        "constant_features": features.constant,
    }
    return LinearScores(scores, counts[0], choice)
