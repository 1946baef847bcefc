"""What both verbs of fine-tuning do around the training of their seeds."""

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from crosspoint3d.config import MOST_POINTS_BY_DEFAULT, FinetuneConfig, UsageError
from crosspoint3d.models.classifier import Classifier
from crosspoint3d.models.segmenter import Segmenter
from crosspoint3d.models.tower import Tower, save_tower
from crosspoint3d.training.finetune_outcome import seed_folder
from crosspoint3d.training.weights_taken import origin_of

Config = TypeVar("Config", bound=FinetuneConfig)


def with_settled_points(config: Config, available: int) -> Config:
    """The config with its default number of points settled: 1,024, or all where the clouds have fewer.

    Raises:
        UsageError: more points are asked for than there are.
    """
    if config.points > available:
        raise UsageError(f"--points {config.points}: the clouds have {available} points, use at most so many")
    return replace(config, points=config.points or min(MOST_POINTS_BY_DEFAULT, available))


def keep_network(config: FinetuneConfig, seed: int, name: str, load: Callable[[Path], Segmenter | Classifier]) -> None:
    """RUN/NAME and RUN/encoder: the network of one seed, and its encoder as others load it."""
    kept = config.out / name
    shutil.rmtree(kept, ignore_errors=True)
    shutil.copytree(seed_folder(config, seed) / name, kept)
    save_tower(Tower(load(kept).encoder, None), config.out / "encoder", origin_of(config, seed))
