"""`evaluate segmentation`: the instance and class mIoU of a trained part segmentation network on labelled shapes."""

import time
from pathlib import Path
from typing import Any

from crosspoint3d.config import SegmentationConfig, UsageError
from crosspoint3d.config_file import require_at_least
from crosspoint3d.data.part_clouds import load_part_clouds
from crosspoint3d.data.part_labels import PartClouds, PartSplit
from crosspoint3d.evaluation.metrics import mean_scores
from crosspoint3d.evaluation.part_matching import match_parts
from crosspoint3d.evaluation.part_predictions import STRETCH, predict_parts, with_points
from crosspoint3d.evaluation.part_tables import write_part_tables
from crosspoint3d.evaluation.protocol import NOTHING_RANDOM, arrays_sha256, circumstances, picked, weights_sha256
from crosspoint3d.evaluation.result import Result
from crosspoint3d.evaluation.result_files import write_result
from crosspoint3d.evaluation.seeds import check_out
from crosspoint3d.evaluation.segment_results import (
    PartAnswers,
    most_frequent_parts,
    save_examples,
    segment_details,
    segment_scores,
)
from crosspoint3d.models import Segmenter, load_segmenter
from crosspoint3d.models.folder import CONFIG, read_config
from crosspoint3d.runtime import pick_device

POINTS = 2048
"""Of a cloud where nobody said how many the network was trained with: as published."""
EXAMPLES = "examples.npz"
DREW_AGAIN = (
    "the data has no split, and the network does not say that it was trained on this data: it may have seen the labels "
    "of the shapes that were drawn here"
)
CHANCE = "chance always answers the part that most points of the category's train shapes have"


def segmentation(config: SegmentationConfig) -> Result:
    """Label the points of a split with a trained network and compare.

    Nothing is chosen. Clean answers with parts of the shape's category only, paper (arXiv 2203.00680 and its code) with
    the most probable of all parts. Where the data has no split, the one that the network was trained on is drawn
    again. Beside result.json stand per_category.csv, per_part.csv and examples.npz.

    Raises:
        UsageError: an option has an impossible value, the network or the data cannot be used, or they do not have the
            same categories and parts.
    """
    started = time.monotonic()
    require_at_least(config, dict.fromkeys(("seeds", "batch_size", "k", "votes"), 1) | {"points": 0})
    check_out(config.out)
    device = pick_device(config.device)
    segmenter = load_segmenter(config.model, config.k)
    clouds, notes = _load(config)
    matching = match_parts(clouds.table, segmenter.table, published=segmenter.origin is not None)
    segmenter.table = matching.table
    split, train = matching.apply(_split(config, clouds)), matching.apply(clouds.train)
    available = split.points.shape[1]
    points = config.points or min(segmenter.points or POINTS, available)
    if segmenter.k is not None and segmenter.k > points:
        raise UsageError(
            f"--points {points}{'' if config.points else ' (by default)'}: fewer than the k={segmenter.k} neighbours "
            f"of the network's graphs; give --points {segmenter.k} or more (the clouds have {available}), or "
            f"--k {points} or less"
        )
    if segmenter.least_points > points:
        raise UsageError(
            f"--points {points} (the clouds have {available}): the network makes patches of "
            f"{segmenter.least_points} points or more"
        )

    fixed = points >= available and config.votes == 1
    runs: list[PartAnswers] = []
    for seed in range(config.seeds):
        if runs and fixed:
            runs.append(runs[0])
            continue
        subset = with_points(split, points, seed)
        answers = predict_parts(
            segmenter,
            subset,
            batch_size=config.batch_size,
            device=device,
            votes=config.votes,
            seed=seed,
            restrict=config.protocol == "clean",
        )
        runs.append(PartAnswers(subset, answers))
    guesses = [most_frequent_parts(train, run.split, matching.table) for run in runs]
    details = segment_details(runs, matching.table)
    notes = [*notes, *matching.notes, *_notes(config), *[NOTHING_RANDOM] * (fixed and config.seeds > 1)]
    result = Result(
        evaluation="segmentation",
        scores=segment_scores(runs, matching.table),
        untrained={},
        chance=mean_scores(guesses),
        protocol=_record(config, segmenter, clouds.record, runs, picked(points, available), started, notes),
        details=details,
    )
    if (written := write_result(config, "segmentation", result)) is not None:
        write_part_tables(written.parent, details)
        save_examples(written.with_name(EXAMPLES), runs[0], matching.table)
    return result


def _load(config: SegmentationConfig) -> tuple[PartClouds, list[str]]:
    """The data, with the split that the network was trained on where it has to be drawn; and what to say about that."""
    trained = _training(Path(config.model))
    same = "data" in trained and Path(trained["data"]).resolve() == Path(config.data).resolve()
    seed = int(trained["fine_tuned"]["seed"]) if same else 0
    clouds = load_part_clouds(config.data, seed=seed, categories=config.categories)
    return clouds, [DREW_AGAIN] * (clouds.record["split_drawn"] and not same)


def _training(model: Path) -> dict[str, Any]:
    """What the folder of a network says about its training; nothing for published weights."""
    for folder in (model / "segmenter", model):
        if (folder / CONFIG).is_file():
            found = read_config(folder)
            return found if isinstance(found.get("fine_tuned"), dict) else {}
    return {}


def _split(config: SegmentationConfig, clouds: PartClouds) -> PartSplit:
    split: PartSplit = getattr(clouds, config.split)
    if len(split) == 0:
        raise UsageError(f"--split {config.split}: --data {config.data} has no shapes in it; use --split test")
    return split


def _notes(config: SegmentationConfig) -> list[str]:
    notes = [f"scored on the {config.split} split"] * (config.split != "test")
    if config.protocol == "clean":
        notes.append("answers are parts of the shape's category only (published code: any part, --protocol paper)")
    return [*notes, CHANCE]


def _record(
    config: SegmentationConfig,
    segmenter: Segmenter,
    data: dict[str, Any],
    runs: list[PartAnswers],
    drawn: str,
    started: float,
    notes: list[str],
) -> dict[str, Any]:
    """The protocol record, plain values only."""
    weights = weights_sha256(segmenter)
    network: dict[str, Any] = {"sha256": weights, "k": segmenter.k, "points_trained_with": segmenter.points}
    if segmenter.origin is not None:
        network["origin"] = segmenter.origin
    return {
        "mode": config.protocol,
        "data": {key: value for key, value in data.items() if key != "notes"},
        "points": {"count": runs[0].split.points.shape[1], "picked": drawn},
        "k": segmenter.k,
        "seeds": list(range(config.seeds)),
        "split": {"scored": config.split, "shapes": len(runs[0].split)},
        "votes": {
            "count": config.votes,
            "copies": f"the cloud, then stretched by U({STRETCH[0]:g}, {STRETCH[1]:g}) along each axis; mean softmax",
        },
        "answers": "parts of the shape's category" if config.protocol == "clean" else "any part",
        "miou": "a shape's mean over the parts of its category; one that is neither there nor predicted counts 1",
        "encoder": config.model,
        "encoder_sha256": [weights],
        "encoders": [
            {"seed": seed, "clouds_sha256": arrays_sha256(run.split.points, run.split.parts), "trained": network}
            for seed, run in enumerate(runs)
        ],
        **circumstances(config, seconds=time.monotonic() - started),
        "notes": [*data.get("notes", []), *notes],
    }
