"""Sums over the processes of a distributed run, and the rows of all of them, with gradient."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
import torch.distributed as dist
from jaxtyping import Float
from torch import Tensor
from torch.autograd import Function
from torch.autograd.function import once_differentiable

_equal = False


def processes() -> int:
    """How many processes train together; 1 where nothing is distributed."""
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def process() -> int:
    """The number of this process among them, from 0."""
    return dist.get_rank() if processes() > 1 else 0


class _SumAcross(Function):
    """Every process's result depends on every process's value, so gradients are summed as well."""

    @staticmethod
    def forward(ctx: Any, value: Tensor) -> Tensor:
        total = value.contiguous().clone()
        dist.all_reduce(total)
        return total

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> Any:
        total = gradient.contiguous().clone()
        dist.all_reduce(total)
        return total


class _RowsAcross(Function):
    @staticmethod
    def forward(ctx: Any, rows: Tensor) -> Tensor:
        everybodys = [torch.empty_like(rows, memory_format=torch.contiguous_format) for _ in range(processes())]
        dist.all_gather(everybodys, rows.contiguous())
        ctx.own = slice(process() * len(rows), (process() + 1) * len(rows))
        return torch.cat(everybodys)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> Any:
        return gradient[ctx.own]


class _FromFirst(Function):
    @staticmethod
    def forward(ctx: Any, value: Tensor) -> Tensor:
        return value.clone()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> Any:
        return gradient if process() == 0 else torch.zeros_like(gradient)


def counted_once(value: Tensor) -> Tensor:
    """`value`, which all processes hold alike and compute alike from: its gradient is left to the first of them.

    For a weight of the loss over the whole batch (`rows_across`), such as a learned temperature: every process has the
    whole gradient on it, and summed over the processes it is to count once.
    """
    if processes() == 1:
        return value
    once: Tensor = _FromFirst.apply(value)  # type: ignore[no-untyped-call]
    return once


def sum_across(value: Tensor) -> Tensor:
    """The sum of `value` over all processes, the same in each; `value` itself where there is one process.

    Every process must call this as often as the others, with values of the same shape and dtype.
    """
    if processes() == 1:
        return value
    total: Tensor = _SumAcross.apply(value)  # type: ignore[no-untyped-call]
    return total


def rows_across(rows: Float[Tensor, "B *V D"]) -> Float[Tensor, "WB *V D"]:
    """The rows of all W processes, in their order, the same in each; `rows` itself where there is one process.

    For what every process then computes alike, such as a loss over the whole batch. The gradient on all rows is then
    the same everywhere and each process takes that on its own rows, without communication: summed over the processes,
    gradients on weights are those of that one loss. Every process must come with as many rows.
    """
    if processes() == 1:
        return rows
    everybodys: Tensor = _RowsAcross.apply(rows)  # type: ignore[no-untyped-call]
    return everybodys


@contextmanager
def equal_shares() -> Iterator[None]:
    """Inside, every process works on as many samples as the others, so `count_across` knows without asking them."""
    global _equal
    before, _equal = _equal, True
    try:
        yield
    finally:
        _equal = before


def count_across(count: int, device: torch.device) -> int:
    """The sum of a number over all processes; every process must call this as often as the others."""
    if _equal or processes() == 1:
        return count * processes()
    return int(sum_across(torch.tensor(count, device=device)))
