"""Points rounded to float16 for tensor cores, with what the rounding may do to distances (Triton).

Every point, less the middle of its cloud, is divided by a power of two of its own, so that no size of a cloud and no
far point costs others their digits. The length of the error is its *slip*: the distance of two rounded points is
wrong by both slips at most.

Axis letters: B clouds, N points, P points padded to whole groups, C channels, Q channels padded, R rows of a program.
"""

from typing import NamedTuple, no_type_check

import torch
import triton
import triton.language as tl
from torch import Tensor


class Rounded(NamedTuple):
    """Rounded points of all clouds; the padding is at infinite distance.

    Attributes:
        halves: (B * P, Q) float16, each divided by its scale.
        planes: (5, B * P) float32: squared length of the rounded point (inf where it is not finite), scale, slip; the
            last two are for the limits and squared lengths that the search for candidates finds.
        hashes: (B * P) int64, equal for copies of a point.
    """

    halves: Tensor
    planes: Tensor
    hashes: Tensor


@triton.jit
@no_type_check
def _centred(cloud, rows, channels, N, C, stride_n, stride_c, SAMPLE: tl.constexpr):
    """Some channels of some points as they are, and less the middle of a sample of their cloud; 0 beyond the ends."""
    inside = channels < C
    columns = channels.to(tl.int64)[None, :] * stride_c
    picked = tl.arange(0, SAMPLE).to(tl.int64) * N // SAMPLE
    sample = tl.load(cloud + picked[:, None] * stride_n + columns, mask=inside[None, :], other=0.0).to(tl.float32)
    middle = tl.sum(tl.where(tl.abs(sample) < 2.0**50, sample, 0.0), 0) / SAMPLE
    inside = (rows < N)[:, None] & inside[None, :]
    own = tl.load(cloud + rows.to(tl.int64)[:, None] * stride_n + columns, mask=inside, other=0.0).to(tl.float32)
    return own, tl.where(inside, own - middle[None, :], 0.0)


@triton.jit
@no_type_check
def _round(
    points, halves, planes, hashes, N, C, P, Q, total, stride_b, stride_n, stride_c,
    R: tl.constexpr, CB: tl.constexpr, SAMPLE: tl.constexpr,
):  # fmt: skip
    """Rounded points `halves` (B, P, Q), and of each: squared length, scale and slip in `planes`, hash of its value.

    A point that is not finite is no candidate (squared length inf); one of 2**50 and more makes every slip inf.
    """
    block = tl.program_id(0)
    rows = block % (P // R) * R + tl.arange(0, R)
    place = (block // (P // R)).to(tl.int64) * P + rows
    cloud = points + (block // (P // R)).to(tl.int64) * stride_b
    largest = tl.zeros((R,), tl.float32)
    code = tl.zeros((R,), tl.int64)
    for start in range(0, Q, CB):
        channels = start + tl.arange(0, CB)
        own, x = _centred(cloud, rows, channels, N, C, stride_n, stride_c, SAMPLE)
        size = tl.abs(x)
        largest = tl.maximum(largest, tl.max(tl.where(size < float("inf"), size, float("inf")), 1))
        mixed = (channels.to(tl.int64) + 1) * 0x1E3779B97F4A7C15
        mixed = (mixed ^ (mixed >> 29)) * 0x3F58476D1CE4E5B9
        bits = tl.where(own == 0.0, 0.0, own).to(tl.int32, bitcast=True).to(tl.int64)
        code += tl.sum(bits * ((mixed ^ (mixed >> 32)) | 1)[None, :], 1)
    tl.store(hashes + place, code)

    usable = (largest < 2.0**50) & (rows < N)
    exponent = tl.minimum(tl.maximum(largest.to(tl.int32, bitcast=True) & 0x7F800000, 67 << 23), 177 << 23)
    scale = exponent.to(tl.float32, bitcast=True)
    inverse = ((254 << 23) - exponent).to(tl.float32, bitcast=True)
    square = tl.zeros((R,), tl.float32)
    missed = tl.zeros((R,), tl.float32)
    for start in range(0, Q, CB):
        channels = start + tl.arange(0, CB)
        own, x = _centred(cloud, rows, channels, N, C, stride_n, stride_c, SAMPLE)
        x = tl.where(usable[:, None], x, 0.0) * inverse[:, None]
        half = x.to(tl.float16)
        tl.store(halves + place[:, None] * Q + channels[None, :], half)
        back = half.to(tl.float32)
        square += tl.sum(back * back, 1)
        missed += tl.sum((x - back) * (x - back), 1)
    slip = scale * (tl.sqrt(missed) * 1.01 + tl.sqrt(square) * 2.0**-22)
    slip = tl.where(usable, slip, tl.where(largest < float("inf"), float("inf"), 0.0))
    tl.store(planes + place, tl.where(usable, square * (scale * scale), float("inf")))
    tl.store(planes + total + place, tl.where(usable, scale, 1.0))
    tl.store(planes + 2 * total + place, tl.where(rows < N, slip, 0.0))


def round_points(points: Tensor, groups: int, depth: int) -> Rounded:
    """Points (B, N, C), padded to multiples of `groups` points and `depth` channels, a power of two."""
    clouds, count, channels = points.shape
    padded, wide = triton.cdiv(count, groups) * groups, max(1, triton.cdiv(channels, depth)) * depth
    total = clouds * padded
    halves = points.new_empty((total, wide), dtype=torch.float16)
    planes = points.new_empty((5, total), dtype=torch.float32)
    hashes = points.new_empty(total, dtype=torch.int64)
    rows = min(64, 2048 // depth)
    _round[(total // rows,)](
        points, halves, planes, hashes, count, channels, padded, wide, total, *points.stride(),
        R=rows, CB=depth, SAMPLE=min(64, 4096 // depth), num_warps=4, enable_fp_fusion=True,
    )  # fmt: skip
    return Rounded(halves, planes, hashes)
