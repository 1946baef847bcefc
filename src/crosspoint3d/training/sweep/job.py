"""One run of a sweep: where it lies, what is still to be done of it, and the file that tells its process so."""

import hashlib
import json
from dataclasses import dataclass, replace
from pathlib import Path

from crosspoint3d.config import EvaluateConfig
from crosspoint3d.config_file import to_dict
from crosspoint3d.runtime import atomic
from crosspoint3d.training.run_folder import SUMMARY
from crosspoint3d.training.sweep.plan import Evaluation, Plan, Setting, with_seed
from crosspoint3d.training.sweep.results import kept

STOPPED = 130
LONGEST_FOLDER = 60


@dataclass(frozen=True)
class Job:
    """One run: a setting with a seed, where it lies, and what it is measured by.

    Attributes:
        setting, seed: which.
        run: its run folder.
        file: what its process reads; the log and the outcome lie beside it.
    """

    setting: Setting
    seed: int
    run: Path
    file: Path
    evaluations: list[Evaluation]

    @property
    def name(self) -> str:
        """As a line of progress has it."""
        return f"{self.setting.name} · seed {self.seed}"

    @property
    def log(self) -> Path:
        """What the process wrote."""
        return self.file.with_suffix(".log")

    @property
    def outcome(self) -> Path:
        """What became of it, as the process put it."""
        return self.file.with_suffix(".outcome.json")

    @property
    def trained(self) -> bool:
        """Whether pre-training is finished."""
        return (self.run / SUMMARY).is_file()

    def config(self, evaluation: Evaluation) -> EvaluateConfig:
        """The config of one evaluation of this run; pictures are not searched where none were trained on."""
        config = replace(
            evaluation.config, encoder=str(self.run), out=self.run / "evaluation" / folder_of(evaluation.label)
        )
        if getattr(config, "search", "") == "all" and not self.setting.config.cross_weight:
            return replace(config, search="shapes")  # type: ignore[call-arg]
        return config

    def missing(self) -> list[Evaluation]:
        """Evaluations that are still to be done."""
        return [e for e in self.evaluations if not self.trained or kept(e.verb, self.config(e)) is None]

    def write(self, evaluations: list[Evaluation]) -> None:
        """Write what the process needs to know; an outcome of an earlier one is removed."""
        self.outcome.unlink(missing_ok=True)
        plain = {
            "train": to_dict(with_seed(self.setting, self.seed, self.run)),
            "evaluations": [{"label": e.label, "verb": e.verb, "config": to_dict(self.config(e))} for e in evaluations],
        }
        with atomic(self.file) as path:
            path.write_text(json.dumps(plain, indent=1) + "\n", encoding="utf-8")


def slug(name: str) -> str:
    """A short and safe folder name."""
    safe = "".join(letter if letter.isascii() and (letter.isalnum() or letter in ".=") else "-" for letter in name)
    parts = [part for part in safe.strip("-.").split("-") if part]
    return "-".join(parts)[:LONGEST_FOLDER].strip("-.") or "setting"


def folder_of(label: str) -> str:
    """The folder of an evaluation: its name, with part of a hash where that is not the whole name."""
    short = slug(label)
    return short if short == label else f"{short}-{hashlib.sha256(label.encode()).hexdigest()[:6]}"


def jobs_of(plan: Plan, out: Path) -> list[Job]:
    """Every setting by every seed; a setting's folder is found again by its key, whatever its row is called now."""
    jobs = []
    for setting in plan.settings:
        there = sorted((out / "runs").glob(f"*-{setting.key}"))
        folder = there[0] if there else out / "runs" / f"{slug(setting.name)}-{setting.key}"
        for seed in plan.seeds:
            file = out / "jobs" / f"{setting.key}-seed-{seed}.json"
            jobs.append(Job(setting, seed, folder / f"seed-{seed}", file, plan.evaluations))
    return jobs
