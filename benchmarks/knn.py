"""Milliseconds of a neighbour search, ours against the full distance matrix with top-k: `python benchmarks/knn.py`.

Random normal points, the same for both; the plain side is `ops.reference.knn`. In turns in one process, on the same
threads; `ratio` is of the medians, `of turns` the range of the ratios of single turns.
"""

import argparse

import torch
from floor import Ceilings, Work, ceilings
from report import Row, publish
from timing import alternate, arguments, begin, precision

from crosspoint3d.ops import knn, reference

TARGETS = {"cpu": {3: 5.0, 64: 3.0, 128: 2.0}, "cuda": {3: 8.0, 64: 5.0, 128: 5.0}}


def work(clouds: int, points: int, channels: int, k: int, device: torch.device) -> Work:
    """The distances of all pairs, each looked at once, and the lists.

    A CPU takes up to 3 channels by differences (3 operations a channel), more by a float32 product, and CUDA all by a
    product in half precision. Then at least 3 operations a distance: the lengths added, the smallest so far compared
    and kept.
    """
    pairs = clouds * points**2
    lists = 4 * clouds * points * channels + 8 * clouds * points * k
    if device.type == "cuda":
        return Work(half_products=2 * channels * pairs, operations=3 * pairs, streamed=lists)
    if channels <= 3:
        return Work(operations=(3 * channels + 3) * pairs, streamed=lists)
    return Work(products=2 * channels * pairs, operations=3 * pairs, streamed=lists)


def measure(options: argparse.Namespace, channels: int, device: torch.device, name: str, speed: Ceilings) -> Row:
    """One row of the table."""
    clouds, count, k = options.batch_size, options.points, options.k
    generator = torch.Generator().manual_seed(options.seed)
    points = torch.randn(clouds, count, channels, generator=generator).to(device)
    pair = alternate(lambda: knn(points, k), lambda: reference.knn(points, k), options.repeats, device)
    target = None if options.quick else TARGETS[device.type].get(channels)
    what = f"kNN B={clouds} N={count} k={k} d={channels}"
    return Row.of_times(what, name, pair, target, work(clouds, count, channels, k, device), speed)


def main() -> None:
    """Measure and print."""
    parser = arguments(__doc__)
    parser.add_argument("--dims", type=int, nargs="+", default=[3, 64, 128], help="channels of the points")
    options = parser.parse_args()
    device = begin(options, on_cuda=("float32", "tf32"))
    rows, speeds = [], {}
    for name in options.precision:
        with precision(name, device):
            speeds[name] = ceilings(device, name, options.quick)
            rows += [measure(options, channels, device, name, speeds[name]) for channels in options.dims]
    publish(rows, "ms", options, device, speeds)


if __name__ == "__main__":
    main()
