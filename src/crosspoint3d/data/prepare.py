"""`crosspoint3d prepare`: a folder, a list or procedural shapes become a ShapeTable, in parallel and resumable."""

import dataclasses
import json
import re
import threading
import time
from itertools import compress
from pathlib import Path
from typing import Any

from tqdm import tqdm

from crosspoint3d.address import SCHEMES, is_url
from crosspoint3d.config import PrepareConfig, RunError, UsageError
from crosspoint3d.config_file import require_at_least
from crosspoint3d.data import pool, ray_rows
from crosspoint3d.data.dedup import DUPLICATE, Duplicates, same_geometry
from crosspoint3d.data.location import read_text, write_text
from crosspoint3d.data.part_names import PartNames
from crosspoint3d.data.prepared_table import open_table, refuse_relabelling
from crosspoint3d.data.ray_cluster import check_ray
from crosspoint3d.data.rows import RowSettings
from crosspoint3d.data.sources import Candidate, find
from crosspoint3d.data.summary import PrepareSummary, summarise
from crosspoint3d.data.table import OK, ShapeTable
from crosspoint3d.runtime import stop_requests

COMMIT_ROWS = 256
SUMMARY = "prepare.json"


def prepare(config: PrepareConfig) -> PrepareSummary:
    """Prepare every shape of `config.source` that `config.out` does not hold yet.

    Raises:
        UsageError: the source is missing, or the table was made from another source or with other settings.
        RunError: the table cannot be written, or read; what was committed before is kept.
    """
    _validate(config)
    started = time.monotonic()
    leave_out = None if is_url(config.out) else config.out
    found = find(
        config.source, labels=config.labels, seed=config.seed, leave_out=leave_out, part_labels=config.part_labels
    )
    if not found.candidates:
        return summarise(config, found, {}, set(), 0, started)
    table, settings = open_table(config, found)
    candidates = _in_the_only_category(found.candidates, settings.names)
    if config.retry_failed:
        table.delete_failed(keep=DUPLICATE)
    known = set(table.column("id"))
    refuse_relabelling(table, candidates)
    missing = [candidate for candidate in candidates if candidate.id not in known]
    outdated = _changed_labels(config.out, [each for each in candidates if each.id in known])
    duplicates = Duplicates(*_geometries(table)) if config.drop_duplicates else None
    with stop_requests() as stop:
        _fill(table, missing, settings, config, stop, duplicates)
    statuses = dict(zip(table.column("id"), table.column("status"), strict=True))
    labelled = set(compress(table.column("id"), table.filled("parts")))
    notes = zip(table.column("id"), table.column("notes"), strict=True) if table.has("notes") else ()
    new = len(statuses) - len(known)
    summary = summarise(
        config,
        found,
        statuses,
        labelled,
        new,
        started,
        outdated=outdated,
        interrupted=new < len(missing),
        duplicates=same_geometry(*_geometries(table)),
        notes={name: note for name, note in notes if note is not None and statuses[name] == OK},
    )
    try:
        values = dataclasses.asdict(summary) | {"written": time.time()}
        write_text(config.out, SUMMARY, json.dumps(values, indent=1))
    except OSError as error:
        raise RunError(
            f"--out {config.out}: all {len(statuses):,} rows are kept, but prepare.json cannot be written "
            f"({error.strerror or error}); make room or give permission and run the same command again"
        ) from error
    return summary


def _geometries(table: ShapeTable) -> tuple[list[str], list[str], list[str | None]]:
    """Ids, statuses and hashes of the geometry; tables of earlier versions hold no hashes."""
    contents = table.column("content") if table.has("content") else [None] * len(table)
    return table.column("id"), table.column("status"), contents


def _validate(config: PrepareConfig) -> None:
    require_at_least(config, {"points": 16, "views": 1, "image_size": 16, "workers": 0, "seed": 0})
    if config.engine == "ray":
        check_ray(config.address)
    elif config.address:
        raise UsageError(f"--address {config.address}: only with --engine ray, which it is the cluster of")
    if re.match(r"[a-z][a-z0-9+.-]+:(/|$)", config.out.as_posix()) and not is_url(config.out):
        kinds = ", ".join(f"{scheme}://" for scheme in SCHEMES)
        raise UsageError(f"--out {config.out}: give a folder, or the URL of a place on an object store ({kinds})")
    if config.source.startswith("procedural:") and (config.parts is not None or config.part_labels != "auto"):
        raise UsageError("--parts, --part-labels: procedural shapes have parts of their own; leave both out")
    if config.parts is not None and config.part_labels == "none":
        raise UsageError(f"--parts {config.parts}: --part-labels none reads no labels; leave one of them out")


def _in_the_only_category(candidates: list[Candidate], names: PartNames | None) -> list[Candidate]:
    """Shapes without a category belong to that of the parts, where there is one only."""
    if names is None or len(names.table.categories) != 1:
        return candidates
    return [dataclasses.replace(each, category=each.category or names.table.categories[0]) for each in candidates]


def _changed_labels(out: Path, candidates: list[Candidate]) -> list[str]:
    """Shapes whose label file was written after the last run."""
    try:
        then = json.loads(read_text(out, SUMMARY))["written"] if is_url(out) else (out / SUMMARY).stat().st_mtime
    except (FileNotFoundError, ValueError, KeyError):
        return []
    files = {each.id: Path(each.face_labels) for each in candidates if each.face_labels is not None}
    return [name for name, path in files.items() if path.stat().st_mtime > then]


def _fill(
    table: ShapeTable,
    missing: list[Candidate],
    settings: RowSettings,
    config: PrepareConfig,
    stop: threading.Event,
    duplicates: Duplicates | None,
) -> None:
    """Add rows in the order of the candidates, whatever the number of workers; on a stop request keep what is done."""
    done: list[dict[str, Any]] = []
    refused = 0
    if config.engine == "ray":
        rows = ray_rows.make_rows(missing, settings, config.workers, stop, config.address)
    else:
        rows = pool.make_rows(missing, settings, config.workers, stop)
    bar = tqdm(total=len(missing), unit="shape", desc="prepare", disable=None if missing else True)
    try:
        for row in rows:
            done.append(row if duplicates is None else duplicates.checked(row))
            refused += done[-1]["status"] != OK
            bar.set_postfix(refused=refused, refresh=False)
            bar.update()
            if len(done) >= COMMIT_ROWS:
                batch, done = done, []  # a batch that the disk did not take is not tried again below
                table.append(batch)
    finally:
        bar.close()
        table.append(done)
