"""`evaluate retrieval`: from a picture to its shape and back, among the shapes of the test split.

Axis letters: N shapes, V pictures of each, E width of the joint space.
"""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float

from crosspoint3d import models
from crosspoint3d.config import PretrainConfig, RetrievalConfig, UsageError
from crosspoint3d.config_file import load_yaml, require_at_least
from crosspoint3d.data.clouds import PicturedClouds, load_views
from crosspoint3d.data.split import split_hash, stratified_share
from crosspoint3d.evaluation.cache import cached_features
from crosspoint3d.evaluation.features import compute_image_features, project, subsample
from crosspoint3d.evaluation.metrics import cosines, ranks, retrieval_chance, retrieval_scores, summaries
from crosspoint3d.evaluation.protocol import (
    NOTHING_RANDOM,
    Result,
    picked,
    protocol_record,
    weights_sha256,
    write_result,
)
from crosspoint3d.evaluation.seeds import check, check_k, with_points
from crosspoint3d.runtime import pick_device

PICTURE_TO_SHAPE, SHAPE_TO_PICTURE = "picture_to_shape", "shape_to_picture"


def retrieval(config: RetrievalConfig) -> Result:
    """Score how an encoder and its untrained twin find the shape of a picture and the picture of a shape.

    Similarity is the cosine of the projections. Picture to shape: each of the first `views` pictures of a
    shape is a query against all clouds. Shape to picture: each cloud is a query against one picture of every
    shape, for each of the first `views` in turn. Nothing is chosen, so clean and paper are the same.

    Raises:
        UsageError: the data has no pictures, or fewer than asked for; the encoder has no image encoder
            beside it.
    """
    started = time.monotonic()
    check(config)
    require_at_least(config, {"views": 1})
    if config.encoder.startswith("random:"):
        raise UsageError(f"--encoder {config.encoder} has no image encoder: use a run folder (its twin is scored too)")
    device = pick_device(config.device)
    image_size = _image_size(config.encoder)
    runs: dict[str, list[dict[str, float]]] = {"trained": [], "untrained": []}
    encoded: list[dict[str, Any]] = []
    shapes: PicturedClouds | None = None
    fixed = False
    for seed in range(config.seeds):
        if shapes is None or shapes.record["split_drawn"]:
            shapes = _limited(load_views(config.data, "test", seed=seed), config.limit)
            _check_views(config, shapes)
            config = with_points(config, shapes.points.shape[1])
        entry: dict[str, Any] = {"seed": seed}
        for who in ("trained", "untrained"):
            if who == "trained" and fixed:
                runs[who].append(runs[who][-1])
                entry[who] = encoded[-1][who]
                continue
            if who == "trained":
                towers = (
                    models.load_encoder(config.encoder, config.k),
                    models.load_image_encoder(config.encoder),
                )
            else:
                towers = (
                    models.untrained(config.encoder, seed, config.k),
                    models.untrained_image(config.encoder, seed),
                )
            clouds, pictures = projections(*towers, shapes, config, seed, image_size, device)
            runs[who].append(joint_scores(clouds, pictures))
            entry[who] = {
                "sha256": weights_sha256(towers[0]),
                "image_sha256": weights_sha256(towers[1]),
                "k": getattr(towers[0], "k", None),
            }
        encoded.append(entry)
        fixed = config.points == shapes.points.shape[1] and not shapes.record["split_drawn"]
    assert shapes is not None
    chance = retrieval_chance(len(shapes.ids))
    result = Result(
        evaluation="retrieval",
        scores=summaries(runs["trained"]),
        untrained=summaries(runs["untrained"]),
        chance={
            f"{way}_{name}": value for way in (PICTURE_TO_SHAPE, SHAPE_TO_PICTURE) for name, value in chance.items()
        },
        protocol=protocol_record(
            config,
            data=shapes.record | {"points_picked": picked(config.points, shapes.points.shape[1])},
            encoders=encoded,
            seconds=time.monotonic() - started,
            gallery=len(shapes.ids),
            views=config.views,
            image_size=image_size,
            similarity="cosine of projections; equal ones share their places (1 + better + half the equal)",
            notes=[NOTHING_RANDOM] if fixed else [],
        ),
        details={},
    )
    write_result(config, "retrieval", result)
    return result


def projections(
    tower: models.Tower,
    image_tower: models.Tower,
    shapes: PicturedClouds,
    config: RetrievalConfig,
    seed: int,
    image_size: int,
    device: torch.device,
) -> tuple[Float[np.ndarray, "N E"], Float[np.ndarray, "V N E"]]:
    """Projections of all clouds, and of the first `config.views` pictures of each shape."""
    check_k(config, tower)
    points = subsample(shapes.points, config.points, seed)
    features, _ = cached_features(
        tower, weights_sha256(tower), points, batch_size=config.batch_size, device=device, enabled=config.cache
    )
    flat = [row[view] for view in range(config.views) for row in shapes.views]
    image_features = compute_image_features(
        image_tower, flat, image_size=image_size, batch_size=config.batch_size, device=device
    )
    pictures = project(image_tower, image_features, device=device)
    return project(tower, features, device=device), pictures.reshape(config.views, len(points), -1)


def joint_scores(clouds: Float[np.ndarray, "N E"], pictures: Float[np.ndarray, "V N E"]) -> dict[str, float]:
    """Recalls and ranks in both directions; row i of both belongs to shape i.

    Args:
        clouds: projections of the clouds.
        pictures: projections of V pictures of each shape.
    """
    own = np.arange(len(clouds))
    similarities = [cosines(view, clouds) for view in pictures]
    found: dict[str, Callable[[np.ndarray], np.ndarray]] = {
        PICTURE_TO_SHAPE: lambda matrix: ranks(matrix, own),
        SHAPE_TO_PICTURE: lambda matrix: ranks(np.ascontiguousarray(matrix.T), own),
    }
    return {
        f"{way}_{name}": value
        for way, rank in found.items()
        for name, value in retrieval_scores(np.concatenate([rank(matrix) for matrix in similarities])).items()
    }


def _image_size(encoder: str) -> int:
    """The picture size that a run was trained with; the default where the run does not say."""
    path = Path(encoder) / "config.yaml"
    values = load_yaml(path, PretrainConfig) if path.is_file() else {}
    return int(values.get("image_size", PretrainConfig.image_size))


def _check_views(config: RetrievalConfig, shapes: PicturedClouds) -> None:
    fewest, name = min((len(row), name) for row, name in zip(shapes.views, shapes.ids, strict=True))
    if fewest < config.views:
        raise UsageError(f"--views {config.views}: shape {name} has only {fewest} pictures")
    if len(shapes.ids) < 2:
        raise UsageError(f"--data {config.data}: one shape in the test split; a search needs two or more")


def _limited(shapes: PicturedClouds, share: float) -> PicturedClouds:
    if share == 1:
        return shapes
    kept = stratified_share(shapes.categories, share, least=1)
    ids = tuple(shapes.ids[row] for row in kept)
    categories = tuple(shapes.categories[row] for row in kept)
    note = f"a stratified share of {share:g} of the test split, drawn with seed 0"
    record = shapes.record | {
        "limit": share,
        "shapes": len(kept),
        "split_sha256": split_hash([], zip(ids, categories, strict=True)),
        "notes": [*shapes.record["notes"], note],
    }
    return PicturedClouds(shapes.points[kept], [shapes.views[row] for row in kept], categories, ids, record)
