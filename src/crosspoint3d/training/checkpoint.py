"""The state of a run that can go on: weights, optimizer and the number of steps done.

Nothing random needs saving: order, views and augmentations are functions of (seed, step).
"""

import shutil
from pathlib import Path
from typing import Any

import torch
from torch import nn

from crosspoint3d.config import RunError
from crosspoint3d.runtime import atomic

FILE = Path("checkpoint") / "state.pt"


def save_checkpoint(
    run: Path,
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    step: int,
    rows: str,
    more: dict[str, Any] | None = None,
) -> None:
    """Write the state; the one before stays whole until the new one is on disk.

    Args:
        run: folder of the run.
        model: on any device.
        optimizer: of the model.
        step: steps done.
        rows: names the training rows.
        more: entries to save beside: plain values and tensors.

    Raises:
        RunError: it could not be written (a full disk, no permission).
    """
    state = {"step": step, "rows": rows, "model": model.state_dict(), "optimizer": optimizer.state_dict()}
    state |= more or {}
    try:
        with atomic(run / FILE) as path:
            torch.save(state, path)
    except (OSError, RuntimeError) as error:
        free = f"{shutil.disk_usage(run).free / 1e6:.0f} MB free on that disk"
        kept = "; the checkpoint before it is kept, free some space and --resume" if (run / FILE).exists() else ""
        raise RunError(
            f"the checkpoint of step {step} could not be written to {run / FILE} ({free}): {error}{kept}"
        ) from error


def checkpoint_step(run: Path) -> int | None:
    """The step of a run's checkpoint, or None where there is none."""
    return int(_load(run)["step"]) if (run / FILE).exists() else None


def load_checkpoint(run: Path, model: nn.Module, optimizer: torch.optim.Optimizer, rows: str) -> dict[str, Any]:
    """Put a run's state into the model and the optimizer; what else was saved: `step` and the further entries.

    Raises:
        RunError: the file cannot be read, belongs to another network, or the tables have changed since.
    """
    state = _load(run)
    if state["rows"] != rows:
        raise RunError(f"the training shapes of --data have changed since {run} began: start a new run")
    try:
        model.load_state_dict(state["model"])
        optimizer.load_state_dict(state["optimizer"])
    except (RuntimeError, ValueError, KeyError) as error:
        raise RunError(f"{run / FILE} does not fit this run's config: {error}") from error
    return {name: value for name, value in state.items() if name not in ("model", "optimizer", "rows")}


def _load(run: Path) -> dict[str, Any]:
    try:
        state: dict[str, Any] = torch.load(run / FILE, map_location="cpu", weights_only=True)
        return state
    except Exception as error:
        reason = f"{type(error).__name__}: {error}".splitlines()[0][:100]
        raise RunError(f"{run / FILE} cannot be read ({reason}): remove it to start again from step 0") from error
