"""Whether pretrain can work with a setting, found out without training; and what tells two settings apart."""

import contextlib
import dataclasses
import hashlib
import json
from dataclasses import replace

import torch

from crosspoint3d.config import MOST_POINTS_BY_DEFAULT, PretrainConfig, UsageError
from crosspoint3d.config_file import to_dict
from crosspoint3d.data.table import ShapeTable
from crosspoint3d.models.crosspoint import build_crosspoint
from crosspoint3d.training.setup import draw_order, validate

DECIDES_NOTHING = (
    *("out", "seed", "resume", "device", "threads", "workers", "compile", "checkpoint_every"),
    *("log_every", "tensorboard", "wandb"),
)
"""Options that a run may change without becoming another one (the seed has its own folder)."""


def setting_key(config: PretrainConfig, place: str) -> str:
    """A hash of all that decides the weights but the seed: options that are not the default ones, and training rows.

    An option that a later version adds therefore leaves the runs of this one where they are.

    Args:
        config: of a run.
        place: in the file, for messages.

    Raises:
        UsageError: pretrain would refuse the config, or its tables.
    """
    try:
        validate(config)
        tables = [ShapeTable(path) for path in config.data]
        points = config.points or min(MOST_POINTS_BY_DEFAULT, *(table.points for table in tables))
        rows = draw_order(replace(config, points=points), tables).fingerprint()
        _build(config)
    except (UsageError, ValueError) as error:
        raise UsageError(f"{place}: {error}") from error
    defaults = {f.name: f.default for f in dataclasses.fields(PretrainConfig)}
    values = {
        name: value
        for name, value in to_dict(config).items()
        if name not in DECIDES_NOTHING and getattr(config, name) != defaults[name]
    }
    return hashlib.sha256(json.dumps([values, rows], sort_keys=True).encode()).hexdigest()[:8]


def _build(config: PretrainConfig) -> None:
    """Build the networks without weights: unknown names and widths that cannot be are found here.

    What cannot be built without weights is left to the run.
    """
    with contextlib.suppress(RuntimeError, NotImplementedError, OSError), torch.device("meta"):
        build_crosspoint(config)
