"""`crosspoint3d prepare`: a folder, a list or procedural shapes become a ShapeTable, in parallel and resumable."""

import dataclasses
import json
import threading
import time
from pathlib import Path
from typing import Any

from tqdm import tqdm

from crosspoint3d.config import PrepareConfig, UsageError
from crosspoint3d.config_file import require_at_least
from crosspoint3d.data.pool import make_rows
from crosspoint3d.data.rows import RowSettings
from crosspoint3d.data.sources import Candidate, find
from crosspoint3d.data.summary import PrepareSummary, summarise
from crosspoint3d.data.table import OK, ShapeTable
from crosspoint3d.runtime import atomic, stop_requests

COMMIT_ROWS = 256


def prepare(config: PrepareConfig) -> PrepareSummary:
    """Prepare every shape of `config.source` that `config.out` does not hold yet.

    Raises:
        UsageError: the source is missing, or the table was made from another source or with other settings.
    """
    _validate(config)
    started = time.monotonic()
    found = find(config.source, labels=config.labels, seed=config.seed, leave_out=config.out)
    if not found.candidates:
        return summarise(config, found, {}, 0, started)
    settings = RowSettings(**{f.name: getattr(config, f.name) for f in dataclasses.fields(RowSettings)})
    table = _open(config.out, found.origin, settings)
    if config.retry_failed:
        table.delete_failed()
    known = set(table.column("id"))
    _refuse_relabelling(table, found.candidates)
    missing = [candidate for candidate in found.candidates if candidate.id not in known]
    with stop_requests() as stop:
        _fill(table, missing, settings, config.workers, stop)
    statuses = dict(zip(table.column("id"), table.column("status"), strict=True))
    new = len(statuses) - len(known)
    summary = summarise(config, found, statuses, new, started, interrupted=new < len(missing))
    with atomic(config.out / "prepare.json") as path:
        path.write_text(json.dumps(dataclasses.asdict(summary), indent=1), encoding="utf-8")
    return summary


def _validate(config: PrepareConfig) -> None:
    require_at_least(config, {"points": 16, "views": 1, "image_size": 16, "workers": 0, "seed": 0})
    if ":/" in str(config.out):
        raise UsageError(f"--out {config.out}: tables on object stores are not supported yet; give a folder")


def _open(out: Path, origin: str, settings: RowSettings) -> ShapeTable:
    asked = {"origin": origin} | dataclasses.asdict(settings)
    in_use = out.is_file() or (out.is_dir() and any(out.iterdir()))
    if in_use and not (out / "_versions").is_dir():
        raise UsageError(f"--out {out} exists and is no table: give another folder")
    if not in_use:
        return ShapeTable.create(out, points=settings.points, settings=asked)
    table = ShapeTable(out)
    differ = [
        f"{name} {table.settings.get(name)!r}, now {value!r}"
        for name, value in asked.items()
        if table.settings.get(name) != value
    ]
    if differ:
        raise UsageError(
            f"--out {out} was made with {'; '.join(differ)}: use the same values to go on, or another --out"
        )
    return table


def _refuse_relabelling(table: ShapeTable, candidates: list[Candidate]) -> None:
    labels = zip(table.column("id"), table.column("category"), table.column("split"), strict=True)
    before = {name: (category, split) for name, category, split in labels}
    differ = [
        candidate.id
        for candidate in candidates
        if candidate.procedural is None
        and before.get(candidate.id, (candidate.category, candidate.split)) != (candidate.category, candidate.split)
    ]
    if differ:
        raise UsageError(
            f"--out {table.path} holds {len(differ)} of these shapes with another category or split "
            f"(first: {differ[0]}): prepare them anew into another --out"
        )


def _fill(
    table: ShapeTable, missing: list[Candidate], settings: RowSettings, workers: int, stop: threading.Event
) -> None:
    """Add rows in the order of the candidates, whatever the number of workers; on a stop request keep what is done."""
    done: list[dict[str, Any]] = []
    refused = 0
    bar = tqdm(total=len(missing), unit="shape", desc="prepare", disable=None if missing else True)
    try:
        for row in make_rows(missing, settings, workers, stop):
            done.append(row)
            refused += row["status"] != OK
            bar.set_postfix(refused=refused, refresh=False)
            bar.update()
            if len(done) >= COMMIT_ROWS:
                table.append(done)
                done = []
    finally:
        bar.close()
        table.append(done)
