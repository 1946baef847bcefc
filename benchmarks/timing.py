"""What the scripts beside this one share: arguments, precisions, and the timing of two functions in turns."""

import argparse
import math
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from crosspoint3d.runtime import pick_device

PRECISIONS = ("float32", "tf32", "bfloat16")
QUICK = {"batch_size": 2, "points": 128, "k": 8, "repeats": 3}
SHORTEST = 0.02  # seconds of one measurement; shorter functions are called several times
WARM_UP = 0.5  # seconds, or ten calls


class Pair(NamedTuple):
    """Ours and the plain definition, measured in turns; seconds of a call, or MiB."""

    ours: list[float]
    plain: list[float]

    @property
    def ratios(self) -> list[float]:
        """Of each turn, plain by ours."""
        return [plain / ours for ours, plain in zip(self.ours, self.plain, strict=True)]


def arguments(description: str | None) -> argparse.ArgumentParser:
    """A parser with the options that every script has; the shapes are those of the targets."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", choices=["auto", "cpu", "cuda"], default="auto")
    parser.add_argument("--precision", nargs="+", choices=PRECISIONS, help="float32 on a CPU, several on CUDA")
    parser.add_argument("--threads", type=int, default=0, help="CPU threads; 0 leaves torch's choice")
    parser.add_argument("--repeats", type=int, default=11, help="turns, of which medians are taken")
    parser.add_argument("--batch-size", type=int, default=4)
    parser.add_argument("--points", type=int, default=2048)
    parser.add_argument("--k", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write everything there")
    parser.add_argument("--quick", action="store_true", help="tiny shapes, to see that it runs; no targets")
    return parser


def begin(options: argparse.Namespace, on_cuda: Sequence[str] = PRECISIONS) -> torch.device:
    """Set threads, fill in what `--quick` and the device decide, and return the device."""
    if options.threads:
        torch.set_num_threads(options.threads)
    if options.quick:
        vars(options).update(QUICK)
    device = pick_device(options.device)
    options.precision = options.precision or (on_cuda if device.type == "cuda" else ["float32"])
    return device


@contextmanager
def precision(name: str, device: torch.device) -> Iterator[None]:
    """The same precision for both sides.

    float32 is float32 everywhere, in convolutions too, which take TF32 by default; tf32 allows it in all products;
    bfloat16 is autocast, as `crosspoint3d pretrain --precision bfloat16` has it.
    """
    before = torch.get_float32_matmul_precision(), torch.backends.cudnn.allow_tf32
    if device.type == "cuda":
        torch.set_float32_matmul_precision("high" if name == "tf32" else "highest")
        torch.backends.cudnn.allow_tf32 = name == "tf32"
    try:
        with torch.autocast(device.type, torch.bfloat16, enabled=name == "bfloat16"):
            yield
    finally:
        torch.set_float32_matmul_precision(before[0])
        torch.backends.cudnn.allow_tf32 = before[1]


def training_step(forward: Callable[[], Tensor], wanted: Sequence[Tensor], seed: int = 0) -> Callable[[], Any]:
    """A call of `forward`, and back from a random gradient of its result into `wanted`."""
    directions: list[Tensor] = []

    def step() -> Any:
        result = forward()
        if not directions:
            generator = torch.Generator().manual_seed(seed)
            directions.append(torch.randn(result.shape, generator=generator).to(result))
        with torch.autocast(result.device.type, enabled=False):
            return torch.autograd.grad(result, wanted, directions[0].to(result.dtype))

    return step


def _seconds(function: Callable[[], Any], calls: int, device: torch.device) -> float:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    start = time.perf_counter()
    for _ in range(calls):
        function()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return (time.perf_counter() - start) / calls


def _calls(function: Callable[[], Any], device: torch.device) -> int:
    """How many calls fill the shortest measurement, after some that compile and fill caches."""
    seconds = [_seconds(function, 1, device)]
    while len(seconds) < 2 or (sum(seconds[1:]) < WARM_UP and len(seconds) < 10):
        seconds.append(_seconds(function, 1, device))
    return max(1, math.ceil(SHORTEST / min(seconds)))


def alternate(ours: Callable[[], Any], plain: Callable[[], Any], repeats: int, device: torch.device) -> Pair:
    """Seconds a call, ours and plain in turns, so that other load on the machine meets both."""
    calls = _calls(ours, device), _calls(plain, device)
    pair = Pair([], [])
    for _ in range(repeats):
        pair.ours.append(_seconds(ours, calls[0], device))
        pair.plain.append(_seconds(plain, calls[1], device))
    return pair


def fastest(function: Callable[[], Any], device: torch.device, repeats: int = 5) -> float:
    """Seconds of a call at best."""
    calls = _calls(function, device)
    return min(_seconds(function, calls, device) for _ in range(repeats))


def median(values: Sequence[float]) -> float:
    """The middle value."""
    return statistics.median(values)
