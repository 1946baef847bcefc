"""A sweep as one HTML page that asks the network for nothing."""

import base64
from collections.abc import Sequence
from importlib import resources
from pathlib import Path
from typing import Any
from urllib.parse import quote

import jinja2

from crosspoint3d import __version__
from crosspoint3d.config_file import to_dict
from crosspoint3d.evaluation.benchmark.text import score_words
from crosspoint3d.runtime import atomic
from crosspoint3d.training.sweep.job import Job
from crosspoint3d.training.sweep.records import summary_of
from crosspoint3d.training.sweep.table import LEVEL, Table
from crosspoint3d.training.sweep.text import cell_words, difference_words

UNINTERESTING = ("out", "seed", "resume")


def write_page(table: Table, jobs: Sequence[Job], path: Path, plot: Path) -> None:
    """Write the page.

    Args:
        table: the table.
        jobs: every run, in folders below the page's.
        path: HTML file.
        plot: PNG that is laid into the page.
    """
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters["url"] = quote
    source = resources.files("crosspoint3d.training.sweep").joinpath("page.html").read_text(encoding="utf-8")
    page = environment.from_string(source).render(
        table=table,
        plan=table.plan,
        name=table.plan.file.stem,
        version=__version__,
        level=LEVEL,
        plot=base64.b64encode(plot.read_bytes()).decode("ascii"),
        runs=[_run(job, path.parent) for job in jobs],
        common=_common(table),
        score_words=score_words,
        cell_words=cell_words,
        difference_words=difference_words,
    )
    with atomic(path) as temporary:
        temporary.write_text(page, encoding="utf-8")


def _run(job: Job, root: Path) -> dict[str, Any]:
    """A run as its line has it: how it was trained, and the records of its evaluations."""
    found, words = summary_of(job), "not finished"
    if found:
        loss = "" if found["loss"] is None else f"loss {found['loss']:.3f}, "
        words = f"{found['steps']:,} steps, {loss}{found['pairs_per_s']:.1f} pairs/s"
    records = [(e.label, out / "result.json") for e in job.evaluations if (out := job.config(e).out)]
    links = [(label, file.relative_to(root).as_posix()) for label, file in records if file.is_file()]
    return {"name": job.name, "words": words, "config": f"{job.run.relative_to(root).as_posix()}/config.yaml",
            "records": links}  # fmt: skip


def _common(table: Table) -> list[tuple[str, str]]:
    """Options that all settings share, as `name` and `value`."""
    plain = [to_dict(setting.config) for setting in table.plan.settings]
    shared = [name for name in plain[0] if all(values[name] == plain[0][name] for values in plain)]
    return [(name, str(plain[0][name])) for name in shared if name not in UNINTERESTING]
