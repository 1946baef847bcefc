"""What stands beside every number: the record of how it was made."""

import datetime
import hashlib
import shlex
import sys
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

import crosspoint3d
from crosspoint3d.config import EvaluateConfig, FinetuneConfig, SegmentationConfig
from crosspoint3d.config_file import to_dict
from crosspoint3d.runtime import environment, pick_device

DECISIVE = ("data", "evaluation", "models", "ops", "transforms")
"""Folders of the package whose code decides numbers."""
TRAINS = (*DECISIVE, "losses.py", "training")
"""The same for numbers that a training comes before."""
NO_TWIN = "untrained: not available for this encoder (its architecture is not known)"
ITSELF = "the encoder is itself untrained: both columns are the same (--no-untrained leaves one out)"
NO_HASH = "the encoder is a Python callable whose weights are not known: nothing here says which ones were used"
NOTHING_RANDOM = (
    "nothing in the trained encoder's scores is random: std is 0, whatever other test shapes might have given"
)


def weights_sha256(tower: nn.Module) -> str:
    """SHA-256 over names, types, shapes and bytes of all weights and buffers, whatever file held them."""
    digest = hashlib.sha256()
    for name, value in sorted(tower.state_dict().items()):
        array = value.detach().cpu().contiguous()
        digest.update(f"{name} {array.dtype} {tuple(array.shape)}\n".encode())
        digest.update(array.reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def arrays_sha256(*arrays: np.ndarray, names: Sequence[str] = ()) -> str:
    """SHA-256 over names, then the bytes of the arrays, one after the other: what a seed saw, such as its clouds."""
    digest = hashlib.sha256("\n".join(names).encode())
    for array in arrays:
        digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()


@lru_cache(maxsize=2)
def code_sha256(places: tuple[str, ...] = DECISIVE) -> str:
    """SHA-256 of the source that decides numbers: what is being worked on keeps its version."""
    digest, root = hashlib.sha256(), Path(crosspoint3d.__file__).parent
    parts = [root / name for name in places]
    for path in sorted(file for part in parts for file in ([part] if part.is_file() else part.rglob("*.py"))):
        digest.update(path.read_bytes())
    return digest.hexdigest()


def protocol_record(
    config: EvaluateConfig,
    *,
    data: dict[str, Any],
    encoders: list[dict[str, Any]],
    seconds: float,
    notes: list[str],
    **choices: Any,
) -> dict[str, Any]:
    """The protocol record of an evaluation, plain values only.

    Args:
        config: the config that was run.
        data: the data's own record (name, split and its hash, orientation, notes); of the last seed.
        encoders: one entry a seed: hash, k, feature width and seconds of the encoder and its untrained twin (None where
            it has none).
        seconds: wall time of the whole evaluation.
        notes: sentences a reader of the numbers should know, beside those of the data.
        choices: classifier, scaler, C, episodes, ... as the evaluation has them.
    """
    trained = [entry["trained"] for entry in encoders]
    return {
        "mode": config.protocol,
        "data": {key: value for key, value in data.items() if key != "notes"},
        "points": {"count": data.get("points_count", config.points), "picked": data.get("points_picked", "")},
        "k": trained[0].get("k"),
        "seeds": list(range(config.seeds)),
        **choices,
        "encoder": config.encoder,
        "encoder_sha256": sorted({entry["sha256"] for entry in trained}),
        "encoders": encoders,
        **circumstances(config, seconds=seconds),
        "notes": [*data.get("notes", []), *notes, *_about(config, encoders)],
    }


def circumstances(
    config: EvaluateConfig | FinetuneConfig | SegmentationConfig,
    *,
    seconds: float,
    places: tuple[str, ...] = DECISIVE,
) -> dict[str, Any]:
    """What every record says about how it was made: the config, the command, the code, the machine, the time.

    Args:
        config: the config that was run.
        seconds: wall time of all of it.
        places: folders and files of the package whose code decides the numbers.
    """
    here, program = environment(), Path(sys.argv[0]).name
    return {
        "config": to_dict(config),
        "command": shlex.join(["crosspoint3d" if program == "__main__.py" else program, *sys.argv[1:]]),
        "version": here["packages"]["crosspoint3d"],
        "code_sha256": code_sha256(places),
        "environment": here,
        "device": str(pick_device(config.device)),
        "date": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
        "seconds": round(seconds, 3),
    }


def _about(config: EvaluateConfig, encoders: list[dict[str, Any]]) -> list[str]:
    """What a reader should know about the encoders."""
    without_twin = [entry for entry in encoders if config.untrained and entry.get("untrained", {}) is None]
    itself = config.untrained and config.encoder.startswith("random:")
    without_hash = [entry for entry in encoders if entry["trained"]["sha256"] is None]
    return [ITSELF] * itself + [NO_TWIN] * bool(without_twin) + [NO_HASH] * bool(without_hash)


def picked(count: int, available: int) -> str:
    """How the points of each cloud were chosen, in words."""
    if count == available:
        return f"all {available} points, nothing drawn"
    return f"{count} of {available} points, drawn at random from the seed"
