"""Mirrors of `metrics.jsonl` in TensorBoard and Weights & Biases; the file stays what a run is judged by.

A resumed run goes on in the same curves: TensorBoard is told to forget the steps after the checkpoint, Weights & Biases
keeps the points it has, which a run that repeats itself to the bit would only draw again.
"""

import json
import sys
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from crosspoint3d.config import PretrainConfig, UsageError
from crosspoint3d.config_file import to_dict
from crosspoint3d.training import metrics

EVENTS = "tensorboard"
WANDB_FILE = "wandb.json"


def check_trackers(config: PretrainConfig) -> None:
    """Refuse a tracker whose package is missing; nothing is imported or written.

    Raises:
        UsageError: names the option and the extra that brings the package.
    """
    for asked, package in ((config.tensorboard, "tensorboard"), (bool(config.wandb), "wandb")):
        if asked and find_spec(package) is None:
            raise UsageError(f"--{package} needs the {package} package: pip install 'crosspoint3d[{package}]'")


@contextmanager
def open_trackers(config: PretrainConfig, start: int) -> Iterator[Callable[[dict[str, Any]], None]]:
    """A function that mirrors one row of `metrics.jsonl`; does nothing where no tracker was asked for.

    A tracker that fails later (a full disk) is a message; the run goes on without it.

    Args:
        config: of the run, whose folder exists.
        start: step that the run goes on from; `metrics.jsonl` ends there.

    Raises:
        UsageError: Weights & Biases cannot be reached or is not logged in.
    """
    trackers: list[TensorBoard | WeightsAndBiases] = []

    def attempt(tracker: TensorBoard | WeightsAndBiases, action: Callable[[], None], when: str) -> None:
        try:
            action()
        except Exception as error:
            trackers.remove(tracker)
            name, reason = type(tracker).__name__, f"{type(error).__name__}: {error}"
            sys.stderr.write(f"crosspoint3d: warning: {name} failed {when} ({reason}); {metrics.FILE} has everything\n")

    def mirror(row: dict[str, Any]) -> None:
        for tracker in list(trackers):
            attempt(tracker, partial(tracker.log, row), f"at step {row['step']}")

    failed = True
    try:
        if config.tensorboard:
            trackers.append(TensorBoard(config.out, start))
        if config.wandb:
            trackers.append(WeightsAndBiases(config))
        yield mirror
        failed = False
    finally:
        for tracker in list(trackers):
            attempt(tracker, partial(tracker.close, failed), "at the end")


def _scalars(row: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in row.items() if name != "step" and value is not None}


class TensorBoard:
    """Event files in RUN/tensorboard, every row on disk when `log` returns.

    Args:
        run: the run folder; where it has no event files yet, the rows of its `metrics.jsonl` come first.
        start: later steps of earlier event files are purged.
    """

    def __init__(self, run: Path, start: int) -> None:
        from torch.utils.tensorboard import SummaryWriter

        folder = run / EVENTS
        new = not folder.exists()
        self._writer = SummaryWriter(str(folder), purge_step=start + 1)
        for row in metrics.read(run) if new else []:
            self.log(row)

    def log(self, row: dict[str, Any]) -> None:
        """One scalar for each value that is not None, under its name."""
        for name, value in _scalars(row).items():
            self._writer.add_scalar(name, value, row["step"])
        self._writer.flush()

    def close(self, failed: bool) -> None:
        """End the file."""
        del failed
        self._writer.close()


class WeightsAndBiases:
    """A run of the project `config.wandb`, its files in RUN/wandb; RUN/wandb.json names it for a resumed run.

    Args:
        config: of the run. Rows of its `metrics.jsonl` that this tracker has not seen come first.

    Raises:
        UsageError: the service cannot be reached or is not logged in.
    """

    def __init__(self, config: PretrainConfig) -> None:
        import wandb

        self._file = config.out / WANDB_FILE
        self._state: dict[str, Any] = {"project": config.wandb, "id": uuid.uuid4().hex, "step": 0}
        if self._file.exists():
            stored = json.loads(self._file.read_text(encoding="utf-8"))
            self._state = stored if stored["project"] == config.wandb else self._state
        try:
            self._run = wandb.init(
                project=config.wandb,
                id=self._state["id"],
                name=config.out.resolve().name,
                dir=str(config.out),
                config=to_dict(config),
                resume="allow",
                allow_val_change=True,
                settings=wandb.Settings(console="off", save_code=False, disable_git=True),
            )
        except wandb.Error as error:
            raise UsageError(
                f"--wandb {config.wandb}: {error}; run `wandb login` first, or set WANDB_MODE=offline to keep the "
                "curves on this disk"
            ) from error
        for row in metrics.read(config.out):
            self.log(row)

    def log(self, row: dict[str, Any]) -> None:
        """All values of a row that are not None, unless this step was mirrored before."""
        if row["step"] <= self._state["step"]:
            return
        self._run.log(_scalars(row), step=row["step"])
        self._state["step"] = row["step"]
        self._file.write_text(json.dumps(self._state), encoding="utf-8")

    def close(self, failed: bool) -> None:
        """Hand over what is left; a run that ended by an error is marked as failed."""
        self._run.finish(exit_code=int(failed))
