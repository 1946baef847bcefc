"""What tests of whole runs share: a small network, and Ctrl-C in the middle of a run."""

import os
import signal
from typing import Any

import pytest

from crosspoint3d.training import loop

POINTNET: dict[str, Any] = {
    "encoder": "pointnet",
    "emb_dims": 16,
    "points": 16,
    "image_encoder": "resnet18",
    "image_size": 32,
    "batch_size": 4,
    "device": "cpu",
}


def interrupt_at(step: int, monkeypatch: pytest.MonkeyPatch, number: signal.Signals = signal.SIGINT) -> None:
    """Send this process a signal when update `step` (from 0) begins."""
    update = loop.train_step

    def interrupted(*arguments: Any) -> Any:
        if arguments[4] == step:
            os.kill(os.getpid(), number)
        return update(*arguments)

    monkeypatch.setattr(loop, "train_step", interrupted)
