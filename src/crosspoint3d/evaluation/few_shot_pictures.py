"""Few-shot scores of an image encoder on folders of pictures: the paper's CIFAR-FS check of its image branch.

Axis letters: R pictures that episodes use, D feature width.
"""

import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from jaxtyping import Int64
from torch import nn

from crosspoint3d import models
from crosspoint3d.config import FewShotConfig, UsageError
from crosspoint3d.data.image_folders import LabelledPictures, load_pictures, pictures_hash
from crosspoint3d.data.split import stratified_share
from crosspoint3d.evaluation.episode_scores import (
    SeedScores,
    episode_choices,
    episode_details,
    episode_notes,
    score_episodes,
    spread,
)
from crosspoint3d.evaluation.episodes import Episode, draw_episodes, drawable
from crosspoint3d.evaluation.features import compute_image_features
from crosspoint3d.evaluation.image_size import image_size, pictures_of
from crosspoint3d.evaluation.protocol import protocol_record, weights_sha256
from crosspoint3d.evaluation.result import Result
from crosspoint3d.evaluation.result_files import write_result
from crosspoint3d.evaluation.seeds import check
from crosspoint3d.runtime import pick_device

SAME = "support and queries are disjoint pictures of the same novel classes, in the clean and in the paper protocol"


def few_shot_pictures(config: FewShotConfig) -> Result:
    """Score an image encoder and its untrained twin on the same episodes of pictures.

    The usual protocol of CIFAR-FS (arXiv 1805.08136): every episode takes support and queries, disjoint, from classes
    of the test split. Features are computed of the pictures that episodes use, and of no others.

    Args:
        config: `data` is `images:FOLDER` (see `data.image_folders.load_pictures`).

    Raises:
        UsageError: an option does not apply, the pictures cannot be read, too few classes have enough of them, or there
            is no image encoder.
    """
    started = time.monotonic()
    _check(config)
    device, size = pick_device(config.device), image_size(config.encoder)
    trained = models.load_image_encoder(config.encoder)
    pictures = _limited(load_pictures(config.data), config.limit)
    enough = set(drawable(pictures.labels, None, config, unit="pictures").tolist())
    left_out = [name for label, name in enumerate(pictures.categories) if label not in enough]
    seeds = [
        draw_episodes(pictures.labels, None, config, np.random.default_rng(seed), unit="pictures")
        for seed in range(config.seeds)
    ]

    def score(tower: nn.Module, chosen: Sequence[list[Episode]]) -> tuple[list[SeedScores], dict[str, Any]]:
        since = time.monotonic()
        rows = _rows([episode for episodes in chosen for episode in episodes])
        features = compute_image_features(
            tower,
            [pictures.pictures[row] for row in rows],
            image_size=size,
            batch_size=config.batch_size,
            device=device,
            grey=pictures_of(config.encoder) == "grey",
        )
        scores = [
            score_episodes(features, features, [_within(episode, rows) for episode in episodes], config, left_out)
            for episodes in chosen
        ]
        record = {"sha256": weights_sha256(tower), "k": None, "width": features.shape[1], "from_cache": False}
        if origin := getattr(tower, "origin", None):
            record["origin"] = origin
        return scores, record | {"pictures": len(rows), "seconds": round(time.monotonic() - since, 3)}

    both: dict[str, list[SeedScores]] = {}
    both["trained"], record = score(trained, seeds)
    encoders: list[dict[str, Any]] = [{"seed": s, "trained": record, "untrained": None} for s in range(config.seeds)]
    if config.untrained:
        both["untrained"] = []
        for seed, episodes in enumerate(seeds):
            scores, encoders[seed]["untrained"] = score(models.untrained_image(config.encoder, seed), [episodes])
            both["untrained"] += scores
    result = Result(
        evaluation="few-shot",
        scores={"accuracy": spread(both["trained"])},
        untrained={"accuracy": spread(both["untrained"])} if config.untrained else {},
        chance={"accuracy": 1 / config.n_way},
        protocol=protocol_record(
            config,
            data=pictures.record | {"points_picked": f"pictures at {size} x {size} pixels"},
            encoders=encoders,
            seconds=time.monotonic() - started,
            image_size=size,
            notes=[SAME, *episode_notes(config, both, unit="pictures")],
            **episode_choices(config, "novel classes", "the same novel classes, other pictures than the support"),
        ),
        details=episode_details(both),
    )
    write_result(config, "few-shot-pictures", result)
    return result


def _check(config: FewShotConfig) -> None:
    check(config)
    if config.queries != "auto":
        raise UsageError(
            f"--queries {config.queries}: pictures have no train split to choose; support and queries come from the "
            "novel classes, leave it out"
        )
    if config.points:
        raise UsageError(f"--points {config.points}: pictures have no points; leave it out")
    if config.k is not None:
        raise UsageError(f"--k {config.k}: an image encoder has no neighbour graph; leave it out")
    if config.encoder.startswith("random:") or not models.has_twin(config.encoder):
        raise UsageError(
            f"--encoder {config.encoder} is no image encoder: use a run folder, the folder of an image encoder, or the "
            "published weights of an image branch (the untrained twin is scored too)"
        )
    if pictures_of(config.encoder) == "depth":
        raise UsageError(f"--encoder {config.encoder}: it needs depth pictures, and {config.data} holds coloured ones")


def _limited(pictures: LabelledPictures, share: float) -> LabelledPictures:
    if share == 1:
        return pictures
    kept = stratified_share([pictures.categories[label] for label in pictures.labels], share, least=2)
    files, ids = [pictures.pictures[row] for row in kept], tuple(pictures.ids[row] for row in kept)
    record = pictures.record | {
        "limit": share,
        "pictures": len(kept),
        "split_sha256": pictures_hash(ids, files),
        "notes": [*pictures.record["notes"], f"a stratified share of {share:g} of the pictures, drawn with seed 0"],
    }
    return replace(pictures, pictures=files, labels=pictures.labels[kept], ids=ids, record=record)


def _rows(episodes: Sequence[Episode]) -> Int64[np.ndarray, " R"]:
    """All rows that episodes use, ascending."""
    return np.unique(np.concatenate([rows for episode in episodes for rows in (episode.support, episode.query)]))


def _within(episode: Episode, rows: Int64[np.ndarray, " R"]) -> Episode:
    """The episode as indices into `rows`."""
    return Episode(episode.ways, np.searchsorted(rows, episode.support), np.searchsorted(rows, episode.query))
