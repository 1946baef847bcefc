"""Randomness that takes no generator, made a function of seed and step."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from crosspoint3d.runtime import generator_for


@contextmanager
def seeded(seed: int, step: int, device: torch.device, process: int = 0) -> Iterator[None]:
    """Dropout and stochastic depth inside take no generator: they draw from the global ones, seeded by the step."""
    number = (generator_for(seed, step, -process) if process else generator_for(seed, step)).initial_seed()
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.default_generator.manual_seed(number)
        if device.type != "cpu":
            getattr(torch, device.type).manual_seed(number)
        yield
