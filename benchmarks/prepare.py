"""Meshes a second a core and memory of `prepare`: reading, sampling, 12 views at 128 px, encoding and writing.

    python benchmarks/prepare.py ../shared/data/princeton_meshes [--meshes 500] [--workers 2]
    python benchmarks/prepare.py procedural:500

Prepares a few procedural shapes to compile and fill caches, then SOURCE into a temporary table, measured: the whole
call, start of the workers and writing included; `per core` divides by the workers. Peak memory is the largest resident
size of any worker, asked of the operating system.
"""

import argparse
import json
import os
import random
import resource
import tempfile
import time
from pathlib import Path

from crosspoint3d.config import PrepareConfig
from crosspoint3d.data.prepare import prepare
from crosspoint3d.data.sources import find


def main() -> None:
    """Measure and print one JSON line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source")
    parser.add_argument("--meshes", type=int, default=0, help="random subset; 0 takes all")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--views", type=int, default=12)
    parser.add_argument("--image-size", type=int, default=128)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()

    with tempfile.TemporaryDirectory() as folder:
        source = arguments.source
        if not source.startswith("procedural:") and arguments.meshes:
            paths = [candidate.source for candidate in find(source).candidates]
            chosen = random.Random(arguments.seed).sample(paths, min(arguments.meshes, len(paths)))
            listing = Path(folder) / "list.txt"
            listing.write_text("\n".join(str(Path(path).resolve()) for path in chosen))
            source = str(listing)
        warm = PrepareConfig("procedural:8", Path(folder) / "warm", workers=1, image_size=arguments.image_size)
        prepare(warm)
        started = time.perf_counter()
        summary = prepare(
            PrepareConfig(
                source,
                Path(folder) / "table",
                views=arguments.views,
                image_size=arguments.image_size,
                workers=arguments.workers,
                seed=arguments.seed,
            )
        )
        seconds = time.perf_counter() - started
    who = resource.RUSAGE_CHILDREN if arguments.workers > 1 else resource.RUSAGE_SELF
    result = {
        "meshes": summary.taken,
        "refused": summary.refused,
        "seconds": round(seconds, 2),
        "meshes_per_s": round(summary.taken / seconds, 1),
        "meshes_per_s_per_core": round(summary.taken / seconds / arguments.workers, 1),
        "workers": arguments.workers,
        "views": arguments.views,
        "image_size": arguments.image_size,
        "peak_mib_per_worker": round(resource.getrusage(who).ru_maxrss / 1024),
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
