"""Nearest neighbours among the points of each cloud, in an order that does not depend on the machine.

Axis letters: B clouds, N points, C channels, k neighbours.
"""

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from crosspoint3d.ops import cpu_knn, fallback_knn
from crosspoint3d.ops.checks import check_finite
from crosspoint3d.ops.devices import runs_triton
from crosspoint3d.ops.eager import eager

MOST_NEIGHBOURS = 64  # that the CUDA kernel is made for


@eager
@torch.no_grad()
def knn(points: Float[Tensor, "B N C"], k: int) -> Int64[Tensor, "B N k"]:
    """The k nearest points of every point: itself first, then by distance, ties by lower index.

    Distances are sums of squared differences in float32; beyond 3 channels a matrix product first finds the few points
    that can be among the nearest. (In float64 and on devices without kernels the product of the centred cloud decides
    there; exact copies of a point are recognised all the same, because point dropping makes most of a cloud copies of
    one point.) Half precision is widened to float32. A distance that is not a number counts as infinite. No gradient.

    Args:
        points: positions or features (B, N, C).
        k: neighbours, the point itself included.

    Returns:
        Indices (B, N, k) into the N points of the same cloud.

    Raises:
        ValueError: k is below 1 or above N; in debug mode (`debug_checks`) also: a value is not finite.
    """
    count = points.shape[1]
    if not 1 <= k <= count:
        raise ValueError(f"knn: k={k} must be between 1 and the clouds' {count} points")
    check_finite("knn", points)
    with torch.autocast(points.device.type, enabled=False):
        if points.device.type == "cpu" and points.dtype != torch.float64:
            return cpu_knn.knn(points.detach(), k)
        if runs_triton(points) and k <= MOST_NEIGHBOURS:
            from crosspoint3d.ops import cuda_knn

            return cuda_knn.knn(points, k)
        return fallback_knn.knn(points, k)
