"""What a fine-tuning starts from: the encoder, the head that goes on it, and which weights were taken."""

import json
from pathlib import Path
from typing import Any

from torch import nn

from crosspoint3d import models
from crosspoint3d.config import FinetuneConfig, RunError, UsageError
from crosspoint3d.evaluation.graph_k import trained_k
from crosspoint3d.evaluation.protocol import weights_sha256
from crosspoint3d.models.segmenter import Head
from crosspoint3d.models.tower import Tower


def starting_encoder(config: FinetuneConfig, seed: int, available: int) -> Tower:
    """The encoder of `config.encoder` as it is, or in mode scratch its architecture with fresh weights of this seed.

    Args:
        config: its points settled.
        seed: of the fresh weights.
        available: points that each cloud of the data has.

    Raises:
        UsageError: nothing can be loaded, or its graphs or patches need more points than there are.
    """
    load = models.untrained if config.mode == "scratch" else models.load_encoder
    tower = load(config.encoder, k=config.k, seed=seed)
    if tower.k is not None and tower.k > config.points:
        few = f"the clouds have {available} points" if config.points == available else f"--points {config.points}"
        more = f"--points {tower.k} or more" if tower.k <= available else f"clouds of {tower.k} points or more"
        raise UsageError(
            f"{few}: fewer than the {tower.k} neighbours of the encoder's graph; "
            f"give {more}, or --k {config.points} or less"
        )
    if tower.least_points > config.points:
        raise UsageError(
            f"--points {config.points} (the clouds have {available}): the encoder makes patches of "
            f"{tower.least_points} points or more"
        )
    return tower


def head_for(config: FinetuneConfig, *, published: bool) -> Head:
    """The head that `--head` asks for; auto is linear when frozen, the published one where there is one, else light."""
    if config.head != "auto":
        return config.head
    if config.mode == "frozen":
        return "linear"
    return "published" if published else "light"


def encoder_record(config: FinetuneConfig, tower: Tower) -> dict[str, Any]:
    """Plain values about the encoder before its training, as evaluations record them."""
    record = {
        "sha256": weights_sha256(tower),
        "k": tower.k,
        "k_trained_with": trained_k(config.encoder),
        "width": tower.features,
    }
    return record | ({"origin": tower.origin} if tower.origin else {})


def origin_of(config: FinetuneConfig, seed: int) -> dict[str, Any]:
    """What config.json says about where a fine-tuned network comes from."""
    return {
        "data": config.data,
        "fine_tuned": {"from": config.encoder, "mode": config.mode, "labels": config.labels, "seed": seed},
    }


def weights_taken(config: FinetuneConfig, tower: Tower, model: nn.Module) -> dict[str, Any]:
    """Which weights of a network come from the encoder's file, which are new, and which of the file's it does not need.

    Args:
        config: where the encoder came from.
        tower: the encoder as it was loaded.
        model: the network that holds it as `encoder`.

    Returns:
        encoder: the spec. sha256: of its weights as they were loaded; None where they are fresh. taken: keys of the
        network. new: keys of the network, initialised from the seed.
        not_needed: keys of the file (published names where it has those, else the tower's).
    """
    fresh = config.mode == "scratch" or config.encoder.startswith("random:")
    there = {name for name in tower.state_dict() if name.startswith("encoder.")}
    keys = list(model.state_dict())
    taken = [] if fresh else [key for key in keys if key in there]
    left = [] if fresh else [key for key in tower.state_dict() if key not in there]
    origin = tower.origin or {}
    return {
        "encoder": config.encoder,
        "sha256": None if fresh else weights_sha256(tower),
        "taken": taken,
        "new": [key for key in keys if key not in set(taken)],
        "not_needed": left + list(origin.get("keys_not_needed", [])) * (not fresh),
    }


def require_same_encoder(path: Path, weights: dict[str, Any]) -> None:
    """Refuse an encoder whose weights are not those that a run began with.

    Args:
        path: weights.json of the run, if it has one yet.
        weights: as `weights_taken` lists them now.

    Raises:
        RunError: they differ.
    """
    began = json.loads(path.read_text(encoding="utf-8")).get("sha256") if path.exists() else None
    if began not in (None, weights["sha256"]):
        raise RunError(
            f"the weights of --encoder {weights['encoder']} have changed since {path.parent} began: put them back, "
            "or start a new run"
        )


def weights_line(weights: dict[str, Any]) -> str:
    """The same in one line for a terminal."""
    new, left = len(weights["new"]), len(weights["not_needed"])
    if not weights["taken"]:
        return f"weights: all {new} new, none taken from {weights['encoder']}"
    text = f"weights: {len(weights['taken'])} taken from {weights['encoder']}, {new} new"
    return text + (f", {left} in it not needed (listed in weights.json)" if left else "")
