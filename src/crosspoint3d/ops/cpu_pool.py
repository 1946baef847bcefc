"""BatchNorm, LeakyReLU and pooling over the points of a cloud, compiled: two passes forward, one backward.

Axis letters: B clouds, N points, E channels.
"""

from typing import no_type_check

import numpy as np
import torch
from torch import Tensor

from crosspoint3d.compiled import njit_cached
from crosspoint3d.ops.threads import in_parallel

CHANNELS = 64  # of a block
ROWS = 128  # summed in the input's type before they go to float64
compiled = njit_cached()


@compiled
@no_type_check
def _moments(y, first, total, squares, start, stop):
    """Sums and sums of squares of `y - first` over the points of every cloud, in float64, for blocks of channels."""
    blocks = -(-y.shape[2] // CHANNELS)
    part, part_squares = np.empty(CHANNELS, y.dtype), np.empty(CHANNELS, y.dtype)
    for task in range(start, stop):
        b, low = task // blocks, task % blocks * CHANNELS
        high = min(low + CHANNELS, y.shape[2])
        origin = first[low:high]
        for begin in range(0, y.shape[1], ROWS):
            part[:] = 0
            part_squares[:] = 0
            for i in range(begin, min(begin + ROWS, y.shape[1])):
                row = y[b, i, low:high]
                for c in range(len(row)):
                    value = row[c] - origin[c]
                    part[c] += value
                    part_squares[c] += value * value
            for c in range(high - low):
                total[b, low + c] += part[c]
                squares[b, low + c] += part_squares[c]


@compiled
@no_type_check
def _pool(y, centre, inverse, gamma, beta, slope, largest, where, slopes, weighted, start, stop):
    """For v = gamma n + beta of n = (y - centre) inverse: largest v, where; sums of leaky'(v), alone and times n."""
    blocks = -(-y.shape[2] // CHANNELS)
    for task in range(start, stop):
        b, low = task // blocks, task % blocks * CHANNELS
        high = min(low + CHANNELS, y.shape[2])
        middle, scale, gain, shift = centre[low:high], inverse[low:high], gamma[low:high], beta[low:high]
        best, place = largest[b, low:high], where[b, low:high]
        sums, dots = slopes[b, low:high], weighted[b, low:high]
        best[:] = -np.inf
        place[:] = 0
        sums[:] = 0
        dots[:] = 0
        for i in range(y.shape[1]):
            row, here = y[b, i, low:high], np.int32(i)
            for c in range(len(row)):
                normal, most = (row[c] - middle[c]) * scale[c], best[c]
                value = gain[c] * normal + shift[c]
                place[c] += (here - place[c]) * np.int32(value > most)
                best[c] = value if value > most else most
                sums[c] += 1 if value > 0 else slope
                dots[c] += normal if value > 0 else slope * normal


@compiled
@no_type_check
def _backward(y, centre, inverse, gamma, beta, slope, flow, constant, linear, result, start, stop):
    """`gamma inverse (leaky'(v) flow - constant - n linear)` for every point, with n and v as in `_pool`."""
    blocks = -(-y.shape[2] // CHANNELS)
    for task in range(start, stop):
        b, low = task // blocks, task % blocks * CHANNELS
        high = min(low + CHANNELS, y.shape[2])
        middle, scale, gain, shift = centre[low:high], inverse[low:high], gamma[low:high], beta[low:high]
        onto, fixed, tilt = flow[b, low:high], constant[low:high], linear[low:high]
        for i in range(y.shape[1]):
            row, target = y[b, i, low:high], result[b, i, low:high]
            for c in range(len(row)):
                normal = (row[c] - middle[c]) * scale[c]
                value = onto[c] if gain[c] * normal + shift[c] > 0 else onto[c] * slope
                target[c] = gain[c] * scale[c] * (value - fixed[c] - normal * tilt[c])


def _arrays(*tensors: Tensor) -> tuple[np.ndarray, ...]:
    return tuple(tensor.detach().contiguous().numpy() for tensor in tensors)


def _tasks(y: Tensor) -> int:
    return len(y) * -(-y.shape[2] // CHANNELS)


def moments(y: Tensor) -> tuple[Tensor, Tensor]:
    """Sums (E) over all points of the values and of their squares, in float64."""
    origin = y[0, 0].double() if len(y) else torch.zeros(y.shape[2], dtype=torch.float64)
    total = torch.zeros((2, len(y), y.shape[2]), dtype=torch.float64)
    arrays = (*_arrays(y, origin.to(y.dtype)), *total.numpy())
    in_parallel(lambda start, stop: _moments(*arrays, start, stop), _tasks(y))
    sums, squares = total.sum(1)
    points = y.shape[0] * y.shape[1]
    return sums + points * origin, squares + 2 * origin * sums + points * origin.square()


def pool(
    y: Tensor, centre: Tensor, inverse: Tensor, gamma: Tensor, beta: Tensor, slope: float
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Largest v (B, E), where (B, E) int32, and the sums (B, E) of LeakyReLU's derivatives, alone and times n."""
    largest, slopes, weighted = torch.empty((3, len(y), y.shape[2]), dtype=y.dtype).unbind(0)
    where = torch.empty(largest.shape, dtype=torch.int32)
    scale = y.new_tensor(slope).numpy()[()]
    arrays = (*_arrays(y, centre, inverse, gamma, beta), scale, *_arrays(largest, where, slopes, weighted))
    in_parallel(lambda start, stop: _pool(*arrays, start, stop), _tasks(y))
    largest.masked_fill_(weighted.isnan(), torch.nan)  # compared as if it were the smallest
    return largest, where, slopes, weighted


def backward(
    y: Tensor,
    centre: Tensor,
    inverse: Tensor,
    gamma: Tensor,
    beta: Tensor,
    slope: float,
    flow: Tensor,
    constant: Tensor,
    linear: Tensor,
) -> Tensor:
    """`gamma inverse (leaky'(v) flow - constant - n linear)` (B, N, E); flow (B, E), constant and linear (E)."""
    result = torch.empty(y.shape, dtype=y.dtype)
    scale = y.new_tensor(slope).numpy()[()]
    arrays = (*_arrays(y, centre, inverse, gamma, beta), scale, *_arrays(flow, constant, linear), result.numpy())
    in_parallel(lambda start, stop: _backward(*arrays, start, stop), _tasks(y))
    return result
