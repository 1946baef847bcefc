"""`evaluate robustness`: a linear SVM trained once on clean clouds, scored on damaged, turned and other ones.

Axis letters: Nte test shapes that are used.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Float64

from crosspoint3d import models
from crosspoint3d.config import RobustnessConfig, UsageError
from crosspoint3d.config_file import require_at_least
from crosspoint3d.data.clouds import load_clouds
from crosspoint3d.data.split import split_hash
from crosspoint3d.evaluation.conditions import GENERATOR, KINDS, Condition, chosen_kinds, curves, possible
from crosspoint3d.evaluation.machine import CLASSIFIER, machine_answers, machine_notes
from crosspoint3d.evaluation.metrics import accuracies, accuracy_chance, confusion, summaries
from crosspoint3d.evaluation.result import Result
from crosspoint3d.evaluation.runs import Runs, finish, over_seeds, paired
from crosspoint3d.evaluation.scored_shapes import other_tests, stratified_rows
from crosspoint3d.evaluation.seeds import SeedFeatures, SplitFeatures, check, limited, with_points

CLEAN = "overall_accuracy"
MEAN = "mean_over_corruptions"
RELATIVE = "relative_robustness"


@dataclass(frozen=True)
class RobustnessScores:
    """One machine under every condition.

    Attributes:
        scores: by name.
        correct: which clean test shapes are right.
        share: of the conditions in which a test shape is right.
        choice: plain values: how C was found.
    """

    scores: dict[str, float]
    correct: Bool[np.ndarray, " Nte"]
    share: Float64[np.ndarray, " Nte"]
    choice: dict[str, Any]


def robustness(config: RobustnessConfig) -> Result:
    """Score an encoder and its untrained twin on damaged clouds and on other data, without training for either.

    The machine is that of `evaluate linear`: clean chooses C by cross-validation on the clean training split, paper
    takes 0.01. No procedure is published for the damages: both protocols draw them alike, by seed, kind and level, so
    that every encoder gets the same clouds. `test_shapes` thins the test split of `data`; other data (`transfer`) is
    scored whole, as published.

    Raises:
        UsageError: the options, the data or the encoder cannot be used.
    """
    measuring = _Measuring(config)
    runs = over_seeds(config, measuring.score, measuring.chance, parts=["train"])
    conditions, clouds, same = measuring.conditions, runs.clouds, not runs.clouds.record["split_drawn"]
    units = {CLEAN: [run.correct for run in runs.trained]}
    if conditions:
        units[MEAN] = [run.share for run in runs.trained]
    used = [(clouds.test_ids[row], clouds.categories[clouds.test_labels[row]]) for row in measuring.rows]
    kinds = dict.fromkeys(condition.kind for condition in conditions)
    return finish(
        config,
        "robustness",
        runs,
        {who: summaries([run.scores for run in found]) for who, found in runs.both.items()},
        details={
            "curves": curves(conditions, CLEAN, clouds.test_points.shape[1]),
            "paired": {name: paired("test shape", values, same=same) for name, values in units.items()},
        },
        classifier=f"{CLASSIFIER}, trained on clean clouds",
        C={who: [run.choice for run in found] for who, found in runs.both.items()},
        corruptions={
            kind: {"levels": [c.level.name for c in conditions if c.kind == kind], "what": KINDS[kind].what}
            for kind in kinds
        },
        corruptions_drawn_by=GENERATOR,
        test_subset={"shapes": len(used), "of": len(clouds.test_ids), "split_sha256": split_hash([], used)},
        transfer={other.name: other.record for other in measuring.others},
        notes=_notes(config, measuring, runs),
    )


class _Measuring:
    """What is measured: conditions as the first encoder allows them; rows of test shapes and other data of a seed."""

    def __init__(self, config: RobustnessConfig) -> None:
        self.config = config
        self.kinds = chosen_kinds(config.corruptions)
        check(config)
        require_at_least(config, {"test_shapes": 0})
        if config.transfer or config.test_shapes:
            self._check_data()
        self.conditions: list[Condition] = []
        self.notes: list[str] = []
        self.refused: dict[str, str] = {}
        self.seed = -1

    def score(self, item: SeedFeatures, features: SplitFeatures) -> RobustnessScores:
        self._prepare(item, features)
        clean, labels = item.clouds.test_points[self.rows], item.clouds.test_labels[self.rows]
        queries = {CLEAN: features.of(clean)}
        for condition in list(self.conditions):
            damaged = condition(clean, item.seed)
            try:
                queries[condition.name] = features.of(damaged)
            except Exception as error:  # somebody else's network can raise anything
                resized = damaged.shape != clean.shape and not models.has_twin(self.config.encoder)
                if not resized or item.seed > 0:
                    raise
                self.conditions.remove(condition)
                self.refused[condition.name] = (str(error).splitlines() or [type(error).__name__])[0]
        if self.kinds and not self.conditions:
            raise UsageError(f"--corruptions {' '.join(self.kinds)}: nothing can be run; {self._refusal()}")
        queries |= {f"transfer={other.name}": features.of(other.points) for other in self.others}
        train, together = (features.train, item.clouds.train_labels), np.concatenate(list(queries.values()))
        answers, choice = machine_answers(*train, together, item.seed, self.config.protocol)
        ends = np.cumsum([len(part) for part in queries.values()])
        found = dict(zip(queries, np.split(answers[0], ends[:-1]), strict=True))
        categories = len(item.clouds.categories)
        scores = accuracies(confusion(labels, found[CLEAN], categories))
        right = {condition.name: found[condition.name] == labels for condition in self.conditions}
        scores |= {f"{CLEAN}@{name}": float(values.mean()) for name, values in right.items()}
        for other in self.others:
            name = f"transfer={other.name}"
            values = accuracies(confusion(other.labels, found[name], categories))
            scores |= {f"{score}@{name}": value for score, value in values.items()}
        share = np.mean([*right.values()], axis=0) if right else np.zeros(len(labels))
        if right:
            scores[MEAN] = float(np.mean([scores[f"{CLEAN}@{name}"] for name in right]))
            scores[RELATIVE] = scores[MEAN] / scores[CLEAN] if scores[CLEAN] else 0.0
        return RobustnessScores(scores, found[CLEAN] == labels, share, choice)

    def chance(self, item: SeedFeatures) -> dict[str, float]:
        """What always answering the most frequent train category scores."""
        train = item.clouds.train_labels
        scores = accuracy_chance(train, item.clouds.test_labels[self.rows])
        always = [MEAN, *(f"{CLEAN}@{condition.name}" for condition in self.conditions)] if self.conditions else []
        scores |= dict.fromkeys(always, scores[CLEAN])
        for other in self.others:
            values = accuracy_chance(train, other.labels)
            scores |= {f"{name}@transfer={other.name}": value for name, value in values.items()}
        return scores

    def all_notes(self) -> list[str]:
        return [*self.notes, *([self._refusal()] if self.refused else [])]

    def _refusal(self) -> str:
        names, reason = ", ".join(self.refused), next(iter(self.refused.values()))
        return f"left out: {names} (the encoder cannot take another number of points: {reason})"

    def _prepare(self, item: SeedFeatures, features: SplitFeatures) -> None:
        if item.seed == self.seed:
            return
        clouds, points = item.clouds, item.clouds.test_points.shape[1]
        if self.seed < 0:
            self.conditions, self.notes = possible(self.kinds, points, features.record["k"])
        self.seed = item.seed
        self.rows = stratified_rows(clouds.test_labels, self.config.test_shapes)
        limit = self.config.limit
        self.others = other_tests(self.config.transfer, clouds, points=points, limit=limit, seed=item.seed)

    def _check_data(self) -> None:
        """Find out what is wrong with the data before any features are computed."""
        clouds = limited(load_clouds(self.config.data, seed=0), self.config.limit)
        points = with_points(self.config, min(clouds.train_points.shape[1], clouds.test_points.shape[1])).points
        stratified_rows(clouds.test_labels, self.config.test_shapes)
        other_tests(self.config.transfer, clouds, points=points, limit=self.config.limit, seed=0)


def _notes(config: RobustnessConfig, measuring: _Measuring, runs: Runs[RobustnessScores]) -> list[str]:
    notes = measuring.all_notes()
    used, there = len(measuring.rows), len(runs.clouds.test_ids)
    if used < there:
        notes.append(f"{used:,} of {there:,} test shapes, stratified by category, drawn with seed 0")
    if measuring.conditions:
        count = len(measuring.conditions)
        notes.append(f"{MEAN} is over {count} conditions; compare it only with a mean over the same ones")
    if config.protocol == "paper":
        notes.append("C is fixed as in the published notebook (0.01); no procedure is published for the damages")
    return notes + machine_notes(run.choice for found in runs.both.values() for run in found)
