"""Which test shapes a trained machine is scored on: a stratified part of the split, and the tests of other data.

Axis letters: N shapes, M of them, P points.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float32, Int64

from crosspoint3d.config import UsageError
from crosspoint3d.data.clouds import LabelledClouds, load_clouds
from crosspoint3d.evaluation.features import subsample
from crosspoint3d.evaluation.protocol import arrays_sha256, picked
from crosspoint3d.evaluation.seeds import limited


def stratified_rows(labels: Int64[np.ndarray, " N"], count: int, seed: int = 0) -> Int64[np.ndarray, " M"]:
    """Rows, ascending, of exactly `count` shapes: each category in proportion, one shape at least.

    Proportions are rounded by largest remainders; of equal ones the lower label comes first.

    Args:
        labels: of the test shapes.
        count: how many; 0 takes all.
        seed: decides which.

    Raises:
        UsageError: there are fewer shapes, or more categories.
    """
    present, shapes = np.unique(labels, return_counts=True)
    if count == 0:
        return np.arange(len(labels))
    if not len(present) <= count <= len(labels):
        raise UsageError(
            f"--test-shapes {count}: the test split has {len(labels)} shapes in {len(present)} categories; "
            f"use {len(present)} to {len(labels)}, or 0 for all"
        )
    share = shapes * (count / len(labels))
    taken = np.maximum(np.floor(share), 1).astype(np.int64)
    while (missing := count - taken.sum()) != 0:
        step = 1 if missing > 0 else -1
        free = taken < shapes if missing > 0 else taken > 1
        taken[np.argmax(np.where(free, step * (share - taken), -np.inf))] += step
    generator = np.random.default_rng(seed)
    parts = [generator.permutation(np.flatnonzero(labels == c))[:n] for c, n in zip(present, taken, strict=True)]
    return np.sort(np.concatenate(parts))


@dataclass(frozen=True)
class OtherTest:
    """The test split of other data, as an evaluation of the first data takes it.

    Attributes:
        name: in the names of scores: the variant of the data set, or the whole spec.
        points: as many of each cloud as the first data has.
        labels: indices into the categories of the first data.
        record: plain values of the data, with how the points were picked and the hash of these very clouds.
    """

    name: str
    points: Float32[np.ndarray, "N P 3"]
    labels: Int64[np.ndarray, " N"]
    record: dict[str, Any]


def other_tests(
    specs: Sequence[str], clouds: LabelledClouds, *, points: int, limit: float, seed: int
) -> list[OtherTest]:
    """Load the test split of each other data.

    Args:
        specs: as `--data` takes them; one that is named twice is used once.
        clouds: the first data, whose categories decide the labels.
        points: points of each cloud, drawn from the seed where the data has more.
        limit: share of the test shapes to use, stratified (seed 0).
        seed: of the points and of a drawn split.

    Raises:
        UsageError: the data cannot be used, has other categories, or fewer points.
    """
    loaded = {spec: limited(_load(spec, seed), limit) for spec in dict.fromkeys(specs)}
    variants = [data.record.get("variant") for data in loaded.values()]
    found = []
    for spec, data in loaded.items():
        _check_categories(spec, data.categories, clouds.categories)
        available = data.test_points.shape[1]
        if available < points:
            raise UsageError(
                f"--transfer {spec}: its clouds have {available} points, fewer than the {points} of --data; "
                f"use --points {available}"
            )
        index = np.array([clouds.categories.index(name) for name in data.categories], dtype=np.int64)
        variant = data.record.get("variant")
        name = str(variant) if variant and variants.count(variant) == 1 else spec
        drawn = subsample(data.test_points, points, seed)
        record = data.record | {"points_picked": picked(points, available), "clouds_sha256": arrays_sha256(drawn)}
        found.append(OtherTest(name, drawn, index[data.test_labels], record))
    return found


def _load(spec: str, seed: int) -> LabelledClouds:
    try:
        return load_clouds(spec, seed=seed)
    except UsageError as error:
        raise UsageError(f"--transfer {spec}: {str(error).removeprefix(f'--data {spec}: ')}") from error


def _check_categories(spec: str, theirs: Sequence[str], ours: Sequence[str]) -> None:
    differences = [
        f"only {where}: {', '.join(sorted(names)[:5])}{f' and {len(names) - 5} more' * (len(names) > 5)}"
        for where, names in (("there", set(theirs) - set(ours)), ("in --data", set(ours) - set(theirs)))
        if names
    ]
    if differences:
        raise UsageError(f"--transfer {spec} has other categories than --data ({'; '.join(differences)})")
