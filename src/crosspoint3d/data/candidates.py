"""What a source holds: candidates for rows of a table, and what else lay there."""

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Candidate:
    """One shape to prepare: a file and that of its part labels, or the procedural shape of (seed, index).

    `pictures` is the folder of pictures that are there already; nothing is rendered then.
    """

    id: str
    source: str
    category: str | None = None
    split: str | None = None
    procedural: tuple[int, int] | None = None
    face_labels: str | None = None
    pictures: str | None = None


@dataclass
class Found:
    """Candidates in a fixed order, and what else was there.

    `same_model` maps files left out to those taken instead, `label_files` are the files of part labels among SOURCE,
    `settings` are those of the rows that the source decides.
    """

    origin: str
    candidates: list[Candidate] = field(default_factory=list)
    companions: int = 0
    other: Counter[str] = field(default_factory=Counter)
    same_model: dict[str, str] = field(default_factory=dict)
    label_files: set[Path] = field(default_factory=set)
    unlabelled: int = 0
    settings: dict[str, Any] = field(default_factory=dict)
