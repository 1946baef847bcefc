"""Pairs a second of two processes on two cores against one process on one core, by whole pre-training steps.

    python benchmarks/distributed.py --json distributed.json
    python benchmarks/distributed.py --quick

Every process is pinned to one core of its own and has one thread. Both sides train the same model; two processes share
a batch of twice the size, so that each core has as much to do, or with `--strong` of the same. The
sides run in turns and the best of their medians counts. Synthetic shapes: the loader takes no part. Target: 1.6 times
the pairs a second. Linux only.
"""

import argparse
import json
import os
import statistics
import tempfile
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist

from crosspoint3d import runtime
from crosspoint3d.config import PretrainConfig
from crosspoint3d.data.pairs import Pairs
from crosspoint3d.training.gradient_sum import GradientSum
from crosspoint3d.training.setup import build_model, build_optimizer
from crosspoint3d.training.step import train_step

TARGET = 1.6
WARM_UP = 2
QUICK = {"batch_size": 4, "points": 64, "k": 4, "image_size": 32, "repeats": 3, "turns": 1}


def batch_of(config: PretrainConfig, count: int) -> Pairs:
    """Random clouds of twice the points that are drawn, and noise for pictures."""
    generator = torch.Generator().manual_seed(0)
    clouds = torch.nn.functional.normalize(torch.randn(count, 2 * config.points, 3, generator=generator), dim=2)
    size = (count, 1, 3, config.image_size, config.image_size)
    return Pairs(clouds, torch.randint(0, 256, size, dtype=torch.uint8, generator=generator))


def work(rank: int, world: int, cores: list[int], config: PretrainConfig, repeats: int, folder: str) -> None:
    """One pinned process; the first writes the median seconds of a step."""
    os.sched_setaffinity(0, {cores[rank]})
    torch.set_num_threads(1)
    if world > 1:
        meeting = f"file://{folder}/meeting"
        dist.init_process_group("gloo", init_method=meeting, rank=rank, world_size=world, timeout=timedelta(minutes=5))
    device = torch.device("cpu")
    model = build_model(config, device)
    optimizer = build_optimizer(config, model)
    gradients = GradientSum(model) if world > 1 else None
    batch = batch_of(config, config.batch_size // world)
    seconds = []
    for step in range(WARM_UP + repeats):
        began = time.perf_counter()
        train_step(config, model, optimizer, batch, step, config.lr, gradients)
        seconds.append(time.perf_counter() - began)
    if rank == 0:
        (Path(folder) / "seconds").write_text(str(statistics.median(seconds[WARM_UP:])))
    if world > 1:
        dist.destroy_process_group()


def pairs_per_second(world: int, cores: list[int], config: PretrainConfig, repeats: int) -> float:
    """Throughput of `world` processes, spawned for it."""
    with tempfile.TemporaryDirectory() as folder:
        torch.multiprocessing.spawn(work, args=(world, cores, config, repeats, folder), nprocs=world)
        return config.batch_size / float((Path(folder) / "seconds").read_text())


def main() -> None:
    """Measure in turns, print, and write JSON when asked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batch-size", type=int, default=16, help="of one process")
    parser.add_argument("--points", type=int, default=1024)
    parser.add_argument("--k", type=int, default=20)
    parser.add_argument("--image-encoder", default="resnet18")
    parser.add_argument("--image-size", type=int, default=64)
    parser.add_argument("--strong", action="store_true", help="two processes share the batch of one")
    parser.add_argument("--repeats", type=int, default=8, help="steps of which the median is taken")
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--quick", action="store_true", help="tiny, to see that it runs; no target")
    parser.add_argument("--json", type=Path, metavar="FILE")
    options = parser.parse_args()
    if options.quick:
        vars(options).update(QUICK)
    cores = sorted(os.sched_getaffinity(0))[:2]
    if len(cores) < 2:
        parser.error(f"needs two cores, this process may use {len(cores)}")

    def config(batch_size: int) -> PretrainConfig:
        chosen: dict[str, Any] = {
            name: getattr(options, name) for name in ("points", "k", "image_encoder", "image_size")
        }
        return PretrainConfig(data=(Path("synthetic"),), out=Path("nowhere"), batch_size=batch_size, **chosen)

    one, two = [], []
    for _ in range(options.turns):
        one.append(pairs_per_second(1, cores, config(options.batch_size), options.repeats))
        whole = options.batch_size * (1 if options.strong else 2)
        two.append(pairs_per_second(2, cores, config(whole), options.repeats))
    result = {
        "one_core": round(max(one), 2),
        "two_processes": round(max(two), 2),
        "ratio": round(max(two) / max(one), 2),
    }
    print(
        f"one process on one core {result['one_core']} pairs/s, two on two {result['two_processes']} pairs/s: "
        f"{result['ratio']} times" + ("" if options.quick else f" (target {TARGET})")
    )
    if options.json:
        settings = {name: value for name, value in vars(options).items() if name != "json"}
        record = {"settings": settings, "result": result, "environment": runtime.environment()}
        options.json.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
