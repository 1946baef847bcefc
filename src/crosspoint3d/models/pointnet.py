"""PointNet, the encoder that looks at every point alone.

Axis letters: B clouds, N points.
"""

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from crosspoint3d.models.pointwise import PointwiseLinear
from crosspoint3d.ops import PooledLinear


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
    """

    def __init__(self, emb_dims: int = 1024, t_nets: bool = False) -> None:
        super().__init__()
        self.features = emb_dims
        self.input_t_net = TNet(3) if t_nets else None
        self.feature_t_net = TNet(64) if t_nets else None
        self.local = nn.Sequential(PointwiseLinear(3, 64), PointwiseLinear(64, 64))
        self.wide = nn.Sequential(PointwiseLinear(64, 64), PointwiseLinear(64, 128), PooledLinear(128, emb_dims))

    def config(self) -> dict[str, Any]:
        """Constructor arguments that build the same network."""
        return {"emb_dims": self.features, "t_nets": self.input_t_net is not None}

    def forward(self, points: Float[Tensor, "B N 3"]) -> Float[Tensor, "B D"]:
        """Features (B, emb_dims) of clouds that are centred, of radius 1 and y up."""
        if self.input_t_net is not None:
            points = self.input_t_net(points)
        x = self.local(points)
        if self.feature_t_net is not None:
            x = self.feature_t_net(x)
        features: Tensor = self.wide(x)
        return features
