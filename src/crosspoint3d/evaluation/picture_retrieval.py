"""From a picture to its shape and back, among the shapes of the test split, labelled or not.

Axis letters: N shapes, V pictures of each, E width of the joint space.
"""

import hashlib
import time
from collections.abc import Callable
from typing import Any, Literal

import numpy as np
import torch
from jaxtyping import Float

from crosspoint3d import models
from crosspoint3d.config import RetrievalConfig, UsageError
from crosspoint3d.data.clouds import PicturedClouds, load_views
from crosspoint3d.data.split import split_hash, stratified_share
from crosspoint3d.evaluation.cache import cached_features
from crosspoint3d.evaluation.features import compute_image_features, project, subsample
from crosspoint3d.evaluation.image_size import image_size, pictures_of
from crosspoint3d.evaluation.metrics import cosines, ranks, retrieval_chance, retrieval_scores
from crosspoint3d.evaluation.protocol import picked, weights_sha256
from crosspoint3d.evaluation.searched import Searched
from crosspoint3d.evaluation.seeds import check_k, with_points
from crosspoint3d.runtime import pick_device

PICTURE_TO_SHAPE, SHAPE_TO_PICTURE = "picture_to_shape", "shape_to_picture"


def load_pictured(config: RetrievalConfig) -> PicturedClouds:
    """The pictured shapes of seed 0, once it is known that the encoder has an image encoder beside it.

    Raises:
        UsageError: the encoder has none, or the data has no pictures.
    """
    if config.encoder.startswith("random:") or not models.has_twin(config.encoder):
        raise UsageError(f"--encoder {config.encoder} has no image encoder: use a run folder (its twin is scored too)")
    models.load_image_encoder(config.encoder)
    return _shapes(config, 0)


def pictures_and_shapes(config: RetrievalConfig, shapes: PicturedClouds) -> Searched:
    """Search both ways by the cosine of projections, for every seed and both encoders.

    Picture to shape: each of the first `views` pictures of a shape is a query against all clouds. Shape to picture:
    each cloud is a query against one picture of every shape, for each of the first `views` in turn.

    Args:
        config: as it is run.
        shapes: what `load_pictured` gave.

    Raises:
        UsageError: the shapes are too few, or have fewer pictures than asked for.
    """
    device, size = pick_device(config.device), image_size(config.encoder)
    runs: dict[str, list[dict[str, float]]] = {"trained": [], "untrained": []}
    encoded: list[dict[str, Any]] = []
    fixed = False
    for seed in range(config.seeds):
        if seed > 0 and shapes.record["split_drawn"]:
            shapes = _shapes(config, seed)
        _check_views(config, shapes)
        config = with_points(config, shapes.points.shape[1])
        points = subsample(shapes.points, config.points, seed)
        digest = hashlib.sha256(points.tobytes()).hexdigest()
        entry: dict[str, Any] = {"seed": seed, "clouds_sha256": digest, "untrained": None}
        for who in ("trained", "untrained") if config.untrained else ("trained",):
            if who == "trained" and fixed:
                runs[who].append(runs[who][-1])
                entry[who] = encoded[-1][who]
                continue
            if who == "trained":
                towers = models.load_encoder(config.encoder, config.k), models.load_image_encoder(config.encoder)
            else:
                towers = models.untrained(config.encoder, seed, config.k), models.untrained_image(config.encoder, seed)
            clouds, pictures, entry[who] = projections(*towers, points, shapes.views, config, size, device)
            runs[who].append(joint_scores(clouds, pictures))
        encoded.append(entry)
        fixed = config.points == shapes.points.shape[1] and not shapes.record["split_drawn"]
    chance = retrieval_chance(len(shapes.ids))
    ways = PICTURE_TO_SHAPE, SHAPE_TO_PICTURE
    drawn = {"points_picked": picked(config.points, shapes.points.shape[1]), "points_count": config.points}
    return Searched(
        trained=runs["trained"],
        untrained=runs["untrained"],
        chance={f"{way}_{name}": value for way in ways for name, value in chance.items()},
        encoders=encoded,
        data=shapes.record | drawn,
        repeated=fixed,
        choices={
            "gallery": len(shapes.ids),
            "views": config.views,
            "image_size": size,
            **({} if (kind := pictures_of(config.encoder)) == "colour" else {"pictures": kind}),
            "similarity": "cosine of projections; equal ones share their places (1 + better + half the equal)",
        },
    )


def projections(
    tower: models.Tower,
    image_tower: models.Tower,
    points: Float[np.ndarray, "N P 3"],
    views: list[list[bytes]],
    config: RetrievalConfig,
    size: int,
    device: torch.device,
) -> tuple[Float[np.ndarray, "N E"], Float[np.ndarray, "V N E"], dict[str, Any]]:
    """Projections of all clouds and of the first `config.views` pictures of each; plain values about the encoders."""
    check_k(config, tower)
    started, weights = time.monotonic(), weights_sha256(tower)
    features, from_cache = cached_features(
        tower, weights, points, batch_size=config.batch_size, device=device, enabled=config.cache
    )
    flat = [row[view] for view in range(config.views) for row in views]
    image_features = compute_image_features(
        image_tower,
        flat,
        image_size=size,
        batch_size=config.batch_size,
        device=device,
        grey=pictures_of(config.encoder) == "grey",
    )
    pictures = project(image_tower, image_features, device=device)
    record = {
        "sha256": weights,
        "image_sha256": weights_sha256(image_tower),
        "k": getattr(tower, "k", None),
        "width": features.shape[1],
        "from_cache": from_cache,
        "seconds": round(time.monotonic() - started, 3),
    }
    return project(tower, features, device=device), pictures.reshape(config.views, len(points), -1), record


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


def _shapes(config: RetrievalConfig, seed: int) -> PicturedClouds:
    column: Literal["views", "depth"] = "depth" if pictures_of(config.encoder) == "depth" else "views"
    return _limited(load_views(config.data, "test", seed=seed, column=column), config.limit)


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
