"""Farthest and nearest points on a CPU (numba), a cloud or a place at a time on torch's threads.

Axis letters: B clouds, N points, M places, k neighbours.
"""

from typing import no_type_check

import numpy as np
import torch
from torch import Tensor

from crosspoint3d.compiled import njit_cached
from crosspoint3d.ops.threads import in_parallel

compiled = njit_cached()


@compiled
@no_type_check
def _farthest(begin, end, points, start, chosen):
    """Choose points of the clouds from `begin` to `end`; `chosen` (B, count) is filled."""
    count = chosen.shape[1]
    distance = np.empty_like(points[0, :, 0])
    for b in range(begin, end):
        cloud, mine = points[b], chosen[b]
        distance[:] = np.inf
        mine[0] = start[b]
        different = 1
        while different < count:
            last = mine[different - 1]
            x, y, z = cloud[last, 0], cloud[last, 1], cloud[last, 2]
            most, at = np.float32(0), -1
            for i in range(len(cloud)):
                dx, dy, dz = x - cloud[i, 0], y - cloud[i, 1], z - cloud[i, 2]
                d = dx * dx + dy * dy + dz * dz
                if d < distance[i]:
                    distance[i] = d
                if distance[i] > most:
                    most, at = distance[i], i
            if at < 0:
                break
            mine[different] = at
            different += 1
        for again in range(different, count):
            mine[again] = mine[again - different]


@compiled
@no_type_check
def _nearest(begin, end, places, points, result):
    """Keep a sorted list of the k nearest for each of the B * M places from `begin` to `end`."""
    many, k = result.shape[1], result.shape[2]
    least = np.empty_like(points[0, :k, 0])
    for row in range(begin, end):
        b, m = row // many, row % many
        cloud, mine = points[b], result[b, m]
        x, y, z = places[b, m, 0], places[b, m, 1], places[b, m, 2]
        held = 0
        for i in range(len(cloud)):
            dx, dy, dz = x - cloud[i, 0], y - cloud[i, 1], z - cloud[i, 2]
            d = dx * dx + dy * dy + dz * dz
            if not d < np.inf:
                d = least.dtype.type(np.inf)
            if held == k and not d < least[k - 1]:
                continue
            place = min(held, k - 1)
            held = place + 1
            while place > 0 and d < least[place - 1]:
                least[place], mine[place] = least[place - 1], mine[place - 1]
                place -= 1
            least[place], mine[place] = d, i


def farthest_points(points: Tensor, count: int, start: Tensor) -> Tensor:
    """As `crosspoint3d.ops.patches.farthest_points`, for valid arguments of 32 or 64 bits."""
    chosen = torch.empty((len(points), count), dtype=torch.int64)
    values, first, filled = points.numpy(), start.contiguous().numpy(), chosen.numpy()
    if len(points):
        in_parallel(lambda begin, end: _farthest(begin, end, values, first, filled), len(points))
    return chosen


def nearest(places: Tensor, points: Tensor, k: int) -> Tensor:
    """As `crosspoint3d.ops.patches.nearest`, for valid arguments of 32 or 64 bits."""
    result = torch.empty((*places.shape[:2], k), dtype=torch.int64)
    around, among, filled = places.numpy(), points.numpy(), result.numpy()
    rows = len(places) * places.shape[1]
    if rows:
        in_parallel(lambda begin, end: _nearest(begin, end, around, among, filled), rows)
    return result
