"""The head that names the category of a cloud, from its features.

Axis letters: B clouds, D width of their features, C categories.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from crosspoint3d.models.pointwise import PointwiseLinear, dropped, normalised


class ClassHead(nn.Module):
    """A small network on the features of clouds, as DGCNN (arXiv 1801.07829, section 4.1) has it.

    Args:
        in_dims: D.
        categories: C.
        widths: of the hidden layers, each with BatchNorm, LeakyReLU and dropout; all but the first have biases, as in
            published weights. Empty: one linear map on features standardised by BatchNorm without weights.
        dropout: probability.
        slope: of LeakyReLU for negative values; 0 is ReLU.

    Raises:
        ValueError: a width or number is below 1, or `dropout` no probability below 1.
    """

    def __init__(
        self,
        in_dims: int,
        categories: int,
        widths: Sequence[int] = (512, 256),
        dropout: float = 0.5,
        slope: float = 0.2,
    ) -> None:
        super().__init__()
        if min(in_dims, categories, *widths) < 1 or not 0 <= dropout < 1:
            raise ValueError(f"ClassHead: {in_dims=}, {categories=}, {widths=} must be positive, {dropout=} in [0, 1)")
        self.settings = {
            "in_dims": in_dims,
            "categories": categories,
            "widths": list(widths),
            "dropout": dropout,
            "slope": slope,
        }
        self.dropout = dropout
        self.norm = None if widths else nn.BatchNorm1d(in_dims, affine=False)
        self.hidden = nn.ModuleList(
            PointwiseLinear(inside, outside, slope, bias=number > 0)
            for number, (inside, outside) in enumerate(pairwise((in_dims, *widths)))
        )
        self.last = nn.Linear(widths[-1] if widths else in_dims, categories)

    def config(self) -> dict[str, Any]:
        """Constructor arguments that build the same head."""
        return dict(self.settings)

    def forward(self, cloud: Float[Tensor, "B D"], generator: torch.Generator | None = None) -> Float[Tensor, "B C"]:
        """Logits of every cloud.

        Args:
            cloud: features of clouds.
            generator: of dropout in training, on the device of the features; None is torch's own, as for `nn.Dropout`.

        Raises:
            ValueError: in training mode there is a single cloud, of which no variance can be taken.
        """
        x = cloud if self.norm is None else normalised(cloud, self.norm)
        for layer in self.hidden:
            x = layer(x)
            if self.training:
                x = dropped(x, self.dropout, generator)
        logits: Tensor = self.last(x)
        return logits
