"""Run what a sweep file asks for, several runs at a time; what is finished is kept, what broke off is gone on with."""

import json
import os
import shlex
import shutil
import signal
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import torch

from crosspoint3d.config import SweepConfig
from crosspoint3d.evaluation.benchmark.text import score_words, shown, unit
from crosspoint3d.evaluation.benchmark.verbs import main_scores
from crosspoint3d.evaluation.seeds import check_out
from crosspoint3d.training.sweep.job import STOPPED, Job, jobs_of
from crosspoint3d.training.sweep.notes import notes_on_code, notes_on_runs
from crosspoint3d.training.sweep.page import write_page
from crosspoint3d.training.sweep.plan import Plan, read_plan
from crosspoint3d.training.sweep.plot import draw_table
from crosspoint3d.training.sweep.processes import Task, ending, locked, run_tasks, shares
from crosspoint3d.training.sweep.records import write_csv, write_json
from crosspoint3d.training.sweep.results import kept
from crosspoint3d.training.sweep.table import Failure, Table, build_table
from crosspoint3d.training.sweep.text import terminal

FILES = ("table.html", "table.csv", "table.png", "sweep.json")
COPY = "sweep.yaml"
TRAINING = "pretrain"
BROKEN_OFF = "broken off by a signal"
NOT_KEPT = "its encoder or its data changed while it was measured; run the same command again"
STOPS = (STOPPED, -signal.SIGTERM, -signal.SIGINT)


@dataclass(frozen=True)
class SweepResult:
    """The table, and where it was written.

    Attributes:
        table: settings by scores.
        jobs: every run.
        folder: holds the files of the table, runs/ and jobs/.
        stopped: the command that goes on, where Ctrl-C or SIGTERM ended the sweep; else empty.
    """

    table: Table
    jobs: list[Job]
    folder: Path
    stopped: str

    @property
    def exit_code(self) -> int:
        """130 if stopped, 1 if a run or an evaluation failed."""
        return STOPPED if self.stopped else int(bool(self.table.failures))

    def __str__(self) -> str:
        files = ", ".join(str(self.folder / name) for name in FILES if (self.folder / name).is_file())
        text = f"{terminal(self.table)}\n\n{len(self.jobs)} runs; written: {files}"
        if self.stopped:
            text += f"\nstopped with {self.table.missing} of {len(self.jobs)} runs to do; go on with: {self.stopped}"
        elif self.table.failures:
            text += "\nthe same command tries again what failed, and keeps the rest"
        return text


@dataclass(frozen=True)
class DryRun:
    """What would be run."""

    plan: Plan
    jobs: list[Job]

    def __str__(self) -> str:
        plan = self.plan
        lines = [f"{len(plan.settings)} settings by {len(plan.seeds)} seeds, {len(self.jobs)} runs:"]
        for job in self.jobs:
            baseline = " (baseline)" if job.setting is plan.baseline and len(plan.settings) > 1 else ""
            lines.append(f"  {job.name}{baseline}: {_state(job)}; {job.run}")
        lines += ["each run is measured by:"]
        lines += [f"  {e.label} on {e.config.data}, {e.config.protocol} protocol" for e in plan.evaluations]
        return "\n".join(lines)


def sweep(config: SweepConfig) -> SweepResult | DryRun:
    """Pre-train every setting of a sweep file by every seed, evaluate each run, and lay the scores side by side.

    A finished run is kept if all that decides its weights is the same, an evaluation if all that decides its scores is.
    A run that fails is listed with its reason, and the others go on.

    Raises:
        UsageError: the file or what it names cannot be used, or another sweep is at work in `out`.
    """
    plan = read_plan(config)
    check_out(config.out)
    jobs = jobs_of(plan, config.out)
    if config.dry_run:
        return DryRun(plan, jobs)
    with locked(config.out) as lock:
        shutil.copyfile(config.file, config.out / COPY)
        todo = [(job, missing) for job in jobs if (missing := job.missing())]
        finished = len(jobs) - len(todo)
        _say(f"sweep: {len(jobs)} runs" + (f", {finished} of them kept from {config.out}" if finished else ""))
        reasons: dict[str, dict[str, str]] = {}
        started: dict[int, float] = {}

        def begun(number: int) -> None:
            job, missing = todo[number]
            started[number] = time.monotonic()
            _say(f"{_place(number, len(todo))} {job.name}: {_state(job)}; log: {job.log}")
            job.write(missing)

        def ended(number: int, code: int) -> None:
            job, _ = todo[number]
            reasons[job.name] = _reasons(job, code)
            seconds = time.monotonic() - started[number]
            _say(f"{_place(number, len(todo))} {job.name}: {_news(job, reasons[job.name])}, {seconds:.0f} s")

        tasks = [Task(job.name, _command(job), job.log) for job, _ in todo]
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        places = min(config.jobs, max(1, len(tasks)))
        slots = shares(places, cores, torch.cuda.device_count(), dict(os.environ))
        done = run_tasks(tasks, slots, begun=begun, ended=ended, lock=lock)
        table = _table(plan, jobs, reasons, stopped=not done)
        _write(table, jobs, config.out)
    return SweepResult(table, jobs, config.out, "" if done else _again(config))


