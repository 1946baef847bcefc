"""The streamed second layer of `edge_conv2` for float32 on CPUs: matrix products by torch, the rest in fused passes.

Every thread takes a share of all points and works through it alone, a block of edges that its cache holds at a time:
threads that waited for each other at every block would stand still whenever one is interrupted. `no_type_check`:
compiled functions cannot be wrapped by the checks that the tests switch on.

Axis letters: B clouds, N points, P = B * N, H hidden channels, O channels out, k neighbours.
"""

from typing import Any, no_type_check

import numpy as np
import torch
from torch import Tensor

from crosspoint3d.compiled import njit_cached
from crosspoint3d.ops.threads import in_parallel

# Numbers in a buffer of edges.
BLOCK = 2**19

compiled = njit_cached(fastmath={"contract"})


@compiled
@no_type_check
def build_edges(ab, indices, count, centre, slope, edges, start, stop):
    """`edges[r] = leaky_relu(a_j + b_i) - centre` for the points `start` to `stop` of P, row after row."""
    hidden, k = centre.shape[0], indices.shape[1]
    own = np.empty(hidden, np.float32)
    for p in range(start, stop):
        first = p // count * count
        for h in range(hidden):
            own[h] = ab[p, hidden + h]
        for place in range(k):
            j, r = first + indices[p, place], (p - start) * k + place
            for h in range(hidden):
                z = ab[j, h] + own[h]
                edges[r, h] = (z if z > 0 else slope * z) - centre[h]


@compiled
@no_type_check
def take_largest(y, k, largest, winner, sums, start, stop):
    """Largest y of every point, its place, and the sums of y and its square. NaN counts as largest."""
    channels = y.shape[1]
    best, place = np.empty(channels, np.float32), np.empty(channels, np.int32)
    total, square = np.empty(channels, np.float32), np.empty(channels, np.float32)
    for p in range(start, stop):
        first = (p - start) * k
        for o in range(channels):
            value = y[first, o]
            best[o], place[o], total[o], square[o] = value, 0, value, value * value
        for j in range(1, k):
            for o in range(channels):
                value = y[first + j, o]
                better = (value > best[o]) | (value != value)
                best[o] = value if better else best[o]
                place[o] = j if better else place[o]
                total[o] += value
                square[o] += value * value
        for o in range(channels):
            largest[p, o], winner[p, o] = best[o], place[o]
            sums[0, o] += total[o]
            sums[1, o] += square[o]


@compiled
@no_type_check
def scatter_gradient(
    indices, edges, on_edges, on_all, lowest, slope, winner, gradient, weight, on_ab, on_a, on_weight, total,
    start, stop,
):  # fmt: skip
    """From the edges' gradient (its dense part is there already) to that of a, b and W, and the sum of edges."""
    hidden, k = lowest.shape[0], indices.shape[1]
    own, around = np.empty(hidden, np.float32), np.empty(hidden, np.float32)
    for p in range(start, stop):
        first = (p - start) * k
        for o in range(weight.shape[0]):
            amount, r = gradient[p, o], first + winner[p, o]
            for h in range(hidden):
                on_edges[r, h] += amount * weight[o, h]
        for o in range(weight.shape[0]):
            amount, r = gradient[p, o], first + winner[p, o]
            for h in range(hidden):
                on_weight[o, h] += amount * edges[r, h]
        for h in range(hidden):
            own[h], around[h] = 0, 0
        for place in range(k):
            j, r = indices[p, place], first + place
            for h in range(hidden):
                value = on_edges[r, h] + on_all[h]
                value = value if edges[r, h] > lowest[h] else slope * value
                own[h] += value
                around[h] += edges[r, h]
                on_a[j, h] += value
        for h in range(hidden):
            on_ab[p, hidden + h] = own[h]
            total[h] += around[h]


def _array(values: Tensor) -> Any:
    return values.detach().contiguous().numpy()


def _rows(values: Tensor) -> Any:
    return _array(values.flatten(0, 1))


