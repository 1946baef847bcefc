"""For the tests of checkpoints: a small network with an optimizer that has a state, and ways to spoil a file."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from torch import nn


class Toy(nn.Module):
    """BatchNorm too, whose counts are integers."""

    def __init__(self, width: int = 8) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(3, width), nn.BatchNorm1d(width), nn.Linear(width, 1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        out: torch.Tensor = self.layers(x)
        return out


def trained(steps: int, width: int = 8, seed: int = 0) -> tuple[Toy, torch.optim.Optimizer]:
    """A network after some steps of Adam on noise."""
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        model = Toy(width)
        optimizer = torch.optim.Adam(model.parameters())
        for _ in range(steps):
            optimizer.zero_grad()
            torch.autograd.backward(model(torch.randn(4, 3)).square().mean())
            optimizer.step()
    return model, optimizer


def equal(one: object, other: object) -> bool:
    """Whether two nests of dictionaries, lists, plain values and tensors are the same, bit for bit."""
    if isinstance(one, torch.Tensor):
        return isinstance(other, torch.Tensor) and one.dtype == other.dtype and torch.equal(one, other)
    if isinstance(one, dict):
        return isinstance(other, dict) and list(one) == list(other) and all(equal(one[k], other[k]) for k in one)
    if isinstance(one, list | tuple):
        return type(one) is type(other) and len(one) == len(other) and all(map(equal, one, other))  # type: ignore[arg-type]
    return one == other


def flip(path: Path, at: int, mask: int = 0xFF) -> None:
    """Change one byte."""
    content = bytearray(path.read_bytes())
    content[at] ^= mask
    path.write_bytes(content)


def cut(path: Path, to: int) -> None:
    """Keep only the first bytes."""
    path.write_bytes(path.read_bytes()[:to])


@contextmanager
def closed_to_writing(folder: Path) -> Iterator[None]:
    """The folder cannot be written in; the superuser, for whom nothing is closed, is somebody else meanwhile."""
    mode, user = folder.stat().st_mode, os.geteuid()
    folder.chmod(0o555)
    if user == 0:
        os.seteuid(65534)
    try:
        yield
    finally:
        if user == 0:
            os.seteuid(0)
        folder.chmod(mode)
