"""The k nearest of every row of distances, by sorting next to nothing (numba).

The k-th smallest of the minima of G > k groups bounds the k-th smallest distance of a row, so that few points beyond
the k nearest are ever looked at. Products lose the last digits: these few are measured again by their differences, so
that near points are told apart and ties are ties. Distances are compared by the bits of their floats, which have the
order of the numbers from 0 on.
Positions are unsigned where it matters: signed ones are guarded against negative values, at a multiple of the cost.
All of this is one file, because compiled functions are cached by the file they are in.

Axis letters: C channels, k neighbours, U different points of a cloud.
"""

from typing import no_type_check

import numpy as np

from crosspoint3d.compiled import njit_cached

MOST_RANKED = 128  # a longer list is sorted the usual way
INF = np.float32(np.inf)
compiled = njit_cached()
exact = njit_cached(fastmath={"reassoc", "contract"})


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
def _widened(bound, width, scratch):
    """A bound on bits moved up by a number; infinity where that is none."""
    bits = scratch.view(np.int32)
    bits[0] = bound
    moved = scratch[0] + width
    scratch[0] = moved if moved < INF else INF
    return bits[0]


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


@exact
@no_type_check
def _measure(points, own, keys, scratch):
    """Put the sum of squared differences from point `own` into each key, in place of what the products gave."""
    bits = scratch.view(np.int32)
    here = points[own]
    for i in range(len(keys)):
        there = points[np.uintp(keys[i] & 0xFFFFFFFF)]
        distance = np.float32(0)
        for c in range(len(here)):
            distance += (there[c] - here[c]) * (there[c] - here[c])
        scratch[0] = distance if distance < INF else INF
        keys[i] = np.int64(bits[0]) << 32 | (keys[i] & 0xFFFFFFFF)


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
def select_rows(start, stop, source, first, groups, different, copies, counts, result):
    """Neighbour lists of the rows `start` to `stop` of a block: (clouds, rows), flat; `first` names its first of both.

    `source` holds products (clouds, rows, U), points (clouds, U, C), their squared lengths (clouds, U) and the largest
    of those (clouds); or coordinates (3, clouds, U) alone.
    """
    k = result.shape[2]
    values, points, squares, longest = source
    scratch = np.empty(1, np.float32)
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
        if len(squares):
            slip = (points.shape[2] + 64) * np.float32(2.0**-27) * (squares[b, own] + longest[b])
            bound = _widened(bound, 2 * slip, scratch)
        found = _candidates(bits[:count], minima[:used], bound, places, keys)
        if len(squares):
            _measure(points[b], own, keys[:found], scratch)
        leaders = different[cloud, :count]
        if count < copies.shape[1]:
            found = _expand(keys, found, leaders, copies[cloud], k)
        if found <= MOST_RANKED:
            _sort(keys[:found], ordered)
        else:
            ordered[:found] = np.sort(keys[:found])
        _write(leaders[own], copies[cloud], ordered[: min(k, found)], result[cloud])
