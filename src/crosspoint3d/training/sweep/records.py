"""A sweep's table as files for other programs: table.csv, and sweep.json with every run and every value."""

import csv
import datetime
import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from crosspoint3d import __version__, runtime
from crosspoint3d.config_file import to_dict
from crosspoint3d.training.run_folder import SUMMARY
from crosspoint3d.training.sweep.job import Job
from crosspoint3d.training.sweep.table import Table

NUMBERS = ("mean", "std", "ci95", "n")
DIFFERENCE = ("mean", "low", "high", "p")


def rows(table: Table) -> list[dict[str, Any]]:
    """Every score of every setting, one a row; numbers are shares from 0 to 1, but for ranks."""
    found = []
    for setting in table.plan.settings:
        for column in table.columns:
            cell = column.cells[setting.name]
            if cell.summary is None:
                continue
            difference = asdict(cell.difference) if cell.difference else {}
            found.append(
                dict(zip(table.heads, table.row(setting), strict=True))
                | {"evaluation": column.evaluation.label, "score": column.score}
                | {name: cell.summary[name] for name in NUMBERS}
                | {"chance": column.chance, "values": {str(seed): value for seed, value in cell.values.items()}}
                | {"difference to": table.plan.baseline.name if difference else None}
                | {f"difference {name}": difference.get(name) for name in DIFFERENCE}
            )
    return found


def write_csv(table: Table, path: Path) -> None:
    """Write `rows`; the values of the seeds as `SEED=VALUE` with `; ` between them."""
    fields = [*table.heads, "evaluation", "score", *NUMBERS, "chance", "values", "difference to"]
    with runtime.atomic(path) as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, [*fields, *(f"difference {name}" for name in DIFFERENCE)])
        writer.writeheader()
        for row in rows(table):
            writer.writerow(row | {"values": "; ".join(f"{seed}={value}" for seed, value in row["values"].items())})


def write_json(table: Table, jobs: Sequence[Job], path: Path) -> None:
    """Write scores, failures, and every run with its config, how it was trained, and the places of its records."""
    content = {
        "file": str(table.plan.file),
        "version": __version__,
        "date": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
        "baseline": table.plan.baseline.name,
        "seeds": list(table.plan.seeds),
        "scores": rows(table),
        "failed": [asdict(failure) for failure in table.failures],
        "runs": [_run(job, path.parent) for job in jobs],
        "notes": table.notes,
    }
    runtime.write_json(path, content)


def _run(job: Job, root: Path) -> dict[str, Any]:
    return {
        "setting": job.setting.name,
        "seed": job.seed,
        "folder": job.run.relative_to(root).as_posix(),
        "config": to_dict(job.setting.config) | {"seed": job.seed, "out": str(job.run)},
        "summary": summary_of(job),
        "records": {e.label: f"{_place(job, e, root)}/result.json" for e in job.evaluations},
    }


def _place(job: Job, evaluation: Any, root: Path) -> str:
    out = job.config(evaluation).out
    assert out is not None
    return out.relative_to(root).as_posix()


def summary_of(job: Job) -> dict[str, Any] | None:
    """How a finished run was trained, as its own summary.json has it; None where it is not finished."""
    if not job.trained:
        return None
    found: dict[str, Any] = json.loads((job.run / SUMMARY).read_text(encoding="utf-8"))
    return {name: value if value == value else None for name, value in found.items()}  # NaN is no JSON
