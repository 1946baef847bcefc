"""The layer that PointNet and DGCNN share: the same small network applied to every point."""

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn


class PointwiseLinear(nn.Module):
    """Linear map without bias, BatchNorm over all points of the batch, and (leaky) ReLU.

    Args:
        in_dims: width of the points' features.
        out_dims: width of the result.
        slope: of the activation for negative values; 0 is ReLU.
    """

    def __init__(self, in_dims: int, out_dims: int, slope: float = 0.0) -> None:
        super().__init__()
        self.linear = nn.Linear(in_dims, out_dims, bias=False)
        self.norm = nn.BatchNorm1d(out_dims)
        self.slope = slope

    def forward(self, x: Float[Tensor, "*points C"]) -> Float[Tensor, "*points O"]:
        """Features of each point, or of each row when there are no points.

        Raises:
            ValueError: in training mode there is a single row, of which no variance can be taken.
        """
        rows = self.linear(x).flatten(0, -2)
        if self.training and len(rows) < 2:
            raise ValueError(
                "training needs at least 2 rows for BatchNorm's variance, got 1; use eval() or a larger batch"
            )
        rows = F.leaky_relu(self.norm(rows), self.slope)
        return rows.reshape(*x.shape[:-1], rows.shape[-1])
