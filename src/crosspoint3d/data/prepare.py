"""`crosspoint3d prepare`: a folder, a list or procedural shapes become a ShapeTable, in parallel and resumable."""

import dataclasses
import json
import multiprocessing
import os
import signal
import threading
import time
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from itertools import islice
from pathlib import Path
from typing import Any

from tqdm import tqdm

from crosspoint3d.config import PrepareConfig, UsageError
from crosspoint3d.data.rows import RowSettings, make_row
from crosspoint3d.data.sources import Candidate, find
from crosspoint3d.data.summary import PrepareSummary, summarise
from crosspoint3d.data.table import OK, ShapeTable
from crosspoint3d.runtime import atomic, stop_requests

COMMIT_ROWS = 256
CHUNK = 4


def prepare(config: PrepareConfig) -> PrepareSummary:
    """Prepare every shape of `config.source` that `config.out` does not hold yet.

    Raises:
        UsageError: the source is missing, or the table was made from another source or with other settings.
    """
    _validate(config)
    started = time.monotonic()
    found = find(config.source, labels=config.labels, seed=config.seed, leave_out=config.out)
    if not found.candidates:
        return summarise(config, found, {}, 0, started, "no shapes in SOURCE")
    settings = RowSettings(**{f.name: getattr(config, f.name) for f in dataclasses.fields(RowSettings)})
    table = _open(config.out, found.origin, settings)
    if config.retry_failed:
        table.delete_failed()
    known = set(table.column("id"))
    missing = [candidate for candidate in found.candidates if candidate.id not in known]
    stopped = None
    with stop_requests() as stop:
        try:
            _fill(table, missing, settings, config.workers, stop)
            stopped = "interrupted" if stop.is_set() else None
        except BrokenProcessPool:
            stopped = "a worker process died (out of memory? try fewer --workers)"
    statuses = dict(zip(table.column("id"), table.column("status"), strict=True))
    summary = summarise(config, found, statuses, len(statuses) - len(known), started, stopped)
    with atomic(config.out / "prepare.json") as path:
        path.write_text(json.dumps(dataclasses.asdict(summary), indent=1), encoding="utf-8")
    return summary


def _validate(config: PrepareConfig) -> None:
    for name, least in (("points", 16), ("views", 1), ("image_size", 16), ("workers", 0), ("seed", 0)):
        value = getattr(config, name)
        if value < least:
            raise UsageError(f"--{name.replace('_', '-')} {value}: must be at least {least}")


def _open(out: Path, origin: str, settings: RowSettings) -> ShapeTable:
    asked = {"origin": origin} | dataclasses.asdict(settings)
    if not out.exists() or not any(out.iterdir()):
        return ShapeTable.create(out, points=settings.points, settings=asked)
    table = ShapeTable(out)
    differ = [
        f"{name} {table.settings.get(name)!r}, now {value!r}"
        for name, value in asked.items()
        if table.settings.get(name) != value
    ]
    if differ:
        raise UsageError(
            f"--out {out} was made with {'; '.join(differ)}: use the same values to go on, or another --out"
        )
    return table


def _fill(
    table: ShapeTable, missing: list[Candidate], settings: RowSettings, workers: int, stop: threading.Event
) -> None:
    """Add rows in the order of the candidates, whatever the number of workers; on a stop request keep what is done."""
    done: list[dict[str, Any]] = []
    refused = 0
    bar = tqdm(total=len(missing), unit="shape", desc="prepare", disable=None if missing else True)
    try:
        for row in _rows(missing, settings, workers or os.cpu_count() or 1, stop):
            done.append(row)
            refused += row["status"] != OK
            bar.set_postfix(refused=refused, refresh=False)
            bar.update()
            if len(done) >= COMMIT_ROWS:
                table.append(done)
                done = []
    finally:
        bar.close()
        table.append(done)


def _rows(
    candidates: list[Candidate], settings: RowSettings, workers: int, stop: threading.Event
) -> Iterator[dict[str, Any]]:
    chunks = _chunks(candidates)
    if workers == 1 or len(candidates) <= CHUNK:
        for candidate in candidates:
            if stop.is_set():
                return
            yield make_row(candidate, settings)
        return
    # Spawned, because Lance and threads do not survive a fork. The window bounds memory; results keep their order.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(min(workers, len(candidates)), context, initializer=_ignore_interrupts) as pool:
        window: deque[Future[list[dict[str, Any]]]] = deque()
        for chunk in chunks:
            window.append(pool.submit(_make_rows, chunk, settings))
            if len(window) > 4 * workers:
                yield from window.popleft().result()
            if stop.is_set():
                break
        for future in window:
            if not (stop.is_set() and future.cancel()):
                yield from future.result()


def _chunks(candidates: Iterable[Candidate]) -> Iterator[list[Candidate]]:
    iterator = iter(candidates)
    while chunk := list(islice(iterator, CHUNK)):
        yield chunk


def _make_rows(chunk: list[Candidate], settings: RowSettings) -> list[dict[str, Any]]:
    return [make_row(candidate, settings) for candidate in chunk]


def _ignore_interrupts() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
