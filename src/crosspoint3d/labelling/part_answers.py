"""Part probabilities of a stream of shapes, in batches across shapes, and the category each was labelled as.

Axis letters: S sampled points of a shape, Q parts of its category, D draws, V votes, P points of a cloud.
"""

import threading
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float32

from crosspoint3d.evaluation.part_predictions import part_probabilities
from crosspoint3d.labelling.categories import best_fit, match_category
from crosspoint3d.labelling.stream import Broken, Shape, batches
from crosspoint3d.models import Segmenter

MOST_SHAPES = 64


@dataclass(frozen=True)
class PartAnswer:
    """What the network says of one shape.

    Attributes:
        shape: with its sampled points.
        category: index into the categories of the network's table.
        found: how: option (of all shapes), name (the shape's own) or fit.
        fit: score of the best fit (see `best_fit`); None where the category was known.
        probabilities: of the category's parts, in the order of the table, at each sampled point.
    """

    shape: Shape
    category: int
    found: str
    fit: float | None
    probabilities: Float32[np.ndarray, "S Q"]


def answer_parts(
    segmenter: Segmenter,
    shapes: Iterable[Shape | Broken],
    *,
    category: int | None,
    batch_size: int,
    device: torch.device,
    stop: threading.Event,
) -> Iterator[PartAnswer | Broken]:
    """Label shapes in their order; what is broken is handed on.

    Args:
        segmenter: on `device`, in eval mode.
        shapes: are taken until their clouds fill a batch.
        category: of all shapes; None: each one's own, else the one that fits best.
        batch_size: clouds a forward pass; it decides nothing.
        device: where to compute.
        stop: when it is set, shapes that wait for their batch to fill are dropped.

    Raises:
        UsageError: the network gives values that are not finite.
    """
    for batch in batches(shapes, clouds=batch_size, most=MOST_SHAPES, stop=stop):
        yield from _answer(segmenter, batch, category, batch_size, device)


def _answer(
    segmenter: Segmenter, batch: Sequence[Shape | Broken], fixed: int | None, batch_size: int, device: torch.device
) -> Iterator[PartAnswer | Broken]:
    shapes = [shape for shape in batch if isinstance(shape, Shape)]
    table = segmenter.table
    known = [fixed if fixed is not None else match_category(shape.category, table.categories) for shape in shapes]
    unknown = [shape for shape, category in zip(shapes, known, strict=True) if category is None]
    fits: Iterator[tuple[int, float | None]] = iter(())
    if unknown:
        best, scores = best_fit(segmenter, np.stack([shape.clouds[0, 0] for shape in unknown]), device)
        fits = zip(best.tolist(), scores.max(axis=1).tolist(), strict=True)
    settled = [(category, None) if category is not None else next(fits) for category in known]
    tables = _probabilities(segmenter, shapes, [category for category, _ in settled], batch_size, device)
    own = "name" if fixed is None else "option"
    answers = (
        PartAnswer(shape, category, own if score is None else "fit", score, next(tables))
        for shape, (category, score) in zip(shapes, settled, strict=True)
    )
    for shape in batch:
        yield shape if isinstance(shape, Broken) else next(answers)


def _probabilities(
    segmenter: Segmenter, shapes: Sequence[Shape], categories: Sequence[int], batch_size: int, device: torch.device
) -> Iterator[Float32[np.ndarray, "S Q"]]:
    """Of each shape in turn, averaged over its votes."""
    if not shapes:
        return
    sizes = [shape.clouds.shape[0] * shape.clouds.shape[1] for shape in shapes]
    clouds = np.concatenate([shape.clouds.reshape(-1, *shape.clouds.shape[2:]) for shape in shapes])
    labels = np.repeat(np.array(categories, np.int64), sizes)
    batches = part_probabilities(segmenter, clouds, labels, batch_size=batch_size, device=device)
    rows = (row for batch in batches for row in batch)
    for shape, category in zip(shapes, categories, strict=True):
        own = list(segmenter.table.parts[category])
        draws, votes, points = shape.clouds.shape[:3]
        mine = np.stack([next(rows)[:, own].cpu().numpy() for _ in range(draws * votes)])
        mean: np.ndarray = mine.reshape(draws, votes, points, len(own)).mean(axis=1)
        yield mean.reshape(draws * points, len(own))
