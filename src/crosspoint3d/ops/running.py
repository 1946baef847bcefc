"""BatchNorm's running statistics, for layers that take the batch's without making what is normalised."""

import torch
from torch import Tensor, nn


def running_statistics(norm: nn.BatchNorm1d) -> tuple[Tensor, Tensor]:
    """Running mean and variance."""
    assert norm.running_mean is not None and norm.running_var is not None
    return norm.running_mean, norm.running_var


@torch.no_grad()
def move_running_statistics(norm: nn.BatchNorm1d, mean: Tensor, variance: Tensor, count: int) -> None:
    """Move them towards a batch's mean and biased variance over `count` values, as `nn.BatchNorm1d` does."""
    running_mean, running_var = running_statistics(norm)
    assert norm.num_batches_tracked is not None and norm.momentum is not None
    running_mean.lerp_(mean, norm.momentum)
    running_var.lerp_(variance * (count / (count - 1)), norm.momentum)
    norm.num_batches_tracked += 1
