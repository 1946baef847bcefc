"""The passes over edges on a CPU: the four functions of `fallback_edges`, compiled.

Threads share the work by clouds and blocks of channels: a block of a cloud's features stays in cache, and what flows
back to a point is summed by one thread in the order of the edges, so that results do not depend on their number.

Axis letters: B clouds, N points, C or O channels, k neighbours.
"""

from typing import no_type_check

import numpy as np
import torch
from torch import Tensor

from crosspoint3d.compiled import njit_cached
from crosspoint3d.ops.threads import in_parallel

CHANNELS = 64  # of a block
compiled = njit_cached()


@compiled
@no_type_check
def _sum(values, indices, total, start, stop):
    blocks = -(-values.shape[2] // CHANNELS)
    for task in range(start, stop):
        b, low = task // blocks, task % blocks * CHANNELS
        high = min(low + CHANNELS, values.shape[2])
        for i in range(values.shape[1]):
            result = total[b, i, low:high]
            result[:] = values[b, indices[b, i, 0], low:high]
            for j in range(1, indices.shape[2]):
                row = values[b, indices[b, i, j], low:high]
                for c in range(len(row)):
                    result[c] += row[c]


@compiled
@no_type_check
def _sum_backward(gradient, indices, result, start, stop):
    blocks = -(-gradient.shape[2] // CHANNELS)
    for task in range(start, stop):
        b, low = task // blocks, task % blocks * CHANNELS
        high = min(low + CHANNELS, gradient.shape[2])
        result[b, :, low:high] = 0
        for i in range(gradient.shape[1]):
            row = gradient[b, i, low:high]
            for j in range(indices.shape[2]):
                target = result[b, indices[b, i, j], low:high]
                for c in range(len(row)):
                    target[c] += row[c]


@compiled
@no_type_check
def _max(ab, indices, slope, out, winner, start, stop):
    channels = out.shape[2]
    blocks = -(-channels // CHANNELS)
    k = indices.shape[2]
    place = np.empty(CHANNELS, np.int32)
    for task in range(start, stop):
        b, low = task // blocks, task % blocks * CHANNELS
        high = min(low + CHANNELS, channels)
        for i in range(ab.shape[1]):
            largest, where = out[b, i, low:high], place[: high - low]
            largest[:] = ab[b, indices[b, i, 0], low:high]
            where[:] = 0
            for j in range(1, k):
                row, here = ab[b, indices[b, i, j], low:high], np.int32(j)
                for c in range(len(row)):
                    value, best = row[c], largest[c]
                    better = (value > best) | (value != value)
                    where[c] += (here - where[c]) * np.int32(better)  # a branch costs more
                    largest[c] = value if better else best
            centre = ab[b, i, channels + low : channels + high]
            first = winner[b, i, low:high]
            for c in range(len(centre)):
                value = largest[c] + centre[c]
                largest[c] = value if value > 0 else value * slope
                first[c] = where[c]


@compiled
@no_type_check
def _max_only(ab, indices, slope, out, start, stop):
    channels = out.shape[2]
    blocks = -(-channels // CHANNELS)
    k = indices.shape[2]
    for task in range(start, stop):
        b, low = task // blocks, task % blocks * CHANNELS
        high = min(low + CHANNELS, channels)
        for i in range(ab.shape[1]):
            largest = out[b, i, low:high]
            largest[:] = ab[b, indices[b, i, 0], low:high]
            for j in range(1, k):
                row = ab[b, indices[b, i, j], low:high]
                for c in range(len(row)):
                    value, best = row[c], largest[c]
                    largest[c] = value if (value > best) | (value != value) else best
            centre = ab[b, i, channels + low : channels + high]
            for c in range(len(centre)):
                value = largest[c] + centre[c]
                largest[c] = value if value > 0 else value * slope


@compiled
@no_type_check
def _max_backward(gradient, out, winner, indices, slope, result, start, stop):
    channels = out.shape[2]
    blocks = -(-channels // CHANNELS)
    for task in range(start, stop):
        b, low = task // blocks, task % blocks * CHANNELS
        high = min(low + CHANNELS, channels)
        onto_a, onto_b = result[b, :, low:high], result[b, :, channels + low : channels + high]
        onto_a[:] = 0
        for i in range(len(onto_a)):
            neighbours = indices[b, i]
            for c in range(high - low):
                value = gradient[b, i, low + c]
                value = value if out[b, i, low + c] > 0 else value * slope
                onto_b[i, c] = value
                onto_a[neighbours[winner[b, i, low + c]], c] += value


def _tasks(values: Tensor, channels: int) -> int:
    return len(values) * -(-channels // CHANNELS)


def neighbour_sum(values: Tensor, indices: Tensor) -> Tensor:
    """As `fallback_edges.neighbour_sum`."""
    total = torch.empty(values.shape, dtype=values.dtype)
    arrays = values.contiguous().numpy(), indices.contiguous().numpy(), total.numpy()
    in_parallel(lambda start, stop: _sum(*arrays, start, stop), _tasks(values, values.shape[2]))
    return total


def neighbour_sum_backward(gradient: Tensor, indices: Tensor) -> Tensor:
    """As `fallback_edges.neighbour_sum_backward`."""
    result = torch.empty(gradient.shape, dtype=gradient.dtype)
    arrays = gradient.contiguous().numpy(), indices.contiguous().numpy(), result.numpy()
    in_parallel(lambda start, stop: _sum_backward(*arrays, start, stop), _tasks(gradient, gradient.shape[2]))
    return result


def edge_max(ab: Tensor, indices: Tensor, slope: float, with_winner: bool = True) -> tuple[Tensor, Tensor]:
    """As `fallback_edges.edge_max`."""
    channels, k = ab.shape[2] // 2, indices.shape[2]
    out = torch.empty((*indices.shape[:2], channels), dtype=ab.dtype)
    winner = torch.empty(out.shape if with_winner else 0, dtype=torch.uint8 if k <= 256 else torch.int32)
    scale = ab.new_tensor(slope).numpy()[()]
    inputs = ab.contiguous().numpy(), indices.contiguous().numpy(), scale, out.numpy()
    if with_winner:
        places = winner.numpy()
        in_parallel(lambda start, stop: _max(*inputs, places, start, stop), _tasks(ab, channels))
    else:
        in_parallel(lambda start, stop: _max_only(*inputs, start, stop), _tasks(ab, channels))
    return out, winner


def edge_max_backward(gradient: Tensor, out: Tensor, winner: Tensor, indices: Tensor, slope: float) -> Tensor:
    """As `fallback_edges.edge_max_backward`."""
    result = torch.empty((*out.shape[:2], 2 * out.shape[2]), dtype=gradient.dtype)
    scale = gradient.new_tensor(slope).numpy()[()]
    inputs = gradient.contiguous().numpy(), out.numpy(), winner.numpy(), indices.contiguous().numpy()
    array = result.numpy()
    in_parallel(lambda a, b: _max_backward(*inputs, scale, array, a, b), _tasks(out, out.shape[2]))
    return result
