"""Which points may be among the k nearest of each, by tensor cores and with proof (Triton).

Neither kernel writes the N x N matrix:

1. `_bound`: squared distances of rounded points by `tl.dot`, of which only the smallest of each of 128 groups of points
   is kept, in registers. The k-th smallest of those is no less than the k-th smallest distance of the row; widened by
   the slips and by what float32 sums may lose, it is a limit that none of the k nearest passes.
2. `_collect`: the same products again, and the few points below the limit, about 1.1 k, listed row by row.

Computing products twice costs less than keeping a sorted list while they stream: a minimum is one instruction. float16
holds as many digits as tf32 at half the traffic; exact distances are left to `cuda_knn`, which has few to compute.
Whoever has k copies of lower index is in nobody's list and is dropped; without that, point dropping, which makes most
of a cloud copies of one point, would fill the lists of all of them. (Copies are told by 64-bit hashes: it would take k
collisions with one point to lose it.)

Axis letters: B clouds, N points, P points padded to whole groups, C channels, Q channels padded, M rows, G columns.
"""

from typing import no_type_check

import torch
import triton
import triton.language as tl
from torch import Tensor

from crosspoint3d.ops.cuda_rounding import round_points


@triton.jit
@no_type_check
def _products(own, cloud, rows, columns, Q, CB: tl.constexpr, WIDE: tl.constexpr):
    """Inner products (M, G) of rounded points; `own` are the first channels of `rows`, all of them unless `WIDE`."""
    channels = tl.arange(0, CB)[None, :]
    theirs = tl.load(cloud + columns.to(tl.int64)[:, None] * Q + channels)
    product = tl.dot(own, tl.trans(theirs))
    if WIDE:
        for start in range(CB, Q, CB):
            more = tl.load(cloud + rows.to(tl.int64)[:, None] * Q + start + channels)
            theirs = tl.load(cloud + columns.to(tl.int64)[:, None] * Q + start + channels)
            product = tl.dot(more, tl.trans(theirs), product)
    return product


@triton.jit
@no_type_check
def _kth_smallest(values, k):
    """Of each row of numbers from 0 on, the k-th smallest, rounded up at its 9th binary digit."""
    bits = values.to(tl.int32, bitcast=True)
    found = tl.zeros((values.shape[0],), tl.int32)
    for step in range(16):
        trial = found | (0x40000000 >> step)
        below = tl.sum((bits < trial[:, None]).to(tl.int32), 1)
        found = tl.where(below < k, trial, found)
    return tl.where(found < 0x7F800000, (found | 0x7FFF).to(tl.float32, bitcast=True), float("inf"))


