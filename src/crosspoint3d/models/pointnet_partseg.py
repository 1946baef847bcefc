"""PointNet for part segmentation: the trunk of the network that PointNet's paper labels parts with.

Axis letters: B clouds, N points, D width of the features of clouds, L of those of points.
"""

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from crosspoint3d.models.pointnet import TNet
from crosspoint3d.models.pointwise import PointwiseLinear
from crosspoint3d.ops import PooledLinear
from crosspoint3d.ops.checks import check_clouds


class PointNetPartSeg(nn.Module):
    """The part segmentation network of PointNet (Qi et al., arXiv 1612.00593, figure 9) up to its global features.

    Points are aligned (3 x 3), pass 64, 128 and 128 channels, are aligned again (128 x 128), pass 512 and `emb_dims`
    channels; then the maximum over points. The paper's penalty on matrices that are not orthogonal is left out.

    Args:
        emb_dims: D, width of the features of clouds; the paper's is 2048 (`pretrain` takes 1024 for all encoders unless
            `--emb-dims` says otherwise).

    Attributes:
        features: D.
        point_features: L, width of the features of points.

    Raises:
        ValueError: `emb_dims` is below 1.
    """

    def __init__(self, emb_dims: int = 2048) -> None:
        super().__init__()
        if emb_dims < 1:
            raise ValueError(f"PointNetPartSeg: emb_dims={emb_dims} must be positive")
        self.features = emb_dims
        self.point_features = 64 + 128 + 128 + 128 + 512
        self.input_t_net = TNet(3)
        self.narrow = nn.Sequential(PointwiseLinear(3, 64), PointwiseLinear(64, 128), PointwiseLinear(128, 128))
        self.feature_t_net = TNet(128)
        self.wide = nn.Sequential(PointwiseLinear(128, 512), PooledLinear(512, emb_dims))

    def config(self) -> dict[str, Any]:
        """Constructor arguments that build the same network."""
        return {"emb_dims": self.features}

    def forward(self, points: Float[Tensor, "B N 3"], per_point: bool = False) -> Float[Tensor, "B ..."]:
        """Features (B, emb_dims) of clouds that are centred, of radius 1 and y up.

        Args:
            points: clouds.
            per_point: return the features (B, N, 960) of points instead: the results of the three narrow layers, of the
                second alignment and of the layer after it, side by side.

        Raises:
            ValueError: points have another shape, or in training mode there is a single cloud.
        """
        layers = self._layers(points)
        features: Tensor = torch.cat(layers, dim=2) if per_point else self.wide[1](layers[-1])
        return features

    def local(self, points: Float[Tensor, "B N 3"]) -> tuple[Float[Tensor, "B N L"], Float[Tensor, "B D"]]:
        """The features of points and of clouds, both that `forward` gives."""
        layers = self._layers(points)
        return torch.cat(layers, dim=2), self.wide[1](layers[-1])

    def _layers(self, points: Tensor) -> list[Tensor]:
        check_clouds(type(self).__name__, points)
        layers = [self.input_t_net(points)]
        for layer in (*self.narrow, self.feature_t_net, self.wide[0]):
            layers.append(layer(layers[-1]))
        return layers[1:]
