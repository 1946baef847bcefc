"""`evaluate few-shot`: episodes of a few labelled shapes or pictures a category, a classifier on frozen features."""

from typing import Literal

import numpy as np

from crosspoint3d.config import FewShotConfig
from crosspoint3d.config_file import require_at_least
from crosspoint3d.data.image_folders import PREFIX
from crosspoint3d.evaluation.episode_scores import (
    SeedScores,
    episode_choices,
    episode_details,
    episode_notes,
    score_episodes,
    spread,
)
from crosspoint3d.evaluation.episodes import draw_episodes, drawable
from crosspoint3d.evaluation.few_shot_pictures import few_shot_pictures
from crosspoint3d.evaluation.graph_k import trained_k
from crosspoint3d.evaluation.result import Result
from crosspoint3d.evaluation.runs import finish, over_seeds
from crosspoint3d.evaluation.seeds import SeedFeatures, SplitFeatures

PUBLISHED_K = 5
"""Neighbours in the graphs of the published few-shot script, of encoders that were trained with 15."""


def few_shot(config: FewShotConfig) -> Result:
    """Score an encoder and its untrained twin on the same episodes.

    Clean: support from the train split, queries from the test split. Paper: both from the train split, disjoint, as in
    the published code of arXiv 2203.00680; `queries` fixes it for either. The classifier is trained on the standardised
    support: the published linear SVM (C = 1), or another of `episode_classifiers`. Spread and interval are over the
    seeds' means, because a seed may redraw weights, points and split for all of its episodes; with one seed they are
    over its episodes, as published. `details` holds the latter. `images:FOLDER` scores an image encoder
    (`few_shot_pictures`).

    Raises:
        UsageError: too few categories have enough shapes, or the data or the encoder cannot be used.
    """
    require_at_least(config, {"n_way": 2, "k_shot": 1, "n_query": 1, "episodes": 1})
    if config.data.startswith(PREFIX):
        return few_shot_pictures(config)
    own, source = _query_split(config)

    def score(item: SeedFeatures, features: SplitFeatures) -> SeedScores:
        clouds = item.clouds
        labels = clouds.train_labels, clouds.test_labels if source == "test" else None
        episodes = draw_episodes(*labels, config, np.random.default_rng(item.seed))
        enough = set(drawable(*labels, config).tolist())
        left_out = [name for label, name in enumerate(clouds.categories) if label not in enough]
        queries = features.test if source == "test" else features.train
        return score_episodes(features.train, queries, episodes, config, left_out)

    runs = over_seeds(config, score, lambda item: {"accuracy": 1 / config.n_way}, parts=sorted({"train", source}))
    used, trained_with = runs.encoders[0]["trained"]["k"], trained_k(config.encoder)
    notes = episode_notes(config, runs.both)
    if source != own:
        notes.append(
            f"queries come from the {source} split, not from the {own} split as the {config.protocol} protocol's"
        )
    query = "test split" if source == "test" else "train split, other shapes than the support"
    return finish(
        config,
        "few-shot",
        runs,
        {who: {"accuracy": spread(seeds)} for who, seeds in runs.both.items()},
        details=episode_details(runs.both),
        notes=notes + _graph_notes(config, used, trained_with),
        k_trained_with=trained_with,
        **episode_choices(config, "train split", query),
    )


def _query_split(config: FewShotConfig) -> tuple[Literal["train", "test"], Literal["train", "test"]]:
    """The split that the protocol takes queries from, and the one that is taken."""
    own: Literal["train", "test"] = "test" if config.protocol == "clean" else "train"
    return own, own if config.queries == "auto" else config.queries


def _graph_notes(config: FewShotConfig, used: int | None, trained_with: int | None) -> list[str]:
    notes = []
    if used is not None and trained_with is not None and used != trained_with:
        notes.append(f"the graphs have k = {used}, though the encoder was trained with k = {trained_with}")
    if config.protocol == "paper" and used is not None and used != PUBLISHED_K:
        notes.append(f"the graphs have k = {used}; the published few-shot script uses k = {PUBLISHED_K} (--k)")
    return notes
