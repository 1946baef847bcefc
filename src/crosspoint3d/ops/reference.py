"""Plain definitions of the core operations: written to be read and tested against, not to be fast.

Axis letters: B clouds, N points, C channels in, O channels out, k neighbours.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int64
from torch import Tensor


def knn(points: Float[Tensor, "B N C"], k: int) -> Int64[Tensor, "B N k"]:
    """The k nearest points of each by the full distance matrix and top-k, as the published networks do.

    Copies of a point and ties come in any order: `ordered_knn` is the definition of the order.
    """
    squares = points.square().sum(2)
    distance = squares[:, :, None] - 2 * points @ points.mT + squares[:, None]
    return distance.topk(k, largest=False).indices


def ordered_knn(points: Float[Tensor, "B N C"], k: int) -> Int64[Tensor, "B N k"]:
    """Each point itself first, then its neighbours by distance, ties by lower index; NaN counts as infinitely far."""
    distance = (points[:, :, None] - points[:, None]).square().sum(3)
    distance = distance.nan_to_num(nan=torch.inf, posinf=torch.inf)
    itself = torch.eye(points.shape[1], dtype=torch.bool, device=points.device)
    return distance.masked_fill(itself, -1.0).sort(dim=2, stable=True).indices[:, :, :k]


def edge_features(points: Float[Tensor, "B N C"], indices: Int64[Tensor, "B N k"]) -> Float[Tensor, "B N k C2"]:
    """`[x_j - x_i ; x_i]` for every neighbour j of every point i (DGCNN, arXiv 1801.07829, equation 8)."""
    cloud = torch.arange(len(points), device=points.device)[:, None, None]
    neighbours = points[cloud, indices]
    centres = points[:, :, None].expand_as(neighbours)
    return torch.cat([neighbours - centres, centres], dim=3)


class EdgeLayer(NamedTuple):
    """Weights of one edge layer: a linear map (O, 2C) without bias and its BatchNorm."""

    weight: Float[Tensor, "O C2"]
    gamma: Float[Tensor, " O"]
    beta: Float[Tensor, " O"]
    running_mean: Float[Tensor, " O"]
    running_var: Float[Tensor, " O"]


def edge_conv(
    points: Float[Tensor, "B N C"],
    indices: Int64[Tensor, "B N k"],
    layers: Sequence[EdgeLayer],
    *,
    training: bool,
    momentum: float = 0.1,
    eps: float = 1e-5,
    slope: float = 0.2,
) -> Float[Tensor, "B N O"]:
    """Linear map, BatchNorm over every edge and LeakyReLU, once a layer, then the maximum over the neighbours.

    In training the running statistics of `layers` are updated in place, as `nn.BatchNorm2d` does.
    """
    edges = edge_features(points, indices).permute(0, 3, 1, 2)
    for layer in layers:
        edges = F.conv2d(edges, layer.weight[:, :, None, None])
        edges = F.batch_norm(
            edges, layer.running_mean, layer.running_var, layer.gamma, layer.beta, training, momentum, eps
        )
        edges = F.leaky_relu(edges, slope)
    return edges.max(dim=3).values.transpose(1, 2)


def farthest_points(points: Float[Tensor, "N C"], count: int, start: int = 0) -> Int64[Tensor, " M"]:
    """Farthest point sampling: begin with `start`, then always the point farthest from those chosen."""
    chosen = [start]
    nearest = (points - points[start]).square().sum(1)
    while len(chosen) < count:
        chosen.append(int(nearest.argmax()))
        nearest = torch.minimum(nearest, (points - points[chosen[-1]]).square().sum(1))
    return torch.tensor(chosen, device=points.device)
