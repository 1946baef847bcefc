"""What a run folder holds, read leniently: only the encoder is required, whatever else is missing becomes a note."""

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from crosspoint3d.config import UsageError
from crosspoint3d.evaluation.result import Result
from crosspoint3d.evaluation.result_files import read_result
from crosspoint3d.models.folder import unfinished
from crosspoint3d.training import metrics
from crosspoint3d.training.run_folder import CONFIG, SUMMARY


@dataclass(frozen=True)
class RunRecord:
    """A run folder in memory.

    Attributes:
        path: the folder. config: values of config.yaml. metrics: lines of metrics.jsonl.
        summary: summary.json. results: evaluations by their folder's name, sorted.
        encoder, image_encoder: their config.json (the second None when there is no image encoder).
        problems: files that could not be read, in words.
    """

    path: Path
    config: dict[str, Any]
    metrics: list[dict[str, Any]]
    summary: dict[str, Any]
    results: dict[str, Result]
    encoder: dict[str, Any]
    image_encoder: dict[str, Any] | None
    problems: tuple[str, ...]

    def of_kind(self, evaluation: str) -> list[Result]:
        """The results of one evaluation; the one in the folder of its own name comes first."""
        named = sorted(self.results, key=lambda folder: (folder != evaluation, folder))
        return [self.results[folder] for folder in named if self.results[folder].evaluation == evaluation]


def read_run(path: Path) -> RunRecord:
    """Read a run folder.

    Raises:
        UsageError: the folder is missing, or holds no trained encoder.
    """
    if not path.is_dir():
        raise UsageError(f"run folder {path}: no such folder; `crosspoint3d pretrain --data TABLE --out RUN` makes one")
    if not (path / "encoder").is_dir():
        remedy = unfinished(path) or "give a folder that `crosspoint3d pretrain` or `finetune` wrote"
        raise UsageError(f"run folder {path}: there is no encoder/ in it; {remedy}")
    problems: list[str] = []
    image = path / "image_encoder" / "config.json"
    return RunRecord(
        path=path,
        config=read_mapping(path / CONFIG, problems),
        metrics=read_metrics(path, problems),
        summary=read_mapping(path / SUMMARY, problems),
        results=read_results(path, problems),
        encoder=read_mapping(path / "encoder" / "config.json", problems),
        image_encoder=read_mapping(image, problems) if image.is_file() else None,
        problems=tuple(problems),
    )


def read_mapping(path: Path, problems: list[str]) -> dict[str, Any]:
    """A YAML or JSON file that should hold a mapping; empty, with a sentence in `problems`, where it does not."""
    try:
        text = path.read_text(encoding="utf-8")
        values = json.loads(text) if path.suffix == ".json" else yaml.safe_load(text)
    except (OSError, ValueError, yaml.YAMLError) as error:
        reason = "missing" if isinstance(error, FileNotFoundError) else f"cannot be read: {error}"
        problems.append(f"{_short(path)}: {reason}")
        return {}
    if isinstance(values, dict):
        return values
    problems.append(f"{_short(path)}: expected names and values, got {type(values).__name__}")
    return {}


def read_metrics(folder: Path, problems: list[str]) -> list[dict[str, Any]]:
    """The lines of the metrics.jsonl in a folder; none, with a sentence in `problems`, where it cannot be read."""
    try:
        return metrics.read(folder)
    except (OSError, ValueError) as error:
        problems.append(f"{_short(folder / metrics.FILE)}: cannot be read: {error}")
        return []


def read_results(run: Path, problems: list[str]) -> dict[str, Result]:
    """The evaluations of a run by their folder's name, sorted; those that cannot be read become `problems`."""
    found = {}
    for file in sorted(run.glob("evaluation/*/result.json")):
        result = read_one_result(file, f"evaluation/{file.parent.name}/result.json", problems)
        if result:
            found[file.parent.name] = result
    return found


def read_one_result(file: Path, name: str, problems: list[str]) -> Result | None:
    """A result that a page can show; None, with a sentence in `problems` that begins with `name`, where it is none."""
    try:
        result = read_result(file)
        _check(result)
    except (OSError, ValueError, TypeError, AttributeError) as error:
        problems.append(f"{name}: cannot be read: {error}")
        return None
    return result


def _check(result: Result) -> None:
    """Refuse a result whose scores are no scores, or whose record cannot be read."""
    if not isinstance(result.evaluation, str) or not isinstance(result.protocol, dict):
        raise ValueError("expected the name and the protocol record of an evaluation")
    for name, scores in (("scores", result.scores), ("untrained", result.untrained)):
        values = [score.get(key) for score in scores.values() for key in ("mean", "ci95", "n")] if scores else []
        if not all(_finite(value) for value in values):
            raise ValueError(f"{name}: expected numbers as mean, ci95 and n of each score")
    if not all(_finite(value) for value in result.chance.values()) or not isinstance(result.details, dict):
        raise ValueError("expected numbers in chance and names in details")
    for key, kind in (("data", dict), ("points", dict), ("notes", list), ("seeds", list)):
        if not isinstance(result.protocol.get(key, kind()), kind):
            raise ValueError(f"protocol: {key} is {result.protocol[key]!r}")


def _finite(value: object) -> bool:
    return isinstance(value, int | float) and math.isfinite(value)


def _short(path: Path) -> str:
    return f"{path.parent.name}/{path.name}"
