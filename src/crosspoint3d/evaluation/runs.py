"""One scoring function over all seeds, for an encoder and for its untrained twin, and the result that comes of it."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import numpy as np
from jaxtyping import Bool, Float

from crosspoint3d.config import EvaluateConfig
from crosspoint3d.data.clouds import LabelledClouds
from crosspoint3d.evaluation.metrics import mean_scores
from crosspoint3d.evaluation.protocol import NOTHING_RANDOM, protocol_record
from crosspoint3d.evaluation.result import Result
from crosspoint3d.evaluation.result_files import write_result
from crosspoint3d.evaluation.seeds import PARTS, SeedFeatures, SplitFeatures, seed_features

Score = TypeVar("Score")


@dataclass(frozen=True)
class Runs(Generic[Score]):
    """What an evaluation found, seed by seed.

    Attributes:
        trained, untrained: a score for each seed; `untrained` is empty where there is no twin.
        chance: what guessing scores, mean over the seeds.
        encoders: the record of each seed's encoders.
        clouds: the data of the last seed.
        repeated: the trained encoder's score was computed once, because no seed could change it.
        started: `time.monotonic()` at the beginning.
    """

    trained: list[Score]
    untrained: list[Score]
    chance: dict[str, float]
    encoders: list[dict[str, Any]]
    clouds: LabelledClouds
    repeated: bool
    started: float

    @property
    def both(self) -> dict[str, list[Score]]:
        """The scores by `trained` and `untrained`, the latter only where it has any."""
        return {name: runs for name, runs in (("trained", self.trained), ("untrained", self.untrained)) if runs}


def over_seeds(
    config: EvaluateConfig,
    score: Callable[[SeedFeatures, SplitFeatures], Score],
    chance: Callable[[SeedFeatures], dict[str, float]],
    *,
    parts: Sequence[str] = PARTS,
    draws: bool = True,
) -> Runs[Score]:
    """Score both encoders of every seed.

    Args:
        config: data, encoder and seeds.
        score: takes the seed's data and the features of one encoder.
        chance: what guessing scores on the seed's data.
        parts: the splits that features are needed of.
        draws: whether `score` draws anything by `SeedFeatures.seed`; if not, equal features are scored once.

    Raises:
        UsageError: the config, the data or the encoder cannot be used.
    """
    started = time.monotonic()
    trained: list[Score] = []
    untrained: list[Score] = []
    chances: list[dict[str, float]] = []
    encoders: list[dict[str, Any]] = []
    last: SeedFeatures | None = None
    repeated = False
    for item in seed_features(config, parts):
        repeated = not draws and last is not None and item.trained is last.trained
        trained.append(trained[-1] if repeated else score(item, item.trained))
        if item.untrained is not None:
            untrained.append(trained[-1] if item.untrained is item.trained else score(item, item.untrained))
        chances.append(chance(item))
        encoders.append(item.record())
        last = item
    assert last is not None
    mean = mean_scores(chances)
    return Runs(trained, untrained, mean, encoders, last.clouds, repeated, started)


def finish(
    config: EvaluateConfig,
    evaluation: str,
    runs: Runs[Any],
    scores: dict[str, dict[str, dict[str, Any]]],
    *,
    details: dict[str, Any],
    notes: Sequence[str] = (),
    **choices: Any,
) -> Result:
    """Build the result of an evaluation and write it where the config says.

    Args:
        config: as it was run.
        evaluation: the verb: its name, and that of the folder.
        runs: what `over_seeds` gave.
        scores: summaries of each score by `trained` and `untrained`.
        details: what is worth keeping beyond the scores.
        notes: sentences a reader of the numbers should know.
        choices: classifier, C, episodes, ... for the protocol record.
    """
    result = Result(
        evaluation=evaluation,
        scores=scores["trained"],
        untrained=scores.get("untrained", {}),
        chance=runs.chance,
        protocol=protocol_record(
            config,
            data=runs.clouds.record,
            encoders=runs.encoders,
            seconds=time.monotonic() - runs.started,
            notes=[NOTHING_RANDOM] * runs.repeated + list(notes),
            **choices,
        ),
        details=details,
    )
    write_result(config, evaluation, result)
    return result


def paired(
    unit: str, runs: Sequence[Float[np.ndarray, " U"] | Bool[np.ndarray, " U"]], *, same: bool
) -> dict[str, Any]:
    """The scores of single units (test shapes, episodes, queries), to compare encoders unit by unit.

    Args:
        unit: what a value belongs to.
        runs: one score a unit, for each seed.
        same: whether the units are the same ones for every seed: their mean is taken then. Otherwise they are laid end
            to end.

    Returns:
        Plain values for `Result.details["paired"][SCORE]`: unit, values.
    """
    values = np.mean(runs, axis=0) if same else np.concatenate(runs)
    return {"unit": unit, "values": [round(float(value), 6) for value in values]}
