"""Scores of episodes over the seeds, and what the record, the notes and the details say of them.

Axis letters: E episodes of a seed, N rows of a split (Ntr, Nq), D feature width.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float, Float64

from crosspoint3d.config import FewShotConfig
from crosspoint3d.evaluation.episode_classifiers import CLASSIFIERS, episode_score
from crosspoint3d.evaluation.episodes import Episode
from crosspoint3d.evaluation.metrics import summary
from crosspoint3d.evaluation.runs import paired


@dataclass(frozen=True)
class SeedScores:
    """What one encoder scored on the episodes of one seed.

    Attributes:
        accuracies: of each episode.
        stopped: episodes whose classifier's solver stopped before its end.
        left_out: categories that had too few shapes to be drawn.
    """

    accuracies: Float64[np.ndarray, " E"]
    stopped: int
    left_out: tuple[str, ...]


def score_episodes(
    support_features: Float[np.ndarray, "Ntr D"],
    query_features: Float[np.ndarray, "Nq D"],
    episodes: Sequence[Episode],
    config: FewShotConfig,
    left_out: Sequence[str],
) -> SeedScores:
    """Train and score the config's classifier on every episode.

    Args:
        support_features: of the split that the supports index.
        query_features: of the split that the queries index.
        episodes: of one seed.
        config: names the classifier.
        left_out: for the notes.
    """
    found = [episode_score(support_features, query_features, episode, config.classifier) for episode in episodes]
    accuracies = np.array([score.accuracy for score in found])
    return SeedScores(accuracies, sum(not score.converged for score in found), tuple(left_out))


def spread(seeds: Sequence[SeedScores]) -> dict[str, Any]:
    """`summary` of the seeds' means; of the episodes where there is one seed, as published."""
    return summary(seeds[0].accuracies.tolist() if len(seeds) == 1 else [float(s.accuracies.mean()) for s in seeds])


def episode_details(both: dict[str, list[SeedScores]]) -> dict[str, Any]:
    """The summary over all episodes of all seeds, and each episode of the trained encoder for paired tests.

    Args:
        both: scores of every seed by `trained` and `untrained`.
    """
    every = {who: [value for seed in seeds for value in seed.accuracies.tolist()] for who, seeds in both.items()}
    accuracies = [seed.accuracies for seed in both["trained"]]
    return {
        "episodes": {who: summary(values) for who, values in every.items()},
        "paired": {"accuracy": paired("episode", accuracies, same=False)},
    }


def episode_choices(config: FewShotConfig, support: str, query: str) -> dict[str, Any]:
    """Entries of the protocol record: the classifier and how episodes were drawn.

    Args:
        config: as it was run.
        support: where the support comes from, in words.
        query: where the queries come from, in words.
    """
    return CLASSIFIERS[config.classifier] | {
        "episodes": {
            "count": config.episodes * config.seeds,
            "a_seed": config.episodes,
            "n_way": config.n_way,
            "k_shot": config.k_shot,
            "n_query": config.n_query,
            "support": support,
            "query": query,
        }
    }


def episode_notes(config: FewShotConfig, both: dict[str, list[SeedScores]], *, unit: str = "shapes") -> list[str]:
    """Sentences on the interval, categories left out, and the classifier.

    Args:
        config: as it was run.
        both: scores of every seed by `trained` and `untrained`.
        unit: what is classified, in the plural.
    """
    over = f"{config.episodes} episodes" if config.seeds == 1 else f"{config.seeds} seeds of {config.episodes} episodes"
    notes = [f"std and interval are over {over}"]
    by_seed = {seed.left_out for seed in both["trained"]}
    left_out = sorted(set().union(*by_seed))
    if left_out:
        names = ", ".join(left_out[:5]) + f" and {len(left_out) - 5} more" * (len(left_out) > 5)
        where = " in some of the seeds" if len(by_seed) > 1 else ""
        notes.append(f"categories with too few {unit}, never drawn{where}: {len(left_out)} ({names})")
    if config.protocol == "paper" and config.classifier != "svm":
        notes.append(f"the classifier is {config.classifier}, though the paper protocol's is svm")
    if stopped := sum(seed.stopped for seeds in both.values() for seed in seeds):
        notes.append(f"the solver stopped short of its tolerance in {stopped} episodes")
    return notes
