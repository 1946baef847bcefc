"""Nearest neighbours on a CPU: distances row by row in cache, and a selection that sorts next to nothing.

The k-th smallest of the minima of G > k groups bounds the k-th smallest distance of a row, so that few points beyond
the k nearest are ever looked at. Copies of a point are taken out first: they share distances and, but for themselves at
its head, the list. Distances are compared by the bits of their floats, which have the order of the numbers from 0 on.
Positions are unsigned where it matters: signed ones are guarded against negative values, at a multiple of the cost.

Axis letters: B clouds, N points, C channels, k neighbours, U different points of a cloud.
"""

from typing import no_type_check

import numpy as np
import torch
from numba import njit
from torch import Tensor

from crosspoint3d.ops.cpu_copies import find_copies
from crosspoint3d.ops.threads import in_parallel

BLOCK = 2**21  # products held at once: 8 MB
GROUPS = 32  # for every five neighbours
MOST_RANKED = 128  # a longer list is sorted the usual way
INF = np.float32(np.inf)
compiled = njit(cache=True, nogil=True, error_model="numpy")


@compiled
@no_type_check
def _from_products(products, squares, square, floats):
    """Squared distances `|x_i|^2 + |x_j|^2 - 2 x_i x_j`, at least 0; those that are no numbers are infinite."""
    for j in range(len(products)):
        distance = square + squares[j] - np.float32(2) * products[j]
        distance = np.float32(0) if distance < 0 else distance
        floats[j] = distance if distance < INF else INF


@compiled
@no_type_check
def _from_coordinates(x, y, z, own, floats):
    """Squared distances from point `own`; those that are no numbers are infinite."""
    for j in range(len(x)):
        dx, dy, dz = x[j] - x[own], y[j] - y[own], z[j] - z[own]
        distance = dx * dx + dy * dy + dz * dz
        floats[j] = distance if distance < INF else INF


@compiled
@no_type_check
def _group_minima(bits, minima):
    """Smallest of every `len(minima)`-th element."""
    groups, count = np.uintp(len(minima)), np.uintp(len(bits))
    for g in range(groups):
        minima[g] = bits[g]
    begin = groups
    while begin < count:
        for g in range(min(groups, count - begin)):
            value, least = bits[begin + g], minima[g]
            minima[g] = value if value < least else least
        begin += groups


@compiled
@no_type_check
def _bound(minima, k):
    """The k-th smallest of `minima` or a little more, by bisection; typed so that it compiles to vectors."""
    low, high = minima[0], minima[0]
    for i in range(len(minima)):
        value = minima[i]
        low = value if value < low else low
        high = value if value > high else high
    while low < high:
        middle = np.int32(low + ((high - low) >> 1))
        below = np.int32(0)
        for i in range(len(minima)):
            below += np.int32(1) if minima[i] <= middle else np.int32(0)
        if below >= k:
            high = middle
            if below <= k + 2:
                break
        else:
            low = np.int32(middle + 1)
    return high


@compiled
@no_type_check
def _candidates(bits, minima, bound, places, keys):
    """Every (distance, place) not beyond the bound as one number, and how many; without a branch to guess wrong."""
    groups, count = np.uintp(len(minima)), np.uintp(len(bits))
    chosen, found = np.uintp(0), np.uintp(0)
    for g in range(groups):
        places[chosen] = g
        chosen += np.uintp(minima[g] <= bound)
    for begin in range(np.uintp(0), count, groups):
        for c in range(chosen):
            place = begin + np.uintp(places[c])
            if place < count:
                keys[found] = np.int64(bits[place]) << 32 | np.int64(place)
                found += np.uintp(bits[place] <= bound)
    return np.int64(found)


@compiled
@no_type_check
def _sort(keys, sorted_keys):
    """Keys, all different, in order: each goes to the place that the number of smaller ones names."""
    for i in range(len(keys)):
        key = keys[i]
        rank = 0
        for j in range(len(keys)):
            rank += np.int64(1) if keys[j] < key else np.int64(0)
        sorted_keys[rank] = key


