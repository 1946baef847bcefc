"""BatchNorm, LeakyReLU and pooling over the points of a cloud in plain torch, a few clouds at a time.

Axis letters: B clouds, N points, E channels.
"""

import torch
from torch import Tensor

BLOCK = 2**24  # values at once


def _together(y: Tensor) -> int:
    return max(1, BLOCK // max(1, y.shape[1] * y.shape[2]))


def _wide(y: Tensor) -> Tensor:
    return y.to(torch.promote_types(y.dtype, torch.float32))


def moments(y: Tensor) -> tuple[Tensor, Tensor]:
    """Sums (E) over all points of the values and of their squares, in float64 where the device has it."""
    widest = torch.float32 if y.device.type == "mps" else torch.float64
    sums = torch.zeros(y.shape[2], dtype=widest, device=y.device)
    squares = torch.zeros_like(sums)
    for part in torch.split(y, _together(y)):
        values = part.to(widest)
        sums += values.sum((0, 1))
        squares += values.square().sum((0, 1))
    return sums, squares


def pool(
    y: Tensor, centre: Tensor, inverse: Tensor, gamma: Tensor, beta: Tensor, slope: float
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Largest v (B, E), where (B, E) int32, and the sums (B, E) of LeakyReLU's derivatives, alone and times n.

    With n = (y - centre) inverse and v = gamma n + beta.
    """
    parts = []
    for part in torch.split(y, _together(y)):
        normal = (_wide(part) - centre) * inverse
        value = gamma * normal + beta
        top, where = value.max(1)
        derivative = torch.where(value > 0, 1.0, slope)
        parts.append((top, where.int(), derivative.sum(1), (derivative * normal).sum(1)))
    largest, where, slopes, weighted = (torch.cat(column) for column in zip(*parts, strict=True))
    return largest, where, slopes, weighted


def backward(
    y: Tensor,
    centre: Tensor,
    inverse: Tensor,
    gamma: Tensor,
    beta: Tensor,
    slope: float,
    flow: Tensor,
    constant: Tensor,
    linear: Tensor,
) -> Tensor:
    """`gamma inverse (leaky'(v) flow - constant - n linear)` (B, N, E) for `flow` (B, E), `constant`, `linear` (E)."""
    result = torch.empty_like(y)
    together = _together(y)
    for part, onto, target in zip(*(torch.split(t, together) for t in (y, flow, result)), strict=True):
        normal = (_wide(part) - centre) * inverse
        value = torch.where(gamma * normal + beta > 0, onto[:, None], slope * onto[:, None])
        target.copy_(gamma * inverse * (value - constant - normal * linear))
    return result
