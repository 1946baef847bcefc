"""NT-Xent without its matrix of similarities: a block of rows at a time, computed again in the backward pass.

Similarities are symmetric: a block holds its rows' columns from the diagonal on, and serves the rows below it by its
columns. Memory is a block and a few times the rows, forward and backward. Further negatives, which are no anchors and
get no gradient, come in blocks of their own.

Axis letters: R rows (B shapes: their clouds, then their first pictures, their second ones, ...; with one picture one
half the positives of the other), M further negatives, D width of the joint space.
"""

from collections.abc import Iterator
from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.autograd import Function
from torch.autograd.function import once_differentiable

MOST_ROWS, MOST_ELEMENTS = 1024, 2**24


def left_out(count: int, shapes: int, device: torch.device) -> Bool[Tensor, "R R"]:
    """Which rows are not among an anchor's choices: itself, and of a picture the other pictures of its shape."""
    places = torch.arange(count, device=device)
    groups = torch.where(places < shapes, places, shapes + places % shapes)
    return groups[:, None] == groups


def anchor_weights(rows: Float[Tensor, "R D"], shapes: int) -> Float[Tensor, " R"]:
    """Weights of mean 1 by which clouds together count as much as pictures together; all 1 with one picture each."""
    pictures = len(rows) // shapes - 1
    weights = rows.new_full((len(rows),), (1 + pictures) / (2 * pictures))
    weights[:shapes] = (1 + pictures) / 2
    return weights


def mean_positive(rows: Float[Tensor, "R D"], shapes: int) -> Float[Tensor, ""]:
    """Mean cosine of a cloud and a picture of the same shape."""
    pictures = rows[shapes:].view(-1, shapes, rows.shape[1]).mean(0)
    return (rows[:shapes] * pictures).sum(1).mean()


def _blocks(
    rows: Tensor, temperature: float | Tensor, shapes: int, height: int
) -> Iterator[tuple[slice, slice, Tensor]]:
    """Rows of a block, rows below it, and its similarities (rows, rows and all below); -inf to what is left out."""
    for start in range(0, len(rows), height):
        here, below = slice(start, start + height), slice(start + height, None)
        block = (rows[here] / temperature) @ rows[start:].T
        block.fill_diagonal_(-torch.inf)
        pictures = slice(max(0, shapes - start), None)
        for apart in range(shapes, block.shape[1], shapes):  # pictures of a shape lie as many rows apart
            block.diagonal(apart)[pictures].fill_(-torch.inf)
            if apart < len(block):
                block.diagonal(-apart)[pictures].fill_(-torch.inf)
        yield here, below, block


def _past_blocks(
    rows: Tensor, past: Tensor | None, temperature: float | Tensor, height: int
) -> Iterator[tuple[slice, Tensor]]:
    """Rows of a block and its similarities to further negatives."""
    for start in range(0, len(rows) if past is not None else 0, height):
        assert past is not None
        here = slice(start, start + height)
        yield here, (rows[here] / temperature) @ past.T


class _MeanLogSumExp(Function):
    """Weighted mean over rows i of `log(sum over choices j of exp(rows_i . choice_j / temperature))`.

    The similarities are linear in 1 / temperature, in the anchor and in the choice. By Euler's theorem the gradient on
    the temperature is therefore `-1 / temperature` times half the product of the rows with their gradient among
    themselves plus that with their gradient from further negatives.
    """

    @staticmethod
    def forward(
        ctx: Any,
        rows: Tensor,
        temperature: float | Tensor,
        past: Tensor | None,
        shapes: int,
        height: int,
    ) -> Tensor:
        totals = rows.new_full((len(rows),), -torch.inf)
        for here, below, block in _blocks(rows, temperature, shapes, height):
            totals[here] = torch.logaddexp(totals[here], block.logsumexp(1))
            totals[below] = torch.logaddexp(totals[below], block[:, height:].logsumexp(0))
        for here, block in _past_blocks(rows, past, temperature, height):
            totals[here] = torch.logaddexp(totals[here], block.logsumexp(1))
        weights = anchor_weights(rows, shapes)
        kept = temperature if isinstance(temperature, Tensor) else None
        ctx.save_for_backward(rows, totals - weights.log(), past, kept)
        ctx.settings = (temperature if kept is None else None, shapes, height)
        return (totals * weights).mean()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> Any:
        rows, totals, past, learned = ctx.saved_tensors
        fixed, shapes, height = ctx.settings
        temperature = fixed if learned is None else learned
        pull = torch.zeros_like(rows)
        with torch.autocast(rows.device.type, enabled=False):
            for here, below, block in _blocks(rows, temperature, shapes, height):
                columns = (block - totals[here.start :]).exp_()
                both = block.sub_(totals[here, None]).exp_().add_(columns)
                pull[here] += both @ rows[here.start :]
                pull[below] += both[:, height:].T @ rows[here]
            among = (rows * pull).sum() if ctx.needs_input_grad[1] else None
            for here, block in _past_blocks(rows, past, temperature, height):
                pull[here] += block.sub_(totals[here, None]).exp_() @ past
            scale = gradient / (temperature * len(rows))
            heat = None if among is None else ((rows * pull).sum() - among / 2) * scale / -temperature
        return pull.mul_(scale), heat, None, None, None


def streamed_nt_xent(
    rows: Float[Tensor, "R D"],
    temperature: float | Float[Tensor, ""],
    height: int | None = None,
    *,
    shapes: int | None = None,
    past: Float[Tensor, "M D"] | None = None,
) -> Float[Tensor, ""]:
    """The value and the gradient of `losses.nt_xent` (arXiv 2002.05709, equation 1) in memory O(R D) beside one block.

    Args:
        rows: L2-normalised projections: clouds, first pictures, second pictures, ... of the shapes in the same order.
        temperature: divides the cosines; gets a gradient if it is a tensor that wants one.
        height: rows a block; by default at most 1,024, and as many as keep a block within 64 MiB of float32.
        shapes: how many there are; by default half the rows, one picture each.
        past: L2-normalised further negatives, without gradient.
    """
    shapes = shapes or len(rows) // 2
    widest = max(len(rows), 0 if past is None else len(past))
    height = height or min(MOST_ROWS, max(1, MOST_ELEMENTS // widest))
    mean: Tensor = _MeanLogSumExp.apply(rows, temperature, past, shapes, height)  # type: ignore[no-untyped-call]
    return mean - mean_positive(rows, shapes) / temperature