@compiled
@no_type_check
def _expand(keys, found, leaders, copies, k):
    """Places of leaders become points, each followed by its copies (k of them suffice); the new number of keys."""
    total = found
    for i in range(found):
        distance = keys[i] >> 32 << 32
        point = leaders[keys[i] & 0xFFFFFFFF]
        keys[i] = distance | point
        for _ in range(k):
            point = copies[point]
            if point < 0:
                break
            keys[total] = distance | point
            total += 1
    return total


@compiled
@no_type_check
def _write(leader, copies, ordered, result):
    """The list of a leader and of each of its copies: itself first, then the others."""
    k = result.shape[1]
    point = leader
    while point >= 0:
        result[point, 0] = point
        filled = 1
        for key in ordered:
            other = key & 0xFFFFFFFF
            if filled < k and other != point:
                result[point, filled] = other
                filled += 1
        point = copies[point]


@compiled
@no_type_check
def _select(start, stop, source, first, groups, different, copies, counts, result):
    """Neighbour lists of the rows `start` to `stop` of a block: (clouds, rows), flat; `first` names its first of both.

    `source` holds products (clouds, rows, U) and squared lengths (clouds, U); or coordinates (3, clouds, U) alone.
    """
    k = result.shape[2]
    values, squares = source
    rows = values.shape[1] if len(squares) else values.shape[2]
    floats = np.empty(different.shape[1], np.float32)
    bits = floats.view(np.int32)
    minima = np.empty(groups, np.int32)
    places = np.empty(groups + 1, np.int64)
    keys = np.empty(copies.shape[1] + 1, np.int64)
    ordered = np.empty(copies.shape[1], np.int64)
    for task in range(start, stop):
        b, row = task // rows, task % rows
        cloud, own = first[0] + b, first[1] + row
        count = counts[cloud]
        if own >= count:
            continue
        used = min(groups, count)
        if len(squares):
            _from_products(values[b, row, :count], squares[b, :count], squares[b, own], floats)
        else:
            _from_coordinates(values[0, b, :count], values[1, b, :count], values[2, b, :count], own, floats)
        bits[own] = 0
        _group_minima(bits[:count], minima[:used])
        bound = _bound(minima[:used], min(k, used))
        found = _candidates(bits[:count], minima[:used], bound, places, keys)
        leaders = different[cloud, :count]
        if count < copies.shape[1]:
            found = _expand(keys, found, leaders, copies[cloud], k)
        if found <= MOST_RANKED:
            _sort(keys[:found], ordered)
        else:
            ordered[:found] = np.sort(keys[:found])
        _write(leaders[own], copies[cloud], ordered[: min(k, found)], result[cloud])


def knn(points: Tensor, k: int) -> Tensor:
    """As `crosspoint3d.ops.knn`, for points on the CPU and valid arguments; in float32."""
    clouds, count, channels = points.shape
    result = torch.empty((clouds, count, k), dtype=torch.int64)
    if not clouds:
        return result
    x = points.float().contiguous() + 0.0  # -0 is 0
    if channels > 3:
        x -= x.mean(1, keepdim=True)
    different, copies, counts = find_copies(x)
    most = int(counts.max())
    if counts.min() < count:
        leaders = torch.from_numpy(different)[:, :most, None].long()
        x = x.gather(1, leaders.expand(-1, -1, channels))
    shared = (GROUPS * -(-k // 5), different, copies, counts, result.numpy())

    def select(values: Tensor, squares: Tensor, first: tuple[int, int], lists: int) -> None:
        source = values.numpy(), squares.numpy()
        in_parallel(lambda start, stop: _select(start, stop, source, first, *shared), lists)

    if channels <= 3:
        planes = torch.zeros((3, clouds, most))
        planes[:channels] = x.permute(2, 0, 1)
        select(planes, torch.empty((0, 0)), (0, 0), clouds * most)
        return result
    together, rows = max(1, BLOCK // most**2), min(most, max(1, BLOCK // most))
    squares = x.square().sum(2)
    for first in range(0, clouds, together):
        cloud = x[first : first + together]
        for row in range(0, most, rows):
            products = torch.bmm(cloud[:, row : row + rows], cloud.mT)
            select(products, squares[first : first + together], (first, row), len(cloud) * products.shape[1])
    return result
