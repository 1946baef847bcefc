"""Rows made by tasks on a Ray cluster, in the order of their candidates, whoever dies."""

import contextlib
import os
import threading
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from crosspoint3d import __version__
from crosspoint3d.config import RunError, UsageError
from crosspoint3d.data.pool import Row, cores
from crosspoint3d.data.ray_cluster import Cluster, cluster
from crosspoint3d.data.rows import RowSettings, bare_row, make_row
from crosspoint3d.data.sources import Candidate

CHUNK = 8
WINDOW = 4
"""Chunks a processor that are made, wait for their turn or are finished and not yet taken; bounds memory."""
ALONE = 2
"""How often a shape is tried alone after its worker died: a machine may go, a deadly shape always kills."""
POLL = 0.5
FETCHED = 16
RECOUNT = 10.0


def make_rows(
    candidates: list[Candidate], settings: RowSettings, workers: int, stop: threading.Event, address: str = ""
) -> Iterator[Row]:
    """The rows of all candidates, or of the first ones when `stop` is set meanwhile: `pool.make_rows` through Ray.

    When a worker dies (a crash, out of memory, its machine gone) its shapes are made again, each alone; one that dies
    alone again becomes a failed row like any other. A stop request keeps what is finished and drops the rest.

    Args:
        candidates: what to prepare; workers read the files by the same paths as this process.
        settings: of the table.
        workers: tasks at a time; 0 for one a core of this machine, or one a processor of the cluster at `address`.
        stop: checked between chunks and twice a second.
        address: of a running cluster; empty starts one on this machine, and ends it.

    Raises:
        UsageError: Ray is missing, the cluster cannot be reached, or its workers cannot run this package.
        RunError: the workers do not see the files, or the cluster is lost.
    """
    if not candidates or stop.is_set():
        return
    with cluster(address, workers) as connected:
        tasks = _Tasks(connected, settings, workers)
        try:
            yield from tasks.rows(candidates, stop)
        except (ConnectionError, connected.ray.exceptions.RayError) as error:
            reason = (str(error) or type(error).__name__).splitlines()[0]
            raise RunError(
                f"--engine ray: the cluster failed ({reason}); the rows so far are kept, run the same command again"
            ) from error
        finally:
            tasks.cancel()


@dataclass
class _Piece:
    """The candidates of one task, its result to come, and how often they were tried alone before."""

    candidates: list[Candidate]
    result: Any
    alone: int = 0


class _Tasks:
    """A window of tasks, taken from the front."""

    def __init__(self, connected: Cluster, settings: RowSettings, workers: int) -> None:
        self.ray, self.remote = connected
        self.settings = settings
        self.workers = workers
        self.window: deque[_Piece] = deque()
        self.running: list[Any] = []
        self.counted = (0, -RECOUNT)
        # Ray itself would try a task that runs out of memory for ever: what is made again is decided here.
        self.task = self.ray.remote(num_cpus=1, max_retries=0)(_chunk)
        self.constants = self.ray.put((settings, __version__, str(Path.cwd())))
        errors = self.ray.exceptions
        self.died = (errors.WorkerCrashedError, errors.OutOfMemoryError, errors.NodeDiedError, errors.ObjectLostError)

    def rows(self, candidates: list[Candidate], stop: threading.Event) -> Iterator[Row]:
        start = 0
        while start < len(candidates) or self.window:
            while start < len(candidates) and not stop.is_set() and self._has_room():
                size = max(1, min(CHUNK, len(candidates) // (2 * self._processors())))
                self.window.append(self._submit(candidates[start : start + size]))
                start += size
            if self.window and self._front_is_finished():
                yield from self._front()
            elif stop.is_set():
                return

    def cancel(self) -> None:
        """Take back what is not needed any more; after an error or a stop there is some."""
        for piece in self.window:
            with contextlib.suppress(Exception):
                self.ray.cancel(piece.result, force=True)
        self.window.clear()

    def _submit(self, candidates: list[Candidate], alone: int = 0) -> _Piece:
        piece = _Piece(candidates, self.task.remote(candidates, self.constants), alone)
        if self._is_limited():
            self.running.append(piece.result)
        return piece

    def _is_limited(self) -> bool:
        """Whether fewer tasks may run than the cluster would take."""
        return self.remote and self.workers > 0

    def _has_room(self) -> bool:
        room = len(self.window) <= WINDOW * self._processors()
        return room and not (self._is_limited() and len(self.running) >= self.workers)

    def _processors(self) -> int:
        """Workers asked for, else processors of the cluster, which may grow and shrink."""
        if self.workers or not self.remote:
            return self.workers or cores()
        count, when = self.counted
        if time.monotonic() - when >= RECOUNT:
            count = max(1, int(self.ray.cluster_resources().get("CPU", 0)))
            self.counted = (count, time.monotonic())
        return count

    def _front_is_finished(self) -> bool:
        """Whether the first task is; else waits a moment for it (or for any, where one that ends makes room)."""
        front = self.window[0].result
        first = [piece.result for piece in islice(self.window, FETCHED)]
        ready, _ = self.ray.wait(first, num_returns=len(first), timeout=0)  # also brings finished ones to this machine
        if front not in ready and not self._is_limited():
            ready, _ = self.ray.wait([front], timeout=POLL)
        if self.running:
            _, self.running = self.ray.wait(self.running, timeout=0 if front in ready else POLL)
        return front in ready

    def _front(self) -> Iterator[Row]:
        piece = self.window.popleft()
        try:
            made = self.ray.get(piece.result)
        except self.ray.exceptions.RayTaskError as error:
            reason = (str(error.cause).strip() or str(error).strip()).splitlines()[-1]
            raise UsageError(
                f"--engine ray: a worker cannot run crosspoint3d {__version__} ({reason}); install this version on all "
                "machines of the cluster, or give it to the job as a runtime environment"
            ) from error
        except self.died:
            yield from self._again(piece)
            return
        for candidate, row in zip(piece.candidates, made, strict=True):
            yield self._missing(candidate) if row is None else _own(row)

    def _again(self, piece: _Piece) -> Iterator[Row]:
        """Each shape of a task whose worker died alone, so that only the culprit fails."""
        if len(piece.candidates) > 1:
            self.window.extendleft(self._submit([candidate]) for candidate in reversed(piece.candidates))
        elif piece.alone + 1 < ALONE:
            self.window.appendleft(self._submit(piece.candidates, piece.alone + 1))
        else:
            yield bare_row(piece.candidates[0], "worker process died (out of memory or a crash)")

    def _missing(self, candidate: Candidate) -> Row:
        path = Path(candidate.source).absolute()
        if path.exists():
            raise RunError(
                f"--engine ray: a worker does not see {path}: SOURCE must be at the same path on all machines of the "
                "cluster (a shared file system); the rows so far are kept"
            )
        return make_row(candidate, self.settings)


def _chunk(candidates: list[Candidate], constants: tuple[RowSettings, str, str]) -> list[Row | None]:
    """What a task does: rows, None for those whose file is not seen from its machine."""
    settings, version, folder = constants
    if version != __version__:
        raise RuntimeError(f"it has version {__version__}")
    with contextlib.suppress(OSError):
        os.chdir(folder)  # paths may be relative to where the command runs
    return [
        make_row(candidate, settings) if candidate.procedural is not None or Path(candidate.source).exists() else None
        for candidate in candidates
    ]


def _own(row: Row) -> Row:
    """Arrays out of Ray's store, whose place is needed for the next rows."""
    return {name: value.copy() if isinstance(value, np.ndarray) else value for name, value in row.items()}
