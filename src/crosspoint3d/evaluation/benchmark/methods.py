"""How the evaluations of a benchmark were run, from the records of their results."""

from dataclasses import dataclass
from typing import Any

from crosspoint3d.evaluation.benchmark.table import Outcome, Table
from crosspoint3d.evaluation.result import COUNTS


@dataclass(frozen=True)
class Method:
    """How one evaluation was run in one protocol: in a line, what to know about it, and its results."""

    title: str
    line: str
    notes: list[str]
    outcomes: list[Outcome]


def methods(table: Table) -> list[Method]:
    """How every evaluation was run; a note that does not hold for all encoders says for which."""
    found: dict[tuple[str, str], list[Outcome]] = {}
    for outcome in table.outcomes:
        found.setdefault((outcome.config.protocol, outcome.evaluation.label), []).append(outcome)
    ordered = sorted(found.items(), key=lambda item: item[0][0])
    return [Method(f"{label}, {mode}", _line(row), _notes(row), row) for (mode, label), row in ordered]


def _line(row: list[Outcome]) -> str:
    protocol: dict[str, Any] = next((outcome.result.protocol for outcome in row if outcome.result), {})
    seeds = len(protocol.get("seeds", []))
    words = [str(protocol.get("data", {}).get("name", "")), str(protocol.get("points", {}).get("picked", ""))]
    words += [f"{seeds} seed{'s' * (seeds != 1)}" if seeds else ""]
    words += [str(protocol.get(name, "")) for name in ("classifier", "scaler", "similarity")]
    return " · ".join(word for word in words if word)


def _notes(row: list[Outcome]) -> list[str]:
    holders: dict[str, list[str]] = {}
    for outcome in row:
        for note in outcome.result.protocol.get("notes", []) if outcome.result else []:
            holders.setdefault(str(note), []).append(outcome.encoder.name)
    measured = sum(outcome.result is not None for outcome in row)
    return [note if len(names) == measured else f"{'; '.join(names)}: {note}" for note, names in holders.items()]


def data_lines(table: Table) -> list[str]:
    """Each data set with its counts and the hash of its split."""
    lines = []
    for outcome in table.outcomes:
        data = outcome.result.protocol["data"] if outcome.result else {}
        counts = [f"{data[key]:,} {word}" for key, word in COUNTS if isinstance(data.get(key), int)]
        split = str(data.get("split_sha256") or "")
        words = [str(data.get("name", "")), *counts, f"split {split[:12]}" if split else ""]
        lines.append(" · ".join(word for word in words if word))
    return [line for line in dict.fromkeys(lines) if line]
