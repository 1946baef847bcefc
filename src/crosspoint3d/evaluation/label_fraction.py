"""`evaluate label-fraction`: the linear SVM when only a share of the train shapes is labelled.

Axis letters: N shapes (Ntr train, Nte test), D feature width, S labelled shapes.
"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, Int64

from crosspoint3d.config import LabelFractionConfig, Protocol, UsageError
from crosspoint3d.data.split import labelled_rows
from crosspoint3d.evaluation.classes import ClassScores, paired_shapes
from crosspoint3d.evaluation.linear_probe import linear_scores
from crosspoint3d.evaluation.machine import CLASSIFIER, machine_notes
from crosspoint3d.evaluation.metrics import accuracy_chance, summaries
from crosspoint3d.evaluation.result import Result
from crosspoint3d.evaluation.runs import finish, over_seeds
from crosspoint3d.evaluation.seeds import SeedFeatures, SplitFeatures

SCORES = {"overall_accuracy": "Overall accuracy", "mean_class_accuracy": "Mean class accuracy"}
PAPER_NOTE = "the CrossPoint paper has no label fractions: C is the one of its linear evaluation (0.01)"


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

    def score(item: SeedFeatures, features: SplitFeatures) -> list[ClassScores]:
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
        classifier=CLASSIFIER,
        labelled={
            "drawn": "stratified and nested, from the seed and the labels alone; one shape a category at least",
            "shapes": {name: [seed[name]["labelled"] for seed in choices["trained"]] for name in names},
            "unlabelled": "not used",
        },
        C=choices,
        notes=[PAPER_NOTE] * (config.protocol == "paper")
        + machine_notes(choice for seeds in choices.values() for seed in seeds for choice in seed.values()),
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


def subset_scores(
    train_features: Float[np.ndarray, "Ntr D"],
    train_labels: Int64[np.ndarray, " Ntr"],
    rows: Int64[np.ndarray, " S"],
    test_features: Float[np.ndarray, "Nte D"],
    test_labels: Int64[np.ndarray, " Nte"],
    seed: int,
    protocol: Protocol,
) -> ClassScores:
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
        As `linear_scores`, with `labelled` in its choice.
    """
    found = linear_scores(train_features[rows], train_labels[rows], test_features, test_labels, seed, protocol)
    scores = {name: found.scores[name] for name in SCORES}
    return ClassScores(scores, found.counts, found.correct, {"labelled": len(rows)} | found.choice)
