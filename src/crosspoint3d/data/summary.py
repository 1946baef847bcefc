"""What a run of prepare took and refused, on screen and in `prepare.json`."""

import time
from collections import Counter
from dataclasses import dataclass, field
from itertools import islice

from crosspoint3d.address import address_of
from crosspoint3d.config import PrepareConfig
from crosspoint3d.data.dedup import DUPLICATE
from crosspoint3d.data.sources import Found
from crosspoint3d.data.table import OK


@dataclass(frozen=True)
class PrepareSummary:
    """What a run of prepare did; `prepare.json` in the table's folder holds the same.

    Attributes:
        taken, refused: rows of the whole table by status; `refused_files` maps each refused id to its reason.
        new: rows added by this run.
        reasons: refused shapes counted by reason, numbers and names left out of the reason.
        other: files that are no shapes, by extension. companions: materials, textures, tables, licences.
        same_model: files left out because the same model was there in another format.
        unlabelled: shapes that `--labels` does not name.
        with_parts: rows of the whole table with part labels. without_parts: the ids of those taken without, where
            others have them or `--parts` names them.
        outdated: shapes of earlier runs whose label file was written since.
        interrupted: whether Ctrl-C or SIGTERM ended the run early.
        duplicates: shapes of exactly the same geometry as one before them, and which; left out with
            `--drop-duplicates`, else kept.
        notes: what was left out of shapes that were taken (pictures that cannot be read).
    """

    table: str
    origin: str
    taken: int
    refused: int
    new: int
    reasons: dict[str, int]
    refused_files: dict[str, str]
    other: dict[str, int]
    companions: int
    same_model: list[str]
    unlabelled: int
    with_parts: int
    without_parts: list[str]
    outdated: list[str]
    seconds: float
    interrupted: bool
    duplicates: dict[str, str] = field(default_factory=dict)
    notes: dict[str, str] = field(default_factory=dict)

    @property
    def exit_code(self) -> int:
        """0 when the table holds at least one shape, 130 after Ctrl-C, else 1."""
        return 130 if self.interrupted else 0 if self.taken else 1

    def __str__(self) -> str:
        lines = [
            f"{self.table}: {self.taken} shapes taken, {self.refused} refused ({self.new} new, {self.seconds:.1f} s)"
        ]
        lines += [f"  refused {count} x {reason}" for reason, count in self.reasons.items()]
        lines += [f"    {name}: {reason}" for name, reason in islice(self.refused_files.items(), 10)]
        if self.refused > 10:
            lines.append(f"    ... all {self.refused} in {self.table}/prepare.json")
        if self.other:
            kinds = ", ".join(f"{count} {suffix}" for suffix, count in self.other.items())
            lines.append(f"  not shapes: {kinds}")
        if self.same_model:
            lines.append(f"  the same model in another format: {len(self.same_model)} files left out")
        if self.unlabelled:
            lines.append(f"  not named in the labels: {self.unlabelled} shapes")
        if self.with_parts or self.without_parts:
            without = f", {len(self.without_parts)} without" if self.without_parts else ""
            first = f" (first: {', '.join(self.without_parts[:3])})" if self.without_parts else ""
            lines.append(f"  part labels: {self.with_parts} shapes{without}{first}")
        if self.duplicates:
            name, first = next(iter(self.duplicates.items()))
            left = "left out" if name in self.refused_files else "kept (--drop-duplicates leaves them out)"
            lines.append(f"  same geometry as a shape before: {len(self.duplicates)}, {left}; first: {name} = {first}")
        if self.notes:
            pictures = sum(note.count("; ") + 1 for note in self.notes.values())
            name, note = next(iter(self.notes.items()))
            lines.append(f"  pictures refused: {pictures} of {len(self.notes)} shapes (first: {name}, {note})")
        if self.outdated:
            lines.append(
                f"  label files changed since the last run: {len(self.outdated)} (first: {self.outdated[0]}); "
                "these shapes keep the part labels that they had"
            )
        if not self.taken and not self.refused:
            lines.append("  no shapes found: SOURCE holds no file of a known format")
        if self.interrupted:
            lines.append("  interrupted; run the same command to go on")
        return "\n".join(lines)


def reason_of(status: str) -> str:
    """The kind of reason that a status gives, without names and details."""
    return "duplicate" if status.startswith(DUPLICATE) else status.split(":")[0].split(" (")[0]


def summarise(
    config: PrepareConfig,
    found: Found,
    statuses: dict[str, str],
    labelled: set[str],
    new: int,
    started: float,
    *,
    outdated: list[str] | None = None,
    interrupted: bool = False,
    duplicates: dict[str, str] | None = None,
    notes: dict[str, str] | None = None,
) -> PrepareSummary:
    """Count the statuses (id -> status) of a whole table and what was found beside its shapes.

    `labelled` are the ids of rows with part labels.
    """
    refused = {name: status for name, status in statuses.items() if status != OK}
    kinds = Counter(map(reason_of, refused.values()))
    asked = labelled or config.parts is not None
    return PrepareSummary(
        table=address_of(config.out),
        origin=found.origin,
        taken=len(statuses) - len(refused),
        refused=len(refused),
        new=new,
        reasons=dict(kinds.most_common()),
        refused_files=refused,
        other=dict(found.other.most_common()),
        companions=found.companions,
        same_model=list(found.same_model),
        unlabelled=found.unlabelled,
        with_parts=len(labelled),
        without_parts=[name for name, status in statuses.items() if status == OK and name not in labelled and asked],
        outdated=outdated or [],
        seconds=round(time.monotonic() - started, 2),
        interrupted=interrupted,
        duplicates=duplicates or {},
        notes=notes or {},
    )