def _place(number: int, count: int) -> str:
    return f"[{number + 1:{len(str(count))}}/{count}]"


def _command(job: Job) -> list[str]:
    return [sys.executable, "-m", "crosspoint3d.training.sweep", str(job.file)]


def _again(config: SweepConfig) -> str:
    words = ["crosspoint3d", "sweep", str(config.file), "--out", str(config.out)]
    words += ["--jobs", str(config.jobs)] if config.jobs > 1 else []
    return shlex.join(words + (["--device", config.device] if config.device != "auto" else []))


def _state(job: Job) -> str:
    if job.trained:
        missing = [evaluation.label for evaluation in job.missing()]
        return f"trained; to measure: {', '.join(missing)}" if missing else "finished"
    if any((job.run / "checkpoint").glob("*.pt")):
        return "goes on from its checkpoint"
    return "to train"


def _reasons(job: Job, code: int) -> dict[str, str]:
    """Why a run or some of its evaluations are not done, by stage; nothing where all went well."""
    stage = "evaluation" if job.trained else TRAINING
    if code in STOPS:
        return {stage: BROKEN_OFF}
    try:
        outcome = json.loads(job.outcome.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {} if code == 0 else {stage: ending(code)}
    reasons = {TRAINING: str(outcome["trained"])} if outcome["trained"] else {}
    reasons.update(outcome["evaluations"])
    return reasons


def _news(job: Job, reasons: dict[str, str]) -> str:
    """What a run came to, in a line."""
    words = [f"{stage} {'' if reason == BROKEN_OFF else 'failed: '}{reason}" for stage, reason in reasons.items()]
    for evaluation in job.evaluations if job.trained else []:
        if evaluation.label not in reasons and (result := kept(evaluation.verb, job.config(evaluation))):
            score = main_scores(evaluation.verb, result.scores)[0]
            value = f"{shown(score, result.scores[score])} {unit(score)}".rstrip()
            words.append(f"{evaluation.label} {score_words(score)} {value}")
    return "; ".join(words) or "done"


def _table(plan: Plan, jobs: list[Job], reasons: dict[str, dict[str, str]], *, stopped: bool) -> Table:
    measured, failures, missing = {}, [], 0
    for job in jobs:
        for evaluation in job.evaluations if job.trained else []:
            if result := kept(evaluation.verb, job.config(evaluation)):
                measured[job.setting.name, job.seed, evaluation.label] = result
        if all((job.setting.name, job.seed, evaluation.label) in measured for evaluation in job.evaluations):
            continue
        missing += 1
        given = reasons.get(job.name) or {"evaluation": BROKEN_OFF if stopped else NOT_KEPT}
        for stage, reason in given.items():
            if not (stopped and reason == BROKEN_OFF):
                failures.append(Failure(job.name, stage, reason, str(job.log)))
    notes = [*notes_on_runs(jobs), *notes_on_code(measured.values())]
    return build_table(plan, measured, failures, missing, notes)


def _write(table: Table, jobs: list[Job], out: Path) -> None:
    write_csv(table, out / "table.csv")
    write_json(table, jobs, out / "sweep.json")
    if table.shown:
        draw_table(table, out / "table.png")
        write_page(table, jobs, out / "table.html", out / "table.png")


def _say(line: str) -> None:
    sys.stderr.write(f"{line}\n")
