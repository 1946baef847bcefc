"""What a run of `segment` or `classify` did, on screen and in `summary.json`."""

import dataclasses
import json
import time
from collections import Counter
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from crosspoint3d.config import UseConfig
from crosspoint3d.labelling.out_folder import FAILED
from crosspoint3d.labelling.places import Places
from crosspoint3d.labelling.run import Ran
from crosspoint3d.runtime import atomic

SUMMARY = "summary.json"


@dataclass(frozen=True)
class LabelSummary:
    """What a run of `segment` or `classify` did; `summary.json` in the folder holds the same.

    Attributes:
        out: the folder.
        labelled, kept: shapes in the CSV, and how many of them an earlier run had labelled.
        failed: shapes that could not be read; `reasons` counts them without names and numbers.
        first_failed: the first ten with their reasons.
        renamed: shapes that had to take another id than their file's name.
        other, same_model: files passed over: of other kinds, or a model present in another format.
        notes: lines about the labels.
        seconds: how long it took.
        interrupted: whether Ctrl-C or SIGTERM ended the run early.
    """

    out: str
    labelled: int
    kept: int
    failed: int
    reasons: dict[str, int]
    first_failed: dict[str, str]
    renamed: tuple[str, ...]
    other: int
    same_model: int
    notes: tuple[str, ...]
    seconds: float
    interrupted: bool

    @property
    def exit_code(self) -> int:
        """0 when at least one shape is labelled, 130 after Ctrl-C, else 1."""
        return 130 if self.interrupted else 0 if self.labelled else 1

    def __str__(self) -> str:
        kept = f", {self.kept} of them by an earlier run" if self.kept else ""
        shapes = _counted(self.labelled, "shape")
        lines = [f"{self.out}: {shapes} labelled{kept}, {self.failed} failed ({self.seconds:.1f} s)"]
        lines += [f"  {note}" for note in self.notes]
        lines += [f"  failed {count} x {reason}" for reason, count in self.reasons.items()]
        lines += [f"    {name}: {reason}" for name, reason in self.first_failed.items()]
        if self.failed > len(self.first_failed):
            lines.append(f"    ... all {self.failed} in {Path(self.out) / FAILED}")
        if self.renamed:
            names = ", ".join(islice(self.renamed, 5)) + (", ..." if len(self.renamed) > 5 else "")
            lines.append(f"  {_counted(len(self.renamed), 'shape')} renamed, as a shape before has the name: {names}")
        if self.other:
            lines.append(f"  not shapes: {_counted(self.other, 'file')}")
        if self.same_model:
            lines.append(f"  the same model in another format: {_counted(self.same_model, 'file')} left out")
        if self.interrupted:
            lines.append("  interrupted; run the same command with --resume to go on")
        return "\n".join(lines)


def summarise(
    config: UseConfig,
    places: Places,
    ran: Ran,
    notes: tuple[str, ...],
    started: float,
) -> LabelSummary:
    """Count what happened and write it into the folder; `started` is by `time.monotonic`."""
    kinds = Counter(reason.split(":")[0].split(" (")[0] for reason in ran.failed.values())
    summary = LabelSummary(
        out=str(config.out),
        labelled=ran.labelled,
        kept=ran.kept,
        failed=len(ran.failed),
        reasons=dict(kinds.most_common()),
        first_failed=dict(islice(ran.failed.items(), 10)),
        renamed=tuple(place.id for place in places.shapes if place.renamed),
        other=places.other,
        same_model=places.same_model,
        notes=notes,
        seconds=round(time.monotonic() - started, 2),
        interrupted=ran.interrupted,
    )
    with atomic(config.out / SUMMARY) as path:
        path.write_text(json.dumps(dataclasses.asdict(summary), indent=1) + "\n", encoding="utf-8")
    return summary


def _counted(count: int, unit: str) -> str:
    return f"{count} {unit}{'s' * (count != 1)}"
