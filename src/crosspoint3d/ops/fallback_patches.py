"""Farthest and nearest points in plain torch, for devices without kernels of their own; nothing waits for the device.

Axis letters: B clouds, N points, M places, k neighbours.
"""

import torch
from torch import Tensor

from crosspoint3d.ops.fallback_knn import first_in_order, squared_distances

BLOCK = 2**27  # distances held at once


def farthest_points(points: Tensor, count: int, start: Tensor) -> Tensor:
    """As `crosspoint3d.ops.patches.farthest_points`, for valid arguments of 32 or 64 bits: a step for every choice."""
    distance = torch.full_like(points[:, :, 0], torch.inf)
    chosen, different = [start], torch.ones_like(start)
    for _ in range(1, count):
        last = points.gather(1, chosen[-1][:, None, None].expand(-1, -1, 3))
        distance = torch.minimum(distance, squared_distances(last, points)[:, 0])
        farthest = distance.max(1)
        chosen.append(farthest.indices)
        different += farthest.values > 0
    again = torch.arange(count, device=points.device) % different[:, None]
    return torch.stack(chosen, 1).gather(1, again)


def nearest(places: Tensor, points: Tensor, k: int) -> Tensor:
    """As `crosspoint3d.ops.patches.nearest`, for valid arguments of 32 or 64 bits."""
    result = torch.empty((*places.shape[:2], k), dtype=torch.int64, device=points.device)
    together = max(1, BLOCK // max(1, places.shape[1] * points.shape[1]))
    for b in range(0, len(points), together):
        distance = squared_distances(places[b : b + together], points[b : b + together])
        distance = distance.nan_to_num(nan=torch.inf, posinf=torch.inf)
        result[b : b + together] = first_in_order(distance, k)
    return result
