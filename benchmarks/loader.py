"""Pairs a second of the training loader, against a PLY and a PNG a sample, and how long a device would wait for data.

    python benchmarks/loader.py [--quick] [--table TABLE] [--device cuda] [--json FILE]

A pair is a cloud of all a table's points (2,048) and one 128 px view of 12. Everything `per core` runs in a process
pinned to one core, with files in the page cache and one torch thread:

- `ours, loading`: `load_pairs` without processes: batches as a device gets them; the augmentation is the device's work;
- `ours, augmented here`: the same, and both copies and the picture augmented in batches on that core;
- `files, loading`: torch's DataLoader over `file_pairs.py`: a PLY and a PNG read a sample, nothing more;
- `files, augmented`: the same, with numpy and PIL augmentation of every sample: the published way.

Then the loader with 1, 2, ... processes on the cores there are, with the main process's own share in it; the share of
time in which a consumer waits that takes pairs at the wanted rate, at once and at this machine's part of it; and what
follows for 16 cores. On CUDA the consumer is a chain of matrix products as long as a batch may take, and the share is
that in which the device stands still.
"""

import argparse
import json
import math
import multiprocessing
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

import torch
from consumer import consumer
from file_pairs import FilePairs, write_files
from torch.utils.data import DataLoader

from crosspoint3d import runtime
from crosspoint3d.config import PrepareConfig
from crosspoint3d.data.order import DrawOrder
from crosspoint3d.data.pairs import Pairs, load_pairs
from crosspoint3d.data.prepare import prepare
from crosspoint3d.data.table import ShapeTable
from crosspoint3d.transforms import augment_images, augment_points

PER_CORE, RATE, CORES, SHARE = 400, 1500, 16, 0.05
VIEWS_AS_FILES = 4
WARM_UP = 4  # batches


class Settings(NamedTuple):
    """What every measurement is told."""

    table: str
    files: str
    batch_size: int
    image_size: int
    seconds: float
    device: str


def loaded(settings: Settings, workers: int) -> Any:
    """The loader, over as many batches as anyone may ask for."""
    table = ShapeTable(settings.table)
    order = DrawOrder((table.index(),), settings.batch_size, (), 0)
    return load_pairs([table], order.from_step(0, 10**9), workers=workers, device=settings.device)


def speed(batches: Iterator[Any], settings: Settings) -> float:
    """Pairs a second, after a few batches."""
    for _ in range(WARM_UP):
        next(batches)
    count, began = 0, time.perf_counter()
    while (passed := time.perf_counter() - began) < settings.seconds:
        next(batches)
        count += 1
    return count * settings.batch_size / passed


def ours(settings: Settings, augment: bool) -> float:
    """Of the loader without processes."""
    generator = torch.Generator().manual_seed(0)

    def augmented(pairs: Pairs) -> tuple[torch.Tensor, torch.Tensor]:
        assert pairs.images is not None
        clouds = augment_points(pairs.points.repeat(2, 1, 1), "paper", generator)
        return clouds, augment_images(pairs.images[:, 0], settings.image_size, "paper", generator)

    with closing(loaded(settings._replace(device="cpu"), 0)) as batches:
        return speed(map(augmented, batches) if augment else batches, settings)


def files(settings: Settings, augment: bool) -> float:
    """Of torch's DataLoader without processes over files."""
    pairs = FilePairs(Path(settings.files), augment=augment, image_size=settings.image_size)
    loader = DataLoader(pairs, batch_size=settings.batch_size, shuffle=True, drop_last=True)

    def forever() -> Iterator[Any]:
        while True:
            yield from loader

    return speed(forever(), settings)


def with_workers(settings: Settings, workers: int) -> tuple[float, float]:
    """Pairs a second with processes, and the seconds of one core that the main process spends on a pair."""
    with closing(loaded(settings, workers)) as batches:
        for _ in range(WARM_UP + 2 * workers):
            next(batches)
        count, began, spent = 0, time.perf_counter(), time.process_time()
        while (passed := time.perf_counter() - began) < settings.seconds:
            next(batches)
            count += settings.batch_size
        return count / passed, (time.process_time() - spent) / count


def waiting(settings: Settings, workers: int, rate: float) -> float:
    """Share of the time in which a consumer waits that would take `rate` pairs a second if it never had to."""
    work = consumer(torch.device(settings.device), settings.batch_size / rate)
    with closing(loaded(settings, workers)) as batches:
        for _ in range(WARM_UP + 2 * workers):
            next(batches)
        busy, began = 0.0, time.perf_counter()
        while time.perf_counter() - began < settings.seconds:
            finish = work()
            next(batches)
            busy += finish()
        return 1 - busy / (time.perf_counter() - began)


