"""Milliseconds of the point transformer, ours against the plain way: `python benchmarks/transformer.py`.

The plain way (`models.reference_transformer`) samples centres cloud by cloud, sorts out neighbours by the full matrix
of distances and top-k, puts a patch's maximum before each of its points (512 channels in, as published), and writes
attention out as a softmax for each head. Both have the same weights and the same random clouds and give features of
points and of clouds (ours skips the former where they are not asked for); in turns in one process, on the same threads.
`training` is forward and backward into all weights in training mode, `inference` forward in evaluation mode without
gradient.
"""

import argparse
from collections.abc import Callable
from functools import partial

import torch
from report import Row, publish
from timing import Pair, alternate, arguments, begin, fastest, median, precision, training_step
from torch import Tensor

from crosspoint3d.models import PointTransformer, reference_transformer
from crosspoint3d.models.tower import seeded_weights
from crosspoint3d.ops import reference
from crosspoint3d.ops.patches import farthest_points, nearest


def plain_farthest(points: Tensor, count: int) -> Tensor:
    """Farthest point sampling, cloud by cloud."""
    starts = (points - points.mean(1, keepdim=True)).square().sum(2).argmax(1).tolist()
    chosen = [reference.farthest_points(cloud, count, start) for cloud, start in zip(points, starts, strict=True)]
    return torch.stack(chosen)


def plain_nearest(places: Tensor, points: Tensor, k: int) -> Tensor:
    """The k nearest by the full matrix of distances and top-k."""
    return torch.cdist(places, points).topk(k, largest=False).indices


def rows(options: argparse.Namespace, device: torch.device, name: str) -> list[Row]:
    """The table for one precision."""
    generator = torch.Generator().manual_seed(options.seed)
    points = torch.randn(options.batch_size, options.points, 3, generator=generator)
    points = (points / points.norm(dim=2).amax(1)[:, None, None]).to(device)
    with seeded_weights(options.seed):
        sizes = {"patches": 16, "patch_points": 8, "width": 48, "depth": 2} if options.quick else {}
        model = PointTransformer(**sizes).to(device)
    count, k = model.embedding.patches, model.embedding.patch_points
    centres = points.gather(1, farthest_points(points, count)[:, :, None].expand(-1, -1, 3))

    def timed(what: str, ours: Callable[[], Tensor], plain: Callable[[], Tensor]) -> Row:
        pair: Pair = alternate(ours, plain, options.repeats, device)
        shape = f"{what} B={options.batch_size} N={options.points}"
        return Row(shape, name, 1e3 * median(pair.ours), 1e3 * median(pair.plain), pair.ratios)

    table = []
    with torch.no_grad():
        ours, plain = partial(farthest_points, points, count), partial(plain_farthest, points, count)
        table.append(timed(f"farthest {count}", ours, plain))
        ours, plain = partial(nearest, centres, points, k), partial(plain_nearest, centres, points, k)
        table.append(timed(f"nearest {k} of {count}", ours, plain))
        ours, plain = partial(nearest, points, centres, 3), partial(plain_nearest, points, centres, 3)
        table.append(timed(f"nearest 3 centres of {count}", ours, plain))
        model.eval()
        ours, plain = lambda: model.local(points)[1], lambda: reference_transformer.local(model, points, False)[1]
        table.append(timed("inference", ours, plain))
        table.append(Row("inference, clouds alone", name, 1e3 * fastest(lambda: model(points), device)))
    wanted = list(model.train().parameters())
    step = training_step(lambda: model.local(points)[1], wanted)
    plain = training_step(lambda: reference_transformer.local(model, points, True)[1], wanted)
    table.append(timed("training", step, plain))
    return table


def main() -> None:
    """Measure and print."""
    options = arguments(__doc__).parse_args()
    device = begin(options)
    table = []
    for name in options.precision:
        with precision(name, device):
            table += rows(options, device, name)
    publish(table, "ms", options, device, {})


if __name__ == "__main__":
    main()
