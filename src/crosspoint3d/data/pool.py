"""Rows made in spawned processes, in the order of their candidates, whatever the number of workers and whoever dies."""

import multiprocessing
import os
import threading
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import Any

from crosspoint3d.data.rows import RowSettings, bare_row, make_row
from crosspoint3d.data.sources import Candidate
from crosspoint3d.runtime import ignore_interrupts, interrupts_ignored

CHUNK = 4
WINDOW = 4
Row = dict[str, Any]


def make_rows(candidates: list[Candidate], settings: RowSettings, workers: int, stop: threading.Event) -> Iterator[Row]:
    """The rows of all candidates, or of the first ones when `stop` is set meanwhile.

    A shape whose worker dies (out of memory, a crash in a library) becomes a failed row like any other.

    Args:
        candidates: what to prepare.
        settings: of the table.
        workers: processes; 0 for one a core, 1 for none but this one.
        stop: checked between shapes.
    """
    workers = min(workers or cores(), -(-len(candidates) // CHUNK))
    if workers <= 1:
        for candidate in candidates:
            if stop.is_set():
                return
            yield make_row(candidate, settings)
        return
    done = 0
    while done < len(candidates) and not stop.is_set():
        try:
            for row in _in_pool(candidates[done:], settings, workers, stop):
                done += 1
                yield row
        except BrokenProcessPool:
            # The culprit is among those in flight: each of them alone, so that only it fails.
            suspects = candidates[done : done + CHUNK * (WINDOW * workers + 1)] if not stop.is_set() else []
            for row in _one_by_one(suspects, settings, stop):
                done += 1
                yield row


def _in_pool(candidates: list[Candidate], settings: RowSettings, workers: int, stop: threading.Event) -> Iterator[Row]:
    """Chunks through a pool; the window of futures bounds memory and keeps the order."""
    window: deque[Future[list[Row]]] = deque()
    with _pool(workers) as pool:
        try:
            for start in range(0, len(candidates), CHUNK):
                with interrupts_ignored():  # a submission may start a process, which inherits this
                    window.append(pool.submit(_chunk, candidates[start : start + CHUNK], settings))
                if len(window) > WINDOW * workers:
                    yield from window.popleft().result()
                if stop.is_set():
                    break
            while window:
                future = window.popleft()
                if not (stop.is_set() and future.cancel()):
                    yield from future.result()
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def _one_by_one(candidates: list[Candidate], settings: RowSettings, stop: threading.Event) -> Iterator[Row]:
    pending = deque(candidates)
    while pending and not stop.is_set():
        with _pool(1) as pool:
            while pending and not stop.is_set():
                candidate = pending.popleft()
                try:
                    with interrupts_ignored():
                        future = pool.submit(make_row, candidate, settings)
                    yield future.result()
                except BrokenProcessPool:
                    if not stop.is_set():
                        yield bare_row(candidate, "worker process died (out of memory or a crash)")
                    break


def _pool(workers: int) -> ProcessPoolExecutor:
    # Spawned, because Lance and threads do not survive a fork.
    return ProcessPoolExecutor(workers, multiprocessing.get_context("spawn"), initializer=ignore_interrupts)


def _chunk(candidates: list[Candidate], settings: RowSettings) -> list[Row]:
    return [make_row(candidate, settings) for candidate in candidates]


def cores() -> int:
    """Cores that this process may use, which may be fewer than the machine has."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
