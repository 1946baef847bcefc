"""Milliseconds of one edge convolution, ours against the plain one: `python benchmarks/edge_conv.py`.

Forward and backward, into the points and all weights, in training mode. Both sides get the same random features, the
same neighbours (no search is timed) and the same weights; the plain side, `models.reference.edge_conv`, stores an
edge's features as the published networks do. In turns in one process, on the same threads; `ratio` is of the medians,
`of turns` the range of the ratios of single turns.
"""

import argparse

import torch
from floor import Ceilings, Work, ceilings
from report import Row, publish
from timing import alternate, arguments, begin, precision, training_step

from crosspoint3d.models import reference
from crosspoint3d.models.tower import seeded_weights
from crosspoint3d.ops import EdgeConv, knn
from crosspoint3d.ops.edge_conv2 import TwoLayerEdgeConv

TARGETS = {"cpu": 10.0, "cuda": 12.0}


def work(rows: int, k: int, widths: tuple[int, ...], training: bool) -> Work:
    """Products over points, gathers over edges, every tensor of points once a pass.

    Args:
        rows: points of all clouds.
        k: neighbours.
        widths: C, O of one layer, C, H, O of two.
        training: forward with statistics, and backward.
    """
    c, o = widths[0], widths[1]
    number = 8 if c <= 3 else 4  # bytes: statistics of coordinates are taken in float64
    streamed = 4 * rows * (c + 2 * o + 2 * o) + 8 * rows * k  # x, [a | b] written and read, the indices
    total = Work(products=4 * rows * c * o, gathered=4 * rows * k * o, streamed=streamed)
    if training:
        total += Work(products=6 * rows * c * c, gathered=number * rows * k * c)  # three moments, a sum of neighbours
        total += Work(products=8 * rows * c * o + 8 * rows * c * c, gathered=number * rows * k * c)  # back
        total += Work(streamed=4 * rows * (2 * o + 2 * o + 2 * c) + 16 * rows * k)  # onto [a | b] twice, x, indices
    if len(widths) == 3:
        edges, h, o = rows * k, widths[1], widths[2]
        total += Work(products=2 * edges * h * o)
        if training:  # the edges again, gradients through statistics and of the winners
            total += Work(products=4 * edges * h * h + 4 * rows * h * o, gathered=2 * 4 * edges * h)
    return total + Work(streamed=(14 if training else 4) * rows * o)  # result and winner, and what comes back for them


def measure(
    options: argparse.Namespace, widths: tuple[int, ...], k: int, device: torch.device, name: str, speed: Ceilings
) -> Row:
    """One row of the table."""
    clouds, count = options.batch_size, options.points
    generator = torch.Generator().manual_seed(options.seed)
    points = torch.randn(clouds, count, widths[0], generator=generator).to(device).requires_grad_()
    indices = knn(points, k)
    with seeded_weights(options.seed):
        conv = (EdgeConv(*widths) if len(widths) == 2 else TwoLayerEdgeConv(*widths)).to(device).train()
    wanted = [points, *conv.parameters()]
    ours = training_step(lambda: conv(points, indices), wanted)
    plain = training_step(lambda: reference.edge_conv(conv, points, indices, True), wanted)
    pair = alternate(ours, plain, options.repeats, device)
    target = None if options.quick or len(widths) == 3 else TARGETS[device.type]
    what = f"{type(conv).__name__} {'-'.join(map(str, widths))} training B={clouds} N={count} k={k}"
    return Row.of_times(what, name, pair, target, work(clouds * count, k, widths, training=True), speed)


def main() -> None:
    """Measure and print."""
    parser = arguments(__doc__)
    parser.add_argument(
        "--widths", type=int, nargs=2, default=[128, 256], help="of the points' features and the result"
    )
    options = parser.parse_args()
    device = begin(options)
    rows, speeds = [], {}
    cases = [(tuple(options.widths), options.k), ((64, 64, 64), 2 * options.k)]
    for name in options.precision:
        with precision(name, device):
            speeds[name] = ceilings(device, name, options.quick)
            rows += [measure(options, *case, device, name, speeds[name]) for case in cases]
    publish(rows, "ms", options, device, speeds)


if __name__ == "__main__":
    main()