def pinned(work: Callable[..., Any], cores: list[int], *arguments: Any) -> Any:
    """What `work` returns in a process of its own on these cores, with one torch thread."""
    with multiprocessing.get_context("spawn").Pool(1, _pin, (cores,)) as pool:
        return pool.apply(work, arguments)


def _pin(cores: list[int]) -> None:
    os.sched_setaffinity(0, cores)
    torch.set_num_threads(1)


def measure(settings: Settings, workers: list[int], rate: float) -> dict[str, Any]:
    """All of it; prints as it goes."""
    cores = sorted(os.sched_getaffinity(0))
    one = {
        "ours, loading": pinned(ours, cores[:1], settings, False),
        "ours, augmented here": pinned(ours, cores[:1], settings, True),
        "files, loading": pinned(files, cores[:1], settings, False),
        "files, augmented": pinned(files, cores[:1], settings, True),
    }
    print(f"pairs/s of one core, augmented pictures of {settings.image_size} px, and by the published way's")
    for name, value in one.items():
        print(f"  {name:24}{value:10.0f}{value / one['files, augmented']:10.1f}x")
    several, spent = {}, 0.0
    for count in workers:
        several[count], spent = pinned(with_workers, cores, settings, count)
        print(
            f"  {count} processes, {len(cores)} cores{several[count]:13.0f}  main process: {1e6 * spent:.0f} us a pair"
        )
    waits = {at: pinned(waiting, cores, settings, max(workers), at) for at in (rate * len(cores) / CORES, rate)}
    for at, share in waits.items():
        print(f"  waiting at {at:.0f} pairs/s with {max(workers)} processes: {share:.1%}")
    reader = max(value / min(count, len(cores)) for count, value in several.items())
    needs = arithmetic(one["ours, loading"], reader, spent, rate)
    return {"one_core": one, "processes": several, "main_seconds_a_pair": spent, "waiting": waits} | needs


def arithmetic(alone: float, reader: float, main: float, rate: float) -> dict[str, Any]:
    """What a core gives and a machine needs, printed step by step.

    Args:
        alone: pairs/s of a core that reads in threads of the main process.
        reader: pairs/s of a core with processes, the main process's part included.
        main: seconds of a core that the main process spends on a pair.
        rate: pairs/s that are wanted.
    """
    core, fed, readers = min(alone, reader), 1 / main, CORES - 2
    supply = min(readers * core, fed)
    share = max(0.0, 1 - supply / rate)
    print(f"a core gives min({alone:.0f} alone, {reader:.0f} with processes) = {core:.0f} pairs/s (target {PER_CORE})")
    print(f"{rate:.0f} pairs/s need {rate / core:.2f} cores: --workers {math.ceil(rate / core)} or more")
    print(f"{CORES} cores: 1 trains, 1 feeds (up to {fed:.0f}), {readers} x {core:.0f} = {readers * core:.0f} read")
    print(f"min of both is {supply / rate:.1f} times the rate: waiting {share:.1%} (target below {SHARE:.0%})")
    return {"per_core": core, "workers_needed": math.ceil(rate / core), "supply": supply, "share_waiting": share}


def main() -> None:
    """Make the table and the files, measure, print, and write JSON when asked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--table", help="default: procedural shapes in a temporary folder, kept for the next time")
    parser.add_argument("--shapes", type=int, default=500)
    parser.add_argument("--batch-size", type=int, default=128)
    parser.add_argument("--image-size", type=int, default=224, help="that pictures are augmented to")
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--rate", type=float, default=RATE)
    parser.add_argument("--seconds", type=float, default=8.0, help="of each measurement")
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--json", type=Path, help="file to write settings, machine and numbers to")
    options = parser.parse_args()
    if options.quick:
        options.shapes, options.batch_size, options.seconds = min(options.shapes, 40), min(options.batch_size, 16), 1.0

    path = Path(options.table or Path(tempfile.gettempdir()) / f"crosspoint3d-loader-{options.shapes}")
    if not options.table:
        prepare(PrepareConfig(f"procedural:{options.shapes}", path, image_size=128))
    with tempfile.TemporaryDirectory() as folder:
        write_files(ShapeTable(path), Path(folder) / "files", VIEWS_AS_FILES)
        settings = Settings(
            str(path), f"{folder}/files", options.batch_size, options.image_size, options.seconds, options.device
        )
        result = measure(settings, options.workers, options.rate)
    if options.json:
        chosen = {name: value for name, value in vars(options).items() if name != "json"}
        record = {"settings": chosen, "result": result, "environment": runtime.environment()}
        options.json.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
