"""EdgeConv without edges: the function of `reference.edge_conv` by work on points instead of pairs.

With `W = [W1 | W2]` an edge is `e_ij = W1 (x_j - x_i) + W2 x_i`. Two facts make storing it unnecessary:

- BatchNorm's statistics over all edges follow from sums over points (`edge_statistics`). They are known before any e
  is, so BatchNorm folds into W in training too.
- With BatchNorm folded in, `e_ij = a_j + b_i`, `a = W1 x`, `b = (W2 - W1) x + shift`, and LeakyReLU is monotone, so
  `max_j act(a_j + b_i) = act(max_j a_j + b_i)`, whatever the sign of gamma.

Axis letters: B clouds, N points, C channels in, O channels out, k neighbours.
"""

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int64
from torch import Tensor, nn

from crosspoint3d.ops.across import count_across, sum_across
from crosspoint3d.ops.checks import check_finite, check_graph
from crosspoint3d.ops.eager import eager
from crosspoint3d.ops.edge_statistics import edge_statistics
from crosspoint3d.ops.edges import edge_max
from crosspoint3d.ops.running import move_running_statistics, running_statistics


class EdgeConv(nn.Module):
    """Edge convolution of DGCNN (Wang et al., arXiv 1801.07829, equation 8) with BatchNorm and LeakyReLU of slope 0.2.

    `y_i = max over j of leaky_relu(batch_norm(W [x_j - x_i ; x_i]))`: the function, statistics and gradients of
    `reference.edge_conv` without a tensor of N * k edges. Runs in float32 even under autocast, because the split adds
    two large numbers whose sum may be small.

    Args:
        in_dims: C, width of the points' features.
        out_dims: O, width of the result.
        slope: of LeakyReLU for negative values.

    Attributes:
        synchronised: take BatchNorm's statistics over all processes of a distributed run (SyncBatchNorm).
    """

    def __init__(self, in_dims: int, out_dims: int, slope: float = 0.2) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(out_dims, 2 * in_dims))
        self.norm = nn.BatchNorm1d(out_dims)
        self.slope = slope
        self.synchronised = False
        nn.init.kaiming_uniform_(self.weight, a=5**0.5)

    @eager
    def forward(self, points: Float[Tensor, "B N C"], indices: Int64[Tensor, "B N k"]) -> Float[Tensor, "B N O"]:
        """Features of every point from those of its neighbours.

        Args:
            points: features (B, N, C).
            indices: neighbours (B, N, k) as `knn` gives them, each below N.

        Raises:
            ValueError: the indices are not of these points, or in training mode there is a single edge, of which no
                variance can be taken.
        """
        return edge_max(self.split(points, indices), indices, self.slope)

    @eager
    def split(self, points: Float[Tensor, "B N C"], indices: Int64[Tensor, "B N k"]) -> Float[Tensor, "B N O2"]:
        """`[a | b]` (B, N, 2O) with `a_j + b_i` the edge (i, j) after BatchNorm; its running statistics move.

        Raises:
            ValueError: as for `forward`.
        """
        check_graph("EdgeConv", points, indices)
        check_finite("EdgeConv", points)
        with torch.autocast(points.device.type, enabled=False):
            x = points.to(self.weight.dtype)
            # Differences do not see a shift of all points; without it they keep more digits.
            middle = self._middle(x.detach()) if self.training else x.detach().mean(1, keepdim=True)
            x = x - middle
            on_difference, on_centre = self.weight.chunk(2, dim=1)
            mean, variance = self._statistics(x, indices, middle @ on_centre.T)
            gain = self.norm.weight * (variance + self.norm.eps).rsqrt()
            weight = torch.cat([on_difference, on_centre - on_difference]) * gain.repeat(2)[:, None]
            shift = self.norm.bias - gain * mean
            bias = torch.cat([torch.zeros_like(shift), shift], dim=-1)
            if self.training:
                return F.linear(x, weight, bias)
            return torch.baddbmm(bias, x, weight.T.expand(len(x), -1, -1))

    def _middle(self, x: Tensor) -> Tensor:
        """Mean (C) of all points of the batch; in evaluation each cloud has its own, to be a row of any batch."""
        total, count = x.sum((0, 1)), x.shape[0] * x.shape[1]
        if self.synchronised:
            total, count = sum_across(total), count_across(count, x.device)
        return total / max(count, 1)

    def _statistics(self, x: Tensor, indices: Tensor, offset: Tensor) -> tuple[Tensor, Tensor]:
        """Mean (less the offset) and variance for BatchNorm; in training the batch's, and the running ones move."""
        norm = self.norm
        if not self.training:
            mean, variance = running_statistics(norm)
            return mean - offset, variance
        mean, variance, edges = edge_statistics(x, indices, self.weight, self.synchronised)
        if edges < 2:
            raise ValueError(f"EdgeConv: training needs at least 2 edges for BatchNorm's variance, got {edges}")
        move_running_statistics(norm, mean + offset, variance, edges)
        return mean, variance
