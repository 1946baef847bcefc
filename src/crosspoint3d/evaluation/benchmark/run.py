"""Run what a benchmark file asks for, one evaluation after the other; what was measured before is kept."""

import hashlib
import json
import re
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from crosspoint3d import __version__
from crosspoint3d.config import BenchmarkConfig, EvaluateConfig, RunError, UsageError
from crosspoint3d.config_file import to_dict
from crosspoint3d.evaluation.benchmark.page import write_page
from crosspoint3d.evaluation.benchmark.plan import Encoder, Evaluation, Plan, read_plan
from crosspoint3d.evaluation.benchmark.records import write_csv, write_json
from crosspoint3d.evaluation.benchmark.sources import content_hash, data_paths, encoder_paths, is_callable, state_hash
from crosspoint3d.evaluation.benchmark.table import Outcome, Table, build_table
from crosspoint3d.evaluation.benchmark.text import score_words, shown, terminal, unit
from crosspoint3d.evaluation.benchmark.verbs import main_scores
from crosspoint3d.evaluation.protocol import code_sha256
from crosspoint3d.evaluation.result import Result
from crosspoint3d.evaluation.result_files import read_result
from crosspoint3d.evaluation.verbs import function
from crosspoint3d.runtime import environment, pick_device

RESULT, ORIGIN = "result.json", "made_by.json"
LONGEST_FOLDER = 60
DECIDES_NOTHING = ("out", "batch_size", "cache")


@dataclass(frozen=True)
class BenchmarkResult:
    """The table, and where it was written.

    Attributes:
        table: scores, published numbers and paired tests.
        folder: holds table.html, table.csv, benchmark.json and results/.
        kept: results that an earlier run had left.
    """

    table: Table
    folder: Path
    kept: int

    @property
    def exit_code(self) -> int:
        """1 if an evaluation failed."""
        return int(any(outcome.error for outcome in self.table.outcomes))

    def __str__(self) -> str:
        kept = f", {self.kept} of them kept from before" if self.kept else ""
        files = [f"{self.folder / name}" for name in ("table.html", "table.csv", "benchmark.json")]
        return f"{terminal(self.table)}\n\n{len(self.table.outcomes)} evaluations{kept}; written: {', '.join(files)}"


@dataclass(frozen=True)
class Job:
    """One cell of the benchmark: what to run, and where its result goes."""

    encoder: Encoder
    evaluation: Evaluation
    config: EvaluateConfig
    folder: Path

    @property
    def name(self) -> str:
        """As a line of progress has it."""
        return f"{self.encoder.name} · {self.evaluation.label} · {self.config.protocol}"


def benchmark(config: BenchmarkConfig) -> BenchmarkResult:
    """Run every encoder of a benchmark file through every evaluation, and lay the scores side by side.

    A result that an earlier run left in `config.out` is kept if config, package version, device, encoder files and data
    files are the same. An evaluation that fails is listed with its message, and the others go on.

    Raises:
        UsageError: the file or what it names cannot be used; nothing was computed then.
    """
    plan = read_plan(config)
    if config.out.exists() and not config.out.is_dir():
        raise UsageError(f"--out {config.out}: is a file; name a folder")
    jobs = _jobs(plan, config.out)
    origins = _Origins()
    ready = [_kept(job, origins) for job in jobs]
    functions = {job.evaluation.verb: function(job.evaluation.verb) for job in jobs}
    kept = sum(result is not None for result in ready)
    _say(f"benchmark: {len(jobs)} evaluations" + (f", {kept} of them kept from {config.out}" if kept else ""))
    outcomes = []
    for number, (job, result) in enumerate(zip(jobs, ready, strict=True), 1):
        place, started, error = f"[{number:{len(str(len(jobs)))}}/{len(jobs)}] {job.name}", time.monotonic(), ""
        if result is not None:
            _say(f"{place}: {_main(job, result)}, kept{_unchecked(job)}")
        else:
            try:
                result = _measured(job, functions[job.evaluation.verb], origins)
                _say(f"{place}: {_main(job, result)}, {time.monotonic() - started:.0f} s")
            except Exception as problem:  # somebody else's encoder, a full GPU or a broken file can raise anything
                told = isinstance(problem, UsageError | RunError) and str(problem)
                error = told or f"{type(problem).__name__}: {problem}".removesuffix(": ")
                _say(f"{place}: failed: {error}")
            except KeyboardInterrupt:
                _say(f"{place}: interrupted; {number - 1} of {len(jobs)} are done, the same command goes on from there")
                raise
        outcomes.append(Outcome(job.encoder, job.evaluation, job.config, _relative(job, config.out), result, error))
    table = build_table(plan, outcomes)
    write_csv(table, config.out / "table.csv")
    write_json(table, config.out / "benchmark.json")
    write_page(table, config.out / "table.html")
    return BenchmarkResult(table, config.out, kept)


