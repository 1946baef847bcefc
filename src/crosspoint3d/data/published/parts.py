"""What the readers of published data sets share: HDF5 files joined to one split, and clouds of one size."""

import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float32

from crosspoint3d.config import UsageError
from crosspoint3d.data.clouds_h5 import Part, read_h5
from crosspoint3d.runtime import file_sha256

POINTS = 2048
"""Points of each cloud that are kept of longer files, and drawn from surfaces."""
UP_ASSUMED = "y up assumed, as the data set is published; not rotated"


class Published(NamedTuple):
    """A data set as read: the names of all categories in order of their labels, both splits, and what was assumed."""

    names: list[str]
    train: Part
    test: Part
    record: dict[str, Any]


def require_file(spec: str, path: Path, layout: str) -> Path:
    """The path, if a file is there.

    Raises:
        UsageError: names the missing file and the layout expected.
    """
    if not path.is_file():
        raise UsageError(f"--data {spec}: there is no file {path}; expected {layout}")
    return path


def read_lines(spec: str, path: Path, layout: str) -> list[str]:
    """The lines of a list file, without blank ones.

    Raises:
        UsageError: the file is missing, empty or no text.
    """
    try:
        text = require_file(spec, path, layout).read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise UsageError(f"--data {spec}: {path} is no text; expected {layout}") from error
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    if not lines:
        raise UsageError(f"--data {spec}: {path} is empty; expected {layout}")
    return lines


def read_h5_part(spec: str, part: str, paths: Sequence[Path], names: Sequence[str], layout: str) -> Part:
    """Join HDF5 files of `data` (n, P, 3) and `label` (n,) or (n, 1) to one split, in the given order.

    Args:
        spec: what the user asked for, to be named in errors.
        part: train or test; shapes are called `part/0`, `part/1` and so on.
        paths: the files.
        names: the categories in order of their labels; empty means the labels' numbers.
        layout: what was expected, to be named in errors.

    Raises:
        UsageError: a file is missing, cut short, of another layout, or of another number of points than the first.
    """
    clouds: list[np.ndarray] = []
    labels: list[int] = []
    places: list[str] = []
    for path in paths:
        require_file(spec, path, layout)
        try:
            points, numbers, _ = read_h5(path)
        except UsageError as error:
            raise UsageError(f"{error}; expected {layout}") from error
        if names and numbers.max(initial=0) >= len(names):
            raise UsageError(f"--data {spec}: {path}: label {numbers.max()}, but there are {len(names)} categories")
        if clouds and points.shape[1] != clouds[0].shape[1]:
            raise UsageError(
                f"--data {spec}: clouds of differing sizes: {points.shape[1]} points in {path}, "
                f"{clouds[0].shape[1]} in {paths[0]}"
            )
        clouds.append(points)
        labels += numbers.tolist()
        places += [f"{path} row {row}" for row in range(len(points))]
    categories = [names[label] if names else str(label) for label in labels]
    return Part(np.concatenate(clouds), categories, [f"{part}/{index}" for index in range(len(labels))], places)


def stack_clouds(spec: str, paths: Sequence[Path], clouds: Sequence[Float32[np.ndarray, "_ 3"]]) -> np.ndarray:
    """Clouds of one size as one array (n, P, 3).

    Raises:
        UsageError: a cloud has another number of points than the first; names both files.
    """
    for path, cloud in zip(paths, clouds, strict=True):
        if len(cloud) != len(clouds[0]):
            raise UsageError(
                f"--data {spec}: clouds of differing sizes: {len(cloud)} points in {path}, {len(clouds[0])} in "
                f"{paths[0]}; every file must hold as many points as the others, or at least {POINTS:,}"
            )
    return np.stack(clouds)


def file_hashes(root: Path, paths: Sequence[Path]) -> dict[str, str]:
    """SHA-256 of each file, by its path below `root`."""
    return {path.relative_to(root).as_posix(): file_sha256(path) for path in paths}


def numbered_files(folder: Path, part: str) -> list[Path]:
    """The files `ply_data_{part}*.h5`, in the order of their numbers."""

    def number(path: Path) -> tuple[int, str]:
        digits = re.search(r"(\d+)$", path.stem)
        return (int(digits[1]) if digits else -1, path.name)

    return sorted(folder.glob(f"ply_data_{part}*.h5"), key=number)


def refuse_repeats(spec: str, listed: Sequence[str]) -> None:
    """Refuse lists that name something twice.

    Raises:
        UsageError: names the first that repeats.
    """
    repeated = next((name for name, count in Counter(listed).items() if count > 1), None)
    if repeated:
        raise UsageError(f"--data {spec}: {repeated} is listed more than once, in all splits taken together")
