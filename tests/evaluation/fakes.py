"""Small stand-ins for networks and data, so that tests of evaluations need neither."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import nn

from crosspoint3d.data.clouds import LabelledClouds
from crosspoint3d.data.split import split_hash


class Radii(nn.Module):
    """Features that are the mean distances of the points from the axes; weight 0 makes them constant."""

    features = 3

    def __init__(self, weight: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.tensor(weight))

    def forward(self, points: torch.Tensor) -> torch.Tensor:
        return 1.0 + self.weight * points.abs().mean(1)

    def project(self, features: torch.Tensor) -> torch.Tensor:
        return features


def cluster_clouds(
    spread: float = 0.01, *, drawn: bool = False, points: int = 16, train: int = 30, test: int = 12
) -> Callable[..., LabelledClouds]:
    """A stand-in for `load_clouds`: three categories, each stretched along another axis."""

    def draw(count: int, generator: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        labels = np.arange(count) % 3
        stretch = 0.3 + 0.7 * np.eye(3)[labels] + spread * generator.normal(size=(count, 3))
        clouds = stretch[:, None] * generator.choice([-1.0, 1.0], size=(count, points, 3))
        return clouds.astype(np.float32), labels

    def load(spec: str, *, seed: int) -> LabelledClouds:
        generator = np.random.default_rng(seed if drawn else 0)
        train_points, train_labels = draw(train, generator)
        test_points, test_labels = draw(test, generator)
        ids = [tuple(f"{part}{i}" for i in range(n)) for part, n in (("train", train), ("test", test))]
        names = ("a", "b", "c")
        record = {
            "name": spec,
            "split_drawn": drawn,
            "split_sha256": split_hash(
                [(i, names[c]) for i, c in zip(ids[0], train_labels, strict=True)],
                [(i, names[c]) for i, c in zip(ids[1], test_labels, strict=True)],
            ),
            "train_shapes": train,
            "test_shapes": test,
            "notes": [],
        }
        return LabelledClouds(train_points, train_labels, test_points, test_labels, names, ids[0], ids[1], record)

    return load


def use_encoders(monkeypatch: pytest.MonkeyPatch, *, trained: nn.Module, untrained: nn.Module) -> list[str]:
    """Make `models.load_encoder` and `models.untrained` give these modules; returns the list of their calls."""
    calls: list[str] = []

    def load_encoder(spec: str, k: int | None = None, seed: int = 0) -> nn.Module:
        calls.append("trained")
        return trained

    def load_untrained(spec: str, seed: int, k: int | None = None) -> nn.Module:
        calls.append(f"untrained {seed}")
        return untrained

    monkeypatch.setattr("crosspoint3d.models.load_encoder", load_encoder)
    monkeypatch.setattr("crosspoint3d.models.untrained", load_untrained)
    return calls
