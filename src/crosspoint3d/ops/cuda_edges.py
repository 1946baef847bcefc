"""The passes over edges on a CUDA device: the four functions of `fallback_edges` (Triton).

A program takes some points and a block of channels; rows of features are read along channels, sums are in float32. What
flows back goes by atomic additions, whose order is left to chance; in torch's deterministic mode every point gathers
from the edges that lead to it instead, in their order.

Axis letters: B clouds, N points, P = B * N, C channels of a result, k neighbours, R points, CB channels of a program.
"""

from typing import Any, no_type_check

import torch
import triton
import triton.language as tl
from torch import Tensor

from crosspoint3d.ops.devices import device_of


@triton.jit
@no_type_check
def _sum(values, indices, total, P, N, C, k, stride_b, stride_n, stride_c, R: tl.constexpr, CB: tl.constexpr):
    row = tl.program_id(0).to(tl.int64) * R + tl.arange(0, R)
    channel = tl.program_id(1) * CB + tl.arange(0, CB)
    real = row < P
    mask = real[:, None] & (channel < C)[None, :]
    cloud = values + (row // N)[:, None] * stride_b + channel.to(tl.int64)[None, :] * stride_c
    result = tl.zeros((R, CB), tl.float32)
    for j in range(k):
        index = tl.load(indices + row * k + j, mask=real, other=0)
        result += tl.load(cloud + index[:, None] * stride_n, mask=mask, other=0.0).to(tl.float32)
    tl.store(total + row[:, None] * C + channel[None, :], result.to(total.dtype.element_ty), mask=mask)


@triton.jit
@no_type_check
def _sum_backward(gradient, indices, result, P, N, C, k, R: tl.constexpr, CB: tl.constexpr):
    row = tl.program_id(0).to(tl.int64) * R + tl.arange(0, R)
    channel = tl.program_id(1) * CB + tl.arange(0, CB)
    real = row < P
    mask = real[:, None] & (channel < C)[None, :]
    own = tl.load(gradient + row[:, None] * C + channel[None, :], mask=mask, other=0.0).to(tl.float32)
    cloud = result + (row // N * N)[:, None] * C + channel[None, :]
    for j in range(k):
        index = tl.load(indices + row * k + j, mask=real, other=0)
        tl.atomic_add(cloud + index[:, None] * C, own, mask=mask, sem="relaxed")


@triton.jit
@no_type_check
def _max(
    ab, indices, out, winner, slope, P, N, C, k, stride_b, stride_n, stride_c,
    R: tl.constexpr, CB: tl.constexpr, WINNER: tl.constexpr,
):  # fmt: skip
    row = tl.program_id(0).to(tl.int64) * R + tl.arange(0, R)
    channel = tl.program_id(1) * CB + tl.arange(0, CB)
    real = row < P
    mask = real[:, None] & (channel < C)[None, :]
    cloud = ab + (row // N)[:, None] * stride_b + channel.to(tl.int64)[None, :] * stride_c
    index = tl.load(indices + row * k, mask=real, other=0)
    largest = tl.load(cloud + index[:, None] * stride_n, mask=mask, other=0.0).to(tl.float32)
    where = tl.zeros((R, CB), tl.int32)
    for j in range(1, k):
        index = tl.load(indices + row * k + j, mask=real, other=0)
        value = tl.load(cloud + index[:, None] * stride_n, mask=mask, other=0.0).to(tl.float32)
        better = (value > largest) | (value != value)
        where = tl.where(better, j, where)
        largest = tl.where(better, value, largest)
    own = cloud + (row % N)[:, None] * stride_n
    # In one with the channels: C may be a constant of the compiled kernel, and is no tensor then.
    value = largest + tl.load(own + (tl.zeros((1, CB), tl.int64) + C) * stride_c, mask=mask, other=0.0).to(tl.float32)
    value = tl.where(value > 0, value, value * slope)
    place = row[:, None] * C + channel[None, :]
    tl.store(out + place, value.to(out.dtype.element_ty), mask=mask)
    if WINNER:
        tl.store(winner + place, where.to(winner.dtype.element_ty), mask=mask)


@triton.jit
@no_type_check
def _max_backward(
    gradient, out, winner, indices, result, slope, P, N, C, k, R: tl.constexpr, CB: tl.constexpr, ATOMIC: tl.constexpr
):
    row = tl.program_id(0).to(tl.int64) * R + tl.arange(0, R)
    channel = tl.program_id(1) * CB + tl.arange(0, CB)
    mask = (row < P)[:, None] & (channel < C)[None, :]
    place = row[:, None] * C + channel[None, :]
    own = tl.load(gradient + place, mask=mask, other=0.0).to(tl.float32)
    own = tl.where(tl.load(out + place, mask=mask, other=0.0).to(tl.float32) > 0, own, own * slope)
    tl.store(result + row[:, None] * 2 * C + C + channel[None, :], own, mask=mask)
    if ATOMIC:
        j = tl.load(winner + place, mask=mask, other=0).to(tl.int64)
        index = tl.load(indices + row[:, None] * k + j, mask=mask, other=0)
        target = (row // N * N)[:, None] + index
        tl.atomic_add(result + target * 2 * C + channel[None, :], own, mask=mask, sem="relaxed")


@triton.jit
@no_type_check
def _gather_backward(own, width, offset, winner, edges, starts, result, C, k, CB: tl.constexpr, WINNER: tl.constexpr):
    """Sum over the edges that lead to a point, in their order: of all channels, or of those the edge won."""
    row = tl.program_id(0).to(tl.int64)
    channel = tl.program_id(1) * CB + tl.arange(0, CB)
    mask = channel < C
    total = tl.zeros((CB,), tl.float32)
    for place in range(tl.load(starts + row), tl.load(starts + row + 1)):
        edge = tl.load(edges + place)
        source = edge // k
        value = tl.load(own + source * width + offset + channel, mask=mask, other=0.0).to(tl.float32)
        if WINNER:
            won = tl.load(winner + source * C + channel, mask=mask, other=0).to(tl.int64) == edge % k
            value = tl.where(won, value, 0.0)
        total += value
    tl.store(result + row * width + channel, total, mask=mask)


def _grid(rows: int, channels: int) -> tuple[tuple[int, int], dict[str, Any]]:
    """Programs of 2,048 numbers, with as many channels as there are up to 128."""
    width = min(128, max(16, triton.next_power_of_2(channels)))
    block = 2048 // width
    return (triton.cdiv(rows, block), triton.cdiv(channels, width)), {
        "R": block,
        "CB": width,
        "num_warps": 4,
        "enable_fp_fusion": True,
    }


def _leading_to(indices: Tensor) -> tuple[Tensor, Tensor]:
    """Edges (numbers i * k + j) in the order of the point they lead to, and where those of each point begin."""
    clouds, count, _ = indices.shape
    flat = indices + torch.arange(clouds, device=indices.device)[:, None, None] * count
    targets, edges = flat.flatten().sort(stable=True)
    return edges, torch.searchsorted(targets, torch.arange(clouds * count + 1, device=indices.device))


def _gather(own: Tensor, winner: Tensor | None, indices: Tensor, result: Tensor, channels: int) -> None:
    """Put into the first channels of `result` what `own`, its last ones or all, sends along the edges."""
    edges, starts = _leading_to(indices)
    width, rows = own.shape[-1], result.shape[0] * result.shape[1]
    block = min(256, max(32, triton.next_power_of_2(channels)))
    with device_of(own):
        _gather_backward[(rows, triton.cdiv(channels, block))](
            own, width, width - channels, edges if winner is None else winner, edges, starts, result, channels,
            indices.shape[2], CB=block, WINNER=winner is not None, num_warps=2, enable_fp_fusion=True,
        )  # fmt: skip


def neighbour_sum(values: Tensor, indices: Tensor) -> Tensor:
    """As `fallback_edges.neighbour_sum`; any strides, sums in float32."""
    clouds, count, channels = values.shape
    total = values.new_empty((clouds, count, channels))
    grid, options = _grid(clouds * count, channels)
    if total.numel():
        with device_of(values):
            _sum[grid](
                values, indices.contiguous(), total, clouds * count, count, channels, indices.shape[2],
                *values.stride(), **options,
            )  # fmt: skip
    return total


def neighbour_sum_backward(gradient: Tensor, indices: Tensor) -> Tensor:
    """As `fallback_edges.neighbour_sum_backward`."""
    clouds, count, channels = gradient.shape
    gradient, indices = gradient.contiguous(), indices.contiguous()
    result = torch.zeros_like(gradient, dtype=torch.float32)
    if not result.numel():
        return result.to(gradient.dtype)
    if torch.are_deterministic_algorithms_enabled():
        _gather(gradient, None, indices, result, channels)
    else:
        grid, options = _grid(clouds * count, channels)
        with device_of(gradient):
            _sum_backward[grid](gradient, indices, result, clouds * count, count, channels, indices.shape[2], **options)
    return result.to(gradient.dtype)


def edge_max(ab: Tensor, indices: Tensor, slope: float, with_winner: bool = True) -> tuple[Tensor, Tensor]:
    """As `fallback_edges.edge_max`; any strides, at most 256 neighbours."""
    clouds, count, channels = *ab.shape[:2], ab.shape[2] // 2
    out = ab.new_empty((clouds, count, channels))
    winner = torch.empty(out.shape if with_winner else 0, dtype=torch.uint8, device=ab.device)
    grid, options = _grid(clouds * count, channels)
    if out.numel():
        with device_of(ab):
            _max[grid](
                ab, indices.contiguous(), out, winner if with_winner else out, slope, clouds * count, count, channels,
                indices.shape[2], *ab.stride(), WINNER=with_winner, **options,
            )  # fmt: skip
    return out, winner


def edge_max_backward(gradient: Tensor, out: Tensor, winner: Tensor, indices: Tensor, slope: float) -> Tensor:
    """As `fallback_edges.edge_max_backward`."""
    clouds, count, channels = out.shape
    gradient, indices = gradient.contiguous(), indices.contiguous()
    result = torch.zeros((clouds, count, 2 * channels), dtype=torch.float32, device=out.device)
    if not result.numel():
        return result.to(gradient.dtype)
    ordered = torch.are_deterministic_algorithms_enabled()
    grid, options = _grid(clouds * count, channels)
    with device_of(out):
        _max_backward[grid](
            gradient, out, winner, indices, result, slope, clouds * count, count, channels, indices.shape[2],
            ATOMIC=not ordered, **options,
        )  # fmt: skip
    if ordered:
        _gather(result, winner, indices, result, channels)
    return result.to(gradient.dtype)