def _jobs(plan: Plan, out: Path) -> list[Job]:
    encoders = _folders([encoder.name for encoder in plan.encoders])
    evaluations = _folders([evaluation.label for evaluation in plan.evaluations])
    jobs = []
    for encoder in plan.encoders:
        for evaluation in plan.evaluations:
            if encoder.name not in (evaluation.encoders or [encoder.name]):
                continue
            for protocol in evaluation.protocols:
                folder = out / "results" / encoders[encoder.name] / evaluations[evaluation.label] / protocol
                jobs.append(Job(encoder, evaluation, plan.config(encoder, evaluation, protocol, folder), folder))
    return jobs


def _folders(names: list[str]) -> dict[str, str]:
    """A short and safe folder name for each name; part of its hash is added where that alone tells two apart."""
    folders: dict[str, str] = {}
    for name in names:
        whole = re.sub(r"[^a-z0-9.]+", "-", name.lower()).strip("-.")
        folder = whole[:LONGEST_FOLDER].strip("-.")
        if folder != whole or not folder or folder in folders.values():
            folder = f"{folder}-{hashlib.sha256(name.encode()).hexdigest()[:8]}".strip("-")
        folders[name] = folder
    return folders


class _Origins:
    """What decides a result; every encoder and data set is looked at once."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, str], str] = {}

    def of(self, job: Job) -> dict[str, Any]:
        """Plain values that are equal for two results that must be equal."""
        data = [job.config.data, *getattr(job.config, "transfer", ())]
        values = {name: value for name, value in to_dict(job.config).items() if name not in DECIDES_NOTHING}
        return {
            "version": __version__,
            "code_sha256": code_sha256(),
            "packages": environment()["packages"],
            "evaluation": job.evaluation.verb,
            "config": values | {"device": str(pick_device(job.config.device))},
            "encoder_sha256": self._once("encoder", job.config.encoder),
            "data_files_sha256": [self._once("data", spec) for spec in data],
        }

    def _once(self, kind: str, spec: str) -> str:
        if (kind, spec) not in self._known:
            found = content_hash(encoder_paths(spec)) if kind == "encoder" else state_hash(data_paths(spec))
            self._known[kind, spec] = found
        return self._known[kind, spec]


def _kept(job: Job, origins: _Origins) -> Result | None:
    """The result of an earlier run, if all that decides it is as it was."""
    wanted = json.loads(json.dumps(origins.of(job)))
    try:
        origin = json.loads((job.folder / ORIGIN).read_text(encoding="utf-8"))
        return read_result(job.folder / RESULT) if origin == wanted else None
    except (OSError, ValueError, TypeError):
        return None


def _measured(job: Job, evaluate: Any, origins: _Origins) -> Result:
    """Run one evaluation; what made the result is written last, so that a result without it counts for nothing."""
    origin = origins.of(job)
    (job.folder / ORIGIN).unlink(missing_ok=True)
    result: Result = evaluate(job.config)
    (job.folder / ORIGIN).write_text(json.dumps(origin, indent=1) + "\n", encoding="utf-8")
    return result


def _relative(job: Job, out: Path) -> str:
    return (job.folder / RESULT).relative_to(out).as_posix()


def _main(job: Job, result: Result) -> str:
    name = main_scores(job.evaluation.verb, result.scores)[0]
    return f"{score_words(name)} {shown(name, result.scores[name])} {unit(name)}".rstrip()


def _unchecked(job: Job) -> str:
    return f" (whether its Python function changed is not known: delete {job.folder} if so)" * is_callable(
        job.config.encoder
    )


def _say(line: str) -> None:
    sys.stderr.write(f"{line}\n")
