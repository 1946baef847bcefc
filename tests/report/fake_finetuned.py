"""Small folders of fine-tuned runs: made-up answers on made-up shapes, results by the functions that the verbs use."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from scipy.special import softmax

from crosspoint3d.config import FinetuneClassifyConfig, FinetuneSegmentConfig
from crosspoint3d.config_file import to_dict
from crosspoint3d.data.class_clouds import ClassSplit
from crosspoint3d.data.part_labels import PartSplit
from crosspoint3d.evaluation.metrics import accuracies, confusion, summaries
from crosspoint3d.evaluation.result import Result
from crosspoint3d.evaluation.segment_results import PartAnswers, save_examples, segment_details
from crosspoint3d.parts_table import PartsTable
from crosspoint3d.training import classify_results

TABLE = PartsTable(
    ("Chair", "Mug", "Table"), ((0, 1, 2), (3, 4), (5, 6)), ("seat", "leg", "arm", "body", "handle", "top", "leg")
)
SCORE = {"segment": "instance_miou", "classify": "overall_accuracy"}
ENVIRONMENT = {"python": "3.11.0", "packages": {"torch": "2.9.9"}, "cpus": 2, "gpu": None}


def labelled_shapes(count: int, points: int = 90) -> PartSplit:
    """Ellipsoids whose parts are slices by height."""
    generator = np.random.default_rng(0)
    clouds = generator.normal(size=(count, points, 3)) * generator.uniform(0.4, 1, (count, 1, 3))
    clouds /= np.linalg.norm(clouds, axis=2).max(axis=1)[:, None, None]
    categories = np.arange(count) % len(TABLE.categories)
    sizes = np.array([len(own) for own in TABLE.parts])[categories][:, None]
    place = (clouds[..., 1].argsort(axis=1).argsort(axis=1) * sizes // points).astype(np.int64)
    first = np.array([own[0] for own in TABLE.parts])[categories][:, None]
    names = tuple(f"shape/{row}" for row in range(count))
    return PartSplit(clouds.astype(np.float32), (first + place).astype(np.int16), categories, names)


def part_answers(split: PartSplit, table: PartsTable, seed: int) -> PartAnswers:
    """The truth with errors: a share of the points, which grows with the row, gets another part of its category."""
    generator = np.random.default_rng([1, seed])
    shares = np.linspace(0.02, 0.7, len(split))[:, None]
    other = np.array([generator.choice(table.parts[category], split.parts.shape[1]) for category in split.categories])
    predicted = np.where(generator.random(split.parts.shape) < shares, other, split.parts)
    return PartAnswers(split, predicted.astype(np.int16))


def class_answers(count: int, categories: int, seed: int) -> classify_results.ClassAnswers:
    """Answers of which most are right, more confident than they should be at temperature 1."""
    generator = np.random.default_rng([2, seed])
    clouds = labelled_shapes(count, 60).points
    labels = np.arange(count) % categories
    logits = generator.normal(size=(count, categories)) * 2
    logits[np.arange(count), labels] += generator.uniform(0, 6, count)
    split = ClassSplit(clouds, labels, tuple(f"shape/{row}" for row in range(count)))
    both = (softmax(logits / temperature, axis=1).astype(np.float32) for temperature in (2.0, 0.6))
    return classify_results.ClassAnswers(split, *both)


def write_segment_run(
    run: Path, *, split: PartSplit | None = None, table: PartsTable = TABLE, seeds: int = 3, finished: bool = True
) -> Path:
    """A run of `finetune segment`."""
    split = split or labelled_shapes(24)
    runs = [part_answers(split, table, seed) for seed in range(seeds)]
    scores = [answers.counts(table).scores() for answers in runs]
    config = FinetuneSegmentConfig(
        "a pre-trained run", "shapenetpart:some/where", run, epochs=20, seeds=seeds, labels=0.1
    )
    _write_seeds(run, config, "segment", scores, finished=finished)
    if finished:
        save_examples(run / "examples.npz", runs[-1], table)
        network = {"kind": "segmenter", "encoder": {"kind": "dgcnn", "k": 20}, "parts_table": table.to_dict()}
        chance = {"instance_miou": 0.21, "class_miou": 0.2, "part_accuracy": 0.4, "mean_part_accuracy": 0.3}
        _write_result(run, config, "segment", scores, segment_details(runs, table), chance, network)
    return run


def write_classify_run(run: Path, *, categories: int = 8, seeds: int = 3, finished: bool = True) -> Path:
    """A run of `finetune classify`."""
    names = [f"category {letter}" for letter in "abcdefghijklmnopqrstuvwxyz"[:categories]]
    runs = [class_answers(20 * categories, categories, seed) for seed in range(seeds)]
    scores = [
        accuracies(confusion(answers.test.labels, answers.predicted, categories))
        | {"expected_calibration_error": answers.calibration().ece}
        for answers in runs
    ]
    config = FinetuneClassifyConfig("a pre-trained run", "modelnet40:some/where", run, epochs=20, seeds=seeds)
    _write_seeds(run, config, "classify", scores, finished=finished)
    if finished:
        classify_results.save_examples(run / "examples.npz", runs[-1], names)
        network = {"kind": "classifier", "encoder": {"kind": "dgcnn", "k": 20}, "categories": names}
        details = classify_results.classify_details(runs, names, same=True)
        chance = {"overall_accuracy": 0.125, "mean_class_accuracy": 0.125}
        _write_result(run, config, "classify", scores, details, chance, network)
    return run


def _write_seeds(run: Path, config: Any, kind: str, scores: list[dict[str, float]], *, finished: bool) -> None:
    run.mkdir(parents=True)
    (run / "config.yaml").write_text(yaml.safe_dump(to_dict(config), sort_keys=False))
    weights = {
        "encoder": "a run",
        "taken": ["encoder.layer.weight"],
        "new": ["head.weight", "head.bias"],
        "not_needed": [],
    }
    (run / "weights.json").write_text(json.dumps(weights))
    for seed, found in enumerate(scores):
        folder = run / f"seed-{seed}"
        folder.mkdir()
        kept = 12 + seed
        rows: list[dict[str, Any]] = []
        for step in range(1, 41 if finished else 21):
            epoch = (step - 1) // 2
            rows.append(
                {"step": step, "epoch": epoch, "loss": 1 + 3 / step + seed / 10, "lr": 1e-3, "shapes_per_s": 9.5}
            )
            if step % 2 == 0:
                rows[-1] |= {f"val/{SCORE[kind]}": 0.8 - 0.004 * abs(epoch + 1 - kept) - seed / 50, "val/other": 0.5}
        (folder / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
        if finished:
            record = {"labelled": {"shapes": 24, "of": 228, "sha256": "0"}}
            outcome = {
                "seed": seed, "scores": found, "validation": {SCORE[kind]: 0.8 - seed / 50}, "steps": 40, "epochs": 20,
                "kept_after": kept, "chosen_on": "val", "chosen_by": SCORE[kind], "seconds": 62.5, "record": record,
            }  # fmt: skip
            (folder / "outcome.json").write_text(json.dumps(outcome))


def _write_result(
    run: Path,
    config: Any,
    kind: str,
    scores: list[dict[str, float]],
    details: dict[str, Any],
    chance: dict[str, float],
    network: dict[str, Any],
) -> None:
    protocol = {
        "mode": "clean", "seeds": list(range(len(scores))), "k": 20, "config": to_dict(config),
        "data": {"name": "some data", "train_shapes": 228, "val_shapes": 38, "test_shapes": 24, "categories": 3},
        "points": {"count": 90, "picked": "90 of 2048 points, drawn at random from the seed"},
        "command": f"bin/crosspoint3d finetune {kind}", "notes": ["a note to read"],
    }  # fmt: skip
    result = Result(kind, summaries(scores), {}, chance, protocol, details)
    (run / "result.json").write_text(json.dumps(asdict(result)))
    folder = run / ("segmenter" if kind == "segment" else "classifier")
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(network))
    (run / "encoder").mkdir()
    summary = {"steps": 40 * len(scores), "seconds": 190.0, "best_seed": len(scores) - 1, "environment": ENVIRONMENT}
    (run / "summary.json").write_text(json.dumps(summary))
