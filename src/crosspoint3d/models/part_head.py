"""The head that labels points with parts, from the features of the point, of its cloud, and the cloud's category.

Axis letters: B clouds, N points, L width of the features of points, D of those of clouds, Q parts.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int64
from torch import Tensor, nn

from crosspoint3d.models.pointwise import PointwiseLinear, dropped, normalised


class PartHead(nn.Module):
    """A small network on `[cloud, category, point]` of every point, as DGCNN (arXiv 1801.07829, section 4.3) has it.

    What is the same for all points of a cloud is multiplied once a cloud and added to the product of each point, so
    that no cloud's features are repeated N times.

    Args:
        point_dims: L.
        cloud_dims: D.
        categories: how many there are; the category goes in as a one-hot vector.
        parts: Q, of all categories.
        widths: of the hidden layers, each with BatchNorm over all points and LeakyReLU. Empty: one linear map with bias
            on features standardised by BatchNorm without weights.
        category_dims: the one-hot vector passes a layer of this width first; 0: it goes in as it is.
        dropout: probability, after the first two hidden layers.
        slope: of LeakyReLU for negative values; 0 is ReLU.

    Raises:
        ValueError: a width or number is below 1, or `dropout` no probability below 1.
    """

    def __init__(
        self,
        point_dims: int,
        cloud_dims: int,
        categories: int,
        parts: int,
        widths: Sequence[int] = (256, 256, 128),
        category_dims: int = 64,
        dropout: float = 0.5,
        slope: float = 0.2,
    ) -> None:
        super().__init__()
        if min(point_dims, cloud_dims, categories, parts, *widths) < 1 or category_dims < 0 or not 0 <= dropout < 1:
            raise ValueError(
                f"PartHead: {point_dims=}, {cloud_dims=}, {categories=}, {parts=}, {widths=} must be positive, "
                f"{category_dims=} not negative, {dropout=} in [0, 1)"
            )
        self.settings = {
            "point_dims": point_dims,
            "cloud_dims": cloud_dims,
            "categories": categories,
            "parts": parts,
            "widths": list(widths),
            "category_dims": category_dims,
            "dropout": dropout,
            "slope": slope,
        }
        self.categories = categories
        self.parts = parts
        self.dropout = dropout
        self.slope = slope
        self.point_norm = None if widths else nn.BatchNorm1d(point_dims, affine=False)
        self.cloud_norm = None if widths else nn.BatchNorm1d(cloud_dims, affine=False)
        self.category = PointwiseLinear(categories, category_dims, slope) if category_dims else None
        inside = cloud_dims + (category_dims or categories) + point_dims
        self.first = nn.Linear(inside, widths[0] if widths else parts, bias=not widths)
        self.norm = nn.BatchNorm1d(widths[0]) if widths else None
        self.hidden = nn.ModuleList(PointwiseLinear(narrow, wide, slope) for narrow, wide in pairwise(widths))
        self.last = nn.Linear(widths[-1], parts, bias=False) if widths else None

    def config(self) -> dict[str, Any]:
        """Constructor arguments that build the same head."""
        return dict(self.settings)

    def forward(
        self,
        per_point: Float[Tensor, "B N L"],
        cloud: Float[Tensor, "B D"],
        category: Int64[Tensor, " B"],
        generator: torch.Generator | None = None,
    ) -> Float[Tensor, "B N Q"]:
        """Logits of every point for the parts of all categories.

        Args:
            per_point: features of points.
            cloud: features of clouds.
            category: of each cloud, 0 to `categories` - 1.
            generator: of dropout in training, on the device of the features; None is torch's own, as for `nn.Dropout`.

        Raises:
            ValueError: in training mode BatchNorm has a single row, of which no variance can be taken.
        """
        one_hot = F.one_hot(category, self.categories).to(cloud.dtype)
        if self.point_norm is not None and self.cloud_norm is not None:
            per_point = normalised(per_point, self.point_norm)
            cloud = normalised(cloud, self.cloud_norm)
        wide = torch.cat([cloud, one_hot if self.category is None else self.category(one_hot)], dim=1)
        on_cloud, on_point = torch.split(self.first.weight, [wide.shape[1], per_point.shape[2]], dim=1)
        x = F.linear(per_point, on_point) + F.linear(wide, on_cloud, self.first.bias)[:, None]
        if self.norm is None or self.last is None:
            return x
        x = F.leaky_relu(normalised(x, self.norm), self.slope)
        if self.training:
            x = dropped(x, self.dropout, generator)
        for number, layer in enumerate(self.hidden):
            x = layer(x)
            if self.training and number == 0:
                x = dropped(x, self.dropout, generator)
        logits: Tensor = self.last(x)
        return logits
