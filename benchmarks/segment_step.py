"""Milliseconds of a training step of the published part segmentation network: `python benchmarks/segment_step.py`.

DGCNNPartSeg with its head for the 50 parts of 16 categories: forward, the smoothed cross entropy, backward into all
weights, SGD with momentum; neighbour searches and dropout are part of it. The plain side is the same step with
`models.reference.segmenter` on the same weights and random clouds: features of edges, and all that a point's label
depends on side by side at every point. In turns in one process, on the same threads; `ratio` is of the medians, `of
turns` the range of the ratios of single turns.
"""

import argparse
from collections.abc import Callable
from itertools import pairwise

import torch
from encoders import work as work_of_encoder
from floor import Ceilings, Work, ceilings
from report import Row, publish
from timing import alternate, arguments, begin, precision
from torch import Tensor

from crosspoint3d.losses import smoothed_cross_entropy
from crosspoint3d.models import DGCNNPartSeg, PartHead, Segmenter, build_segmenter, reference
from crosspoint3d.models.tower import seeded_weights
from crosspoint3d.parts_table import PartsTable

TABLE = PartsTable(tuple(map(str, range(16))), (tuple(range(50)), *((),) * 15), tuple(map(str, range(50))))
TARGETS = {"cpu": 4.0, "cuda": 4.0}


def work_of_head(head: PartHead, clouds: int, points: int, half: bool) -> Work:
    """Products of every point, and once a cloud of what its points share; each layer's result is moved seven times.

    Written, read for statistics and to be normalised; going back read, its gradient written and read by two products.
    """
    settings, rows = head.settings, clouds * points
    shared = settings["cloud_dims"] + settings["category_dims"]
    total = Work(products=6 * clouds * shared * settings["widths"][0])
    for narrow, wide in pairwise((settings["point_dims"], *settings["widths"], settings["parts"])):
        operations = 6 * rows * narrow * wide
        total += Work(half_products=operations) if half else Work(products=operations)
        total += Work(streamed=(2 if half else 4) * rows * (7 * wide + narrow))
    return total


def measure(options: argparse.Namespace, device: torch.device, name: str, speed: Ceilings) -> Row:
    """The row of one precision."""
    clouds, count, k = options.batch_size, options.points, options.k
    generator = torch.Generator().manual_seed(options.seed)
    points = torch.randn(clouds, count, 3, generator=generator)
    points = (points / points.norm(dim=2).amax(1)[:, None, None]).to(device)
    category = torch.randint(len(TABLE.categories), (clouds,), generator=generator).to(device)
    labels = torch.randint(len(TABLE), (clouds, count), generator=generator).to(device)
    with seeded_weights(options.seed):
        encoder = DGCNNPartSeg(k)
    model: Segmenter = build_segmenter(encoder, TABLE, "published", options.seed).to(device).train()
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-6, momentum=0.9)

    def step(logits: Callable[[], Tensor]) -> Callable[[], None]:
        def once() -> None:
            optimizer.zero_grad(set_to_none=True)
            loss = smoothed_cross_entropy(logits(), labels)
            with torch.autocast(device.type, enabled=False):
                torch.autograd.backward(loss)
            optimizer.step()

        return once

    def ours() -> Tensor:
        result: Tensor = model(points, category)
        return result

    def plain() -> Tensor:
        return reference.segmenter(model, points, category, training=True)

    pair = alternate(step(ours), step(plain), options.repeats, device)
    half = name == "bfloat16"
    counted = work_of_encoder(encoder, clouds, count, True, half) + work_of_head(model.head, clouds, count, half)
    target = None if options.quick else TARGETS[device.type]
    return Row.of_times(f"part segmentation step B={clouds} N={count} k={k}", name, pair, target, counted, speed)


def main() -> None:
    """Measure and print."""
    parser = arguments(__doc__)
    parser.set_defaults(k=40)
    options = parser.parse_args()
    device = begin(options)
    rows, speeds = [], {}
    for name in options.precision:
        with precision(name, device):
            speeds[name] = ceilings(device, name, options.quick)
            rows.append(measure(options, device, name, speeds[name]))
    publish(rows, "ms", options, device, speeds)


if __name__ == "__main__":
    main()
