"""Clouds a second from files to features, ours against the plain definition: `python benchmarks/features.py`.

Ours is what `evaluate` does: read and normalise the clouds of `--data`, hash them, compute the features of an untrained
DGCNN; nothing comes from the cache. The plain side reads the same clouds and takes them through `models.reference` in
the same batches; it does a part of them, which changes nothing for a rate. In turns in one process.
"""

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import torch

from crosspoint3d.data.clouds import load_clouds
from crosspoint3d.evaluation.features import compute_features
from crosspoint3d.evaluation.protocol import weights_sha256
from crosspoint3d.models import DGCNN, load_encoder, reference

RATE, RATIO = 30.0, 8.0


def made_files(folder: Path, shapes: int, points: int, seed: int) -> str:
    """Random clouds in two HDF5 files, as `--data` takes them."""
    generator = np.random.default_rng(seed)
    for name, count in (("train", shapes - shapes // 4), ("test", shapes // 4)):
        with h5py.File(folder / f"{name}.h5", "w") as file:
            file["points"] = generator.normal(size=(count, points, 3)).astype(np.float32)
            file["label"] = np.arange(count) % 4
    return f"clouds:{folder}/train.h5,{folder}/test.h5"


def rate(job: Callable[[], int]) -> float:
    """Clouds a second of one call."""
    started = time.perf_counter()
    return job() / (time.perf_counter() - started)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", help="clouds: of two files; made of random numbers if not given")
    parser.add_argument("--shapes", type=int, default=512, help="clouds to make")
    parser.add_argument("--points", type=int, default=1024)
    parser.add_argument("--k", type=int, default=20)
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--plain-shapes", type=int, default=64)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--threads", type=int, default=min(2, os.cpu_count() or 1))
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    tower = load_encoder("random:dgcnn", k=options.k, seed=options.seed)
    encoder = tower.encoder
    assert isinstance(encoder, DGCNN)

    with tempfile.TemporaryDirectory() as folder:
        data = options.data or made_files(Path(folder), options.shapes, options.points, options.seed)

        def ours() -> int:
            clouds = load_clouds(data, seed=options.seed)
            weights_sha256(tower)
            for part in (clouds.train_points, clouds.test_points):
                compute_features(tower, part, batch_size=options.batch_size, device=options.device)
            return len(clouds.train_points) + len(clouds.test_points)

        def plain() -> int:
            points = torch.from_numpy(load_clouds(data, seed=options.seed).train_points[: options.plain_shapes])
            with torch.inference_mode():
                for start in range(0, len(points), options.batch_size):
                    reference.dgcnn(encoder, points[start : start + options.batch_size].to(options.device), False)
            return len(points)

        compute_features(tower, load_clouds(data, seed=0).test_points[:32], batch_size=32, device=options.device)
        rates = [(rate(ours), rate(plain)) for _ in range(options.repeats)]
    mine, other = (statistics.median(column) for column in zip(*rates, strict=True))
    ratios = [a / b for a, b in rates]
    print(f"{options.threads} threads, {options.points} points, k = {options.k}, reading included")
    print(f"ours   {mine:8.1f} clouds/s (target {RATE:g})")
    print(f"plain  {other:8.1f} clouds/s")
    print(f"ratio  {mine / other:8.1f} ({min(ratios):.1f} to {max(ratios):.1f}; target {RATIO:g})")


if __name__ == "__main__":
    main()
