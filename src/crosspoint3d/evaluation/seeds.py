"""Data and features of every seed, for an encoder and its untrained twin, computed anew only where needed."""

import os
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from jaxtyping import Float32
from torch import nn

from crosspoint3d import models
from crosspoint3d.config import MOST_POINTS_BY_DEFAULT, EvaluateConfig, UsageError
from crosspoint3d.config_file import require_at_least
from crosspoint3d.data.clouds import LabelledClouds, load_clouds
from crosspoint3d.data.split import split_hash, stratified_share
from crosspoint3d.evaluation.cache import cached_features
from crosspoint3d.evaluation.features import subsample
from crosspoint3d.evaluation.graph_k import trained_k
from crosspoint3d.evaluation.protocol import arrays_sha256, picked, weights_sha256
from crosspoint3d.runtime import pick_device

PARTS = ("train", "test")

Evaluation = TypeVar("Evaluation", bound=EvaluateConfig)


@dataclass(frozen=True)
class SplitFeatures:
    """What one encoder makes of the two splits.

    Attributes:
        train, test: features; without rows where they were not asked for.
        record: plain values: hash of the weights, k, width, seconds, whether all came from the cache.
        of: features of further clouds (N, P, 3), by the same encoder and through the same cache.
    """

    train: Float32[np.ndarray, "Ntr D"]
    test: Float32[np.ndarray, "Nte D"]
    record: dict[str, Any]
    of: Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class SeedFeatures:
    """Everything one seed needs: the clouds, and the features of the encoder and of its untrained twin.

    `untrained` is the same object as `trained` when the encoder is itself untrained (`random:`), and None when there
    is no such twin, because the encoder's architecture is not known (`models.has_twin`) or nobody asked for it.
    """

    seed: int
    clouds: LabelledClouds
    trained: SplitFeatures
    untrained: SplitFeatures | None

    def record(self) -> dict[str, Any]:
        """Plain values for the protocol record."""
        untrained = None if self.untrained is None else self.untrained.record
        return {
            "seed": self.seed,
            "clouds_sha256": arrays_sha256(self.clouds.train_points, self.clouds.test_points),
            "trained": self.trained.record,
            "untrained": untrained,
        }


def seed_features(config: EvaluateConfig, parts: Sequence[str] = PARTS) -> Iterator[SeedFeatures]:
    """Load the data and compute features, seed by seed; what no seed can change is computed once.

    Args:
        config: data, encoder and seeds.
        parts: train, test or both: the splits that features are needed of.

    Raises:
        UsageError: the config, the data or the encoder cannot be used.
    """
    check(config)
    device = pick_device(config.device)
    clouds: LabelledClouds | None = None
    trained: SplitFeatures | None = None
    for seed in range(config.seeds):
        if clouds is None or clouds.record["split_drawn"]:
            clouds = limited(load_clouds(config.data, seed=seed), config.limit)
        config = with_points(config, min(clouds.train_points.shape[1], clouds.test_points.shape[1]))
        same = config.points == clouds.train_points.shape[1] == clouds.test_points.shape[1]
        subset = replace(
            clouds,
            train_points=subsample(clouds.train_points, config.points, seed),
            test_points=subsample(clouds.test_points, config.points, seed),
            record=clouds.record | {"points_picked": _picked(clouds, config.points), "points_count": config.points},
        )

        fixed = same and not clouds.record["split_drawn"] and not config.encoder.startswith("random:")
        if trained is None or not fixed:
            trained = _encode(models.load_encoder(config.encoder, config.k, seed), subset, config, device, parts)
        untrained: SplitFeatures | None = trained
        if not config.untrained or not models.has_twin(config.encoder):
            untrained = None
        elif not config.encoder.startswith("random:"):
            untrained = _encode(models.untrained(config.encoder, seed, config.k), subset, config, device, parts)
        yield SeedFeatures(seed, subset, trained, untrained)


def _picked(clouds: LabelledClouds, count: int) -> str:
    """How the points of both splits were chosen, in words: once where they have as many."""
    train, test = (picked(count, points.shape[1]) for points in (clouds.train_points, clouds.test_points))
    return train if train == test else f"train: {train}; test: {test}"


