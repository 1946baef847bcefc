"""Peak memory of one training step or one search, ours against the plain definition: `python benchmarks/memory.py`.

Every figure comes from a process of its own, which first runs the same on tiny clouds, so that libraries and compiled
kernels are loaded. On a CPU it is the rise of the peak of the resident size over its level before the step, weights and
clouds in place; on CUDA the rise of torch's allocated memory. Gradients of weights and clouds are part of the step.

The floor is what the backward pass cannot do without (features, neighbours, winners), the widest product and its
gradient. `exponent`: memory of ours grows as the number of points to this power; 1 is linear.
"""

import argparse
import ctypes
import gc
import json
import math
import re
import resource
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import torch
from encoders import parts, widths_of
from report import Row, publish
from timing import Pair, arguments, begin, median, precision, training_step
from torch import Tensor

from crosspoint3d.models import DGCNN, DGCNNPartSeg, reference
from crosspoint3d.ops import knn
from crosspoint3d.ops import reference as plain_ops

MIB = 2**20
TARGETS = {"cpu": 8.0, "cuda": 10.0}
TINY = 128
NETWORKS: dict[str, tuple[Any, Any]] = {
    "DGCNN training": (DGCNN, reference.dgcnn),
    "DGCNNPartSeg training": (DGCNNPartSeg, reference.dgcnn_partseg),
}


def kept(what: str, clouds: int, points: int, k: int, half: bool) -> int:
    """The floor in bytes: what training keeps of a network, or the lists of a search."""
    rows = clouds * points
    if what not in NETWORKS:
        return 8 * rows * k
    convs, pools = parts(NETWORKS[what][0](k))
    total = 0
    for conv in convs:
        # x and the sum of its neighbours; indices; of each layer the result and which neighbour it came from
        total += rows * (2 * 4 * widths_of(conv)[0] + 8 * k + 5 * widths_of(conv)[-1])
        if len(widths_of(conv)) == 3:
            total += rows * 2 * 4 * widths_of(conv)[1]  # [a | b] of the first layer
    wide, narrow = pools[-1].linear.weight.shape
    return int(total + (2 if half else 4) * rows * (narrow + 2 * wide))


def clouds_of(shape: tuple[int, ...], device: torch.device) -> Tensor:
    """Random normal points."""
    return torch.randn(shape, generator=torch.Generator().manual_seed(0)).to(device)


def task(spec: dict[str, Any], device: torch.device) -> Callable[[int, int], Callable[[], object]]:
    """For clouds and points, the function to measure, with all that it needs in place."""
    what, k, ours = spec["what"], spec["k"], spec["ours"]
    if what not in NETWORKS:
        search = knn if ours else plain_ops.knn

        def searching(clouds: int, points: int) -> Callable[[], object]:
            x = clouds_of((clouds, points, spec["channels"]), device)
            return lambda: search(x, k)

        return searching
    build, plain = NETWORKS[what]
    model = build(k).to(device).train()

    def training(clouds: int, points: int) -> Callable[[], object]:
        x = clouds_of((clouds, points, 3), device).requires_grad_()
        return training_step(lambda: model(x) if ours else plain(model, x, True), [x, *model.parameters()])

    return training


def resident(field: str) -> int:
    """VmRSS or VmHWM of this process in bytes; where the system does not tell, its peak so far."""
    try:
        found = re.search(rf"{field}:\s*(\d+) kB", Path("/proc/self/status").read_text())
    except OSError:
        found = None
    if found:
        return 1024 * int(found[1])
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def rise(function: Callable[[], object], device: torch.device) -> int:
    """Bytes that a call takes at its peak beyond what is there before."""
    gc.collect()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(device)
        level = torch.cuda.memory_allocated(device)
        function()
        torch.cuda.synchronize(device)
        return max(1, torch.cuda.max_memory_allocated(device) - level)
    if hasattr(ctypes.CDLL(None), "malloc_trim"):
        ctypes.CDLL(None).malloc_trim(0)  # or the step would find memory that the tiny one left
    try:
        Path("/proc/self/clear_refs").write_text("5")  # the peak starts anew
    except OSError:
        print("memory.py: the peak could not be reset; it holds if the step is the largest so far", file=sys.stderr)
    level = resident("VmRSS")
    function()
    return max(1, resident("VmHWM") - level)


