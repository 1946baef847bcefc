"""EdgeConv with two layers before the maximum, without a tensor of all edges.

The first layer is split as in `EdgeConv`: with BatchNorm folded in, `e_ij = leaky_relu(a_j + b_i)`. The second is a
real matrix product for every edge, `y_ij = W e_ij`, streamed over points: a few of them have their edges built, mapped
and reduced at a time. BatchNorm and LeakyReLU are monotone, so they come after the maximum (gamma's sign is put into W
first), and the statistics are sums that the same pass takes. Only [a | b], the largest y and its place are kept.

The backward pass builds the edges again. With L the largest y of a neighbourhood, m and v mean and variance over E
edges, the gradient at y is a sparse part, `dL` at the winner, and `dm / E + 2 dv (y - m) / E`, which is affine in e:
it costs one product with `W' diag(2 dv / E) W`, and its share of dW follows from `sum e e'` and `sum e`.

Axis letters: B clouds, N points, C channels in, H hidden channels, O channels out, k neighbours.
"""

from types import ModuleType
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int64
from torch import Tensor, nn
from torch.autograd import Function
from torch.autograd.function import once_differentiable

from crosspoint3d.ops import cpu_edge_conv2, fallback_edge_conv2
from crosspoint3d.ops.across import count_across, sum_across
from crosspoint3d.ops.eager import eager
from crosspoint3d.ops.edge_conv import EdgeConv
from crosspoint3d.ops.running import move_running_statistics, running_statistics


def _kernels(values: Tensor) -> ModuleType:
    return cpu_edge_conv2 if values.device.type == "cpu" and values.dtype == torch.float32 else fallback_edge_conv2


class _StreamedMax(Function):
    """Largest y, mean and biased variance of `y_ij = W (leaky_relu(a_j + b_i) - centre)`."""

    @staticmethod
    def forward(
        ctx: Any, ab: Tensor, indices: Tensor, weight: Tensor, centre: Tensor, slope: float
    ) -> tuple[Tensor, Tensor, Tensor]:
        largest, winner, sums = _kernels(ab).forward(ab, indices, weight, centre, slope)
        mean, square = sums / max(indices.numel(), 1)  # an empty share of a distributed batch counts for nothing
        variance = (square - mean.square()).clamp_min(0).to(ab.dtype)
        mean = mean.to(ab.dtype)
        ctx.save_for_backward(ab, indices, weight, centre, winner, mean)
        ctx.slope = slope
        ctx.set_materialize_grads(False)
        return largest, mean, variance

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, on_largest: Tensor | None, on_mean: Tensor | None, on_variance: Tensor | None) -> Any:
        ab, indices, weight, centre, winner, mean = ctx.saved_tensors
        gradient = torch.zeros_like(winner, dtype=ab.dtype) if on_largest is None else on_largest
        arguments = (ab, indices, weight, centre, ctx.slope, winner, gradient)
        with torch.autocast(ab.device.type, enabled=False):
            if on_mean is None and on_variance is None:
                on_ab, on_weight, _, _ = _kernels(ab).backward(*arguments, None, None)
                return on_ab, None, on_weight, None, None
            zero, edges = torch.zeros_like(mean), max(indices.numel(), 1)
            per_y = 2 / edges * (zero if on_variance is None else on_variance)
            always = (zero if on_mean is None else on_mean) / edges - per_y * mean
            on_edge, on_all = weight.T @ (per_y[:, None] * weight), always @ weight
            on_ab, on_weight, moments, total = _kernels(ab).backward(*arguments, on_edge, on_all)
            dense = per_y[:, None] * (weight.to(moments.dtype) @ moments) + torch.outer(always, total)
            return on_ab, None, on_weight + dense.to(ab.dtype), None, None


class TwoLayerEdgeConv(nn.Module):
    """Edge convolution whose edges pass two layers: `reference.edge_conv` with two `EdgeLayer`s.

    `y_i = max over j of act(bn(W act(bn(W1 [x_j - x_i ; x_i]))))`, as in the part segmentation network of DGCNN (Wang
    et al., arXiv 1801.07829). Runs in float32 even under autocast, as `EdgeConv` does.

    Args:
        in_dims: C, width of the points' features.
        hidden_dims: H, width between the two layers.
        out_dims: O, width of the result.
        slope: of LeakyReLU for negative values.

    Attributes:
        first: the first layer, whose own maximum is not used.
        synchronised: take BatchNorm's statistics over all processes of a distributed run (SyncBatchNorm).
    """

    def __init__(self, in_dims: int, hidden_dims: int, out_dims: int, slope: float = 0.2) -> None:
        super().__init__()
        self.first = EdgeConv(in_dims, hidden_dims, slope)
        self.weight = nn.Parameter(torch.empty(out_dims, hidden_dims))
        self.norm = nn.BatchNorm1d(out_dims)
        self.slope = slope
        nn.init.kaiming_uniform_(self.weight, a=5**0.5)

    @property
    def synchronised(self) -> bool:
        """Whether the statistics of both layers are those of all processes."""
        return self.first.synchronised

    @synchronised.setter
    def synchronised(self, value: bool) -> None:
        self.first.synchronised = value

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
        norm = self.norm
        with torch.autocast(points.device.type, enabled=False):
            ab = self.first.split(points, indices)
            # Any centre gives the same function; one near the mean of e keeps digits.
            centre = F.leaky_relu(self.first.norm.bias.detach(), self.slope)
            sign = torch.where(norm.weight.detach() < 0, -1, 1).to(ab.dtype)
            weight = self.weight * sign[:, None]
            largest, mean, variance = _StreamedMax.apply(  # type: ignore[no-untyped-call]
                ab, indices, weight, centre, self.slope
            )
            mean, variance = self._statistics(mean, variance, indices.numel(), weight @ centre, sign)
            gain = norm.weight * sign * (variance + norm.eps).rsqrt()
            return F.leaky_relu((largest - mean) * gain + norm.bias, self.slope)

    def _statistics(
        self, mean: Tensor, variance: Tensor, edges: int, offset: Tensor, sign: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Mean (less the offset) and variance for BatchNorm; in training the batch's, and the running ones move."""
        norm = self.norm
        if not self.training:
            mean, variance = running_statistics(norm)
            return mean * sign - offset, variance
        if self.synchronised:
            own_edges, own_mean = edges, mean
            edges = count_across(edges, mean.device)
            share = own_edges / edges
            mean = sum_across(own_mean * share)
            variance = sum_across((variance + (own_mean - mean).square()) * share)
        move_running_statistics(norm, (mean + offset) * sign, variance, edges)
        return mean, variance
