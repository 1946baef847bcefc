"""Nearest neighbours in plain torch, for devices without kernels, and for other dtypes.

Axis letters: B clouds, N points, C channels, k neighbours, R rows of a distance matrix.
"""

import torch
from torch import Tensor

# Distances held at once: on a CPU they should stay in its cache, elsewhere launches cost more than memory.
CPU_BLOCK, DEVICE_BLOCK = 2**20, 2**27


def _representatives(x: Tensor) -> Tensor | None:
    """Index (B, N) of a point with exactly the same coordinates, one for all of its copies; None without copies."""
    bits = (x + 0.0).float().view(torch.int32).long()
    odd = torch.arange(x.shape[2], device=x.device) * 0x9E3779B97F4A7C1 + 0x2545F4914F6CDD1D
    order = (bits * odd).sum(2).sort(dim=1, stable=True).indices
    placed = x.gather(1, order[:, :, None].expand_as(x))
    new = torch.ones_like(order, dtype=torch.bool)
    new[:, 1:] = (placed[:, 1:] != placed[:, :-1]).any(2)
    if bool(new.all()):
        return None
    position = torch.arange(x.shape[1], device=x.device).expand_as(order)
    leader = order.gather(1, torch.where(new, position, 0).cummax(1).values)
    return torch.empty_like(order).scatter_(1, order, leader)


def _smallest(distance: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """The k smallest values of each row in order and where they are, anywhere among equal ones.

    `topk` is slow for k above 1/64 of the row. The k smallest lie in the k groups of 4 with the smallest minima.
    """
    count = distance.shape[-1]
    if count % 4 or not 8 * k <= count < 64 * k:
        values, chosen = distance.topk(k, largest=False)
        return values, chosen
    grouped = distance.reshape(*distance.shape[:-1], 4, count // 4)
    group = grouped.amin(-2).topk(k, largest=False, sorted=False).indices
    candidates = grouped.gather(-1, group[..., None, :].expand(*group.shape[:-1], 4, k)).flatten(-2)
    values, position = candidates.topk(k, largest=False)
    chosen = position.div(k, rounding_mode="floor") * (count // 4) + group.gather(-1, position % k)
    return values, chosen


def _select(distance: Tensor, k: int) -> Tensor:
    """The k smallest of each row in order, ties by lower index, which `topk` alone does not promise."""
    values, chosen = _smallest(distance, min(k + 1, distance.shape[-1]))
    tied = (values[..., 1:] == values[..., :-1]).any(-1)
    chosen = chosen[..., :k]
    if bool(tied.any()):
        chosen[tied] = first_in_order(distance[tied], k)
    return chosen


def first_in_order(distance: Tensor, k: int) -> Tensor:
    """The k smallest of each row in order, ties by lower index, without waiting for the device."""
    if distance.dtype != torch.float32:
        return distance.sort(dim=-1, stable=True).indices[..., :k]
    bits = (distance + 0.0).view(torch.int32)
    keys = (bits ^ ((bits >> 31) & 0x7FFFFFFF)).long()
    keys = keys.bitwise_left_shift_(32).bitwise_or_(torch.arange(distance.shape[-1], device=distance.device))
    return keys.topk(k, largest=False).values & 0xFFFFFFFF


def knn(points: Tensor, k: int) -> Tensor:
    """As `crosspoint3d.ops.knn`, for valid arguments."""
    clouds, count, channels = points.shape
    x = points.detach().to(torch.promote_types(points.dtype, torch.float32))
    result = torch.empty((clouds, count, k), dtype=torch.int64, device=x.device)
    block = CPU_BLOCK if x.device.type == "cpu" else DEVICE_BLOCK
    together, rows = max(1, block // count**2), max(1, min(count, block // count))
    if channels > 3:
        x = x - x.mean(1, keepdim=True)
        leaders = _representatives(x)
        squares = x.square().sum(2)
    for b in range(0, clouds, together):
        cloud = x[b : b + together]
        for r in range(0, count, rows):
            part = cloud[:, r : r + rows]
            if channels <= 3:
                distance = squared_distances(part, cloud)
            else:
                distance = torch.baddbmm(squares[b : b + together, None], part, cloud.mT, alpha=-2)
                if leaders is not None:
                    leader = leaders[b : b + together]
                    distance = distance.gather(2, leader[:, None].expand_as(distance))
                    same = leader[:, r : r + rows, None] == leader[:, None]
                    distance.masked_fill_(same, torch.finfo(distance.dtype).min)
            distance.nan_to_num_(nan=torch.inf, posinf=torch.inf)
            distance.diagonal(r, 1, 2).fill_(-torch.inf)
            result[b : b + together, r : r + rows] = _select(distance, k)
    return result


def squared_distances(part: Tensor, cloud: Tensor) -> Tensor:
    """Squared distances (B, R, N) from the R points `part` to the N points of the same clouds, by their differences."""
    distance = torch.zeros((), dtype=part.dtype, device=part.device)
    for here, there in zip(part.unbind(2), cloud.unbind(2), strict=True):
        distance = distance + (here[:, :, None] - there[:, None]).square_()
    return distance.expand(*part.shape[:2], cloud.shape[1])
