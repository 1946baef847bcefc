"""Nearest neighbours on a CUDA device: a list of candidates for each point, ranked by exact distance (Triton).

`cuda_candidates` finds some 1.1 k points of which the k nearest are certainly part. Distances that decide anything are
sums of squared differences in float32, so copies are at distance 0, points far from the origin keep their digits, and
equal distances are equal in every bit. Keys of distance and index are unique, and how many of a list are smaller is a
key's place: nothing is sorted. Clouds of few points are lists already. A point whose list overflows (more points than
it holds at almost the same distance, or values that are not finite) is compared with all others instead.

Axis letters: B clouds, N points, C channels, k neighbours, R rows, W = 2 H entries of a list.
"""

from typing import no_type_check

import torch
import triton
import triton.language as tl
from torch import Tensor

from crosspoint3d.ops.cuda_candidates import find_candidates
from crosspoint3d.ops.devices import device_of

SMALL = 128  # points that are compared with all others right away


@triton.jit
@no_type_check
def _keys(points, row, index, wanted, N, C, stride_b, stride_n, stride_c, CB: tl.constexpr):
    """Keys (R, W) in the order of the neighbours: bits of the squared distance, then index; all others come behind."""
    cloud = points + (row // N).to(tl.int64) * stride_b
    here = cloud + (row % N).to(tl.int64) * stride_n
    there = cloud[:, None] + index.to(tl.int64) * stride_n
    distance = tl.zeros(index.shape, tl.float32)
    for start in range(0, C, CB):
        channel = start + tl.arange(0, CB)
        inside = channel < C
        step = channel.to(tl.int64) * stride_c
        x = tl.load(here[:, None] + step[None, :], mask=inside[None, :], other=0.0).to(tl.float32)
        mask = wanted[:, :, None] & inside[None, None, :]
        y = tl.load(there[:, :, None] + step[None, None, :], mask=mask, other=0.0).to(tl.float32)
        difference = x[:, None, :] - y
        distance += tl.sum(difference * difference, 2)
    distance = tl.where(distance < float("inf"), distance, float("inf"))
    bits = tl.where(wanted, distance.to(tl.int32, bitcast=True), 0x7FFFFFFF)
    return (bits.to(tl.int64) << 32) | index.to(tl.int64)


@triton.jit
@no_type_check
def _places(keys, lists, length):
    """How many of the first `length` keys of each row's list, in sixteens, are smaller than each of `keys`."""
    place = tl.zeros(keys.shape, tl.int32)
    for start in range(0, length, 16):
        others = tl.load(lists[:, None] + start + tl.arange(0, 16)[None, :])
        place += tl.sum((others[:, None, :] < keys[:, :, None]).to(tl.int32), 2)
    return place


@triton.jit
@no_type_check
def _search_all(
    points, row, lists, N, C, stride_b, stride_n, stride_c, R: tl.constexpr, H: tl.constexpr, CB: tl.constexpr
):
    """Leaves the H smallest keys of all other points in order at the head of each list of 2 H, tile by tile."""
    slot = tl.arange(0, H)[None, :]
    here = lists[:, None] + slot
    tl.store(here, (slot.to(tl.int64) | 0x7FFFFFFF80000000) + tl.zeros((R, H), tl.int64))
    for start in range(0, N, H):
        index = start + slot + tl.zeros((R, H), tl.int32)
        wanted = (index < N) & (index != (row % N)[:, None])
        keys = _keys(points, row, index, wanted, N, C, stride_b, stride_n, stride_c, CB)
        tl.store(here + H, keys)
        tl.debug_barrier()
        best = tl.load(here)
        place = _places(best, lists, 2 * H)
        new = _places(keys, lists, 2 * H)
        tl.debug_barrier()
        tl.store(lists[:, None] + place, best, mask=place < H)
        tl.store(lists[:, None] + new, keys, mask=new < H)
        tl.debug_barrier()


@triton.jit
@no_type_check
def _rank(
    points, candidates, counts, neighbours, N, C, k, total, stride_b, stride_n, stride_c,
    R: tl.constexpr, W: tl.constexpr, CB: tl.constexpr, ALL: tl.constexpr,
):  # fmt: skip
    """The point itself and the k - 1 first of its list, or of all other points where the list is not complete."""
    row = tl.minimum(tl.program_id(0).to(tl.int64) * R + tl.arange(0, R), total - 1)
    out = neighbours + row * k
    tl.store(out, row % N)
    lists = candidates + row * W
    slot = tl.arange(0, W)[None, :]
    if ALL:
        index = slot + tl.zeros((R, W), tl.int32)
        wanted = (index < N) & (index != (row % N)[:, None])
        keys = _keys(points, row, index, wanted, N, C, stride_b, stride_n, stride_c, CB)
        tl.store(lists[:, None] + slot, keys)
        tl.debug_barrier()
        place = _places(keys, lists, N)
        tl.store(out[:, None] + 1 + place, keys & 0xFFFFFFFF, mask=place < k - 1)
    else:
        count = tl.load(counts + row)
        most = tl.max(count, 0)
        if (most > W) | (tl.min(count, 0) < k - 1):
            _search_all(points, row, lists, N, C, stride_b, stride_n, stride_c, R, W // 2, CB)
            first = tl.arange(0, W // 2)[None, :]
            best = tl.load(lists[:, None] + first) & 0xFFFFFFFF
            tl.store(out[:, None] + 1 + first, best, mask=first < k - 1)
        else:
            listed = slot < count[:, None]
            index = tl.load(lists[:, None] + slot, mask=listed, other=0)
            keys = _keys(points, row, index, listed, N, C, stride_b, stride_n, stride_c, CB)
            tl.debug_barrier()
            tl.store(lists[:, None] + slot, keys)
            tl.debug_barrier()
            place = _places(keys, lists, most)
            tl.store(out[:, None] + 1 + place, keys & 0xFFFFFFFF, mask=place < k - 1)


def knn(points: Tensor, k: int) -> Tensor:
    """As `crosspoint3d.ops.knn`, for valid arguments in float32, bfloat16 or float16 of any strides; fast for k to 64.

    A NaN counts as infinitely far.
    """
    clouds, count, channels = points.shape
    points = points.detach()
    neighbours = torch.empty((clouds, count, k), dtype=torch.int64, device=points.device)
    if clouds == 0:
        return neighbours
    width = max(32, triton.next_power_of_2(2 * k))
    listed = count > max(SMALL, width)
    with device_of(points):
        if listed:
            candidates, counts = find_candidates(points, k, width)
        else:
            width = max(16, triton.next_power_of_2(count))
            candidates = counts = neighbours.new_empty(clouds * count, width)
        depth = min(32, max(4, triton.next_power_of_2(channels)))
        rows = max(1, min(256 // width, 4096 // (width * depth)))
        _rank[(triton.cdiv(clouds * count, rows),)](
            points, candidates, counts, neighbours, count, channels, k, clouds * count, *points.stride(),
            R=rows, W=width, CB=depth, ALL=not listed, num_warps=4, enable_fp_fusion=True,
        )  # fmt: skip
    return neighbours
