"""Where the patches of clouds lie: centres spread by farthest point sampling, and the points nearest to a place.

Axis letters: B clouds, N points, M centres or places, k neighbours.
"""

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from crosspoint3d.ops import cpu_patches, fallback_patches
from crosspoint3d.ops.checks import check_finite
from crosspoint3d.ops.devices import runs_numba
from crosspoint3d.ops.eager import eager


@eager
@torch.no_grad()
def farthest_points(
    points: Float[Tensor, "B N 3"], count: int, start: Int64[Tensor, " B"] | None = None
) -> Int64[Tensor, "B M"]:
    """Well-spread points of every cloud: begin with one, then always the one farthest from those chosen.

    Farthest point sampling (Gonzalez 1985; PointNet++, arXiv 1706.02413, section 3.2). Ties go to the lower index. A
    cloud with fewer different points than `count` has all of them chosen, then the same again in the same order, never
    their copies: so the places chosen depend on the order of the points only where two are exactly as far.
    In float32 (float64 stays), without gradient, the same on every device.

    Args:
        points: positions.
        count: M, points to choose of each cloud.
        start: the first one of each cloud; None: the point farthest from the cloud's mean.

    Returns:
        Indices (B, count) into the N points of the same cloud, in the order of choice.

    Raises:
        ValueError: count is below 1 or above N; in debug mode (`debug_checks`) also: a value is not finite.
    """
    if not 1 <= count <= points.shape[1]:
        raise ValueError(f"farthest_points: count={count} must be between 1 and the clouds' {points.shape[1]} points")
    check_finite("farthest_points", points)
    x = _widened(points)
    if start is None:
        exact = torch.float32 if x.device.type == "mps" else torch.float64
        start = (x - x.mean(1, keepdim=True, dtype=exact).to(x.dtype)).square().sum(2).argmax(1)
    kernels = cpu_patches if runs_numba(x) else fallback_patches
    chosen: Tensor = kernels.farthest_points(x, count, start)
    return chosen


@eager
@torch.no_grad()
def nearest(places: Float[Tensor, "B M 3"], points: Float[Tensor, "B N 3"], k: int) -> Int64[Tensor, "B M k"]:
    """The k points of its cloud that are nearest to every place, by distance, ties by lower index.

    Distances are sums of squared differences in float32 (float64 stays); what is no number counts as infinite. No
    gradient. Where the places are all points themselves, `knn` is faster.

    Args:
        places: positions to look around.
        points: positions to choose from.
        k: points to choose for each place.

    Returns:
        Indices (B, M, k) into the N points of the same cloud.

    Raises:
        ValueError: k is below 1 or above N.
    """
    if not 1 <= k <= points.shape[1]:
        raise ValueError(f"nearest: k={k} must be between 1 and the clouds' {points.shape[1]} points")
    dtype = torch.promote_types(places.dtype, points.dtype)
    around, among = _widened(places.to(dtype)), _widened(points.to(dtype))
    kernels = cpu_patches if runs_numba(among) else fallback_patches
    chosen: Tensor = kernels.nearest(around, among, k)
    return chosen


def _widened(points: Tensor) -> Tensor:
    return points.detach().to(torch.promote_types(points.dtype, torch.float32)).contiguous()
