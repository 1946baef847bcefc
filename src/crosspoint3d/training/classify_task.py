"""What one seed of `finetune classify` trains: the network, its loss, its scores.

Axis letters: B shapes of a batch, N shapes, C categories.
"""

from typing import Literal

import numpy as np
import torch
from jaxtyping import Float, Float32, Int64
from torch import Tensor

from crosspoint3d.config import FinetuneClassifyConfig
from crosspoint3d.data.class_clouds import ClassClouds, ClassSplit
from crosspoint3d.evaluation.calibration import calibration
from crosspoint3d.evaluation.class_predictions import calibrated, class_logits, probabilities
from crosspoint3d.evaluation.features import subsample
from crosspoint3d.evaluation.metrics import accuracies, confusion
from crosspoint3d.evaluation.protocol import arrays_sha256
from crosspoint3d.losses import smoothed_cross_entropy
from crosspoint3d.models.classifier import build_classifier, has_class_head, save_classifier
from crosspoint3d.training.finetune import Answers, Task
from crosspoint3d.training.label_weights import label_weights
from crosspoint3d.training.weights_taken import encoder_record, head_for, origin_of, starting_encoder, weights_taken
from crosspoint3d.transforms import points as transforms

MODEL = "classifier"
"""Folder of the network in that of a run or seed."""


def classify_task(config: FinetuneClassifyConfig, clouds: ClassClouds, seed: int, device: torch.device) -> Task:
    """What one seed trains: the network, its loss, its scores.

    Args:
        config: its points settled.
        clouds: the seed's data.
        seed: draws the fresh weights and the subset of points that is scored.
        device: where to train.

    Raises:
        UsageError: the encoder cannot be used, or the head does not go with it.
    """
    train = clouds.train
    available = min(split.points.shape[1] for split in (clouds.train, clouds.val, clouds.test) if len(split))
    tower = starting_encoder(config, seed, available)
    head = head_for(config, published=has_class_head(tower.encoder))
    model = build_classifier(tower.encoder, clouds.categories, head, seed).to(device)
    model.points = config.points
    balanced = config.class_weights == "balanced"
    weights = label_weights(train.labels, len(clouds.categories)).to(device) if balanced else None
    scored = {name: with_points(getattr(clouds, name), config.points, seed) for name in ("val", "test")}
    chooses: Literal["val", "test"] | None = (
        "test" if config.protocol == "paper" else "val" if len(clouds.val) else None
    )

    def loss(rows: Int64[np.ndarray, " B"], generator: torch.Generator) -> Float[Tensor, ""]:
        points = torch.from_numpy(train.points[rows]).to(device)
        if config.points < points.shape[1]:
            points = transforms.subsample(points, config.points, generator)
        seen = transforms.augment_labelled(points, config.augment, generator)
        with torch.autocast(device.type, torch.bfloat16, enabled=config.precision == "bfloat16"):
            logits = model(seen)
        labels = torch.from_numpy(train.labels[rows]).to(device)
        return smoothed_cross_entropy(logits.float(), labels, config.label_smoothing, weights)

    def logits(name: Literal["val", "test"], votes: int) -> Float32[np.ndarray, "_ N C"]:
        points = scored[name].points
        return class_logits(model, points, batch_size=config.batch_size, device=device, votes=votes, seed=seed)

    def score(name: Literal["val", "test"]) -> dict[str, float]:
        return _accuracies(logits(name, 1)[0], scored[name].labels)

    def answer() -> Answers:
        if chooses == "val":
            model.temperature, how = calibrated(logits("val", 1)[0], scored["val"].labels)
        else:
            how = "there are no validation shapes to fit a temperature on"
        test = logits("test", config.votes)
        found, raw = probabilities(test, model.temperature), probabilities(test, 1.0)
        judged = calibration(found, scored["test"].labels)
        return Answers(
            scores=_accuracies(found, scored["test"].labels) | {"expected_calibration_error": judged.ece},
            arrays={"probabilities": found, "uncalibrated": raw},
            record={"temperature": {"value": model.temperature, "from": how}},
        )

    return Task(
        model=model,
        shapes=len(train),
        fingerprint=arrays_sha256(train.points, train.labels, names=train.ids),
        loss=loss,
        score=score,
        validation=chooses,
        chosen_by="overall_accuracy",
        answer=answer,
        save=lambda folder: save_classifier(model, folder / MODEL, origin_of(config, seed)),
        weights=weights_taken(config, tower, model),
        record={
            "encoder": encoder_record(config, tower),
            "clouds_sha256": arrays_sha256(train.points, clouds.test.points),
            "head": head,
            "labelled": {"shapes": len(train)} | clouds.record["labelled"],
            "val": clouds.record["val"],
        },
    )


def with_points(split: ClassSplit, count: int, seed: int) -> ClassSplit:
    """A random subset of each cloud's points; all of them, unchanged, where there are no more.

    Raises:
        UsageError: `count` is below 1, or above the number of points.
    """
    if not len(split):
        return split
    return ClassSplit(subsample(split.points, count, seed), split.labels, split.ids)


def _accuracies(answers: Float32[np.ndarray, "N C"], labels: Int64[np.ndarray, " N"]) -> dict[str, float]:
    return accuracies(confusion(labels, answers.argmax(axis=1), answers.shape[1]))
