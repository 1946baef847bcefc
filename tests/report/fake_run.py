"""A small run folder: untrained towers, a table of ellipsoids, made-up metrics and evaluation results."""

import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from crosspoint3d.config import PretrainConfig
from crosspoint3d.config_file import to_dict
from crosspoint3d.evaluation.classes import class_details
from crosspoint3d.evaluation.metrics import summary
from crosspoint3d.evaluation.result import Result
from crosspoint3d.models import ProjectionHead, Tower, image_encoder, save_tower
from crosspoint3d.models.pointnet import PointNet
from crosspoint3d.models.tower import seeded_weights


def write_run(run: Path, table: Path | None, *, images: bool = True, logs: bool = True) -> Path:
    """A finished run on `table`; without `images` there is no image encoder, without `logs` only weights and config."""
    with seeded_weights(0):
        cloud = Tower(PointNet(16), ProjectionHead.for_clouds(16, 8))
        save_tower(cloud, run / "encoder", {"data": [str(table)]})
        if images:
            save_tower(Tower(image_encoder("resnet18"), ProjectionHead.for_images(512, 8)), run / "image_encoder", {})
    config = PretrainConfig(
        data=(table or Path("gone"),), out=run, encoder="pointnet", emb_dims=16, image_encoder="resnet18",
        image_size=32, projection_dims=8, points=24, batch_size=8, max_steps=30,
    )  # fmt: skip
    (run / "config.yaml").write_text(yaml.safe_dump(to_dict(config)))
    if logs:
        lines = [
            {"step": step, "epoch": step // 10, "loss": 5.0 - step / 20, "intra_modal": 2.0, "cross_modal": 3.0,
             "lr": 1e-3, "pairs_per_s": 12.5}
            for step in range(1, 31)
        ]  # fmt: skip
        (run / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
        environment = {"python": "3.11.0", "packages": {"torch": "2.9.9"}, "cpus": 2, "gpu": None}
        ending = {"steps": 30, "seconds": 200.0, "pairs_per_s": 12.5, "environment": environment}
        (run / "summary.json").write_text(json.dumps(ending))
    return run


def result(kind: str, trained: dict[str, list[float]], untrained: dict[str, list[float]], **chance: float) -> Result:
    """A result with these values."""
    data = {"name": "some table", "train_shapes": 48, "test_shapes": 12, "categories": 2}
    protocol: dict[str, Any] = {
        "mode": "clean", "data": data, "points": {"count": 24, "picked": "24 of 32 points"}, "k": None,
        "seeds": [0, 1, 2], "command": f"some/where/bin/crosspoint3d evaluate {kind} --encoder 'a b'",
        "seconds": 75.0, "notes": ["a note to read"],
    }  # fmt: skip
    if kind == "few-shot":
        protocol["episodes"] = {"n_way": 5, "k_shot": 10}
    return Result(
        evaluation=kind,
        scores={name: summary(values) for name, values in trained.items()},
        untrained={name: summary(values) for name, values in untrained.items()},
        chance={name.replace("recall_", "recall@"): value for name, value in chance.items()},
        protocol=protocol,
        details={"not": "shown"},
    )


LINEAR = result(
    "linear", {"overall_accuracy": [0.8, 0.81, 0.82]}, {"overall_accuracy": [0.5, 0.51, 0.52]}, overall_accuracy=0.25
)
FEW_SHOT = result("few-shot", {"accuracy": [0.7, 0.9]}, {"accuracy": [0.8, 0.85]}, accuracy=0.2)
RETRIEVAL = result(
    "retrieval",
    {"picture_to_shape_recall@1": [0.4, 0.4, 0.4], "shape_to_picture_mean_rank": [3.0, 3.2, 3.4]},
    {"picture_to_shape_recall@1": [0.1, 0.1, 0.1], "shape_to_picture_mean_rank": [6.5, 6.6, 6.7]},
    picture_to_shape_recall_1=0.083,
)


def fake_confusion(categories: int, seed: int = 0) -> np.ndarray:
    """Counts of ten test shapes a category, most of them right."""
    generator = np.random.default_rng(seed)
    shares = np.eye(categories) * 3 + generator.dirichlet(np.full(categories, 0.1), categories)
    return np.stack([generator.multinomial(10, row / row.sum()) for row in shares])


def classified(kind: str, categories: int = 6) -> Result:
    """A result with the details of evaluations that classify test shapes."""
    names = [f"category_{row}" for row in range(categories)]
    counts = {who: [fake_confusion(categories, seed)] for seed, who in enumerate(("trained", "untrained"))}
    return replace(
        result(kind, {"overall_accuracy": [0.8]}, {"overall_accuracy": [0.5]}, overall_accuracy=0.25),
        details=class_details(names, counts),
    )


def along(kind: str, curves: dict[str, list[float | str]], **plain: list[float]) -> Result:
    """A result with `overall_accuracy` along conditions.

    Args:
        kind: of the evaluation.
        curves: levels by condition; the condition "" is a share of something.
        plain: values of scores without a condition.
    """
    scores, described = dict(plain), []
    for condition, levels in curves.items():
        names = [
            f"overall_accuracy@{condition}={level}" if condition else f"overall_accuracy@{level}%" for level in levels
        ]
        scores |= {name: [0.8 - 0.1 * place, 0.82 - 0.1 * place] for place, name in enumerate(names)}
        title, log = condition.title() or "Overall accuracy", not condition
        described.append({"title": title, "x_label": "how much", "x": levels, "scores": names, "log": log})
    untrained = {name: [value - 0.2 for value in values] for name, values in scores.items()}
    found = result(kind, scores, untrained)
    return replace(found, chance=dict.fromkeys(scores, 0.1), details={"curves": described})


def few_shot(n_way: int, k_shot: int, classifier: str = "linear SVM") -> Result:
    """A few-shot result of this setting."""
    episodes = {"n_way": n_way, "k_shot": k_shot}
    return replace(FEW_SHOT, protocol=FEW_SHOT.protocol | {"episodes": episodes, "classifier": classifier})


def every_kind() -> dict[str, Result]:
    """Results of all evaluations by their folders."""
    damages: dict[str, list[float | str]] = {name: [1, 2, 5, 10, 20] for name in ("jitter", "drop", "so3", "outliers")}
    shapes = {"shape_to_shape_map": [0.4, 0.5], "shape_to_shape_recall@1": [0.6, 0.7]}
    robust = along("robustness", damages, overall_accuracy=[0.9, 0.9], mean_over_corruptions=[0.6, 0.62])
    other = {"overall_accuracy@transfer=elsewhere": summary([0.3, 0.32])}
    return {
        "linear": classified("linear"),
        "knn": classified("knn"),
        "few-shot": few_shot(5, 10),
        "few-shot-10-20": few_shot(10, 20),
        "few-shot-means": few_shot(5, 10, "nearest mean"),
        "label-fraction": along("label-fraction", {"": [1, 10, 100]}),
        "retrieval": replace(RETRIEVAL, scores=RETRIEVAL.scores | {name: summary(v) for name, v in shapes.items()}),
        "cluster": result("cluster", {"nmi": [0.5, 0.6], "ari": [0.2, 0.1]}, {"nmi": [0.4, 0.4]}),
        "robustness": replace(robust, scores=robust.scores | other),
    }


def write_results(run: Path, results: dict[str, Result] | None = None) -> None:
    """Results by their folders; by default linear, few-shot and retrieval, where the verbs would put them."""
    for name, found in (results or {r.evaluation: r for r in (LINEAR, FEW_SHOT, RETRIEVAL)}).items():
        folder = run / "evaluation" / name
        folder.mkdir(parents=True)
        (folder / "result.json").write_text(json.dumps(asdict(found)))
