"""The state of a run that can go on: everything that the rest of the training is a function of.

Order, views, augmentations and dropout are functions of (seed, step), the learning rate is one of the step, and
bfloat16 needs no scaler. So step, weights and optimizer would do; what else is saved tells where a state comes from,
and serves code of others that draws from torch's global generators.
"""

import os
import shutil
import sys
from pathlib import Path
from typing import Any

import torch
from torch import nn

from crosspoint3d import __version__
from crosspoint3d.config import RunError
from crosspoint3d.training import metrics
from crosspoint3d.training.checkpoint_files import Newest, newest_first, read_newest, write
from crosspoint3d.training.run_tables import changes

FOLDER = Path("checkpoint")
CONFIG = "config.yaml"
_OWN = ("rows", "model", "optimizer", "generators", "made_with", "config")


def save_checkpoint(
    run: Path,
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    step: int,
    rows: str,
    more: dict[str, Any] | None = None,
) -> None:
    """Write `RUN/checkpoint/step-NNNNNNNN.pt`; the last three are kept, and none goes before this one is on disk.

    The file is a dictionary for `torch.load(weights_only=True)`:

    - `step`: steps done, which is the place in the data and in the schedule too;
    - `rows`: names the training rows;
    - `model`, `optimizer`: their state dictionaries;
    - `generators`: the states of torch's global ones, `cpu` and, on such a device, `cuda`;
    - `made_with`: versions of package and torch, type of the device, CPU threads;
    - `config`: the text of the run's config.yaml, with the seed in it;
    - and the entries of `more`.

    Args:
        run: folder of the run.
        model: on any device.
        optimizer: of the model.
        step: steps done.
        rows: names the training rows.
        more: entries to save beside: plain values and tensors.

    Raises:
        RunError: it could not be written (a full disk, no permission); the checkpoints before it are as they were.
    """
    write_state(run, state_of(run, model, optimizer, step, rows, more))


def state_of(
    run: Path,
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    step: int,
    rows: str,
    more: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """The dictionary that `save_checkpoint` writes, with the tensors of model and optimizer themselves, not copies."""
    state = {"step": step, "rows": rows, "model": model.state_dict(), "optimizer": optimizer.state_dict()}
    device = next(model.parameters()).device
    state |= {"generators": _generators(device), "made_with": _made_with(device), "config": _config(run)}
    return state | (more or {})


def write_state(run: Path, state: dict[str, Any]) -> None:
    """Write what `state_of` made; lines of metrics.jsonl that are there when it begins are on disk before it.

    Raises:
        RunError: see `save_checkpoint`.
    """
    try:
        if (run / metrics.FILE).is_file():
            with (run / metrics.FILE).open("rb") as lines:
                os.fsync(lines.fileno())  # what was logged up to this step is as safe as the state
        write(run / FOLDER, int(state["step"]), state)
    except (OSError, RuntimeError) as error:
        raise not_written(run, int(state["step"]), error) from error


def not_written(run: Path, step: int, error: Exception) -> RunError:
    """What to raise where the state of a step could not be written."""
    before = newest_first(run / FOLDER)
    free = f"{shutil.disk_usage(run).free / 1e6:.0f} MB free on that disk"
    kept = f"; the checkpoint before it is kept ({before[0].name}), free some space and --resume" if before else ""
    return RunError(f"the checkpoint of step {step} could not be written to {run / FOLDER} ({free}): {error}{kept}")


def checkpoint_step(run: Path) -> int | None:
    """The step that `load_checkpoint` would go on from, or None where there is no checkpoint.

    Raises:
        RunError: there are checkpoints, and none can be read.
    """
    newest = read_newest(run / FOLDER)
    return None if newest is None else int(newest.state["step"])


def load_checkpoint(run: Path, model: nn.Module, optimizer: torch.optim.Optimizer, rows: str) -> dict[str, Any]:
    """Put the newest state that can be read into the model and the optimizer, and the global generators as they were.

    A newer one that cannot be read is named on stderr, and so is what may make other numbers of the same training:
    another device, other threads or versions.

    Returns:
        `step`, and what was saved as `more`.

    Raises:
        RunError: no checkpoint can be read, it belongs to another network, or the tables have changed since.
    """
    newest = read_newest(run / FOLDER)
    if newest is None:
        raise RunError(f"no checkpoint in {run / FOLDER}: start a new run")
    path, state, _ = newest
    _name_unreadable(newest)
    if state["rows"] != rows:
        found = "; ".join(changes(run)) or "other rows are chosen from the same tables, by --exclude or split"
        raise RunError(f"the training shapes of --data have changed since {run} began ({found}): start a new run")
    try:
        model.load_state_dict(state["model"])
        optimizer.load_state_dict(state["optimizer"])
    except (RuntimeError, ValueError, KeyError) as error:
        raise RunError(f"{path} does not fit this run's config: {error}") from error
    device = next(model.parameters()).device
    now = _made_with(device)
    then = {name: value for name, value in state.get("made_with", {}).items() if name in now}
    if differ := [f"{name} was {value}, is {now[name]}" for name, value in then.items() if value != now[name]]:
        _say(f"{run}: {'; '.join(differ)}: the result may differ a little from that of a run that was not interrupted")
    _set_generators(state.get("generators", {}), device)
    return {name: value for name, value in state.items() if name not in _OWN}


def name_unreadable(run: Path) -> None:
    """Name on stderr what `load_checkpoint` would step over, for a run that begins anew instead of loading step 0."""
    if newest := read_newest(run / FOLDER):
        _name_unreadable(newest)


def _name_unreadable(newest: Newest) -> None:
    path, state, unreadable = newest
    if unreadable:
        broken = f"{path.parent}: {'; '.join(unreadable)}"
        _say(f"{broken}; going on from the one before, {path.name} (step {state['step']})")


def _say(line: str) -> None:
    sys.stderr.write(f"crosspoint3d: warning: {line}\n")


def _generators(device: torch.device) -> dict[str, torch.Tensor]:
    cuda = {"cuda": torch.cuda.get_rng_state(device)} if device.type == "cuda" else {}
    return {"cpu": torch.get_rng_state()} | cuda


def _set_generators(saved: dict[str, torch.Tensor], device: torch.device) -> None:
    if "cpu" in saved:
        torch.set_rng_state(saved["cpu"])
    if "cuda" in saved and device.type == "cuda":
        torch.cuda.set_rng_state(saved["cuda"], device)


def _made_with(device: torch.device) -> dict[str, Any]:
    made = {"crosspoint3d": __version__, "torch": str(torch.__version__), "device": device.type}
    return made | ({"threads": torch.get_num_threads()} if device.type == "cpu" else {})


def _config(run: Path) -> str:
    """The run's config.yaml, which a fine-tuning keeps one folder up."""
    texts = [path.read_text(encoding="utf-8") for path in (run / CONFIG, run.parent / CONFIG) if path.is_file()]
    return texts[0] if texts else ""
