"""The streamed second layer of `edge_conv2` in plain torch: for devices without kernels, and for other dtypes.

Axis letters: B clouds, N points, P = B * N, H hidden channels, O channels out, k neighbours, R points at once.
"""

from collections.abc import Iterator

import torch
from torch import Tensor
from torch.nn.functional import leaky_relu

# Numbers in a buffer of edges: on a CPU it should stay in the cache, elsewhere launches cost more than memory.
CPU_BLOCK, DEVICE_BLOCK = 2**19, 2**25


def _pieces(ab: Tensor, indices: Tensor, widest: int) -> Iterator[tuple[slice, Tensor, Tensor]]:
    """For R points at a time: which of the P, their neighbours (R, k) among the P, and `a_j + b_i` (R, k, H)."""
    clouds, count, k = indices.shape
    a, b = ab.flatten(0, 1).chunk(2, dim=1)
    block = CPU_BLOCK if ab.device.type == "cpu" else DEVICE_BLOCK
    step = max(1, block // (k * widest))
    first = torch.arange(clouds, device=ab.device)[:, None, None] * count
    flat = (indices + first).flatten(0, 1)
    for start in range(0, clouds * count, step):
        piece = slice(start, start + step)
        neighbours = flat[piece]
        z = a.index_select(0, neighbours.flatten()).reshape(*neighbours.shape, -1)
        yield piece, neighbours, z.add_(b[piece, None])


def _exact(values: Tensor) -> torch.dtype:
    """The widest type that the device can add in."""
    return values.dtype if values.device.type == "mps" else torch.float64


def forward(ab: Tensor, indices: Tensor, weight: Tensor, centre: Tensor, slope: float) -> tuple[Tensor, Tensor, Tensor]:
    """The largest `y_ij = W (leaky_relu(a_j + b_i) - centre)` over j, which j that is, and sums over all y.

    Args:
        ab: `[a | b]` (B, N, 2H).
        indices: neighbours (B, N, k).
        weight: W (O, H).
        centre: (H), taken off every edge.
        slope: of LeakyReLU for negative values.

    Returns:
        Largest (B, N, O), its place from 0 to k - 1 (B, N, O), and the sums of y and of its square (2, O).
    """
    clouds, count, k = indices.shape
    largest = ab.new_empty(clouds * count, len(weight))
    winner = torch.empty_like(largest, dtype=torch.uint8 if k <= 256 else torch.int32)
    sums = torch.zeros(2, len(weight), dtype=_exact(ab), device=ab.device)
    for piece, _, z in _pieces(ab, indices, max(weight.shape)):
        y = (leaky_relu(z, slope) - centre) @ weight.T
        largest[piece], winner[piece] = y.max(1)
        sums += torch.stack([y.sum((0, 1)), y.square().sum((0, 1))])
    return largest.reshape(clouds, count, -1), winner.reshape(clouds, count, -1), sums


def backward(
    ab: Tensor,
    indices: Tensor,
    weight: Tensor,
    centre: Tensor,
    slope: float,
    winner: Tensor,
    gradient: Tensor,
    on_edge: Tensor | None,
    on_all: Tensor | None,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Gradients of `forward`, and moments of the edges from which the rest of W's follows.

    Args:
        ab: `[a | b]` (B, N, 2H).
        indices: neighbours (B, N, k).
        weight: W (O, H).
        centre: (H), taken off every edge.
        slope: of LeakyReLU for negative values.
        winner: places of the largest, as `forward` returned them.
        gradient: of the largest (B, N, O).
        on_edge: symmetric (H, H), times every edge e it is the part of e's gradient that follows e; None for no part.
        on_all: (H), the part that is the same for all edges; None where `on_edge` is.

    Returns:
        Gradient of `ab`; W's from the largest alone (O, H); `sum e e'` (H, H) and `sum e` (H), zero without `on_edge`.
    """
    hidden, k = len(centre), indices.shape[2]
    on_ab = torch.zeros_like(ab).flatten(0, 1)
    on_a, on_b = on_ab.chunk(2, dim=1)
    on_weight = torch.zeros_like(weight, dtype=_exact(ab))
    moments, total = on_weight.new_zeros(hidden, hidden), on_weight.new_zeros(hidden)
    gradient, winner = gradient.flatten(0, 1), winner.flatten(0, 1)
    for piece, neighbours, z in _pieces(ab, indices, max(weight.shape)):
        edges = (leaky_relu(z, slope) - centre).flatten(0, 1)
        on_y = z.new_zeros(len(neighbours), k, len(weight))
        on_y.scatter_(1, winner[piece, None].long(), gradient[piece, None])
        on_y = on_y.flatten(0, 1)
        on_weight += on_y.T @ edges
        on_z = on_y @ weight
        if on_edge is not None and on_all is not None:
            on_z += torch.addmm(on_all, edges, on_edge)
            moments += edges.T @ edges
            total += edges.sum(0)
        on_z = on_z.reshape(z.shape)
        on_z = torch.where(z > 0, on_z, slope * on_z)
        on_b[piece] = on_z.sum(1)
        on_a.index_add_(0, neighbours.flatten(), on_z.flatten(0, 1))
    return on_ab.reshape(ab.shape), on_weight.to(ab.dtype), moments, total
