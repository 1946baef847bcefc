"""NT-Xent without its matrix of similarities: a block of rows at a time, computed again in the backward pass.

Similarities are symmetric: a block holds its rows' columns from the diagonal on, and serves the rows below it by its
columns. Memory is a block and a few times the rows, forward and backward.

Axis letters: R rows (2B: one half the positives of the other), D width of the joint space.
"""

from collections.abc import Iterator
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.autograd import Function
from torch.autograd.function import once_differentiable

MOST_ROWS, MOST_ELEMENTS = 1024, 2**24


def _blocks(rows: Tensor, temperature: float, height: int) -> Iterator[tuple[slice, slice, Tensor]]:
    """Rows of a block, rows below it, and its similarities (rows, rows and all below); to itself a row has -inf."""
    for start in range(0, len(rows), height):
        here, below = slice(start, start + height), slice(start + height, None)
        block = (rows[here] / temperature) @ rows[start:].T
        yield here, below, block.fill_diagonal_(-torch.inf)


class _MeanLogSumExp(Function):
    """Mean over rows i of `log(sum over j != i of exp(rows_i . rows_j / temperature))`."""

    @staticmethod
    def forward(ctx: Any, rows: Tensor, temperature: float, height: int) -> Tensor:
        totals = rows.new_full((len(rows),), -torch.inf)
        for here, below, block in _blocks(rows, temperature, height):
            totals[here] = torch.logaddexp(totals[here], block.logsumexp(1))
            totals[below] = torch.logaddexp(totals[below], block[:, height:].logsumexp(0))
        ctx.save_for_backward(rows, totals)
        ctx.settings = (temperature, height)
        return totals.mean()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> Any:
        rows, totals = ctx.saved_tensors
        temperature, height = ctx.settings
        pull = torch.zeros_like(rows)
        with torch.autocast(rows.device.type, enabled=False):
            for here, below, block in _blocks(rows, temperature, height):
                columns = (block - totals[here.start :]).exp_()
                both = block.sub_(totals[here, None]).exp_().add_(columns)
                pull[here] += both @ rows[here.start :]
                pull[below] += both[:, height:].T @ rows[here]
        return pull.mul_(gradient / (temperature * len(rows))), None, None


def streamed_nt_xent(rows: Float[Tensor, "R D"], temperature: float, height: int | None = None) -> Float[Tensor, ""]:
    """The value and the gradient of `losses.nt_xent` (arXiv 2002.05709, equation 1) in memory O(R D) beside one block.

    Args:
        rows: L2-normalised projections, R even; row i and row i + R / 2 are each other's positives.
        temperature: divides the cosines.
        height: rows a block; by default at most 1,024, and as many as keep a block within 64 MiB of float32.
    """
    a, b = rows.chunk(2)
    height = height or min(MOST_ROWS, max(1, MOST_ELEMENTS // len(rows)))
    mean: Tensor = _MeanLogSumExp.apply(rows, temperature, height)  # type: ignore[no-untyped-call]
    return mean - (a * b).sum(1).mean() / temperature
