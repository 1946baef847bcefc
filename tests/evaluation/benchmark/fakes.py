"""Stand-ins for evaluations: results as the contract of `Result.details` has them, at once."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from crosspoint3d.config import EvaluateConfig
from crosspoint3d.config_file import to_dict
from crosspoint3d.evaluation.metrics import summary
from crosspoint3d.evaluation.result import Result
from crosspoint3d.evaluation.result_files import write_result

SCORES = {
    "linear": ["overall_accuracy", "mean_class_accuracy"],
    "few-shot": ["accuracy"],
    "knn": ["overall_accuracy", "mean_class_accuracy"],
    "cluster": ["nmi", "ari"],
    "label-fraction": ["overall_accuracy@1%", "overall_accuracy@100%", "mean_class_accuracy@1%"],
    "retrieval": ["shape_to_shape_map", "picture_to_shape_recall@1"],
    "robustness": ["overall_accuracy", "overall_accuracy@jitter=0.01", "mean_over_corruptions"],
}
SKILLS = {"random:pointnet": 0.5, "random:dgcnn": 0.7, "random:dgcnn-partseg": 0.705}
SHAPES = 400


def use_evaluations(
    monkeypatch: pytest.MonkeyPatch, meanwhile: Callable[[EvaluateConfig], None] = lambda config: None
) -> list[EvaluateConfig]:
    """Make the benchmark call stand-ins; returns the list of the configs they were called with.

    Args:
        monkeypatch: of the test.
        meanwhile: is called in each of them, and may raise.
    """
    calls: list[EvaluateConfig] = []

    def function(verb: str) -> Callable[[EvaluateConfig], Result]:
        def evaluate(config: EvaluateConfig) -> Result:
            calls.append(config)
            meanwhile(config)
            result = fake_result(verb, config)
            write_result(config, verb, result)
            return result

        return evaluate

    monkeypatch.setattr("crosspoint3d.evaluation.benchmark.run.function", function)
    return calls


def fake_result(verb: str, config: EvaluateConfig) -> Result:
    """A result whose test shapes are right where their difficulty is below the encoder's skill."""
    difficulty = np.random.default_rng(0).random(SHAPES)
    right = (difficulty < SKILLS.get(config.encoder, 0.6)).astype(float)
    spread = np.linspace(-0.01, 0.01, config.seeds) if config.seeds > 1 else np.zeros(1)
    scores = {name: summary((right.mean() + spread).tolist()) for name in SCORES[verb]}
    tested = [name for name in SCORES[verb] if name not in ("mean_class_accuracy", "nmi", "ari")]
    protocol: dict[str, Any] = {
        "mode": config.protocol,
        "data": {"name": config.data, "split_sha256": "5" * 64, "test_shapes": SHAPES, "split_drawn": False},
        "points": {"count": 64, "picked": "all 64 points, nothing drawn"},
        "k": config.k,
        "seeds": list(range(config.seeds)),
        "config": to_dict(config),
        "encoders": [],
        "seconds": 1.0,
        "notes": ["everybody's note", *(["PointNet's own note"] if config.encoder == "random:pointnet" else [])],
    }
    paired = {name: {"unit": "test shape", "values": right.tolist()} for name in tested}
    chance = {name: 0.123 for name in scores if name != "mean_over_corruptions"}
    return Result(verb, scores, {}, chance, protocol, {"paired": paired})


def write_file(path: Path, text: str) -> Path:
    """Write a benchmark file."""
    path.write_text(text, encoding="utf-8")
    return path
