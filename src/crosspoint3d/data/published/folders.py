"""Shapes in folders of a class and a split: OFF surfaces as Princeton publishes ModelNet, or arrays of points.

Axis letters: P points.
"""

import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float32

from crosspoint3d import geometry
from crosspoint3d.config import UsageError
from crosspoint3d.data.clouds_h5 import Part
from crosspoint3d.data.meshes import read_mesh
from crosspoint3d.data.published.parts import POINTS, UP_ASSUMED, Published, stack_clouds

SPLITS = ("train", "test")
LAYOUT = "folders Class/train and Class/test, or train/Class and test/Class, of .off or .npy files"
SURFACE_SEED = 0


def has_folders(root: Path) -> bool:
    """Whether a folder looks like LAYOUT, complete or not."""
    return any((root / part).is_dir() for part in SPLITS) or any(
        (folder / part).is_dir() for folder in _folders(root) for part in SPLITS
    )


def read_folders(spec: str, root: Path) -> Published:
    """Read `Class/{train,test}` or `{train,test}/Class` below `root`.

    OFF files are z up and turned to y up; 2,048 points are drawn from each surface, by a seed and the file's path.
    NPY files, `(P, 3 or more)`, are taken as y up; the first 2,048 points are kept, in file order.

    Raises:
        UsageError: a folder is missing or empty, a file is broken, or the clouds are of differing sizes.
    """
    by_split = any((root / part).is_dir() for part in SPLITS)
    if by_split:
        missing = next((root / part for part in SPLITS if not (root / part).is_dir()), None)
        if missing:
            raise UsageError(f"--data {spec}: there is no folder {missing}; expected {LAYOUT}")
        found = {part: {folder.name: folder for folder in _folders(root / part)} for part in SPLITS}
    else:
        classes = [folder for folder in _folders(root) if any((folder / part).is_dir() for part in SPLITS)]
        found = {part: {folder.name: folder / part for folder in classes} for part in SPLITS}
    suffix = ".off" if any(_files(at, ".off") for part in SPLITS for at in found[part].values()) else ".npy"
    read = _sample if suffix == ".off" else _load
    (train, train_bytes), (test, test_bytes) = (_part(spec, root, found[part], suffix, read) for part in SPLITS)
    record: dict[str, Any] = {
        "layout": LAYOUT,
        "split": "the folders train and test",
        "split_drawn": False,
        "files": {"number": len(train.ids) + len(test.ids), "bytes": train_bytes + test_bytes},
        "orientation": "z up assumed, as published; turned to y up" if suffix == ".off" else UP_ASSUMED,
        "point_order": (
            f"{POINTS} points drawn uniformly from each surface, by seed {SURFACE_SEED} and the file's path"
            if suffix == ".off"
            else f"the first {train.points.shape[1]} in file order, normalised after"
        ),
    }
    return Published(sorted(set(train.categories) | set(test.categories)), train, test, record)


def _part(
    spec: str, root: Path, folders: dict[str, Path], suffix: str, read: Callable[[Path, str], np.ndarray]
) -> tuple[Part, int]:
    """One split, and the bytes of its files."""
    paths: list[Path] = []
    categories: list[str] = []
    for name, folder in folders.items():
        here = _files(folder, suffix)
        if not here:
            raise UsageError(f"--data {spec}: no {suffix} file in the folder {folder}; expected {LAYOUT}")
        paths += here
        categories += [name] * len(here)
    if not paths:
        raise UsageError(f"--data {spec}: no class folder below {root}; expected {LAYOUT}")
    ids = [path.relative_to(root).as_posix() for path in paths]
    clouds = []
    for path, name in zip(paths, ids, strict=True):
        try:
            clouds.append(read(path, name))
        except (ValueError, OSError, EOFError) as error:
            raise UsageError(f"--data {spec}: {path} cannot be used: {error}; expected {LAYOUT}") from error
    return Part(stack_clouds(spec, paths, clouds), categories, ids, [str(path) for path in paths]), sum(
        path.stat().st_size for path in paths
    )


def _sample(path: Path, name: str) -> Float32[np.ndarray, "P 3"]:
    generator = np.random.default_rng([SURFACE_SEED, zlib.crc32(name.encode())])
    mesh = read_mesh(path)
    points, _, _ = geometry.sample_surface(mesh.vertices, mesh.faces, POINTS, generator)
    turned: np.ndarray = points @ geometry.up_rotation("z").T
    return turned


def _load(path: Path, name: str) -> Float32[np.ndarray, "P 3"]:
    array = np.load(path, allow_pickle=False)
    if array.ndim != 2 or array.shape[1] < 3 or len(array) == 0 or array.dtype.kind not in "fiu":
        raise ValueError(f"expected numbers of shape (points, 3 or more), found {array.dtype} {array.shape}")
    points: np.ndarray = array[:POINTS, :3].astype(np.float32)
    return points


def _folders(root: Path) -> list[Path]:
    return sorted(path for path in root.iterdir() if path.is_dir() and not path.name.startswith((".", "__")))


def _files(folder: Path, suffix: str) -> list[Path]:
    if not folder.is_dir():
        return []
    return sorted(p for p in folder.iterdir() if p.suffix.lower() == suffix and not p.name.startswith("."))
