"""The passes over edges in plain torch, one neighbour at a time: for devices without kernels, and for other dtypes.

Axis letters: B clouds, N points, C or O channels, k neighbours. Nothing of size N * k * C is made.
"""

import torch
from torch import Tensor


def _flat(indices: Tensor) -> Tensor:
    """Neighbours (B * N, k) as rows of all clouds' points."""
    clouds, count, _ = indices.shape
    first = torch.arange(clouds, device=indices.device)[:, None, None] * count
    return (indices + first).flatten(0, 1)


def neighbour_sum(values: Tensor, indices: Tensor) -> Tensor:
    """Sum (B, N, C) of the values (B, N, C) of every point's neighbours (B, N, k)."""
    rows, flat = values.flatten(0, 1), _flat(indices)
    total = rows.index_select(0, flat[:, 0])
    for column in flat.unbind(1)[1:]:
        total += rows.index_select(0, column)
    return total.reshape(values.shape)


def neighbour_sum_backward(gradient: Tensor, indices: Tensor) -> Tensor:
    """Gradient of the values: every point gathers from those whose neighbour it is."""
    rows = gradient.flatten(0, 1)
    result = torch.zeros_like(rows)
    for column in _flat(indices).unbind(1):
        result.index_add_(0, column, rows)
    return result.reshape(gradient.shape)


def edge_max(ab: Tensor, indices: Tensor, slope: float, with_winner: bool = True) -> tuple[Tensor, Tensor]:
    """`leaky_relu(max_j a_j + b_i)` (B, N, O) of `[a | b]` (B, N, 2O), and which neighbour j was.

    The latter is (B, N, O), from 0 to k - 1, the first of equal ones, and empty unless asked for. It is found
    afterwards in the values' own type, because comparing and selecting with bool and int64 tensors is slow on a CPU.
    """
    a, b = ab.flatten(0, 1).chunk(2, dim=1)
    columns = _flat(indices).unbind(1)
    largest = a.index_select(0, columns[0])
    for column in columns[1:]:
        torch.maximum(largest, a.index_select(0, column), out=largest)
    out = torch.nn.functional.leaky_relu(largest + b, slope)
    shape = (*indices.shape[:2], out.shape[1])
    if not with_winner:
        return out.reshape(shape), out.new_empty(0, dtype=torch.uint8)
    from_end = torch.ones_like(largest, dtype=torch.promote_types(largest.dtype, torch.float32))
    for left, column in zip(range(len(columns), 0, -1), columns, strict=True):
        equal = a.index_select(0, column).eq(largest).to(from_end.dtype).mul_(left)
        torch.maximum(from_end, equal, out=from_end)
    winner = (len(columns) - from_end).to(torch.uint8 if len(columns) <= 256 else torch.int32)
    return out.reshape(shape), winner.reshape(shape)


def edge_max_backward(gradient: Tensor, out: Tensor, winner: Tensor, indices: Tensor, slope: float) -> Tensor:
    """Gradient (B, N, 2O) of `[a | b]`: the winner's a takes it, and the point's own b."""
    channels = out.shape[2]
    result = gradient.new_zeros(out.shape[0] * out.shape[1], 2 * channels)
    own = torch.where(out > 0, gradient, slope * gradient).flatten(0, 1)
    source = _flat(indices).gather(1, winner.flatten(0, 1).long())
    result[:, :channels].scatter_add_(0, source, own)
    result[:, channels:] = own
    return result.reshape(*out.shape[:2], 2 * channels)