def _encode(
    tower: nn.Module, clouds: LabelledClouds, config: EvaluateConfig, device: torch.device, parts: Sequence[str]
) -> SplitFeatures:
    check_k(config, tower)
    started = time.monotonic()
    weights = weights_sha256(tower) if tower.state_dict() else None

    def features(points: Float32[np.ndarray, "N P 3"]) -> tuple[Float32[np.ndarray, "N D"], bool]:
        size, cache = config.batch_size, config.cache
        return cached_features(tower, weights, points, batch_size=size, device=device, enabled=cache)

    found = {part: features(getattr(clouds, f"{part}_points")) for part in parts}
    width = next(iter(found.values()))[0].shape[1]
    nothing = np.empty((0, width), dtype=np.float32)
    train, test = (found[part][0] if part in found else nothing for part in PARTS)
    record = {
        "sha256": weights,
        "k": getattr(tower, "k", None),
        "k_trained_with": trained_k(config.encoder),
        "width": width,
        "from_cache": all(cached for _, cached in found.values()),
        "seconds": round(time.monotonic() - started, 3),
    }
    if origin := getattr(tower, "origin", None):
        record["origin"] = origin
    return SplitFeatures(train, test, record, lambda points: features(points)[0])


def check(config: EvaluateConfig) -> None:
    """Refuse values that no evaluation can work with.

    Raises:
        UsageError: seeds, batch size, k or the share of the shapes is out of range, or `out` cannot be written to.
    """
    require_at_least(config, {"seeds": 1, "batch_size": 1, "k": 1, "points": 0})
    check_out(config.out)
    if not 0 < config.limit <= 1:
        raise UsageError(f"--limit {config.limit}: a share of the shapes, above 0 and up to 1")


def check_out(out: Path | None) -> None:
    """Refuse a folder that cannot be written to, before anything is computed.

    Raises:
        UsageError: names the nearest path that is there.
    """
    if out is not None:
        there = next(path for path in (out, *out.absolute().parents) if path.exists())
        if not there.is_dir() or not os.access(there, os.W_OK):
            raise UsageError(f"--out {out}: {there} is no folder that can be written to; name another")


def with_points(config: Evaluation, available: int) -> Evaluation:
    """The config with its default number of points settled: 1,024, or all where there are fewer."""
    return replace(config, points=config.points or min(MOST_POINTS_BY_DEFAULT, available))


def check_k(config: EvaluateConfig, tower: nn.Module) -> None:
    """Refuse clouds that have fewer points than a graph has neighbours, or than patches are made of.

    Raises:
        UsageError: names both numbers.
    """
    k = getattr(tower, "k", None)
    if k is not None and k > config.points:
        raise UsageError(f"--points {config.points}: fewer than the {k} neighbours of the encoder's graph (--k)")
    least = getattr(tower, "least_points", 1)
    if least > config.points:
        raise UsageError(f"--points {config.points}: the encoder makes patches of {least} points or more")


def limited(clouds: LabelledClouds, share: float) -> LabelledClouds:
    """A stratified share of both splits (seed 0), said so in the record."""
    if share == 1:
        return clouds
    names = [[clouds.categories[label] for label in labels] for labels in (clouds.train_labels, clouds.test_labels)]
    train = stratified_share(names[0], share, least=2)
    test = stratified_share(names[1], share, least=1)
    train_ids = tuple(clouds.train_ids[row] for row in train)
    test_ids = tuple(clouds.test_ids[row] for row in test)
    pairs = [
        list(zip(ids, [part[row] for row in rows], strict=True))
        for ids, part, rows in ((train_ids, names[0], train), (test_ids, names[1], test))
    ]
    record = clouds.record | {
        "limit": share,
        "train_shapes": len(train),
        "test_shapes": len(test),
        "split_sha256": split_hash(*pairs),
        "notes": [
            *clouds.record["notes"],
            f"a stratified share of {share:g} of both splits, drawn with seed 0",
        ],
    }
    return LabelledClouds(
        clouds.train_points[train],
        clouds.train_labels[train],
        clouds.test_points[test],
        clouds.test_labels[test],
        clouds.categories,
        train_ids,
        test_ids,
        record,
    )
