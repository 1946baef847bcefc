"""Evaluation results in words and bars: the trained encoder, its untrained twin and chance side by side."""

import json
import shlex
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from crosspoint3d.evaluation.protocol import Result

KINDS = {
    "linear": "Linear SVM on frozen features",
    "few-shot": "Few-shot",
    "retrieval": "Search across pictures and shapes",
}
MAIN = {"linear": "overall_accuracy", "few-shot": "accuracy", "retrieval": "picture_to_shape_recall@1"}
_GROUPS = {"picture_to_shape_": "Picture → shape", "shape_to_picture_": "Shape → picture"}


@dataclass(frozen=True)
class Bar:
    """Places on a track from 0 to 100: mean, low and high end of both intervals, and chance (None: unknown)."""

    trained: tuple[float, float, float]
    untrained: tuple[float, float, float]
    chance: float | None


@dataclass(frozen=True)
class Row:
    """One score as text; `tone` is better, worse or open (the intervals overlap, or there are none)."""

    group: str
    label: str
    trained: str
    untrained: str
    chance: str
    difference: str
    tone: str
    bar: Bar | None


@dataclass(frozen=True)
class ScoreTable:
    """One evaluation: rows, how it was made in one line, what to know about it, and its whole record as JSON."""

    kind: str
    title: str
    folder: str
    rows: list[Row]
    protocol: str
    notes: list[str]
    record: str


def score_table(folder: str, result: Result) -> ScoreTable:
    """An evaluation as the report shows it."""
    record = {key: value for key, value in asdict(result).items() if key != "details"}
    record["protocol"] = result.protocol | {"command": command(result)}
    return ScoreTable(
        kind=result.evaluation,
        title=_title(result),
        folder=folder,
        rows=[_row(name, result) for name in result.scores],
        protocol=_one_line(result),
        notes=[str(note) for note in result.protocol.get("notes", [])],
        record=json.dumps(record, indent=1, ensure_ascii=False),
    )


def command(result: Result) -> str:
    """The command that made a result, without the folder of the program."""
    text = str(result.protocol.get("command", ""))
    try:
        words = shlex.split(text)
    except ValueError:
        return text
    return shlex.join([Path(words[0]).name, *words[1:]]) if words else ""


def percent(value: float) -> str:
    """A share from 0 to 1 as a percentage with one decimal."""
    return f"{100 * value:.1f} %"


def spread(name: str, score: dict[str, Any]) -> str:
    """Mean and half width of the 95 % interval; `name` decides whether it is a share or a rank."""
    factor, unit = _unit(name)
    interval = f" ± {score['ci95'] * factor:.1f}" if score["n"] > 1 else ""
    return f"{score['mean'] * factor:.1f}{interval}{unit}"


def verdict(name: str, trained: dict[str, Any], untrained: dict[str, Any]) -> tuple[str, str]:
    """The difference as text, and whether it is better, worse or open: decided only where the intervals are apart."""
    factor, unit = _unit(name)
    difference = (trained["mean"] - untrained["mean"]) * factor
    apart = abs(trained["mean"] - untrained["mean"]) > trained["ci95"] + untrained["ci95"]
    known = min(trained["n"], untrained["n"]) > 1 and apart
    good = difference < 0 if name.endswith("rank") else difference > 0
    words = f"{difference:+.1f}".replace("-", "−") + (" points" if unit else "")
    return words, ("better" if good else "worse") if known else "open"


def _unit(name: str) -> tuple[int, str]:
    return (1, "") if name.endswith("rank") else (100, " %")


def _row(name: str, result: Result) -> Row:
    trained, untrained = result.scores[name], result.untrained.get(name)
    chance = result.chance.get(name)
    prefix = next((prefix for prefix in _GROUPS if name.startswith(prefix)), "")
    difference, tone = verdict(name, trained, untrained) if untrained else ("", "open")
    label = name.removeprefix(prefix).replace("_", " ")
    return Row(
        group=_GROUPS.get(prefix, ""),
        label=label[:1].upper() + label[1:],
        trained=spread(name, trained),
        untrained=spread(name, untrained) if untrained else "not measured",
        chance="" if chance is None else spread(name, {"mean": chance, "n": 1}),
        difference=difference,
        tone=tone,
        bar=None if name.endswith("rank") or untrained is None else _bar(trained, untrained, chance),
    )


def _bar(trained: dict[str, Any], untrained: dict[str, Any], chance: float | None) -> Bar:
    def place(value: float) -> float:
        return round(100 * min(max(value, 0.0), 1.0), 2)

    def places(score: dict[str, Any]) -> tuple[float, float, float]:
        mean, half = score["mean"], score["ci95"]
        return place(mean), place(mean - half), place(mean + half)

    return Bar(places(trained), places(untrained), None if chance is None else place(chance))


def _title(result: Result) -> str:
    title = KINDS.get(result.evaluation, result.evaluation)
    episodes = result.protocol.get("episodes")
    if isinstance(episodes, dict):
        title += f", {episodes.get('n_way')}-way {episodes.get('k_shot')}-shot"
    return title


def _one_line(result: Result) -> str:
    protocol = result.protocol
    data = protocol.get("data", {})
    seeds = protocol.get("seeds", [])
    words = [f"{protocol.get('mode', 'unknown')} protocol", str(data.get("name", ""))]
    words += [f"{data[key]:,} {name}" for key, name in _COUNTS if isinstance(data.get(key), int)]
    words.append(str(protocol.get("points", {}).get("picked", "")))
    words.append(f"k = {protocol['k']}" if protocol.get("k") else "")
    words.append(f"{len(seeds)} seed{'s' * (len(seeds) != 1)}" if seeds else "")
    words.append(str(protocol.get("classifier", "")) or str(protocol.get("similarity", "")))
    if result.evaluation == "linear" and protocol.get("mode") == "clean":
        words.append("C chosen by cross-validation on the train split, for each encoder and seed")
    return " · ".join(word for word in words if word)


_COUNTS = (
    ("train_shapes", "train shapes"),
    ("test_shapes", "test shapes"),
    ("shapes", "shapes"),
    ("categories", "categories"),
)
