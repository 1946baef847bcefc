"""A benchmark's table as files for other programs: table.csv in long form, benchmark.json with everything."""

import csv
import datetime
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from crosspoint3d import __version__, runtime
from crosspoint3d.config_file import to_dict
from crosspoint3d.evaluation.benchmark.table import Column, Outcome, Table, cell_published
from crosspoint3d.evaluation.benchmark.verbs import main_scores

FIELDS = ("encoder", "evaluation", "options", "protocol", "score", "mean", "std", "ci95", "n")


def rows(table: Table) -> list[dict[str, Any]]:
    """Every score of every result, one a row; numbers are shares from 0 to 1, but for ranks."""
    found = []
    for outcome in table.outcomes:
        if outcome.result is None:
            continue
        main = main_scores(outcome.evaluation.verb, outcome.result.scores)
        for score, summary in outcome.result.scores.items():
            numbers = cell_published(outcome, score, first=score == main[0])
            found.append(
                _place(outcome)
                | {"score": score}
                | {name: summary[name] for name in ("mean", "std", "ci95", "n")}
                | {
                    "chance": outcome.result.chance.get(score),
                    "published": [round(number.value / 100, 6) for number in numbers],
                    "source": [number.source for number in numbers],
                    "result file": outcome.file,
                }
            )
    return found


def _place(outcome: Outcome) -> dict[str, Any]:
    options = {name: list(v) if isinstance(v, tuple) else v for name, v in outcome.evaluation.options.items()}
    return {
        "encoder": outcome.encoder.name,
        "evaluation": outcome.evaluation.verb,
        "options": options,
        "protocol": outcome.config.protocol,
    }


def write_csv(table: Table, path: Path) -> None:
    """Write `rows`; options as JSON, several published numbers of one score with `; ` between them."""
    with runtime.atomic(path) as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, [*FIELDS, "chance", "published", "source", "result file"])
        writer.writeheader()
        for row in rows(table):
            joined = {name: "; ".join(str(value) for value in row[name]) for name in ("published", "source")}
            writer.writerow(row | joined | {"options": json.dumps(row["options"]) if row["options"] else ""})


def write_json(table: Table, path: Path) -> None:
    """Write scores, tests, published numbers, failures and every config."""
    content = {
        "file": str(table.file),
        "version": __version__,
        "date": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
        "encoders": [{"name": encoder.name, "encoder": encoder.encoder} for encoder in table.encoders],
        "scores": rows(table),
        "tests": [_tests(column) for column in table.columns],
        "published": [
            {"evaluation": column.evaluation.label, "protocol": column.protocol, "row": cell.outcome.encoder.name}
            | asdict(number)
            for column in table.columns
            for cell in column.cells.values()
            for number in cell.published
        ],
        "failed": [_place(outcome) | {"error": outcome.error} for outcome in table.outcomes if outcome.error],
        "configs": [to_dict(outcome.config) for outcome in table.outcomes],
        "notes": table.notes,
    }
    runtime.write_json(path, content)


def _tests(column: Column) -> dict[str, Any]:
    return {
        "evaluation": column.evaluation.label,
        "protocol": column.protocol,
        "score": column.score,
        "best": column.best,
        "pairs": [asdict(comparison) for comparison in column.comparisons],
    }
