"""What one seed of `finetune segment` trains: the network, its loss, its scores.

Axis letters: B shapes of a batch, P points of the data, N points drawn, Q parts of all categories.
"""

from typing import Literal

import numpy as np
import torch
from jaxtyping import Float, Float32, Int16, Int64
from torch import Tensor

from crosspoint3d.config import FinetuneSegmentConfig
from crosspoint3d.data.part_labels import PartClouds, PartSplit
from crosspoint3d.data.split import labelled_rows, split_hash
from crosspoint3d.evaluation.part_predictions import predict_parts, with_points
from crosspoint3d.evaluation.part_scores import part_scores
from crosspoint3d.evaluation.protocol import arrays_sha256
from crosspoint3d.losses import smoothed_cross_entropy
from crosspoint3d.models.segmenter import build_segmenter, has_part_head, save_segmenter
from crosspoint3d.parts_table import PartsTable
from crosspoint3d.training.finetune import Answers, Task
from crosspoint3d.training.label_weights import label_weights
from crosspoint3d.training.weights_taken import encoder_record, head_for, origin_of, starting_encoder, weights_taken
from crosspoint3d.transforms.points import augment_labelled, random_subsets

MODEL = "segmenter"
"""Folder of the network in that of a run or seed."""


def segment_task(config: FinetuneSegmentConfig, clouds: PartClouds, seed: int, device: torch.device) -> Task:
    """What one seed trains: the network, its loss, its scores.

    Args:
        config: its points settled.
        clouds: the data, of which the labels of some train shapes are used.
        seed: draws the labelled shapes, the fresh weights and the subset of points that is scored.
        device: where to train.

    Raises:
        UsageError: the encoder cannot be used, or the head does not go with it.
    """
    labelled = labelled_shapes(config, clouds, seed)
    available = min(split.points.shape[1] for split in (clouds.train, clouds.val, clouds.test) if len(split))
    tower = starting_encoder(config, seed, available)
    head = head_for(config, published=has_part_head(tower.encoder))
    model = build_segmenter(tower.encoder, clouds.table, head, seed).to(device)
    model.points = config.points
    balanced = config.class_weights == "balanced"
    weights = label_weights(labelled.parts, len(clouds.table)).to(device) if balanced else None
    clean = config.protocol == "clean"
    within = config.loss_over == "category"
    allowed = torch.from_numpy(clouds.table.allowed()).to(device)
    chooses: Literal["val", "test"] | None = "test" if not clean else "val" if len(clouds.val) else None

    def loss(rows: Int64[np.ndarray, " B"], generator: torch.Generator) -> Float[Tensor, ""]:
        batch = labelled.take(rows)
        points, parts = drawn_points(batch, config.points, generator)
        seen = augment_labelled(points, config.augment, generator)
        with torch.autocast(device.type, torch.bfloat16, enabled=config.precision == "bfloat16"):
            category = torch.from_numpy(batch.categories).to(device)
            logits = model(seen, category)
        rivals = allowed[category][:, None].expand_as(logits) if within else None
        return smoothed_cross_entropy(logits, parts, config.label_smoothing, weights, rivals)

    def predicted(split: PartSplit, votes: int) -> Int16[np.ndarray, "_ N"]:
        return predict_parts(
            model, split, batch_size=config.batch_size, device=device, votes=votes, seed=seed, restrict=clean
        )

    def score(name: Literal["val", "test"]) -> dict[str, float]:
        split = with_points(getattr(clouds, name), config.points, seed)
        return part_scores(predicted(split, 1), split.parts, split.categories, clouds.table)

    def answer() -> Answers:
        test = with_points(clouds.test, config.points, seed)
        parts = predicted(test, config.votes)
        return Answers(part_scores(parts, test.parts, test.categories, clouds.table), {"predicted": parts})

    return Task(
        model=model,
        shapes=len(labelled),
        fingerprint=arrays_sha256(labelled.points, labelled.parts, labelled.categories, names=labelled.ids),
        loss=loss,
        score=score,
        validation=chooses,
        chosen_by="instance_miou",
        answer=answer,
        save=lambda folder: save_segmenter(model, folder / MODEL, origin_of(config, seed)),
        weights=weights_taken(config, tower, model),
        record={
            "encoder": encoder_record(config, tower),
            "clouds_sha256": arrays_sha256(clouds.train.points, clouds.test.points),
            "head": head,
            "labelled": {
                "shapes": len(labelled),
                "of": len(clouds.train) + (0 if clean else len(clouds.val)),
                "sha256": _ids_hash(labelled, clouds.table),
            },
            "validation_shapes": len(clouds.val) if chooses == "val" else 0,
            "answers": "parts of the shape's category" if clean else "any part",
            "loss_over": "parts of the shape's category" if within else "all parts",
        },
    )


def drawn_points(
    batch: PartSplit, count: int, generator: torch.Generator
) -> tuple[Float32[Tensor, "B N 3"], Int64[Tensor, "B N"]]:
    """`count` different points of every shape, drawn at random for each, with their labels, on the generator's device.

    All of them, in their order, where there are no more.
    """
    device = generator.device
    points, parts = torch.from_numpy(batch.points).to(device), torch.from_numpy(batch.parts).to(device).long()
    if count == points.shape[1]:
        return points, parts
    chosen = random_subsets(points, count, generator)
    return points.gather(1, chosen[:, :, None].expand(-1, -1, 3)), parts.gather(1, chosen)


def labelled_shapes(config: FinetuneSegmentConfig, clouds: PartClouds, seed: int) -> PartSplit:
    """The shapes of which a seed knows the labels; of two shares the larger has all of the smaller's.

    Clean draws them from the train shapes; paper, as published, from the validation shapes as well.
    """
    pool = clouds.train if config.protocol == "clean" else clouds.train.joined(clouds.val)
    return pool.take(labelled_rows(pool.categories, [config.labels], seed)[0])


def _ids_hash(split: PartSplit, table: PartsTable) -> str:
    names = [table.categories[category] for category in split.categories]
    return split_hash(zip(split.ids, names, strict=True), ())
