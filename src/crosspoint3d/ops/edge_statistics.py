"""BatchNorm's mean and variance over all edges, from sums over points.

An edge feature is `f_ij = [x_j - x_i ; x_i]`. Mean and covariance of f follow from `sum d_j x_j x_j'`, `sum S_i x_i'`
and `k sum x_i x_i'`, with d_j how often j is a neighbour and S_i the sum of i's neighbours; mean and variance of
`e = W f` are `W mean` and the diagonal of `W Cov W'`.

Axis letters: B clouds, N points, P = B * N, C channels in, O channels out, k neighbours.
"""

from typing import Any

import torch
from jaxtyping import Float, Int64
from torch import Tensor
from torch.autograd import Function
from torch.autograd.function import once_differentiable

from crosspoint3d.ops.across import count_across, sum_across
from crosspoint3d.ops.edges import neighbour_sum, neighbour_sum_gradient


class _Moments(Function):
    """`[sum d_j x_j x_j' ; sum S_i x_i' ; k sum x_i x_i']` (3C, C), `sum d_j x_j`, `k sum x_i` (C), over E edges."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, indices: Tensor, edges: float) -> tuple[Tensor, Tensor, Tensor]:
        rows = x.flatten(0, 1)
        flat = indices + torch.arange(len(x), device=x.device)[:, None, None] * x.shape[1]
        ones = rows.new_ones(1).expand(flat.numel())
        uses = rows.new_zeros(len(rows)).scatter_add_(0, flat.flatten(), ones)[:, None] / edges
        around = neighbour_sum(x, indices).flatten(0, 1) / edges
        used = uses * rows
        points = edges / indices.shape[2]
        ctx.save_for_backward(x, indices, uses, around)
        ctx.scale = (edges, points)
        return torch.cat([used, around, rows / points], dim=1).T @ rows, used.sum(0), rows.sum(0) / points

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, on_moments: Tensor, on_neighbour: Tensor, on_centre: Tensor) -> Any:
        x, indices, uses, around = ctx.saved_tensors
        edges, points = ctx.scale
        rows = x.flatten(0, 1)
        with torch.autocast(x.device.type, enabled=False):
            neighbour, mixed, centre = on_moments.chunk(3)
            onto_neighbours = (rows @ (mixed.T / edges)).reshape(x.shape)
            gradient = neighbour_sum_gradient(onto_neighbours, indices).flatten(0, 1)
            gradient += uses * torch.addmm(on_neighbour, rows, neighbour + neighbour.T)
            gradient += torch.addmm(on_centre / points, rows, (centre + centre.T) / points)
            gradient.addmm_(around, mixed)
        return gradient.reshape(x.shape), None, None


def edge_statistics(
    x: Float[Tensor, "B N C"],
    indices: Int64[Tensor, "B N k"],
    weight: Float[Tensor, "O C2"],
    synchronised: bool,
) -> tuple[Float[Tensor, " O"], Float[Tensor, " O"], int]:
    """Mean and biased variance of every output channel over all edges, differentiable, and the number of edges.

    Args:
        x: features (B, N, C), near mean 0 (the sums would lose digits otherwise), by the same shift everywhere.
        indices: neighbours of each.
        weight: `[W1 | W2]`, (O, 2C).
        synchronised: over the edges of all processes.
    """
    kind = x.dtype
    if x.shape[2] <= 3 and x.device.type != "mps":
        # Neighbours of a surface point are close beside the size of the shape: float32 sums would lose them.
        x, weight = x.double(), weight.double()
    edges = indices.numel()
    if synchronised:
        edges = count_across(edges, x.device)
    sums = _Moments.apply(x, indices, float(edges))  # type: ignore[no-untyped-call]
    moments, neighbour, centre = map(sum_across, sums) if synchronised else sums
    on_difference, on_centre = weight.chunk(2, dim=1)
    neighbour_neighbour, neighbour_centre, centre_centre = moments.chunk(3)
    difference_centre = neighbour_centre - centre_centre
    difference = neighbour_neighbour - centre_centre - difference_centre - difference_centre.T
    # The centres' mean is nearly 0, its gradient is not.
    gap = neighbour - centre
    difference = difference - torch.outer(gap, gap)
    difference_centre = difference_centre - torch.outer(gap, centre)
    centre_centre = centre_centre - torch.outer(centre, centre)
    variance = (
        ((on_difference @ difference) * on_difference).sum(1)
        + 2 * ((on_difference @ difference_centre) * on_centre).sum(1)
        + ((on_centre @ centre_centre) * on_centre).sum(1)
    )
    mean = on_difference @ gap + on_centre @ centre
    return mean.to(kind), variance.clamp_min(0).to(kind), edges
