"""Labelled clouds in HDF5, in the layouts that ModelNet40 and ShapeNetPart are passed around in."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import h5py
import numpy as np

from crosspoint3d.config import UsageError


class Part(NamedTuple):
    """One split: points (n, P, 3) float32, and of each shape the category, the id and where it was read, for errors.

    Without `places` a shape goes by its id.
    """

    points: np.ndarray
    categories: list[str]
    ids: list[str]
    places: Sequence[str] = ()


def read_h5_pair(spec: str) -> tuple[list[str], Part, Part]:
    """Read `clouds:TRAIN.h5,TEST.h5`.

    Each file holds `points` or `data` `(n, P, 3)` and `label` `(n,)` or `(n, 1)`; integer points are
    multiplied by the attribute `scale` of the dataset or the file. Category names come from `classes.json`
    beside the first file (a list, or an object from index to name), else they are the labels' numbers. A
    dataset `name` gives the shapes' ids where the names differ from each other.

    Returns:
        The category names in order of their labels, the train part and the test part.

    Raises:
        UsageError: a file is missing, is not HDF5, or has another layout.
    """
    paths = [Path(part) for part in spec.removeprefix("clouds:").split(",")]
    if len(paths) != 2 or not all(path.name for path in paths):
        raise UsageError(f"--data {spec}: expected two files, clouds:TRAIN.h5,TEST.h5")
    names = _names(paths[0].parent / "classes.json")
    read = [read_h5(path) for path in paths]
    for path, (_, labels, _) in zip(paths, read, strict=True):
        if names and labels.max(initial=0) >= len(names):
            raise UsageError(
                f"{path} row {labels.argmax()}: label {labels.max()}, but classes.json names {len(names)} categories"
            )
    if not names:
        highest = max(int(labels.max(initial=0)) for _, labels, _ in read)
        names = [f"{label:0{len(str(highest))}d}" for label in range(highest + 1)]
    given = [name for _, _, ids in read for name in ids]
    distinct = len(set(given)) == len(given) == sum(len(points) for points, _, _ in read)
    parts: list[Part] = []
    for part, path, (points, labels, ids) in zip(("train", "test"), paths, read, strict=True):
        ids = ids if distinct else [f"{part}/{index}" for index in range(len(points))]
        places = [f"{path} row {row}" for row in range(len(points))]
        parts.append(Part(points, [names[label] for label in labels], ids, places))
    return names, parts[0], parts[1]


def _names(path: Path) -> list[str]:
    if not path.is_file():
        return []
    try:
        names = json.loads(path.read_text(encoding="utf-8"))
        if isinstance(names, dict):
            names = [names[str(index)] for index in range(len(names))]
        if len(set(names)) != len(names) or not all(isinstance(name, str) for name in names):
            raise ValueError("names repeat or are no text")
    except (ValueError, KeyError, TypeError) as error:
        raise UsageError(f"{path}: expected a list of different category names: {error}") from error
    return list(names)


def read_h5(path: Path) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """Points, labels and category names of one file, checked; errors name the file."""
    if not path.is_file():
        raise UsageError(f"--data: there is no file {path}")
    try:
        file = h5py.File(path, "r")
    except OSError as error:
        raise UsageError(f"--data: {path} is not an HDF5 file, or it is cut short: {error}") from error
    with file:
        key = next((name for name in ("points", "data") if name in file), None)
        if key is None or "label" not in file:
            raise UsageError(f"{path}: expected the datasets points (or data) and label, found {', '.join(file)}")
        stored, labels = file[key], np.asarray(file["label"])
        if stored.ndim != 3 or stored.shape[2] != 3:
            raise UsageError(f"{path}: {key} has shape {stored.shape}, expected (n, P, 3)")
        if labels.size != len(stored) or not np.issubdtype(labels.dtype, np.integer) or labels.min(initial=0) < 0:
            raise UsageError(f"{path}: label is {labels.dtype} {labels.shape}, expected {len(stored)} integers from 0")
        points = np.asarray(stored).astype(np.float32)
        if np.issubdtype(stored.dtype, np.integer):
            scale = stored.attrs.get("scale", file.attrs.get("scale"))
            if scale is None:
                raise UsageError(f"{path}: {key} holds integers but has no attribute scale to multiply them by")
            points *= np.float32(scale)
        names = [] if "name" not in file else [_text(value) for value in np.asarray(file["name"]).ravel()]
        return points, labels.reshape(-1).astype(np.int64), names


def _text(value: object) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
