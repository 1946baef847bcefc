"""Time, parts and memory of one CrossPoint pre-training step on synthetic shapes, by the recipe's own functions.

    python benchmarks/pretrain_step.py --device cuda --batch-size 32 --precision bfloat16 --compile --json step.json
    python benchmarks/pretrain_step.py --batch-size 8 --points 512 --image-encoder resnet18 --image-size 64 --threads 2

Clouds are points on random ellipsoids, twice as many as --points; pictures are noise of --image-size. The step is timed
whole: transfers, views, both towers, loss, gradients, clipping, optimizer. Its parts are then timed one by one on the
same inputs; `rest` is what they leave of the whole (the loss, and with --chunk GradCache's pass without a graph).
Medians of --repeats after two rounds of warm-up, the device synchronised before every reading of the clock. Peak memory
is torch's on CUDA, else the process's.
"""

import argparse
import json
import resource
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from crosspoint3d import runtime
from crosspoint3d.config import PretrainConfig
from crosspoint3d.data.pairs import Pairs
from crosspoint3d.models.tower import Tower
from crosspoint3d.training.grad_cache import chunk_sizes
from crosspoint3d.training.setup import build_model, build_optimizer, validate
from crosspoint3d.training.step import train_step, views

WARM_UP = 2


def config_of(options: argparse.Namespace) -> PretrainConfig:
    """The options as a run's config, checked as `pretrain` checks them."""
    chosen = {name: value for name, value in vars(options).items() if name not in ("repeats", "json")}
    config = PretrainConfig(data=(Path("synthetic"),), out=Path("nowhere"), **chosen)
    validate(config)
    return config


def synthetic(config: PretrainConfig, device: torch.device) -> Pairs:
    """A batch as the loader gives it, in pinned memory where that helps."""
    generator = torch.Generator().manual_seed(config.seed)
    directions = torch.randn(config.batch_size, 2 * config.points, 3, generator=generator)
    axes = torch.empty(config.batch_size, 1, 3).uniform_(0.3, 1, generator=generator)
    pictures = torch.randint(
        0, 256, (config.batch_size, 1, 3, config.image_size, config.image_size), dtype=torch.uint8, generator=generator
    )
    batch = Pairs(torch.nn.functional.normalize(directions, dim=2) * axes, pictures)
    return Pairs(batch.points.pin_memory(), pictures.pin_memory()) if device.type == "cuda" else batch


def median_seconds(work: Callable[[int], Any], repeats: int, device: torch.device) -> float:
    """Median wall time of `work(number)`."""
    seconds = []
    for number in range(WARM_UP + repeats):
        began = now(device)
        work(number)
        seconds.append(now(device) - began)
    return statistics.median(seconds[WARM_UP:])


def now(device: torch.device) -> float:
    """Seconds, when all that was asked of the device is done."""
    if device.type != "cpu":
        getattr(torch, device.type).synchronize()
    return time.perf_counter()


def peak_mib(device: torch.device) -> float:
    """Most memory in use since the last reset: torch's on CUDA, else the process's."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated() / 2**20
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**20


def measure(config: PretrainConfig, repeats: int, device: torch.device) -> dict[str, Any]:
    """Milliseconds of a step and of its parts, pairs a second, MiB."""
    batch = synthetic(config, device)
    model = build_model(config, device)
    optimizer = build_optimizer(config, model)
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats()
    whole = median_seconds(lambda step: train_step(config, model, optimizer, batch, step, config.lr), repeats, device)
    memory = peak_mib(device)

    sizes = chunk_sizes(config.batch_size, config.at_once(config.batch_size))
    points, images = batch.points[: sizes[0]].to(device), batch.images[: sizes[0], 0].to(device)
    generator = runtime.generator_for(config.seed, device=device)
    clouds, pictures = views(config, points, images, generator)
    assert pictures is not None

    def pass_through(tower: Tower, inputs: torch.Tensor) -> None:
        tower.zero_grad(set_to_none=True)
        with torch.autocast(device.type, torch.bfloat16, enabled=config.precision == "bfloat16"):
            projections = tower.project(tower(inputs))
        torch.autograd.backward(projections.float().square().mean())

    def update(_: int) -> None:
        torch.nn.utils.clip_grad_norm_(model.parameters(), config.grad_clip)
        optimizer.step()

    chunked = {
        "augment": lambda _: views(config, points, images, generator),
        "point tower": lambda _: pass_through(model.point_tower, clouds),
        "image tower": lambda _: pass_through(model.image_tower, pictures),
    }
    parts = {name: len(sizes) * median_seconds(work, repeats, device) for name, work in chunked.items()}
    parts["optimizer"] = median_seconds(update, repeats, device)
    parts["rest"] = whole - sum(parts.values())
    return {
        "ms": round(1e3 * whole, 2),
        "pairs_per_s": round(config.batch_size / whole, 2),
        "parts_ms": {name: round(1e3 * seconds, 2) for name, seconds in parts.items()},
        "peak_mib": round(memory),
    }


def main() -> None:
    """Measure, print, and write JSON when asked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="auto", choices=["auto", "cpu", "cuda", "mps"])
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--points", type=int, default=1024)
    parser.add_argument("--k", type=int, default=20)
    parser.add_argument("--image-encoder", default="resnet50")
    parser.add_argument("--image-size", type=int, default=224)
    parser.add_argument("--precision", default="float32", choices=["float32", "bfloat16"])
    parser.add_argument("--compile", action="store_true")
    parser.add_argument("--chunk", type=int, default=0)
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path, help="file to write settings, machine and numbers to")
    options = parser.parse_args()

    config = config_of(options)
    device = runtime.pick_device(config.device)
    if config.threads:
        torch.set_num_threads(config.threads)
    result = measure(config, options.repeats, device)
    print(f"{result['pairs_per_s']} pairs/s, {result['ms']} ms a step, peak {result['peak_mib']} MiB on {device.type}")
    for name, milliseconds in result["parts_ms"].items():
        print(f"  {name:12}{milliseconds:10.2f} ms{milliseconds / result['ms']:8.1%}")
    if options.json:
        settings = {name: value for name, value in vars(options).items() if name != "json"}
        record = {"settings": settings, "result": result, "environment": runtime.environment()}
        options.json.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
