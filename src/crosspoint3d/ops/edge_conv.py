"""EdgeConv without edges: the function of `reference.edge_conv` by work on points instead of pairs.

With `W = [W1 | W2]` an edge is `e_ij = W1 (x_j - x_i) + W2 x_i`. Two facts make storing it unnecessary:

- BatchNorm's mean and variance of e over all edges are `W mean` and the diagonal of `W Cov W'`, where mean and Cov
  belong to the edge features and follow from sums over points: `sum d_j x_j x_j'`, `k sum x_i x_i'` and
  `sum x_i S_i'`, with d_j how often j is a neighbour and S_i the sum of i's neighbours. They are known before any e
  is, so BatchNorm folds into W in training too.
- With BatchNorm folded in, `e_ij = a_j + b_i`, `a = W1 x`, `b = (W2 - W1) x + shift`, and LeakyReLU is monotone, so
  `max_j act(a_j + b_i) = act(max_j a_j + b_i)`, whatever the sign of gamma.

Axis letters: B clouds, N points, C channels in, O channels out, k neighbours, P = B * N points in all.
"""

from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int64
from torch import Tensor, nn


class _NeighbourSum(torch.autograd.Function):
    """Sum of `values` (P, C) over the rows that `indices` (P, k) names; the gradient goes back the same edges."""

    @staticmethod
    def forward(ctx: Any, values: Tensor, indices: Tensor) -> Tensor:
        ctx.save_for_backward(indices)
        total = values.index_select(0, indices[:, 0])
        for column in indices.unbind(1)[1:]:
            total += values.index_select(0, column)
        return total

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Any:
        (indices,) = ctx.saved_tensors
        result = torch.zeros_like(gradient)
        for column in indices.unbind(1):
            result.index_add_(0, column, gradient)
        return result, None


class _NeighbourMax(torch.autograd.Function):
    """Largest of `values` (P, O) over the rows that `indices` (P, k) names.

    The gradient goes to the first in order of equal ones. Where that is, is found afterwards in the values' own
    type, because comparing and selecting with bool and int64 tensors is several times slower on a CPU.
    """

    @staticmethod
    def forward(ctx: Any, values: Tensor, indices: Tensor) -> Tensor:
        columns = indices.unbind(1)
        largest = values.index_select(0, columns[0])
        for column in columns[1:]:
            torch.maximum(largest, values.index_select(0, column), out=largest)
        if ctx.needs_input_grad[0]:
            from_end = torch.ones_like(largest)
            for left, column in zip(range(len(columns), 0, -1), columns, strict=True):
                equal = values.index_select(0, column).eq_(largest).mul_(left)
                torch.maximum(from_end, equal, out=from_end)
            position = (len(columns) - from_end).to(torch.uint8 if len(columns) <= 256 else torch.int32)
            ctx.save_for_backward(indices, position)
        return largest

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Any:
        indices, position = ctx.saved_tensors
        winner = indices.gather(1, position.long())
        return torch.zeros_like(gradient).scatter_add_(0, winner, gradient), None


def _apply(function: Any, values: Tensor, indices: Tensor) -> Tensor:
    result: Tensor = function.apply(values, indices)
    return result


def edge_statistics(
    x: Float[Tensor, "P C"], indices: Int64[Tensor, "P k"], weight: Float[Tensor, "O C2"]
) -> tuple[Float[Tensor, " O"], Float[Tensor, " O"]]:
    """Mean and biased variance of every output channel over all edges, differentiable.

    Args:
        x: features (P, C) of the points of all clouds, of mean 0 (the sums would lose digits otherwise).
        indices: neighbours of each, as rows of `x`.
        weight: `[W1 | W2]`, (O, 2C).
    """
    edges, kind = indices.numel(), x.dtype
    if x.shape[1] <= 3 and x.device.type != "mps":
        # Neighbours of a surface point are close beside the size of the shape: float32 sums would lose them.
        x, weight = x.double(), weight.double()
    on_difference, on_centre = weight.chunk(2, dim=1)
    uses = torch.bincount(indices.flatten(), minlength=len(x)).to(x.dtype)[:, None] / edges
    mean_neighbour = (uses * x).sum(0)
    neighbour_neighbour = (uses * x).T @ x
    neighbour_centre = _apply(_NeighbourSum, x, indices).T @ x / edges
    centre_centre = x.T @ x / len(x)
    difference_centre = neighbour_centre - centre_centre
    difference = neighbour_neighbour - centre_centre - difference_centre - difference_centre.T
    difference = difference - torch.outer(mean_neighbour, mean_neighbour)
    variance = (
        ((on_difference @ difference) * on_difference).sum(1)
        + 2 * ((on_difference @ difference_centre) * on_centre).sum(1)
        + ((on_centre @ centre_centre) * on_centre).sum(1)
    )
    return (on_difference @ mean_neighbour).to(kind), variance.clamp_min(0).to(kind)