def child(spec: dict[str, Any]) -> None:
    """Measure what the parent asked for and print the bytes."""
    device = torch.device(spec["device"])
    if spec["threads"]:
        torch.set_num_threads(spec["threads"])
    with precision(spec["precision"], device):
        prepare = task(spec, device)
        tiny = prepare(2, max(TINY, spec["k"]))
        tiny()
        tiny()
        del tiny
        print(rise(prepare(spec["clouds"], spec["points"]), device))


def measure(spec: dict[str, Any], repeats: int) -> list[float]:
    """MiB, by processes of their own."""
    command = [sys.executable, __file__, "--child", json.dumps(spec)]
    sizes = []
    for _ in range(repeats):
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
        sizes.append(int(done.stdout.split()[-1]) / MIB)
    return sizes


def compared(options: argparse.Namespace, name: str) -> list[dict[str, Any]]:
    """What is measured of both sides; searches once, because they are in float32 always."""
    partseg_k = options.k if options.quick else options.partseg_k
    cases = [("DGCNN training", 3, options.k), ("DGCNNPartSeg training", 3, partseg_k)]
    if name == options.precision[0]:
        cases += [(f"kNN d={channels}", channels, options.k) for channels in (3, 64)]
    return [{"what": what, "channels": channels, "k": k, "points": options.points} for what, channels, k in cases]


def rows_of(options: argparse.Namespace, device: torch.device, name: str) -> Iterator[Row]:
    """The table's rows in one precision; on CUDA, where a process does not disturb another, four at a time."""
    common = {"device": device.type, "threads": options.threads, "precision": name, "clouds": options.batch_size}
    cases = compared(options, name)
    growth = [128, 256, 512] if options.quick else options.growth
    specs = [case | common | {"ours": ours} for case in cases for ours in (True, False)]
    specs += [cases[0] | common | {"ours": True, "points": points} for points in growth]
    repeats = 1 if device.type == "cuda" else options.repeats
    with ThreadPoolExecutor(4 if device.type == "cuda" else 1) as pool:
        sizes = list(pool.map(lambda spec: measure(spec, repeats), specs))
    floors = [kept(spec["what"], spec["clouds"], spec["points"], spec["k"], name == "bfloat16") / MIB for spec in specs]
    for i, case in enumerate(cases):
        pair = Pair(*sizes[2 * i : 2 * i + 2])
        target = TARGETS[device.type] if i == 0 and not options.quick else None
        what = f"{case['what']} B={options.batch_size} N={options.points} k={case['k']}"
        yield Row(what, name, median(pair.ours), median(pair.plain), pair.ratios, target, floors[2 * i])
    grown = [median(values) for values in sizes[2 * len(cases) :]]
    for points, size, floor in zip(growth, grown, floors[2 * len(cases) :], strict=True):
        exponent = math.log(size / grown[0], points / growth[0]) if points > growth[0] else 1.0
        yield Row(f"DGCNN training N={points}, exponent {exponent:.2f}", name, size, floor=floor)


def main() -> None:
    """Measure and print."""
    parser = arguments(__doc__)
    parser.set_defaults(repeats=3)
    parser.add_argument("--partseg-k", type=int, default=40)
    parser.add_argument("--growth", type=int, nargs="+", default=[1024, 2048, 4096], help="points for the exponent")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        child(json.loads(options.child))
        return
    device = begin(options, on_cuda=("float32", "bfloat16"))
    rows = [row for name in options.precision for row in rows_of(options, device, name)]
    publish(rows, "MiB", options, device, {})


if __name__ == "__main__":
    main()
