"""Sums over the processes of a distributed run, with gradient."""

from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor
from torch.autograd import Function
from torch.autograd.function import once_differentiable


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


def sum_across(value: Tensor) -> Tensor:
    """The sum of `value` over all processes, the same in each; `value` itself where there is one process.

    Every process must call this as often as the others, with values of the same shape and dtype.
    """
    if not (dist.is_available() and dist.is_initialized() and dist.get_world_size() > 1):
        return value
    total: Tensor = _SumAcross.apply(value)  # type: ignore[no-untyped-call]
    return total


def count_across(count: int, device: torch.device) -> int:
    """The sum of a number over all processes; every process must call this as often as the others."""
    return int(sum_across(torch.tensor(count, device=device)))