class EdgeConv(nn.Module):
    """Edge convolution of DGCNN (Wang et al., arXiv 1801.07829, equation 8) with BatchNorm and LeakyReLU of slope 0.2.

    `y_i = max over j of leaky_relu(batch_norm(W [x_j - x_i ; x_i]))`: the function, statistics and gradients of
    `reference.edge_conv` without a tensor of N * k edges. Runs in float32 even under autocast, because the split adds
    two large numbers whose sum may be small.

    Args:
        in_dims: C, width of the points' features.
        out_dims: O, width of the result.
        slope: of LeakyReLU for negative values.
    """

    def __init__(self, in_dims: int, out_dims: int, slope: float = 0.2) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(out_dims, 2 * in_dims))
        self.norm = nn.BatchNorm1d(out_dims)
        self.slope = slope
        nn.init.kaiming_uniform_(self.weight, a=5**0.5)

    def forward(self, points: Float[Tensor, "B N C"], indices: Int64[Tensor, "B N k"]) -> Float[Tensor, "B N O"]:
        """Features of every point from those of its neighbours.

        Args:
            points: features (B, N, C).
            indices: neighbours (B, N, k) as `knn` gives them, each below N.

        Raises:
            ValueError: in training mode there is a single edge, of which no variance can be taken.
        """
        clouds, count, _ = points.shape
        with torch.autocast(points.device.type, enabled=False):
            x = points.reshape(clouds * count, -1).to(self.weight.dtype)
            # Differences do not see a shift of all points; without it they keep more digits.
            middle = x.mean(0)
            x = x - middle
            offset = self.weight.chunk(2, dim=1)[1] @ middle
            first = torch.arange(clouds, device=points.device)[:, None, None] * count
            rows = (indices + first).reshape(clouds * count, -1)
            mean, variance = self._statistics(x, rows, offset)
            gain = self.norm.weight * (variance + self.norm.eps).rsqrt()
            on_difference, on_centre = (gain[:, None] * self.weight).chunk(2, dim=1)
            largest = _apply(_NeighbourMax, F.linear(x, on_difference), rows)
            here = F.linear(x, on_centre - on_difference, self.norm.bias - gain * mean)
            return F.leaky_relu(largest + here, self.slope).reshape(clouds, count, -1)

    def _statistics(self, x: Tensor, rows: Tensor, offset: Tensor) -> tuple[Tensor, Tensor]:
        """Mean (less the offset) and variance for BatchNorm; in training the batch's, and the running ones move."""
        norm, edges = self.norm, rows.numel()
        assert norm.running_mean is not None and norm.running_var is not None
        assert norm.num_batches_tracked is not None and norm.momentum is not None
        if not self.training:
            return norm.running_mean - offset, norm.running_var
        if edges < 2:
            raise ValueError("EdgeConv: training needs at least 2 edges for BatchNorm's variance, got 1")
        mean, variance = edge_statistics(x, rows, self.weight)
        with torch.no_grad():
            norm.running_mean.lerp_(mean + offset, norm.momentum)
            norm.running_var.lerp_(variance * (edges / (edges - 1)), norm.momentum)
            norm.num_batches_tracked += 1
        return mean, variance
