"""`prepare` through Ray beside the process pool: shapes a second of both, in turn, on one machine.

    python benchmarks/prepare_engines.py procedural:2000 [--workers 2] [--repeats 5]
    python benchmarks/prepare_engines.py ../shared/data/princeton_meshes
    python benchmarks/prepare_engines.py procedural:200 --quick

Repeats run both engines in alternating order, each into a new table. `start_s` is the time
from the call to the first row (processes started, packages imported; Ray's own parts too), `rows_per_s` the rows
after the first 96 by their time, `rows_per_s_whole` all by the whole call, start and shutdown included.
`ratio` is Ray's by the pool's of the same repeat: median, lowest and highest. The tables are compared, too.
"""

import argparse
import contextlib
import io
import json
import os
import statistics
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import lance

from crosspoint3d.config import PrepareConfig
from crosspoint3d.data import pool, ray_rows
from crosspoint3d.data.prepare import prepare

FIRST = 96
"""Rows after which every worker has started and imported what it needs."""


def watched(make_rows: Any, times: list[float]) -> Any:
    """The generator, noting when each row came."""

    def rows(*arguments: Any) -> Iterator[Any]:
        for row in make_rows(*arguments):
            times.append(time.perf_counter())
            yield row

    return rows


def measure(engine: str, arguments: argparse.Namespace, out: Path) -> dict[str, float]:
    """One run of prepare into a new table."""
    module: Any = {"pool": pool, "ray": ray_rows}[engine]
    times: list[float] = []
    original, module.make_rows = module.make_rows, watched(module.make_rows, times)
    config = PrepareConfig(
        arguments.source, out, views=arguments.views, image_size=arguments.image_size, workers=arguments.workers,
        engine=engine,  # type: ignore[arg-type]
    )  # fmt: skip
    started = time.perf_counter()
    try:
        with contextlib.redirect_stderr(io.StringIO()):
            summary = prepare(config)
    finally:
        module.make_rows = original
    whole = time.perf_counter() - started
    return {
        "rows": summary.new,
        "start_s": times[0] - started,
        "rows_per_s": (len(times) - FIRST) / (times[-1] - times[FIRST - 1]),
        "rows_per_s_whole": summary.new / whole,
        "seconds": whole,
    }


def main() -> None:
    """Measure and print one JSON line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--views", type=int, default=12)
    parser.add_argument("--image-size", type=int, default=128)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--quick", action="store_true", help="one repeat")
    arguments = parser.parse_args()

    runs: dict[str, list[dict[str, float]]] = {"pool": [], "ray": []}
    with tempfile.TemporaryDirectory() as folder:
        prepare(PrepareConfig("procedural:8", Path(folder) / "warm", workers=1, image_size=arguments.image_size))
        for repeat in range(1 if arguments.quick else arguments.repeats):
            for engine in ("pool", "ray") if repeat % 2 == 0 else ("ray", "pool"):
                runs[engine].append(measure(engine, arguments, Path(folder) / f"{engine}{repeat}"))
        tables = [lance.dataset(str(Path(folder) / f"{engine}0")).to_table() for engine in runs]
        same = tables[0].equals(tables[1])

    result: dict[str, Any] = {"source": arguments.source, "workers": arguments.workers, "same_table": same}
    for engine, measured in runs.items():
        result[engine] = {name: round(statistics.median(run[name] for run in measured), 2) for name in measured[0]}
    for name in ("rows_per_s", "rows_per_s_whole"):
        ratios = sorted(ray[name] / own[name] for own, ray in zip(runs["pool"], runs["ray"], strict=True))
        result[f"ratio_{name}"] = [round(value, 3) for value in (statistics.median(ratios), ratios[0], ratios[-1])]
    print(json.dumps(result))


if __name__ == "__main__":
    main()
