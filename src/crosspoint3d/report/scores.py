"""One table for each evaluation (for all few-shot settings together), with how it was made and its whole record."""

import json
import shlex
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from crosspoint3d.evaluation.result import COUNTS, Result
from crosspoint3d.report.rows import Row, condition_rows, label_of, plain_rows, score_row

KINDS = {
    "linear": "Linear SVM on frozen features",
    "knn": "Nearest neighbours on frozen features",
    "few-shot": "Few-shot",
    "label-fraction": "Linear SVM with few labels",
    "retrieval": "Search among shapes and pictures",
    "cluster": "Clusters against categories",
    "robustness": "Damaged and turned clouds",
}
"""Evaluations in the order of the page, with their titles."""
OTHERS = {"segment": "Part segmentation", "classify": "Classification", "segmentation": "Part segmentation"}
"""Titles of results of fine-tuning, and of what only fine-tuned networks can be measured by."""
MAIN = ("linear", "few-shot", "retrieval")
"""Those that a page should not be without."""
FOLD = 16
"""Scores under conditions beyond this many are folded away where a plot shows them."""


@dataclass(frozen=True)
class ScoreTable:
    """One evaluation: rows, how it was made in one line, what to know about it, and its whole record as JSON.

    `folded` are the rows under conditions, where they are many and a plot shows them.
    """

    kind: str
    title: str
    folder: str
    rows: list[Row]
    protocol: str
    notes: list[str]
    record: str
    folded: list[Row] = field(default_factory=list)


def score_table(folder: str, result: Result) -> ScoreTable:
    """An evaluation as the report shows it."""
    plain, conditioned = plain_rows(result), condition_rows(result)
    fold = bool(plain) and len(conditioned) > FOLD and bool(result.details.get("curves"))
    return ScoreTable(
        kind=result.evaluation,
        title=_title(result),
        folder=folder,
        rows=plain if fold else plain + conditioned,
        protocol=" · ".join(_words(result)),
        notes=_notes(result),
        record=_json(_record(result)),
        folded=conditioned if fold else [],
    )


def few_shot_table(results: Mapping[str, Result]) -> ScoreTable:
    """Several few-shot evaluations, one row each; what differs between them beside the setting makes groups.

    Args:
        results: by their folders; one at least.
    """
    if len(results) == 1:
        return score_table(*next(iter(results.items())))
    words = {folder: _words(result) for folder, result in results.items()}
    common = [word for word in next(iter(words.values())) if all(word in others for others in words.values())]
    rows: list[tuple[Any, str, Row]] = []
    for folder, result in results.items():
        group = " · ".join(word for word in words[folder] if word not in common)
        for name in result.scores:
            label = _setting(result) + ("" if name == "accuracy" else f", {label_of(name)}")
            rows.append(((group, *_ways(result), folder), folder, score_row(result, name, group, label)))
    rows.sort(key=lambda entry: entry[0])
    named = [(row.group, row.label) for _, _, row in rows]
    return ScoreTable(
        kind="few-shot",
        title=KINDS["few-shot"],
        folder="few-shot",
        rows=[
            replace(row, label=f"{row.label} ({folder})") if named.count((row.group, row.label)) > 1 else row
            for _, folder, row in rows
        ],
        protocol=" · ".join(common),
        notes=list(dict.fromkeys(note for result in results.values() for note in _notes(result))),
        record=_json({folder: _record(result) for folder, result in results.items()}),
    )


def command(result: Result) -> str:
    """The command that made a result, without the folder of the program."""
    text = str(result.protocol.get("command", ""))
    try:
        words = shlex.split(text)
    except ValueError:
        return text
    return shlex.join([Path(words[0]).name, *words[1:]]) if words else ""


def _record(result: Result) -> dict[str, Any]:
    record = {key: value for key, value in asdict(result).items() if key != "details"}
    return record | {"protocol": result.protocol | {"command": command(result)}}


def _json(record: dict[str, Any]) -> str:
    return json.dumps(record, indent=1, ensure_ascii=False)


def _notes(result: Result) -> list[str]:
    return [str(note) for note in result.protocol.get("notes", [])]


def _title(result: Result) -> str:
    title = (KINDS | OTHERS).get(result.evaluation, result.evaluation)
    title += " (paper protocol)" * (result.protocol.get("mode") == "paper")
    return f"{title}, {_setting(result)}" if _ways(result) != (0, 0) else title


def _ways(result: Result) -> tuple[int, int]:
    episodes = result.protocol.get("episodes")
    n_way, k_shot = (episodes.get("n_way"), episodes.get("k_shot")) if isinstance(episodes, dict) else (None, None)
    return (n_way, k_shot) if isinstance(n_way, int) and isinstance(k_shot, int) else (0, 0)


def _setting(result: Result) -> str:
    n_way, k_shot = _ways(result)
    return f"{n_way}-way {k_shot}-shot" if n_way else "setting unknown"


def _words(result: Result) -> list[str]:
    protocol = result.protocol
    data = protocol.get("data", {})
    seeds = protocol.get("seeds", [])
    words = [f"{protocol.get('mode', 'unknown')} protocol", str(data.get("name", ""))]
    words += [f"{data[key]:,} {name}" for key, name in COUNTS if isinstance(data.get(key), int)]
    words.append(str(protocol.get("points", {}).get("picked", "")))
    words.append(f"k = {protocol['k']}" if protocol.get("k") else "")
    words.append(f"{len(seeds)} seed{'s' * (len(seeds) != 1)}" if seeds else "")
    words.append(
        next((str(protocol[name]) for name in ("classifier", "similarity", "method") if protocol.get(name)), "")
    )
    if result.evaluation == "linear" and protocol.get("mode") == "clean":
        words.append("C chosen by cross-validation on the train split, for each encoder and seed")
    return [word for word in words if word]
