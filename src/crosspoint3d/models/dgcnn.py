"""DGCNN, the encoder that looks at every point among its neighbours.

Axis letters: B clouds, N points, k neighbours, D width of the features of clouds, L of those of points.
"""

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from crosspoint3d.ops import EdgeConv, PooledLinear, knn
from crosspoint3d.ops.checks import check_clouds

WIDTHS = (64, 64, 128, 256)


class DGCNN(nn.Module):
    """Dynamic graph CNN (Wang et al., arXiv 1801.07829), the classification trunk that CrossPoint trains.

    Four edge convolutions, each on the k nearest neighbours among the features before it; their results side by side
    through one more layer to `emb_dims`; the maximum and the mean over points.

    Args:
        k: neighbours of a point, itself included; may be changed later, the weights do not depend on it.
        emb_dims: width of the last layer; features are twice as wide.
        width: multiplies the widths 64, 64, 128, 256 (rounded to multiples of 8, at least 8).

    Attributes:
        features: D, width of the features of clouds.
        point_features: L, width of the features of points.

    Raises:
        ValueError: an argument is below 1, or `width` not positive.
    """

    def __init__(self, k: int = 20, emb_dims: int = 1024, width: float = 1.0) -> None:
        super().__init__()
        if k < 1 or emb_dims < 1 or not width > 0:
            raise ValueError(f"DGCNN: k={k}, emb_dims={emb_dims} and width={width} must be positive")
        self.k = k
        self.emb_dims = emb_dims
        self.width = width
        self.features = 2 * emb_dims
        widths = [max(8, 8 * round(w * width / 8)) for w in WIDTHS]
        self.conv1 = EdgeConv(3, widths[0])
        self.conv2 = EdgeConv(widths[0], widths[1])
        self.conv3 = EdgeConv(widths[1], widths[2])
        self.conv4 = EdgeConv(widths[2], widths[3])
        self.point_features = sum(widths)
        self.conv5 = PooledLinear(sum(widths), emb_dims, slope=0.2, mean=True)

    def config(self) -> dict[str, Any]:
        """Constructor arguments that build the same network."""
        return {"k": self.k, "emb_dims": self.emb_dims, "width": self.width}

    def forward(self, points: Float[Tensor, "B N 3"], per_point: bool = False) -> Float[Tensor, "B ..."]:
        """Features (B, 2 * emb_dims), `[max ; mean]` over points, of clouds that are centred, of radius 1 and y up.

        Args:
            points: clouds.
            per_point: return the features (B, N, L) of points instead: the four convolutions' results side by side.

        Raises:
            ValueError: points have another shape, or a cloud has fewer than k.
        """
        wide = self._layers(points)
        features: Tensor = wide if per_point else self.conv5(wide)
        return features

    def local(self, points: Float[Tensor, "B N 3"]) -> tuple[Float[Tensor, "B N L"], Float[Tensor, "B D"]]:
        """The features of points and of clouds, both that `forward` gives."""
        wide = self._layers(points)
        return wide, self.conv5(wide)

    def _layers(self, points: Tensor) -> Tensor:
        check_clouds(type(self).__name__, points)
        layers = [points]
        for conv in (self.conv1, self.conv2, self.conv3, self.conv4):
            layers.append(conv(layers[-1], knn(layers[-1], self.k)))
        return torch.cat(layers[1:], dim=2)
