"""What the folder of a fine-tuning holds, read leniently: whatever is missing or broken becomes a note."""

import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from crosspoint3d.evaluation.result import Result
from crosspoint3d.evaluation.result_files import RESULT
from crosspoint3d.report.run import read_mapping, read_metrics, read_one_result, read_results
from crosspoint3d.report.sections import Missing
from crosspoint3d.training.finetune_outcome import OUTCOME
from crosspoint3d.training.finetune_run import WEIGHTS
from crosspoint3d.training.run_folder import CONFIG, SUMMARY

Kind = Literal["segment", "classify"]
EXAMPLES = "examples.npz"
NETWORKS: dict[Kind, str] = {"segment": "segmenter", "classify": "classifier"}
"""Folder of the trained network, by what it was trained for."""
CHOOSES: dict[Kind, str] = {"segment": "instance_miou", "classify": "overall_accuracy"}
"""The score that picks an epoch, where no finished seed says."""


@dataclass(frozen=True)
class SeedRun:
    """One seed's training.

    Attributes:
        seed: its number.
        metrics: lines of its metrics.jsonl.
        outcome: its outcome.json; empty as long as it is not finished.
    """

    seed: int
    metrics: list[dict[str, Any]]
    outcome: dict[str, Any]

    @property
    def steps_per_epoch(self) -> float:
        """Steps of a pass over the shapes, from the outcome or as the logged steps show it; 1 where neither does."""
        steps, epochs = self.outcome.get("steps"), self.outcome.get("epochs")
        if isinstance(steps, int) and isinstance(epochs, int) and steps > 0 and epochs > 0:
            return steps / epochs
        return max((row["step"] / (row["epoch"] + 1) for row in self.metrics), default=0.0) or 1.0

    def validations(self, score: str) -> tuple[str, list[float], list[float]]:
        """Along the training: the split that was read, the epochs after which it was, and the score there."""
        for split in ("val", "test"):
            name = f"{split}/{score}"
            rows = [row for row in self.metrics if isinstance(row.get(name), int | float)]
            if rows:
                return split, [row["step"] / self.steps_per_epoch for row in rows], [row[name] for row in rows]
        return "", [], []

    def kept_after(self, score: str) -> float | None:
        """Epochs after which the kept weights were reached: of an unfinished seed, its best so far."""
        kept = self.outcome.get("kept_after")
        if isinstance(kept, int):
            return float(kept)
        _, epochs, values = self.validations(score)
        return epochs[values.index(max(values))] if values else None


@dataclass(frozen=True)
class FinetunedRun:
    """The folder of a fine-tuning in memory.

    Attributes:
        path: the folder. kind: what was trained: labels of parts, or of shapes.
        config: values of config.yaml. seeds: what each one logged. weights: weights.json.
        network: config.json of the trained network. summary: summary.json.
        result: its scores; None as long as it is not finished.
        results: evaluations by their folder's name, sorted.
        problems: files that could not be read, in words.
    """

    path: Path
    kind: Kind
    config: dict[str, Any]
    seeds: list[SeedRun]
    weights: dict[str, Any]
    network: dict[str, Any]
    summary: dict[str, Any]
    result: Result | None
    results: dict[str, Result]
    problems: tuple[str, ...]

    @property
    def chosen_by(self) -> str:
        """Name of the score that picks an epoch."""
        named = (seed.outcome.get("chosen_by") for seed in self.seeds)
        return next((name for name in named if isinstance(name, str)), CHOOSES[self.kind])


def finetuned_kind(path: Path) -> Kind | None:
    """What a folder's network was fine-tuned for; None where the folder is no run of `finetune`."""
    for kind, network in NETWORKS.items():
        if (path / network).is_dir() or any(path.glob(f"seed-*/{network}")):
            return kind
    for folder in _seed_folders(path):
        for kind, score in CHOOSES.items():
            if SeedRun(0, _rows(folder, []), {}).validations(score)[0]:
                return kind
    result = read_one_result(path / RESULT, RESULT, [])
    return next((kind for kind in NETWORKS if result and result.evaluation == kind), None)


def read_finetuned(path: Path, kind: Kind) -> FinetunedRun:
    """Read the folder of a fine-tuning."""
    problems: list[str] = []
    finished = (path / SUMMARY).is_file()
    seeds = []
    for folder in _seed_folders(path):
        outcome = read_mapping(folder / OUTCOME, problems) if (folder / OUTCOME).is_file() else {}
        seeds.append(SeedRun(int(folder.name.removeprefix("seed-")), _rows(folder, problems), outcome))
    return FinetunedRun(
        path=path,
        kind=kind,
        config=read_mapping(path / CONFIG, problems),
        seeds=seeds,
        weights=read_mapping(path / WEIGHTS, problems),
        network=read_mapping(path / NETWORKS[kind] / "config.json", problems if finished else []),
        summary=read_mapping(path / SUMMARY, problems) if finished else {},
        result=read_one_result(path / RESULT, RESULT, problems) if finished or (path / RESULT).is_file() else None,
        results=read_results(path, problems),
        problems=tuple(problems),
    )


def read_examples(path: Path) -> dict[str, np.ndarray] | Missing:
    """The arrays of a run's examples.npz; a Missing where there are none, or they cannot be read."""
    try:
        with path.open("rb") as handle, np.load(handle, allow_pickle=False) as file:
            return dict(file)
    except FileNotFoundError:
        return Missing(f"{path.name} is missing: there are no shapes to draw.")
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        return Missing(f"{path.name} cannot be read: {error}")


def _seed_folders(path: Path) -> list[Path]:
    found = [folder for folder in path.glob("seed-*") if folder.name.removeprefix("seed-").isdecimal()]
    return sorted(found, key=lambda folder: int(folder.name.removeprefix("seed-")))


def _rows(folder: Path, problems: list[str]) -> list[dict[str, Any]]:
    """The logged steps that say which they are."""
    rows = read_metrics(folder, problems)
    return [row for row in rows if isinstance(row.get("step"), int) and isinstance(row.get("epoch"), int)]
