"""Milliseconds of whole encoders, ours against the plain ones: `python benchmarks/encoders.py`.

`training` is forward and backward into the points and all weights in training mode, `inference` forward in evaluation
mode without gradient; neighbour searches are part of both. The plain side is `models.reference` on the same weights and
the same random clouds. In turns in one process, on the same threads; `ratio` is of the medians, `of turns` the range of
the ratios of single turns.
"""

import argparse
from collections.abc import Callable
from typing import Any, NamedTuple

import edge_conv
import knn
import torch
from floor import Ceilings, Work, ceilings
from report import Row, publish
from timing import alternate, arguments, begin, precision, training_step
from torch import Tensor

from crosspoint3d.models import DGCNN, DGCNNPartSeg, reference
from crosspoint3d.models.tower import seeded_weights
from crosspoint3d.ops import EdgeConv, PooledLinear
from crosspoint3d.ops.edge_conv2 import TwoLayerEdgeConv


class Case(NamedTuple):
    """One row of the table, before it is measured."""

    name: str
    build: Callable[[int], Any]
    plain: Callable[..., Tensor]
    training: bool
    targets: dict[str, float]


CASES = {
    "training": Case("DGCNN training", DGCNN, reference.dgcnn, True, {"cpu": 7.0, "cuda": 8.0}),
    "inference": Case("DGCNN inference", DGCNN, reference.dgcnn, False, {"cpu": 10.0, "cuda": 10.0}),
    "partseg": Case("DGCNNPartSeg training", DGCNNPartSeg, reference.dgcnn_partseg, True, {"cpu": 4.0, "cuda": 5.0}),
}


def parts(model: DGCNN | DGCNNPartSeg) -> tuple[list[EdgeConv | TwoLayerEdgeConv], list[PooledLinear]]:
    """Edge convolutions, and layers that end in a pool over points."""
    if isinstance(model, DGCNN):
        return [model.conv1, model.conv2, model.conv3, model.conv4], [model.conv5]
    net = model.transform
    return [net.edges, model.conv1, model.conv2, model.conv3], [net.points, model.conv4]


def widths_of(conv: EdgeConv | TwoLayerEdgeConv) -> tuple[int, ...]:
    """Of the features that go in, of each layer's result."""
    if isinstance(conv, TwoLayerEdgeConv):
        return (*widths_of(conv.first), len(conv.weight))
    return conv.weight.shape[1] // 2, len(conv.weight)


def work(model: DGCNN | DGCNNPartSeg, clouds: int, points: int, training: bool, half: bool) -> Work:
    """A search and an edge convolution each time, and the layers that pool, in bfloat16 if `half`.

    A pooled layer writes its product and reads it twice (statistics, pool); going back it reads it, writes its gradient
    and reads that twice (two products). What works on whole clouds is next to nothing.
    """
    device = next(model.parameters()).device
    rows, total = clouds * points, Work()
    convs, pools = parts(model)
    for conv in convs:
        widths = widths_of(conv)
        total += knn.work(clouds, points, widths[0], model.k, device)
        total += edge_conv.work(rows, model.k, widths, training)
    for pool in pools:
        wide, narrow = pool.linear.weight.shape
        operations = (6 if training else 2) * rows * wide * narrow
        total += Work(half_products=operations) if half else Work(products=operations)
        total += Work(streamed=(2 if half else 4) * rows * ((7 if training else 2) * wide + narrow))
    return total


def measure(options: argparse.Namespace, case: Case, device: torch.device, name: str, speed: Ceilings) -> Row:
    """One row of the table."""
    clouds, count = options.batch_size, options.points
    k = options.k
    if not options.quick:
        count = count if case.training else options.inference_points
        k = options.partseg_k if case.build is DGCNNPartSeg else k
    generator = torch.Generator().manual_seed(options.seed)
    points = torch.randn(clouds, count, 3, generator=generator)
    points = (points / points.norm(dim=2).amax(1)[:, None, None]).to(device)
    with seeded_weights(options.seed):
        model = case.build(k).to(device).train(case.training)

    def ours() -> Tensor:
        features: Tensor = model(points)
        return features

    def plain() -> Tensor:
        return case.plain(model, points, case.training)

    if case.training:
        wanted = [points.requires_grad_(), *model.parameters()]
        pair = alternate(training_step(ours, wanted), training_step(plain, wanted), options.repeats, device)
    else:
        with torch.no_grad():
            pair = alternate(ours, plain, options.repeats, device)
    target = None if options.quick else case.targets[device.type]
    counted = work(model, clouds, count, case.training, name == "bfloat16")
    return Row.of_times(f"{case.name} B={clouds} N={count} k={k}", name, pair, target, counted, speed)


def main() -> None:
    """Measure and print."""
    parser = arguments(__doc__)
    parser.add_argument("--rows", nargs="+", choices=CASES, default=list(CASES))
    parser.add_argument("--inference-points", type=int, default=1024)
    parser.add_argument("--partseg-k", type=int, default=40)
    options = parser.parse_args()
    device = begin(options)
    rows, speeds = [], {}
    for name in options.precision:
        with precision(name, device):
            speeds[name] = ceilings(device, name, options.quick)
            rows += [measure(options, CASES[row], device, name, speeds[name]) for row in options.rows]
    publish(rows, "ms", options, device, speeds)


if __name__ == "__main__":
    main()
