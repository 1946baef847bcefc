"""The layer that PointNet and DGCNN share: the same small network applied to every point."""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn


def normalised(x: Float[Tensor, "*points O"], norm: nn.BatchNorm1d) -> Float[Tensor, "*points O"]:
    """BatchNorm over all points of the batch, or over all rows when there are no points.

    Raises:
        ValueError: in training mode there is a single row, of which no variance can be taken.
    """
    rows = x.flatten(0, -2)
    if norm.training and len(rows) < 2:
        raise ValueError("training needs at least 2 rows for BatchNorm's variance, got 1; use eval() or a larger batch")
    result: Tensor = norm(rows)
    return result.reshape(x.shape)


def dropped(x: Float[Tensor, "*axes"], probability: float, generator: torch.Generator | None) -> Float[Tensor, "*axes"]:
    """Dropout: values become zero with this probability, the others grow to keep the mean.

    Args:
        x: any values.
        probability: below 1.
        generator: on the device of `x`; None is torch's own.
    """
    if not probability:
        return x
    if x.device.type != "cpu":
        return x * torch.empty_like(x).bernoulli_(1 - probability, generator=generator).div_(1 - probability)
    # Four 16-bit numbers from each draw: bernoulli_ draws one by one, on one core.
    draws = torch.empty(-(-x.numel() // 4), dtype=torch.int64).random_(-(2**63), None, generator=generator)
    kept = max(1, round((1 - probability) * 2**16))
    mask = draws.view(torch.int16)[: x.numel()].view(x.shape) < kept - 2**15
    return torch.where(mask, x, x.new_zeros(())).mul_(2**16 / kept)


class PointwiseLinear(nn.Module):
    """Linear map, BatchNorm over all points of the batch, and (leaky) ReLU.

    Args:
        in_dims: width of the points' features.
        out_dims: width of the result.
        slope: of the activation for negative values; 0 is ReLU.
        bias: of the linear map, which BatchNorm takes away again in training (some published weights have one).
    """

    def __init__(self, in_dims: int, out_dims: int, slope: float = 0.0, bias: bool = False) -> None:
        super().__init__()
        self.linear = nn.Linear(in_dims, out_dims, bias=bias)
        self.norm = nn.BatchNorm1d(out_dims)
        self.slope = slope

    def forward(self, x: Float[Tensor, "*points C"]) -> Float[Tensor, "*points O"]:
        """Features of each point, or of each row when there are no points.

        Raises:
            ValueError: in training mode there is a single row, of which no variance can be taken.
        """
        return F.leaky_relu(normalised(self.linear(x), self.norm), self.slope)
