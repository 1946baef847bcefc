"""Which points of a cloud are equal, found by hashing (numba).

Axis letters: B clouds, N points, C channels.
"""

from typing import Any, no_type_check

import numpy as np
from torch import Tensor

from crosspoint3d.compiled import njit_cached
from crosspoint3d.ops.threads import in_parallel

HASHED = 8  # channels, about, that copies are found by before all are compared
Array = np.ndarray[Any, np.dtype[np.int32]]
compiled = njit_cached()


@compiled
@no_type_check
def _find_copies(points, start, stop, different, copies, counts):
    """Indices of the first of equal points in `different`, and from each point to its next copy in `copies`, or -1."""
    count, channels = points.shape[1:]
    size = 1
    while size < 2 * count:
        size *= 2
    table = np.empty(size, np.int32)
    last = np.empty(count, np.int32)
    for b in range(start, stop):
        cloud = points[b]
        bits = cloud.view(np.uint32)
        table[:] = -1
        copies[b, :] = -1
        found = 0
        for i in range(count):
            code = np.uint64(0)
            for c in range(0, channels, max(1, channels // HASHED)):
                code = (code ^ np.uint64(bits[i, c])) * np.uint64(0x9E3779B97F4A7C15)
                code ^= code >> np.uint64(29)
            slot = np.int64(code & np.uint64(size - 1))
            while table[slot] >= 0:
                other = table[slot]
                equal = True
                for c in range(channels):
                    if cloud[i, c] != cloud[other, c]:
                        equal = False
                        break
                if equal:
                    break
                slot = (slot + 1) & (size - 1)
            if table[slot] >= 0:
                copies[b, last[table[slot]]] = i
                last[table[slot]] = i
            else:
                table[slot] = i
                last[i] = i
                different[b, found] = i
                found += 1
        counts[b] = found


def find_copies(points: Tensor) -> tuple[Array, Array, Array]:
    """Each cloud's different points, its copies, and how many points are different.

    Args:
        points: (B, N, C) on the CPU, contiguous, without -0.

    Returns:
        Indices (B, N) of the first of equal points, in order, then zeros; each point's next copy (B, N), or -1;
        numbers (B) of different points.
    """
    clouds, count, _ = points.shape
    different, copies = np.zeros((2, clouds, count), np.int32)
    counts = np.zeros(clouds, np.int32)
    array = points.numpy()
    in_parallel(lambda start, stop: _find_copies(array, start, stop, different, copies, counts), clouds)
    return different, copies, counts
