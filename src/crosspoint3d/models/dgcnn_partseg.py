"""DGCNN for part segmentation: the trunk that CrossPoint trains for its segmentation results.

Axis letters: B clouds, N points, k neighbours, L width of the features of points, E of those of clouds.
"""

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from crosspoint3d.models.pointwise import PointwiseLinear
from crosspoint3d.ops import EdgeConv, PooledLinear, knn
from crosspoint3d.ops.checks import check_clouds
from crosspoint3d.ops.edge_conv2 import TwoLayerEdgeConv

SLOPE = 0.2


class SpatialTransformer(nn.Module):
    """Predicts a (3, 3) matrix from the graph of a cloud's points and applies it; starts as the identity."""

    def __init__(self) -> None:
        super().__init__()
        self.edges = TwoLayerEdgeConv(3, 64, 128, SLOPE)
        self.points = PooledLinear(128, 1024, SLOPE)
        self.cloud = nn.Sequential(PointwiseLinear(1024, 512, SLOPE), PointwiseLinear(512, 256, SLOPE))
        self.matrix = nn.Linear(256, 9)
        nn.init.zeros_(self.matrix.weight)
        with torch.no_grad():
            self.matrix.bias.copy_(torch.eye(3).flatten())

    def forward(self, points: Float[Tensor, "B N 3"], k: int) -> Float[Tensor, "B N 3"]:
        """The points times each cloud's matrix, in their own precision even under autocast."""
        matrix = self.matrix(self.cloud(self.points(self.edges(points, knn(points, k)))))
        with torch.autocast(points.device.type, enabled=False):
            aligned: Tensor = points @ matrix.reshape(-1, 3, 3).to(points.dtype)
        return aligned


class DGCNNPartSeg(nn.Module):
    """The part segmentation network of DGCNN (Wang et al., arXiv 1801.07829, section 4.3) up to its global features.

    A spatial transformer, then three edge convolutions of two, two and one layer, each on the k nearest neighbours
    among the features before it; their results side by side through one more layer to `emb_dims`; the maximum over
    points.

    Args:
        k: neighbours of a point, itself included; may be changed later, the weights do not depend on it.
        emb_dims: width of the features.

    Attributes:
        features: E, width of the features of clouds.
        point_features: L, width of the features of points.

    Raises:
        ValueError: an argument is below 1.
    """

    def __init__(self, k: int = 40, emb_dims: int = 1024) -> None:
        super().__init__()
        if k < 1 or emb_dims < 1:
            raise ValueError(f"DGCNNPartSeg: k={k} and emb_dims={emb_dims} must be positive")
        self.k = k
        self.features = emb_dims
        self.transform = SpatialTransformer()
        self.conv1 = TwoLayerEdgeConv(3, 64, 64, SLOPE)
        self.conv2 = TwoLayerEdgeConv(64, 64, 64, SLOPE)
        self.conv3 = EdgeConv(64, 64, SLOPE)
        self.point_features = 192
        self.conv4 = PooledLinear(192, emb_dims, SLOPE)

    def config(self) -> dict[str, Any]:
        """Constructor arguments that build the same network."""
        return {"k": self.k, "emb_dims": self.features}

    def local(self, points: Float[Tensor, "B N 3"]) -> tuple[Float[Tensor, "B N L"], Float[Tensor, "B E"]]:
        """Features of points (B, N, 192), the three convolutions' side by side, and of clouds (B, emb_dims).

        Args:
            points: clouds that are centred, of radius 1 and y up.

        Raises:
            ValueError: points have another shape, a cloud has fewer than k, or in training mode there is a single one.
        """
        wide = self._layers(points)
        return wide, self.conv4(wide)

    def forward(self, points: Float[Tensor, "B N 3"], per_point: bool = False) -> Float[Tensor, "B ..."]:
        """Features (B, emb_dims), the maximum over points, or with `per_point` those of points (B, N, 192).

        Arguments and errors as of `local`.
        """
        wide = self._layers(points)
        features: Tensor = wide if per_point else self.conv4(wide)
        return features

    def _layers(self, points: Tensor) -> Tensor:
        check_clouds(type(self).__name__, points)
        x = self.transform(points, self.k)
        layers = []
        for conv in (self.conv1, self.conv2, self.conv3):
            x = conv(x, knn(x, self.k))
            layers.append(x)
        return torch.cat(layers, dim=2)
