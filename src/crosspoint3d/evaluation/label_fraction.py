"""`evaluate label-fraction`: the linear SVM when only a share of the train shapes is labelled.

Axis letters: N shapes (Ntr train, Nte test), D feature width, S labelled shapes.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Float, Int64

from crosspoint3d.config import LabelFractionConfig, Protocol, UsageError
from crosspoint3d.evaluation.choose_c import CENTRE
from crosspoint3d.evaluation.classes import paired_shapes
from crosspoint3d.evaluation.linear_probe import PAPER_C, LinearScores, linear_scores
from crosspoint3d.evaluation.metrics import accuracies, accuracy_chance, confusion, summaries
from crosspoint3d.evaluation.protocol import Result
from crosspoint3d.evaluation.runs import finish, over_seeds
from crosspoint3d.evaluation.seeds import SeedFeatures, SplitFeatures
from crosspoint3d.evaluation.svm import CLASSIFIER, MAX_ITER, by_features, scaled, svm_predictions

SCORES = {"overall_accuracy": "Overall accuracy", "mean_class_accuracy": "Mean class accuracy"}


def label_fraction(config: LabelFractionConfig) -> Result:
    """Score an encoder and its untrained twin by linear SVMs that know the labels of a share of the train shapes.

    Every seed draws nested subsets, the same ones for all encoders. Clean: C is chosen by cross-validation on the
    labelled shapes alone, for each share; the share 1 is the linear evaluation itself. Paper: C = 0.01 on features as
    they are, the published one of the linear evaluation.

    Raises:
        UsageError: a fraction is out of range or repeated, there is none, or the data or the encoder cannot be used.
    """
    fractions = _checked(config.fractions)
    names = [f"{100 * fraction:g}%" for fraction in fractions]

    def score(item: SeedFeatures, features: SplitFeatures) -> list[LinearScores]:
        labels, test_labels = item.clouds.train_labels, item.clouds.test_labels
        return [
            subset_scores(features.train, labels, rows, features.test, test_labels, item.seed, config.protocol)
            for rows in labelled_rows(labels, fractions, item.seed)
        ]

    def chance(item: SeedFeatures) -> dict[str, float]:
        labels, test_labels = item.clouds.train_labels, item.clouds.test_labels
        subsets = labelled_rows(labels, fractions, item.seed)
        return _named(names, [accuracy_chance(labels[rows], test_labels) for rows in subsets])

    runs = over_seeds(config, score, chance)
    choices = {
        who: [{name: fit.choice for name, fit in zip(names, fits, strict=True)} for fits in seeds]
        for who, seeds in runs.both.items()
    }
    return finish(
        config,
        "label-fraction",
        runs,
        {
            who: summaries([_named(names, [f.scores for f in fits]) for fits in seeds])
            for who, seeds in runs.both.items()
        },
        details={
            "curves": [
                {
                    "title": title,
                    "x_label": "labelled train shapes, %",
                    "x": [100 * fraction for fraction in fractions],
                    "log": True,
                    "scores": [f"{score_name}@{name}" for name in names],
                }
                for score_name, title in SCORES.items()
            ],
            "paired": {
                f"overall_accuracy@{name}": paired_shapes(runs.clouds, [fits[index].correct for fits in runs.trained])
                for index, name in enumerate(names)
            },
        },
        classifier=f"{CLASSIFIER}, on features as they are (no scaler)",
        labelled={
            "drawn": "stratified and nested, from the seed and the labels alone; one shape a category at least",
            "shapes": {name: [seed[name]["labelled"] for seed in choices["trained"]] for name in names},
            "unlabelled": "not used",
        },
        C=choices,
        notes=_notes(
            config.protocol, [choice for seeds in choices.values() for seed in seeds for choice in seed.items()]
        ),
    )


def _checked(fractions: Sequence[float]) -> list[float]:
    if not fractions:
        raise UsageError("--fractions: none given; shares of the train shapes such as 0.01 0.1 1")
    for fraction in fractions:
        if not 0 < fraction <= 1:
            raise UsageError(f"--fractions {fraction:g}: a share of the train shapes, above 0 and up to 1")
    names = [f"{100 * fraction:g}%" for fraction in fractions]
    if repeated := sorted({name for name in names if names.count(name) > 1}):
        raise UsageError(f"--fractions: {', '.join(repeated)} stands there more than once; give each share once")
    return sorted(fractions)


def _named(names: Sequence[str], scores: Sequence[dict[str, float]]) -> dict[str, float]:
    pairs = list(zip(names, scores, strict=True))
    return {f"{score_name}@{name}": values[score_name] for score_name in SCORES for name, values in pairs}


def _notes(protocol: Protocol, choices: Sequence[tuple[str, dict[str, Any]]]) -> list[str]:
    notes = []
    if protocol == "paper":
        notes.append("the CrossPoint paper has no label fractions: C is the one of its linear evaluation (0.01)")
    if not_chosen := list(dict.fromkeys(name for name, choice in choices if choice.get("one_shape_a_category"))):
        shares = ", ".join(not_chosen)
        notes.append(f"{shares}: one labelled shape a category leaves none to choose C with: 10 on the scaled features")
    if any(choice["constant_features"] for _, choice in choices):
        notes.append("an encoder gives the same features for every shape (collapsed)")
    if not all(choice["converged"] for _, choice in choices):
        notes.append(f"an SVM was stopped after {MAX_ITER:,} iterations of a binary problem")
    return notes


def labelled_rows(
    labels: Int64[np.ndarray, " Ntr"], fractions: Sequence[float], seed: int
) -> list[Int64[np.ndarray, " _"]]:
    """Rows whose labels are known, ascending, for each fraction: of two fractions the larger has all of the smaller's.

    Args:
        labels: of the train shapes.
        fractions: shares of each category's shapes, rounded, at least one shape.
        seed: decides which.
    """
    generator = np.random.default_rng(seed)
    orders = [generator.permutation(np.flatnonzero(labels == category)) for category in np.unique(labels)]
    return [
        np.sort(np.concatenate([order[: max(1, round(fraction * len(order)))] for order in orders]))
        for fraction in fractions
    ]


def subset_scores(
    train_features: Float[np.ndarray, "Ntr D"],
    train_labels: Int64[np.ndarray, " Ntr"],
    rows: Int64[np.ndarray, " S"],
    test_features: Float[np.ndarray, "Nte D"],
    test_labels: Int64[np.ndarray, " Nte"],
    seed: int,
    protocol: Protocol,
) -> LinearScores:
    """Fit and score the SVM of one subset; mean and scale of the features are the subset's own.

    Args:
        train_features: any scale.
        train_labels: only those of `rows` are read.
        rows: labelled train shapes, of all categories.
        test_features: as wide as the train features.
        test_labels: read for the scores only.
        seed: decides the folds.
        protocol: clean or paper.

    Returns:
        As `linear_scores`, with `labelled` in its choice, and `one_shape_a_category` where C could not be chosen.
    """
    known, known_labels = train_features[rows], train_labels[rows]
    single = int(np.bincount(known_labels).max()) == 1
    if protocol == "clean" and not single:
        found = linear_scores(known, known_labels, test_features, test_labels, seed, protocol)
        return LinearScores(found.scores, found.counts, found.correct, {"labelled": len(rows)} | found.choice)
    features = scaled(known, test_features)
    relative = PAPER_C[0] * features.unit if protocol == "paper" else 10.0**CENTRE
    queries = by_features(features.train, features.test)
    predictions = svm_predictions(features.train @ features.train.T, known_labels, queries, [relative])[0]
    counts = confusion(test_labels, predictions.labels, int(max(train_labels.max(), test_labels.max())) + 1)
    choice = {
        "labelled": len(rows),
        "C": relative / features.unit,
        "mean_squared_length": features.unit,
        "constant_features": features.constant,
        "converged": predictions.converged,
    }
    if protocol == "clean":
        choice["one_shape_a_category"] = True
    return LinearScores(accuracies(counts), counts, predictions.labels == test_labels, choice)