def forward(ab: Tensor, indices: Tensor, weight: Tensor, centre: Tensor, slope: float) -> tuple[Tensor, Tensor, Tensor]:
    """As `fallback_edge_conv2.forward`; indices must be from 0 to N - 1."""
    clouds, count, k = indices.shape
    channels, hidden = weight.shape
    largest = ab.new_empty(clouds, count, channels)
    winner = torch.empty(largest.shape, dtype=torch.uint8 if k <= 256 else torch.int32)
    sources = (_rows(ab), _rows(indices), count, _array(centre), np.float32(slope))
    results, transposed = (_rows(largest), _rows(winner)), weight.detach().T
    step = max(1, BLOCK // (k * max(weight.shape)))
    sums: dict[int, Any] = {}

    def share(start: int, stop: int) -> None:
        points = min(step, stop - start)
        edges, y = ab.new_empty(points * k, hidden), ab.new_empty(points * k, channels)
        own_sums = np.zeros((2, channels))
        for low in range(start, stop, step):
            high = min(low + step, stop)
            rows = (high - low) * k
            build_edges(*sources, edges.numpy(), low, high)
            torch.mm(edges[:rows], transposed, out=y[:rows])
            take_largest(y.numpy(), k, *results, own_sums, low, high)
        sums[start] = own_sums

    in_parallel(share, clouds * count)
    return largest, winner, torch.from_numpy(sum(sums[start] for start in sorted(sums)))


def backward(
    ab: Tensor,
    indices: Tensor,
    weight: Tensor,
    centre: Tensor,
    slope: float,
    winner: Tensor,
    gradient: Tensor,
    on_edge: Tensor | None,
    on_all: Tensor | None,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """As `fallback_edge_conv2.backward`."""
    clouds, count, k = indices.shape
    channels, hidden = weight.shape
    on_ab = ab.new_zeros(ab.shape)
    sources = (_rows(ab), _rows(indices), count, _array(centre), np.float32(slope))
    always = np.zeros(hidden, np.float32) if on_all is None else _array(on_all)
    given = (always, -_array(centre), np.float32(slope), _rows(winner), _rows(gradient), _array(weight), _rows(on_ab))
    step = max(1, BLOCK // (k * max(weight.shape)))
    parts: dict[int, tuple[Any, ...]] = {}

    def share(start: int, stop: int) -> None:
        points = min(step, stop - start)
        edges, on_edges = ab.new_empty(points * k, hidden), ab.new_empty(points * k, hidden)
        product = ab.new_empty(hidden, hidden)
        for cloud in range(start // count, -(-stop // count)):
            begin, end = max(start, cloud * count), min(stop, (cloud + 1) * count)
            on_a, on_weight = np.zeros((count, hidden), np.float32), np.zeros((channels, hidden), np.float32)
            moments, total = np.zeros((hidden, hidden)), np.zeros(hidden)
            for low in range(begin, end, step):
                high = min(low + step, end)
                rows = (high - low) * k
                build_edges(*sources, edges.numpy(), low, high)
                if on_edge is None:
                    on_edges.zero_()
                else:
                    torch.mm(edges[:rows], on_edge, out=on_edges[:rows])
                    moments += torch.mm(edges[:rows].T, edges[:rows], out=product).numpy()
                scatter_gradient(sources[1], edges.numpy(), on_edges.numpy(), *given, on_a, on_weight, total, low, high)
            parts[begin] = on_a, on_weight, moments, total

    in_parallel(share, clouds * count)
    sums = np.zeros((channels, hidden)), np.zeros((hidden, hidden)), np.zeros(hidden)
    for begin in sorted(parts):
        on_a, *more = parts[begin]
        on_ab[begin // count, :, :hidden] += torch.from_numpy(on_a)
        for whole, part in zip(sums, more, strict=True):
            whole += part
    on_weight, moments, total = map(torch.from_numpy, sums)
    return on_ab, on_weight.to(ab.dtype), moments, total
