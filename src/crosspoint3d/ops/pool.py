"""A linear map on every point, BatchNorm, LeakyReLU, and the maximum (and mean) over the points of each cloud.

The widest layer of the point networks. All that follows the matrix product is one operation, which keeps of its
(B, N, E) values the product alone.

Axis letters: B clouds, N points, C channels in, E channels out.
"""

from types import ModuleType
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn
from torch.autograd import Function
from torch.autograd.function import once_differentiable

from crosspoint3d.ops import cpu_pool, fallback_pool
from crosspoint3d.ops.across import count_across, sum_across
from crosspoint3d.ops.checks import check_finite
from crosspoint3d.ops.devices import runs_numba
from crosspoint3d.ops.eager import eager
from crosspoint3d.ops.running import move_running_statistics, running_statistics

BLOCK = 2**20  # values of y at once where no gradient needs them: 4 MB, which stay in cache


def _kernels(y: Tensor) -> ModuleType:
    return cpu_pool if runs_numba(y) else fallback_pool


class _NormPool(Function):
    """Maximum and mean (B, E) over points of `leaky_relu(gamma n + beta)`, n = (y - centre) inverse.

    `norm` is (points, synchronised) where centre and inverse are BatchNorm's of these very points, of all processes or
    this one; None where they are fixed.
    """

    @staticmethod
    def forward(
        ctx: Any,
        y: Tensor,
        centre: Tensor,
        inverse: Tensor,
        gamma: Tensor,
        beta: Tensor,
        slope: float,
        norm: tuple[int, bool] | None,
    ) -> tuple[Tensor, Tensor]:
        top, where, slopes, weighted = _kernels(y).pool(y, centre, inverse, gamma, beta, slope)
        ctx.save_for_backward(y, centre, inverse, gamma, beta, top, where, slopes, weighted)
        ctx.slope, ctx.norm = slope, norm
        return F.leaky_relu(top, slope), (gamma * weighted + beta * slopes) / y.shape[1]

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, on_largest: Tensor, on_mean: Tensor) -> Any:
        y, centre, inverse, gamma, beta, top, where, slopes, weighted = ctx.saved_tensors
        flow = on_mean / y.shape[1]
        onto_top = torch.where(top > 0, on_largest, ctx.slope * on_largest)
        place = where.long()[:, None]
        normal = (y.gather(1, place)[:, 0] - centre) * inverse
        on_beta = (flow * slopes + onto_top).sum(0)
        on_gamma = (flow * weighted + onto_top * normal).sum(0)
        constant, linear = torch.zeros_like(on_beta), torch.zeros_like(on_beta)
        if ctx.norm is not None:
            points, synchronised = ctx.norm
            sums = torch.stack([on_beta, on_gamma])
            constant, linear = (sum_across(sums) if synchronised else sums) / points
        onto_y = _kernels(y).backward(y, centre, inverse, gamma, beta, ctx.slope, flow, constant, linear)
        onto_y.scatter_add_(1, place, (gamma * inverse * onto_top)[:, None].to(y.dtype))
        return onto_y, None, None, on_gamma, on_beta, None, None


class PooledLinear(nn.Module):
    """Linear map without bias, BatchNorm over all points of the batch, LeakyReLU, then the maximum over points.

    The result of `PointwiseLinear` followed by a maximum, at a fraction of its time and memory.

    Args:
        in_dims: width of the points' features.
        out_dims: E, width of the result.
        slope: of the activation for negative values; 0 is ReLU.
        mean: put the mean over points beside the maximum.

    Attributes:
        synchronised: take BatchNorm's statistics over all processes of a distributed run (SyncBatchNorm).
    """

    def __init__(self, in_dims: int, out_dims: int, slope: float = 0.0, mean: bool = False) -> None:
        super().__init__()
        self.linear = nn.Linear(in_dims, out_dims, bias=False)
        self.norm = nn.BatchNorm1d(out_dims)
        self.slope = slope
        self.mean = mean
        self.synchronised = False

    @eager
    def forward(self, x: Float[Tensor, "B N C"]) -> Float[Tensor, "B E"]:
        """Features (B, E), or `[max ; mean]` (B, 2E), of clouds whose points have features (B, N, C).

        Raises:
            ValueError: in training mode there is a single point, of which no variance can be taken.
        """
        check_finite("PooledLinear", x)
        if self.training or torch.is_grad_enabled():
            return self._pooled(x)
        together = max(1, BLOCK // max(1, x.shape[1] * len(self.norm.weight)))
        return torch.cat([self._pooled(part) for part in torch.split(x, together)])

    def _pooled(self, x: Tensor) -> Tensor:
        y = self.linear(x)
        with torch.autocast(x.device.type, enabled=False):
            centre, variance, points = self._statistics(y)
            inverse = (variance + self.norm.eps).rsqrt()
            norm = (points, self.synchronised) if self.training else None
            pooled = y, centre, inverse, self.norm.weight, self.norm.bias, self.slope, norm
            largest, mean = _NormPool.apply(*pooled)  # type: ignore[no-untyped-call]
        result: Tensor = torch.cat([largest, mean], dim=1) if self.mean else largest
        return result.to(self.linear.weight.dtype)

    @torch.no_grad()
    def _statistics(self, y: Tensor) -> tuple[Tensor, Tensor, int]:
        """BatchNorm's mean and variance and of how many points; in training the batch's, and the running ones move."""
        norm = self.norm
        if not self.training:
            return *running_statistics(norm), 0
        points = y.shape[0] * y.shape[1]
        sums, squares = _kernels(y).moments(y)
        if self.synchronised:
            sums, squares = sum_across(sums), sum_across(squares)
            points = count_across(points, y.device)
        if points < 2:
            raise ValueError(f"PooledLinear: training needs at least 2 points for BatchNorm's variance, got {points}")
        exact = sums / points
        mean, variance = (
            value.to(norm.weight.dtype) for value in (exact, (squares / points - exact.square()).clamp_min(0))
        )
        move_running_statistics(norm, mean, variance, points)
        return mean, variance, points
