"""Nearest neighbours on a CPU: matrix products by torch, a block of rows at a time, the k nearest by `cpu_selection`.

Copies of a point are taken out first: they share distances and, but for themselves at its head, the list.

Axis letters: B clouds, N points, C channels, k neighbours, U different points of a cloud.
"""

import torch
from torch import Tensor

from crosspoint3d.ops.cpu_copies import find_copies
from crosspoint3d.ops.cpu_selection import select_rows
from crosspoint3d.ops.threads import in_parallel

BLOCK = 2**21  # products held at once: 8 MB
GROUPS = 32  # for every five neighbours


def knn(points: Tensor, k: int) -> Tensor:
    """As `crosspoint3d.ops.knn`, for points on the CPU and valid arguments; in float32."""
    clouds, count, channels = points.shape
    result = torch.empty((clouds, count, k), dtype=torch.int64)
    if not clouds:
        return result
    x = points.float().contiguous() + 0.0  # -0 is 0
    different, copies, counts = find_copies(x)
    most = int(counts.max())
    if counts.min() < count:
        leaders = torch.from_numpy(different)[:, :most, None].long()
        x = x.gather(1, leaders.expand(-1, -1, channels))
    shared = (GROUPS * -(-k // 5), different, copies, counts, result.numpy())

    def select(first: tuple[int, int], lists: int, *values: Tensor) -> None:
        source = tuple(value.numpy() for value in values)
        in_parallel(lambda start, stop: select_rows(start, stop, source, first, *shared), lists)

    if channels <= 3:
        planes = torch.zeros((3, clouds, most))
        planes[:channels] = x.permute(2, 0, 1)
        select((0, 0), clouds * most, planes, planes, torch.empty(0, 0), torch.empty(0))
        return result
    together, rows = max(1, BLOCK // most**2), min(most, max(1, BLOCK // most))
    room = x.new_empty(min(together, clouds) * rows * most)
    centred = x - x.mean(1, keepdim=True)
    squares = centred.square().sum(2)
    lengths = squares, squares.amax(1)
    for first in range(0, clouds, together):
        cloud, *ours = (value[first : first + together] for value in (centred, x, *lengths))
        for row in range(0, most, rows):
            part = cloud[:, row : row + rows]
            lists = len(cloud) * part.shape[1]
            products = torch.bmm(part, cloud.mT, out=room[: lists * most].view(len(cloud), -1, most))
            select((first, row), lists, products, *ours)
    return result
