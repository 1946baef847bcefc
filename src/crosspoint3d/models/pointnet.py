"""PointNet, the encoder that looks at every point alone.

Axis letters: B clouds, N points, D width of the features of clouds, L of those of points.
"""

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from crosspoint3d.models.pointwise import PointwiseLinear
from crosspoint3d.ops import PooledLinear
from crosspoint3d.ops.checks import check_clouds


class TNet(nn.Module):
    """Predicts a (dims, dims) matrix that brings a cloud's features into a common frame; starts as the identity."""

    def __init__(self, dims: int) -> None:
        super().__init__()
        self.dims = dims
        self.points = nn.Sequential(PointwiseLinear(dims, 64), PointwiseLinear(64, 128), PooledLinear(128, 1024))
        self.cloud = nn.Sequential(PointwiseLinear(1024, 512), PointwiseLinear(512, 256))
        self.matrix = nn.Linear(256, dims * dims)
        nn.init.zeros_(self.matrix.weight)
        with torch.no_grad():
            self.matrix.bias.copy_(torch.eye(dims).flatten())

    def forward(self, x: Float[Tensor, "B N C"]) -> Float[Tensor, "B N C"]:
        """The features (B, N, dims) times each cloud's matrix."""
        matrix = self.matrix(self.cloud(self.points(x)))
        aligned: Tensor = x @ matrix.reshape(-1, self.dims, self.dims).to(x.dtype)
        return aligned


class PointNet(nn.Module):
    """PointNet (Qi et al., arXiv 1612.00593): a shared network 3-64-64-64-128-emb_dims, then a maximum over points.

    Args:
        emb_dims: width of the result.
        t_nets: align the input (3 x 3) and the features after two layers (64 x 64) as in the paper
            (CrossPoint has none).

    Attributes:
        features: D, width of the features of clouds.
        point_features: L, width of the features of points.
    """

    def __init__(self, emb_dims: int = 1024, t_nets: bool = False) -> None:
        super().__init__()
        self.features = emb_dims
        self.point_features = 64 + 64 + 64 + 128
        self.input_t_net = TNet(3) if t_nets else None
        self.feature_t_net = TNet(64) if t_nets else None
        self.narrow = nn.Sequential(PointwiseLinear(3, 64), PointwiseLinear(64, 64))
        self.wide = nn.Sequential(PointwiseLinear(64, 64), PointwiseLinear(64, 128), PooledLinear(128, emb_dims))

    def config(self) -> dict[str, Any]:
        """Constructor arguments that build the same network."""
        return {"emb_dims": self.features, "t_nets": self.input_t_net is not None}

    def forward(self, points: Float[Tensor, "B N 3"], per_point: bool = False) -> Float[Tensor, "B ..."]:
        """Features (B, emb_dims) of clouds that are centred, of radius 1 and y up.

        Args:
            points: clouds.
            per_point: return the features (B, N, L) of points instead: the four narrow layers' results side by side.

        Raises:
            ValueError: points have another shape.
        """
        layers = self._layers(points)
        features: Tensor = torch.cat(layers, dim=2) if per_point else self.wide[-1](layers[-1])
        return features

    def local(self, points: Float[Tensor, "B N 3"]) -> tuple[Float[Tensor, "B N L"], Float[Tensor, "B D"]]:
        """The features of points and of clouds, both that `forward` gives."""
        layers = self._layers(points)
        return torch.cat(layers, dim=2), self.wide[-1](layers[-1])

    def _layers(self, points: Tensor) -> list[Tensor]:
        check_clouds(type(self).__name__, points)
        x = points if self.input_t_net is None else self.input_t_net(points)
        first = self.narrow[0](x)
        second = self.narrow[1](first)
        if self.feature_t_net is not None:
            second = self.feature_t_net(second)
        third = self.wide[0](second)
        return [first, second, third, self.wide[1](third)]