@triton.jit
@no_type_check
def _bound(
    halves, planes, hashes, C, P, Q, k, total, M: tl.constexpr, G: tl.constexpr, CB: tl.constexpr, WIDE: tl.constexpr,
):  # fmt: skip
    """Plane 3: limit of `square_j - 2 x_i.x_j`; plane 4: squared lengths, inf for dropped copies.

    Nothing is below the limit of a row for which there is no finite one; its empty list leaves it to the exact search.
    """
    block = tl.program_id(0)
    first = (block // (P // M)).to(tl.int64) * P
    rows = block % (P // M) * M + tl.arange(0, M)
    code = tl.load(hashes + first + rows)
    copies = tl.zeros((M, G), tl.int32)
    for start in range(0, block % (P // M) * M + M, G):
        columns = start + tl.arange(0, G)
        equal = tl.load(hashes + first + columns)[None, :] == code[:, None]
        copies += (equal & (columns[None, :] < rows[:, None])).to(tl.int32)
    copies = tl.sum(copies, 1)

    cloud = halves + first * Q
    own = tl.load(cloud + rows.to(tl.int64)[:, None] * Q + tl.arange(0, CB)[None, :])
    square = tl.load(planes + first + rows)
    scale = tl.load(planes + total + first + rows)
    smallest = tl.full((M, G), float("inf"), tl.float32)
    longest = tl.zeros((G,), tl.float32)
    slips = tl.zeros((G,), tl.float32)
    for start in range(0, P, G):
        # Eights are turned from tile to tile, so that neighbours on a scan's grid fall into different groups.
        columns = start + ((tl.arange(0, G) // 8 + start // G * 5) % (G // 8)) * 8 + tl.arange(0, G) % 8
        there = planes + first + columns
        squares, scales = tl.load(there), tl.load(there + total)
        slips = tl.maximum(slips, tl.load(there + 2 * total))
        longest = tl.maximum(longest, tl.where(squares < float("inf"), squares, 0.0))
        product = _products(own, cloud, rows, columns, Q, CB, WIDE) * scales[None, :]
        smallest = tl.minimum(smallest, squares[None, :] - (2.0 * scale)[:, None] * product)

    usable = square < float("inf")
    square = tl.where(usable, square, 0.0)
    kth = _kth_smallest(tl.maximum(smallest + square[:, None], 0.0), k)
    lost = (C + 16) * 2.0**-22 * (square + tl.max(longest, 0))
    slack = 1.0 + (C + 64) * 2.0**-22
    reach = tl.sqrt(kth + lost) * slack + 2.0 * (tl.load(planes + 2 * total + first + rows) + tl.max(slips, 0))
    limit = reach * reach * slack + lost - square
    tl.store(planes + 4 * total + first + rows, tl.where(usable & (copies < k), square, float("inf")))
    tl.store(planes + 3 * total + first + rows, tl.where(usable & (limit < float("inf")), limit, -float("inf")))


@triton.jit
@no_type_check
def _ones(words):
    """How many bits of each int32 are set."""
    words -= (words >> 1) & 0x55555555
    words = (words & 0x33333333) + ((words >> 2) & 0x33333333)
    return (((words + (words >> 4)) & 0x0F0F0F0F) * 0x01010101) >> 24


@triton.jit
@no_type_check
def _collect(
    halves, planes, counts, candidates, N, P, Q, total,
    W: tl.constexpr, M: tl.constexpr, G: tl.constexpr, CB: tl.constexpr, WIDE: tl.constexpr,
):  # fmt: skip
    """Indices of the other points within each row's limit, and how many they are, or W + 1 if more than fit."""
    block = tl.program_id(0)
    first = (block // (P // M)).to(tl.int64) * P
    rows = block % (P // M) * M + tl.arange(0, M)
    cloud = halves + first * Q
    own = tl.load(cloud + rows.to(tl.int64)[:, None] * Q + tl.arange(0, CB)[None, :])
    scale = tl.load(planes + total + first + rows)
    limit = tl.load(planes + 3 * total + first + rows)
    row = (block // (P // M)).to(tl.int64) * N + rows
    lists = candidates + row * W
    bit = 1 << (tl.arange(0, G) % 32)
    used = tl.zeros((M,), tl.int32)
    for start in range(0, P, G):
        there = planes + first + start + tl.arange(0, G)
        squares = tl.load(there + 4 * total)
        product = _products(own, cloud, rows, start + tl.arange(0, G), Q, CB, WIDE) * tl.load(there + total)[None, :]
        near = squares[None, :] - (2.0 * scale)[:, None] * product <= limit[:, None]
        # As words of 32 points first, since placing takes much longer than comparing and most words are 0.
        words = tl.sum(tl.reshape(tl.where(near, bit[None, :], 0), (M, G // 32, 32)), 2)
        taken = (words != 0).to(tl.int32)
        slot = used[:, None] + tl.cumsum(taken, 1) - taken
        number = (start // 32 + tl.arange(0, G // 32)).to(tl.int64)[None, :] << 32
        tl.store(lists[:, None] + slot, number | (words.to(tl.int64) & 0xFFFFFFFF), mask=(words != 0) & (slot < W))
        used += tl.sum(taken, 1)

    tl.debug_barrier()
    slot = tl.arange(0, W)[None, :]
    entry = tl.load(lists[:, None] + slot, mask=slot < used[:, None], other=0)
    number = (entry >> 32).to(tl.int32)
    words = entry.to(tl.int32)
    words = tl.where(number == rows[:, None] >> 5, words & ~(1 << (rows & 31))[:, None], words)
    ones = _ones(words)
    slot = tl.cumsum(ones, 1) - ones
    tl.debug_barrier()
    for turn in range(tl.max(tl.max(ones, 1), 0)):
        index = number * 32 + _ones((words & -words) - 1)
        tl.store(lists[:, None] + slot + turn, index.to(tl.int64), mask=(words != 0) & (slot + turn < W))
        words = words & (words - 1)
    count = tl.where(used > W, W + 1, tl.sum(ones, 1))
    tl.store(counts + row, count, mask=rows < N)


def find_candidates(points: Tensor, k: int, width: int) -> tuple[Tensor, Tensor]:
    """Lists of indices (B * N, width) int64, and how many there are in each (B * N): above `width` if too many.

    A list of k - 1 to `width` holds the k nearest points but for the point itself, and some more.
    """
    clouds, count, channels = points.shape
    groups = 128 if k <= 32 else 256  # the more, the fewer points pass: 1.1 k
    whole = max(16, triton.next_power_of_2(channels))
    depth = whole if whole * groups <= 2**14 else 64
    halves, planes, hashes = round_points(points, groups, depth)
    total, wide = halves.shape
    padded = total // clouds
    counts = points.new_empty(clouds * count, dtype=torch.int64)
    candidates = points.new_empty((clouds * count, width), dtype=torch.int64)
    block = 64 if groups == 128 and total >= 64 * 96 else 32
    stages = 3 if whole * groups <= 2**13 else 2  # more would not fit into the shared memory of smaller devices
    tile = {"M": block, "CB": depth, "WIDE": wide > depth}
    options = {"num_warps": 8, "num_stages": stages, "enable_fp_fusion": True}
    _bound[(total // block,)](halves, planes, hashes, channels, padded, wide, k, total, G=groups, **tile, **options)
    _collect[(total // block,)](
        halves, planes, counts, candidates, count, padded, wide, total, W=width, G=128, **tile, **options
    )
    return candidates, counts
