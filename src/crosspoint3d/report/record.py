"""Everything about a run that is not a score: cards for the top of the page, config, data, environment, timings."""

import dataclasses
import json
from collections import Counter
from collections.abc import Sequence
from typing import Any

from crosspoint3d.config import PretrainConfig, RunError
from crosspoint3d.data.location import read_text
from crosspoint3d.data.table import OK, ShapeTable
from crosspoint3d.report.rows import percent, spread, verdict
from crosspoint3d.report.run import RunRecord
from crosspoint3d.report.scores import MAIN


@dataclasses.dataclass(frozen=True)
class Card:
    """A number at the top of the page; `tone` is better, worse, open, or plain."""

    label: str
    value: str
    lines: list[str]
    tone: str = "plain"
    spread: str = ""


@dataclasses.dataclass(frozen=True)
class Entry:
    """A name with its value; `marked` where it is not the default."""

    name: str
    value: str
    marked: bool = False


_CARDS = {
    "linear": [("overall_accuracy", "Linear accuracy", "")],
    "few-shot": [("accuracy", "Few-shot accuracy", "")],
    "retrieval": [
        ("picture_to_shape_recall@1", "Search recall@1", "picture → shape"),
        ("shape_to_shape_map", "Search mAP", "shape → shape"),
    ],
}


def cards(run: RunRecord) -> list[Card]:
    """The main numbers of a run."""
    shown = [_score_card(run, kind) for kind in MAIN if kind != "few-shot" or run.of_kind(kind)]
    speed, seconds = run.summary.get("pairs_per_s"), run.summary.get("seconds")
    last = run.metrics[-1] if run.metrics else {}
    steps = run.summary.get("steps", last.get("step"))
    training = Card("Training steps", "?" if steps is None else f"{steps:,}", [], "plain")
    if last:
        training.lines.append(f"epoch {int(last.get('epoch', 0)) + 1}")
    if isinstance(last.get("loss"), int | float):
        training.lines.append(f"last loss {last['loss']:.3f}")
    time = Card("Training time", "?" if seconds is None else duration(seconds), [], "plain")
    if speed:
        time.lines.append(f"{speed:,.1f} pairs/s")
    return [*shown, training, time]


def _score_card(run: RunRecord, kind: str) -> Card:
    results = run.of_kind(kind)
    known = [entry for entry in _CARDS[kind] if results and entry[0] in results[0].scores]
    if not known:
        return Card(_CARDS[kind][0][1], "–", ["not measured yet"])
    name, title, words = known[0]
    result = results[0]
    trained, untrained, chance = result.scores[name], result.untrained.get(name), result.chance.get(name)
    lines, tone = [words] * bool(words), "plain"
    if untrained:
        difference, tone = verdict(name, trained, untrained)
        lines += [f"untrained {spread(name, untrained)}", f"difference {difference}"]
    if chance:
        times = f" (× {trained['mean'] / chance:.0f})" if trained["mean"] >= 2 * chance else ""
        lines.append(f"chance {percent(chance)}{times}")
    interval = f"± {100 * trained['ci95']:.1f}" if trained["n"] > 1 else ""
    return Card(title, percent(trained["mean"]), lines, tone, interval)


def subtitle(run: RunRecord) -> str:
    """Encoder, image encoder and data in one line."""
    words = [network_name(str(run.encoder.get("kind", "encoder")), run.encoder.get("encoder", {}))]
    if run.image_encoder:
        words.append(f"pictures by {run.image_encoder.get('encoder', {}).get('name', 'an image encoder')}")
    words.append("trained without labels on " + (", ".join(table_paths(run)) or "unrecorded data"))
    return " · ".join(words)


def network_name(kind: str, arguments: dict[str, Any]) -> str:
    """An architecture with its arguments, such as DGCNN (k 20, emb_dims 1024)."""
    names = {
        "dgcnn": "DGCNN",
        "dgcnn-partseg": "DGCNN (part segmentation trunk)",
        "pointnet": "PointNet",
        "pointnet-partseg": "PointNet (part segmentation trunk)",
        "transformer": "Point transformer",
    }
    words = ", ".join(f"{name} {_plain(value)}" for name, value in arguments.items() if name != "kind")
    return f"{names.get(kind, kind)} ({words})" if words else names.get(kind, kind)


def table_paths(run: RunRecord) -> list[str]:
    """The tables that the run was trained on, as recorded."""
    data = run.config.get("data", run.encoder.get("data", []))
    return [str(path) for path in (data if isinstance(data, list) else [data])]


def config_entries(values: dict[str, Any], kind: type = PretrainConfig) -> list[Entry]:
    """Every value of a config.yaml; marked where it differs from the default of that kind of config."""
    usual = {f.name: f.default for f in dataclasses.fields(kind) if f.default is not dataclasses.MISSING}
    plain = {name: list(value) if isinstance(value, tuple) else value for name, value in usual.items()}
    return [Entry(name, _plain(value), marked=name in plain and plain[name] != value) for name, value in values.items()]


def environment_entries(summary: dict[str, Any]) -> list[Entry]:
    """Versions and machine of the training, as recorded at its end."""
    flat: list[Entry] = []
    for name, value in summary.get("environment", {}).items():
        if isinstance(value, dict):
            flat += [Entry(inner, _plain(version)) for inner, version in value.items()]
        else:
            flat.append(Entry(name, _plain(value)))
    return flat


def timing_entries(run: RunRecord, tables: Sequence[ShapeTable]) -> list[Entry]:
    """How long each step of the work took, where it was recorded."""
    entries = []
    for table in tables:
        seconds = _prepared(table).get("seconds")
        if isinstance(seconds, int | float):
            entries.append(Entry(f"prepare {table.path} (last call)", duration(seconds)))
    if "seconds" in run.summary:
        entries.append(Entry("pretrain (last call)", duration(run.summary["seconds"])))
    for folder, result in run.results.items():
        if "seconds" in result.protocol:
            entries.append(Entry(f"evaluate {folder}", duration(result.protocol["seconds"])))
    return entries


def data_entries(table: ShapeTable) -> list[Entry]:
    """What a table holds."""
    rows = table.select().tolist()
    splits = Counter(split or "no split" for split in table.column("split", rows))
    categories = {category for category in table.column("category", rows) if category}
    refused = sum(status != OK for status in table.column("status"))
    shapes = ", ".join(f"{count:,} {split}" for split, count in sorted(splits.items(), key=lambda item: -item[1]))
    entries = [
        Entry("shapes", f"{len(rows):,} ({shapes})" if shapes else "0"),
        Entry("refused", f"{refused:,}"),
        Entry("categories", str(len(categories) or "none")),
    ]
    return entries + [
        Entry(name.replace("_", " "), _plain(value)) for name, value in table.settings.items() if name != "parts_table"
    ]


def duration(seconds: float | int) -> str:
    """Seconds in the words a reader would use: 8.4 s, 47 s, 3 min 20 s, 2 h 5 min."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    minutes = round(seconds / 60)
    return f"{minutes // 60} h {minutes % 60} min"


def _prepared(table: ShapeTable) -> dict[str, Any]:
    try:
        values = json.loads(read_text(table.path, "prepare.json"))
    except (OSError, ValueError, RunError):
        return {}
    return values if isinstance(values, dict) else {}


def _plain(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if value is None:
        return "none"
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, list | tuple):
        return ", ".join(_plain(item) for item in value) or "none"
    return str(value)
