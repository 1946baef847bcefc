"""Weights that let rare labels count for more."""

import numpy as np
import torch
from jaxtyping import Float32, Int
from torch import Tensor


def label_weights(labels: Int[np.ndarray, "*items"], count: int) -> Float32[Tensor, " Q"]:
    """The inverse root of each label's frequency, mean 1 over the labels that occur; 0 for those that do not.

    Args:
        labels: of all that is labelled (points, shapes), 0 to count - 1.
        count: Q.
    """
    items = np.bincount(labels.ravel(), minlength=count)
    there = items > 0
    weights = np.where(there, np.maximum(items, 1) ** -0.5, 0.0)
    return torch.from_numpy((weights / weights[there].mean()).astype(np.float32))
