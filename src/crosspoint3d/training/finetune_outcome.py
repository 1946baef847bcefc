"""What one seed's finished training came to, kept in RUN/seed-S: its scores, and its answers about the test shapes."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import numpy as np

from crosspoint3d import runtime
from crosspoint3d.config import FinetuneConfig

OUTCOME, ANSWERS = "outcome.json", "answers.npz"


@dataclass(frozen=True)
class Outcome:
    """What one seed's training came to, as RUN/seed-S/outcome.json holds it.

    Attributes:
        seed: its number.
        scores: on the test shapes, read once. validation: scores that chose the epoch, on the split `chosen_on`.
        steps, epochs: done in all. kept_after: epochs after which the kept weights were reached.
        chosen_on: val, test, or None where the last epoch is kept. chosen_by: the score that chose.
        seconds: of the training.
        record: what the task says about this seed, and its answers.
    """

    seed: int
    scores: dict[str, float]
    validation: dict[str, float]
    steps: int
    epochs: int
    kept_after: int
    chosen_on: str | None
    chosen_by: str
    seconds: float
    record: dict[str, Any] = field(default_factory=dict)


def read_outcome(config: FinetuneConfig, seed: int) -> Outcome:
    """The outcome of a finished seed."""
    return Outcome(**json.loads((seed_folder(config, seed) / OUTCOME).read_text(encoding="utf-8")))


def best_seed(outcomes: list[Outcome]) -> int:
    """The seed whose network a run is known by: the best score that chose an epoch; the first where nothing chose."""
    return max(outcomes, key=lambda outcome: outcome.validation.get(outcome.chosen_by, 0.0)).seed


def seed_folder(config: FinetuneConfig, seed: int) -> Path:
    """RUN/seed-S."""
    return config.out / f"seed-{seed}"


def write_answers(folder: Path, arrays: dict[str, np.ndarray]) -> None:
    """Keep the arrays that a seed's task answered with in its folder."""
    with runtime.atomic(folder / ANSWERS) as path, path.open("wb") as file:
        np.savez_compressed(file, **cast(Any, arrays))


def read_answers(config: FinetuneConfig, seed: int) -> dict[str, np.ndarray]:
    """The arrays that a finished seed's task answered with."""
    with np.load(seed_folder(config, seed) / ANSWERS, allow_pickle=False) as arrays:
        return dict(arrays)
