"""Part labels of clouds from a trained network: batches, test-time voting, answers within the shape's category.

Axis letters: N shapes, P points, B clouds of a batch, Q parts of all categories.
"""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import torch
from jaxtyping import Float32, Int16, Int64
from torch import Tensor
from tqdm import tqdm

from crosspoint3d.config import UsageError
from crosspoint3d.data.part_labels import PartSplit
from crosspoint3d.evaluation.features import SILENT_SECONDS
from crosspoint3d.models import Segmenter
from crosspoint3d.runtime import generator_for
from crosspoint3d.transforms.points import stretch

STRETCH = 0.8, 1.25
"""Factors of the copies that vote."""


def predict_parts(
    segmenter: Segmenter,
    split: PartSplit,
    *,
    batch_size: int,
    device: str | torch.device,
    votes: int = 1,
    seed: int = 0,
    restrict: bool = True,
) -> Int16[np.ndarray, "N P"]:
    """The most probable part of every point, of equal ones the lower id; see `part_probabilities`."""
    answers = np.empty(split.points.shape[:2], dtype=np.int16)
    batches = part_probabilities(
        segmenter,
        split.points,
        split.categories,
        batch_size=batch_size,
        device=device,
        votes=votes,
        seed=seed,
        restrict=restrict,
    )
    start = 0
    with tqdm(total=len(split), unit="shape", desc="parts", delay=SILENT_SECONDS, leave=False, disable=None) as bar:
        for batch in batches:
            answers[start : start + len(batch)] = batch.argmax(dim=2).cpu().numpy()
            start += len(batch)
            bar.update(len(batch))
    return answers


def part_probabilities(
    segmenter: Segmenter,
    points: Float32[np.ndarray, "N P 3"],
    categories: Int64[np.ndarray, " N"],
    *,
    batch_size: int,
    device: str | torch.device,
    votes: int = 1,
    seed: int = 0,
    restrict: bool = True,
) -> Iterator[Float32[Tensor, "B P Q"]]:
    """Probabilities of all parts at every point, batch by batch, on `device`.

    Computed in float32 without autocast and without gradients.

    Args:
        segmenter: is moved to `device` and left in eval mode.
        points: normalised clouds.
        categories: indices into the categories of the segmenter's table.
        batch_size: clouds a forward pass; it decides nothing.
        device: where to compute.
        votes: copies of every cloud whose softmax is averaged: the cloud itself, and others stretched by U(0.8, 1.25)
            along each axis.
        seed: decides the factors, together with the place of the shape in the list.
        restrict: leave only the parts of the shape's category; the others get probability 0.

    Raises:
        ValueError: votes or batch_size is below 1.
        UsageError: the network gives values that are not finite.
    """
    if votes < 1 or batch_size < 1:
        raise ValueError(f"part_probabilities: votes={votes} and batch_size={batch_size} must be at least 1")
    device = torch.device(device)
    segmenter.to(device).eval()
    allowed = torch.from_numpy(segmenter.table.allowed()).to(device)
    for start in range(0, len(points), batch_size):
        clouds = torch.from_numpy(points[start : start + batch_size]).to(device)
        category = torch.from_numpy(categories[start : start + batch_size]).to(device)
        factors = vote_factors(start, len(clouds), votes, seed).to(device)
        mask = ~allowed[category][:, None] if restrict else None
        total: Tensor | None = None
        for vote in range(votes):
            with torch.inference_mode(), torch.autocast(device.type, enabled=False):
                logits = segmenter(clouds * factors[:, vote, None] if vote else clouds, category).float()
                if not logits.isfinite().all():
                    bad = start + int((~logits.isfinite()).flatten(1).any(1).nonzero()[0])
                    raise UsageError(
                        f"the network gives values that are not finite (first: shape number {bad}): its weights or its "
                        "input are broken"
                    )
                probabilities = (logits if mask is None else logits.masked_fill(mask, -torch.inf)).softmax(dim=2)
                total = probabilities if total is None else total + probabilities
        assert total is not None
        yield total / votes


def vote_factors(first: int, count: int, votes: int, seed: int) -> Float32[Tensor, "B V 3"]:
    """Factors of the copies of each shape that vote, the first of them 1: a function of the seed and its place.

    Args:
        first: place of the first shape in the list of all.
        count: shapes.
        votes: copies of each.
        seed: decides the factors.
    """
    factors = torch.ones(count, votes, 3)
    for row in range(count if votes > 1 else 0):
        ones = torch.ones(votes - 1, 1, 3)
        factors[row, 1:] = stretch(ones, *STRETCH, generator_for(seed, first + row))[:, 0]
    return factors


def with_points(split: PartSplit, count: int, seed: int) -> PartSplit:
    """A random subset of each cloud's points with their labels; all of them, unchanged, when `count` is P.

    The subset is the one that `features.subsample` draws from the same seed.

    Raises:
        UsageError: `count` is below 1 or above P.
    """
    available = split.points.shape[1]
    if not 1 <= count <= available:
        raise UsageError(f"--points {count}: the clouds have {available} points, use 1 to {available}")
    if count == available:
        return split
    generator = np.random.default_rng(seed)
    chosen = np.stack([generator.permutation(available)[:count] for _ in range(len(split))])
    return replace(
        split,
        points=np.take_along_axis(split.points, chosen[:, :, None], axis=1),
        parts=np.take_along_axis(split.parts, chosen, axis=1),
    )
