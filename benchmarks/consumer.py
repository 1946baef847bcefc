"""Something that is busy for a given time with every batch, as a device in training is: for `loader.py`."""

import time
from collections.abc import Callable

import torch

Finish = Callable[[], float]
"""Waits for the end of a piece of work; the seconds in which it was at work."""


def consumer(device: torch.device, seconds: float) -> Callable[[], Finish]:
    """Begins work of about so many seconds at every call: matrix products on CUDA, else the time just passes."""
    if device.type != "cuda":
        return lambda: _passing(seconds)
    matrix = torch.randn(4096, 4096, device=device)
    _products(matrix, 20)()
    count = max(1, round(seconds / (_products(matrix, 20)() / 20)))
    return lambda: _products(matrix, count)


def _passing(seconds: float) -> Finish:
    began = time.perf_counter()

    def finish() -> float:
        left = began + seconds - time.perf_counter()
        if left <= 0:
            return seconds
        time.sleep(left)
        return time.perf_counter() - began

    return finish


def _products(matrix: torch.Tensor, count: int) -> Finish:
    first, last = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
    first.record()
    for _ in range(count):
        torch.mm(matrix, matrix)
    last.record()

    def finish() -> float:
        last.synchronize()
        return first.elapsed_time(last) / 1e3

    return finish
