"""Checkpoints that are written while the training goes on.

Only a copy of the state in host memory is waited for (on CUDA in pinned memory, at the speed of the bus). A thread
writes it as `save_checkpoint` would. The copy's memory is kept for the next one, so a run holds its state once more.
"""

import copy
import sys
import threading
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from crosspoint3d.training import checkpoint


class CheckpointWriter:
    """Writes the states of one run in its order, one at a time; a context manager that waits for the last one.

    A write that fails is raised by whichever method is called next, `check` at every step. Where the block ends by
    another error, that one is raised and the write's is said on stderr.

    Args:
        run: folder of the run.
        model: on any device.
        optimizer: of the model.
        rows: names the training rows.
        more: entries to save beside, as they are at each save: plain values and tensors, in dictionaries and lists.
    """

    def __init__(
        self,
        run: Path,
        model: nn.Module,
        optimizer: torch.optim.Optimizer,
        rows: str,
        more: dict[str, Any] | None = None,
    ) -> None:
        self._run, self._model, self._optimizer, self._rows, self._more = run, model, optimizer, rows, more
        self._thread: threading.Thread | None = None
        self._error: Exception | None = None
        self._held: dict[tuple[Any, ...], Tensor] = {}

    def __enter__(self) -> "CheckpointWriter":
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: Any) -> None:
        self._join()
        if kind is None:
            self.check()
        elif self._error is not None:
            sys.stderr.write(f"crosspoint3d: warning: {self._error}\n")

    @property
    def busy(self) -> bool:
        """Whether a write is under way."""
        return self._thread is not None and self._thread.is_alive()

    def save(self, step: int) -> None:
        """Copy the state after `step` steps and begin to write it, when the one before is on disk.

        Raises:
            RunError: the one before could not be written, or there is no memory for the copy.
        """
        self.wait()
        state = checkpoint.state_of(self._run, self._model, self._optimizer, step, self._rows, self._more)
        try:
            copied = self._copy(state, (), {})
            if (device := next(self._model.parameters()).device).type == "cuda":
                torch.cuda.current_stream(device).synchronize()
        except RuntimeError as error:
            raise checkpoint.not_written(self._run, step, error) from error
        self._thread = threading.Thread(target=self._write, args=(copied,), name="crosspoint3d-checkpoint")
        self._thread.start()

    def check(self) -> None:
        """Raise what made a write fail; waits for nothing.

        Raises:
            RunError: see `save_checkpoint`.
        """
        if self._error is not None:
            error, self._error = self._error, None
            raise error

    def wait(self) -> None:
        """Return when what was saved is on disk.

        Raises:
            RunError: it could not be written.
        """
        self._join()
        self.check()

    def kept_step(self) -> int | None:
        """Wait, then the step of the newest checkpoint that can be read, or None; a failed write is not raised yet."""
        self._join()
        return checkpoint.checkpoint_step(self._run)

    def _join(self) -> None:
        if self._thread is not None:
            self._thread.join()
            self._thread = None

    def _write(self, state: dict[str, Any]) -> None:
        try:
            checkpoint.write_state(self._run, state)
        except Exception as error:  # raised again in the training's thread
            self._error = error

    def _copy(self, value: Any, place: tuple[Any, ...], seen: dict[tuple[Any, ...], Tensor]) -> Any:
        """The same nest with every tensor copied into memory that is kept by its place; equal ones stay one tensor."""
        if isinstance(value, Tensor):
            same = (value.data_ptr(), value.dtype, value.shape, value.stride()) if value.numel() else place
            if same not in seen:
                seen[same] = self._memory(value, place).copy_(value, non_blocking=value.device.type == "cuda")
            return seen[same]
        if isinstance(value, dict):
            copied = copy.copy(value)  # a state dictionary's `_metadata` too
            for name, item in value.items():
                copied[name] = self._copy(item, (*place, name), seen)
            return copied
        if isinstance(value, list | tuple):
            return type(value)(self._copy(item, (*place, number), seen) for number, item in enumerate(value))
        return value

    def _memory(self, tensor: Tensor, place: tuple[Any, ...]) -> Tensor:
        held = self._held.get(place)
        if held is None or held.shape != tensor.shape or held.dtype != tensor.dtype:
            pinned = tensor.device.type == "cuda"
            held = torch.empty_like(tensor, device="cpu", pin_memory=pinned, requires_grad=False)
            self._held[place] = held
        return held
