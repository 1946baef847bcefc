"""The projection head: from features to the joint space of clouds and pictures, for training and search.

Axis letters: B samples, D features, E projections.
"""

from typing import Any

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn


class ProjectionHead(nn.Module):
    """Linear, BatchNorm, ReLU, Linear (CrossPoint, arXiv 2203.00680, section 3.2 and its code).

    Args:
        in_dims: width of the features.
        hidden_dims: width between the two linear maps.
        out_dims: width of the joint space.
        bias: of both linear maps.
    """

    def __init__(self, in_dims: int, hidden_dims: int, out_dims: int, bias: bool) -> None:
        super().__init__()
        self.linear1 = nn.Linear(in_dims, hidden_dims, bias=bias)
        self.norm = nn.BatchNorm1d(hidden_dims)
        self.linear2 = nn.Linear(hidden_dims, out_dims, bias=bias)

    @classmethod
    def for_clouds(cls, features: int, out_dims: int) -> "ProjectionHead":
        """The paper's head for clouds: half the features' width between, with biases (2048-1024-256)."""
        return cls(features, max(1, features // 2), out_dims, bias=True)

    @classmethod
    def for_images(cls, features: int, out_dims: int) -> "ProjectionHead":
        """The paper's head for pictures: a quarter between, at least 128, without biases (2048-512-256)."""
        return cls(features, max(features // 4, 128), out_dims, bias=False)

    def config(self) -> dict[str, Any]:
        """Constructor arguments that build the same head."""
        return {
            "in_dims": self.linear1.in_features,
            "hidden_dims": self.linear1.out_features,
            "out_dims": self.linear2.out_features,
            "bias": self.linear1.bias is not None,
        }

    def forward(self, features: Float[Tensor, "B D"]) -> Float[Tensor, "B E"]:
        """Projections, not normalised.

        Raises:
            ValueError: in training mode the batch holds one sample, of which no variance can be taken.
        """
        if self.training and len(features) < 2:
            raise ValueError("ProjectionHead: training needs a batch of at least 2, got 1; use eval() for one sample")
        hidden = F.relu(self.norm(self.linear1(features)))
        projections: Tensor = self.linear2(hidden)
        return projections
