"""One evaluation's result, and how a terminal shows it."""

from dataclasses import dataclass
from typing import Any

from crosspoint3d.evaluation.class_tables import class_table, hardest_lines
from crosspoint3d.evaluation.part_tables import lowest_lines
from crosspoint3d.evaluation.score_names import by_condition

COUNTS = (
    ("train_shapes", "train shapes"),
    ("val_shapes", "val shapes"),
    ("test_shapes", "test shapes"),
    ("shapes", "shapes"),
    ("pictures", "pictures"),
    ("categories", "categories"),
)


@dataclass(frozen=True)
class Result:
    """One evaluation, as `result.json` holds it.

    Attributes:
        evaluation: its verb, such as linear.
        scores: of the encoder: name -> mean, std, ci95 (half width of the 95 % t interval), n, values;
            shares are 0 to 1.
        untrained: the same of the same architecture with fresh weights, under the same choices; empty where there is
            no such encoder.
        chance: what guessing scores.
        protocol: everything that decides the numbers.
        details: what is worth keeping beyond the scores (confusion matrices, accuracy of each category).
    """

    evaluation: str
    scores: dict[str, dict[str, Any]]
    untrained: dict[str, dict[str, Any]]
    chance: dict[str, float]
    protocol: dict[str, Any]
    details: dict[str, Any]

    def __str__(self) -> str:
        return format_table(self)


def format_table(result: Result) -> str:
    """The result as lines for a terminal: encoder, untrained twin and chance side by side, then the notes.

    Where untrained twins are no option there is no column for them.
    """
    protocol, data = result.protocol, result.protocol["data"]
    counts = [f"{data[key]:,} {word}" for key, word in COUNTS if key in data]
    seeds = len(protocol["seeds"])
    head = f"{result.evaluation} · {data['name']} · {', '.join(counts)}"
    twins = "untrained" in protocol["config"] or bool(result.untrained)
    columns = ("encoder", "untrained", "chance") if twins else ("score", "chance")
    rows: list[tuple[str, ...]] = [("", *columns)]
    for start, names in by_condition(result.scores).items():
        grouped = len(names) > 1
        rows += [(start, *[""] * len(columns))] * grouped
        rows += [("  " + name.removeprefix(start) if grouped else name, *_cells(name, result, twins)) for name in names]
    widths = [max(len(row[column]) for row in rows) for column in range(1 + len(columns))]
    lines = [
        head,
        f"{protocol['mode']} protocol, {seeds} seed{'s' * (seeds > 1)}, {protocol['points']['picked']}",
        "",
    ]
    for row in rows:
        cells = [
            row[0].ljust(widths[0]),
            *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True)),
        ]
        lines.append("  ".join(cells).rstrip())
    if any(score["n"] > 1 for score in result.scores.values()):
        lines += ["", "± is the 95 % confidence interval of the mean"]
    hardest = hardest_lines(class_table(result.details, seeds)) or lowest_lines(result.details, seeds)
    lines += [""] * bool(hardest) + hardest
    return "\n".join(lines + [f"note: {note}" for note in protocol["notes"]])


def _cells(name: str, result: Result, twins: bool) -> list[str]:
    absent = "not available" if result.protocol["config"].get("untrained", True) else "not asked for"
    twin = _cell(name, result.untrained[name]) if name in result.untrained else absent
    return [_cell(name, result.scores[name]), *[twin] * twins, _chance(name, result.chance)]


def _cell(name: str, score: dict[str, Any]) -> str:
    factor, unit = (1, "") if name.endswith("rank") else (100, " %")
    spread = f" ± {score['ci95'] * factor:.1f}" if score["n"] > 1 else ""
    return f"{score['mean'] * factor:.1f}{spread}{unit}"


def _chance(name: str, chance: dict[str, float]) -> str:
    return _cell(name, {"mean": chance[name], "n": 1}) if name in chance else ""
