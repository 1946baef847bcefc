"""What a run says while it goes: `metrics.jsonl` and its mirrors, with similarities, probes and the collapse alarm."""

import math
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import torch

from crosspoint3d.config import PretrainConfig
from crosspoint3d.data.pairs import Pairs
from crosspoint3d.data.table import ShapeTable
from crosspoint3d.models.crosspoint import CrossPoint, Projections
from crosspoint3d.training import metrics
from crosspoint3d.training.collapse import CollapseAlarm
from crosspoint3d.training.probes import Probe
from crosspoint3d.training.similarity import MOST_SHAPES, similarity
from crosspoint3d.training.trackers import open_trackers


class RunLog:
    """Writes the rows of a run; a context manager around its loop.

    Args:
        config: of the run, whose folder exists.
        tables: of the run.
        steps: of an epoch.
        start: step that the run goes on from.
        total: steps of the schedule.
        device: that the run trains on.
        writes: whether this is the process that writes; the others time their batches only.

    Raises:
        UsageError: there is nothing that probes could measure; on entering, Weights & Biases cannot be reached or is
            not logged in.
    """

    def __init__(
        self,
        config: PretrainConfig,
        tables: list[ShapeTable],
        *,
        steps: int,
        start: int,
        total: int,
        device: torch.device,
        writes: bool = True,
    ) -> None:
        self._config, self._start, self._total, self._device, self._writes = config, start, total, device, writes
        self._every = config.log_every or (1 if total < 1000 else 20)
        most_rank = min(config.batch_size, MOST_SHAPES, config.projection_dims, max(1, config.emb_dims // 2))
        self._alarm = CollapseAlarm(most_rank, math.ceil(config.warmup * total))
        self._probe = Probe(config, tables, steps=steps, total=total) if config.probe_every and writes else None
        self._stack = ExitStack()
        self._waited, self._since = 0.0, time.monotonic()

    def __enter__(self) -> "RunLog":
        if self._writes:
            for row in metrics.read(self._config.out):
                self._alarm.see(row)
            self._mirror = self._stack.enter_context(open_trackers(self._config, self._start))
        return self

    def __exit__(self, *error: Any) -> None:
        self._stack.__exit__(*error)

    @property
    def collapse(self) -> str:
        """What the collapse alarm found and what to try; empty while nothing is wrong."""
        return self._alarm.note

    def timed(self, batches: Iterator[Pairs]) -> Iterator[Pairs]:
        """The same batches; time in which the device stands still until one of them comes counts as waiting.

        On CUDA a batch that comes while the device still works was not waited for.
        """
        while True:
            began = time.monotonic()
            batch = next(batches, None)
            if self._device.type != "cuda" or torch.cuda.current_stream(self._device).query():
                self._waited += time.monotonic() - began
            if batch is None:
                return
            yield batch

    def due(self, step: int) -> bool:
        """Whether this step is logged: every `log_every` steps, where probes measure, and the last."""
        return step % self._every == 0 or step == self._total or (self._probe is not None and self._probe.due(step))

    def write(self, row: dict[str, Any], gradient_norm: float, projections: Projections, model: CrossPoint) -> float:
        """Complete a row and write it everywhere; the row that sets off the collapse alarm is told on stderr.

        Args:
            row: at least its step.
            gradient_norm: of all parameters, before clipping.
            projections: of the step's whole batch.
            model: what probes look at.

        Returns:
            Seconds that a probe took, which are no time of training.
        """
        if not self._writes:
            return 0.0
        now = time.monotonic()
        row = row | {"gradient_norm": gradient_norm, "data_wait": min(1.0, self._waited / max(now - self._since, 1e-9))}
        row |= peak_memory(self._device) | similarity(projections)
        began = time.monotonic()
        if self._probe and self._probe.due(row["step"]):
            row |= self._probe.measure(model)
        probed = time.monotonic() - began
        self._waited, self._since = 0.0, now + probed
        metrics.append(self._config.out, row)
        self._mirror(row)
        if self._alarm.see(row):
            sys.stderr.write(f"crosspoint3d: warning: {self.collapse}\n")
        return probed


def peak_memory(device: torch.device) -> dict[str, float]:
    """Most memory so far in MiB: `rss_mib` of this process (not on Windows), `cuda_mib` that torch took for tensors."""
    found: dict[str, float] = {}
    if sys.platform != "win32":
        import resource

        unit = 1 if sys.platform == "darwin" else 1024
        found["rss_mib"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**20
    if device.type == "cuda":
        found["cuda_mib"] = torch.cuda.max_memory_allocated(device) / 2**20
    return found
