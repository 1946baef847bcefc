"""The folder that a network is kept in: model.safetensors, config.json and README.md."""

import json
import os
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file
from safetensors.torch import save as serialise
from torch import Tensor, nn

from crosspoint3d import __version__
from crosspoint3d.config import UsageError
from crosspoint3d.models.card import model_card

WEIGHTS, CONFIG, CARD = "model.safetensors", "config.json", "README.md"
TRAINED_BY = (("image_encoder", "pretrain"), ("loss_over", "finetune segment"), ("layer_decay", "finetune classify"))
"""Options that tell from a run's config.yaml which verb wrote it."""
PART_SCORE = "instance_miou"
"""Tells a fine-tuning on parts whose config.yaml is older than `loss_over`."""


def write_folder(network: nn.Module, config: dict[str, Any], folder: Path) -> None:
    """Write a network's weights, config and model card; what was there before survives a failure.

    Args:
        network: on any device.
        config: JSON values; `package` is added.
        folder: created when missing.

    Raises:
        OSError: the files cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    config = {**config, "package": __version__}
    weights = {name: value.detach().cpu().contiguous() for name, value in network.state_dict().items()}
    temporary = {name: folder / f".{name}.{os.getpid()}.tmp" for name in (WEIGHTS, CONFIG, CARD)}
    try:
        temporary[WEIGHTS].write_bytes(serialise(weights))
        temporary[CONFIG].write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
        temporary[CARD].write_text(model_card(config), encoding="utf-8")
        for name, path in temporary.items():
            path.replace(folder / name)
    finally:
        for path in temporary.values():
            path.unlink(missing_ok=True)


def read_config(folder: Path) -> dict[str, Any]:
    """The config.json of an encoder folder, or of a fine-tuned network's.

    Raises:
        UsageError: the folder or the file is missing, or the file is no JSON object.
    """
    path = folder / CONFIG
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        expected = f"expected a folder with {WEIGHTS} and {CONFIG}, as pretrain and finetune write it"
        raise UsageError(f"{path}: {error.strerror}; {expected}") from error
    except ValueError as error:
        raise UsageError(f"{path} is not JSON: {error}; expected the file as it was written") from error
    if not isinstance(config, dict):
        raise UsageError(f"{path}: expected a JSON object, got {type(config).__name__}")
    return config


def unfinished(run: Path) -> str:
    """How to go on with the training that a folder was begun for; empty where there is none or it is finished."""
    config = run / "config.yaml"
    if not config.is_file() or (run / "summary.json").exists():
        return ""
    options = {line.partition(":")[0] for line in config.read_text(encoding="utf-8", errors="replace").splitlines()}
    verb = next((verb for option, verb in TRAINED_BY if option in options), "")
    if verb == "finetune classify" and any(PART_SCORE in log.read_text("utf-8") for log in run.glob("*/metrics.jsonl")):
        verb = "finetune segment"
    return f"its training is not finished: go on with `crosspoint3d {verb} --out {run} --resume`" if verb else ""


def undescribed(folder: Path, config: dict[str, Any], error: Exception, expected: str) -> UsageError:
    """What to raise where a config.json describes nothing that can be built."""
    return UsageError(
        f"{folder / CONFIG}: {error!r}; expected {expected} as crosspoint3d {__version__} writes them "
        f"(the file says {config.get('package', 'no version')})"
    )


def read_folder_weights(folder: Path) -> dict[str, Tensor]:
    """The weights in a folder, by name; PointNet's first layers by their name of today.

    Raises:
        UsageError: the file is missing or broken.
    """
    path = folder / WEIGHTS
    try:
        weights = load_file(path)
    except (OSError, SafetensorError) as error:
        reason = "No such file" if not path.exists() else str(error)
        raise UsageError(f"{path}: {reason}; expected the safetensors file as it was written") from error
    before = "encoder.local."
    return {
        f"encoder.narrow.{name.removeprefix(before)}" if name.startswith(before) else name: value
        for name, value in weights.items()
    }


def fill(network: nn.Module, weights: dict[str, Tensor], folder: Path) -> None:
    """Load weights that must be exactly the network's.

    Raises:
        UsageError: keys are missing, unknown or of another shape; all are listed.
    """
    if problems := key_problems(network.state_dict(), weights):
        raise UsageError(f"{folder / WEIGHTS} does not fit {folder / CONFIG}; {problems}")
    network.load_state_dict(weights)


def key_problems(own: dict[str, Tensor], weights: dict[str, Tensor]) -> str:
    """Keys of a network that weights lack, those it does not know and those of another shape; empty where all fit."""
    problems = {
        "missing": sorted(own.keys() - weights.keys()),
        "unknown": sorted(weights.keys() - own.keys()),
        "of another shape": sorted(n for n in own.keys() & weights.keys() if own[n].shape != weights[n].shape),
    }
    return "; ".join(f"{what}: {', '.join(names)}" for what, names in problems.items() if names)
