"""ModelNet40 and ModelNet10 (Wu et al. 2015, https://arxiv.org/abs/1406.5670) in the layouts they are passed around in.

`modelnet40_ply_hdf5_2048` (PointNet), `modelnet40_normal_resampled` (PointNet++), and folders of OFF or NPY files.
"""

from collections.abc import Sequence
from itertools import islice
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from crosspoint3d.config import UsageError
from crosspoint3d.data.clouds_h5 import Part
from crosspoint3d.data.published import folders
from crosspoint3d.data.published.parts import (
    POINTS,
    UP_ASSUMED,
    Published,
    file_hashes,
    numbered_files,
    read_h5_part,
    read_lines,
    refuse_repeats,
    require_file,
    stack_clouds,
)

SPLITS = ("train", "test")
HDF5_LAYOUT = "modelnet40_ply_hdf5_2048: train_files.txt, test_files.txt, the ply_data_*.h5 they name, shape_names.txt"
RESAMPLED_LAYOUT = (
    "modelnet40_normal_resampled: {name}_train.txt, {name}_test.txt, {name}_shape_names.txt, Class/Class_0001.txt with "
    "lines x,y,z,nx,ny,nz"
)
MODELNET10 = (
    "bathtub", "bed", "chair", "desk", "dresser", "monitor", "night_stand", "sofa", "table", "toilet",
)  # fmt: skip
SHAPES = {"modelnet40": ((9843, 2468), (9840, 2468)), "modelnet10": ((3991, 908),)}
"""Train and test shapes as published; the HDF5 files lack three of ModelNet40's training shapes."""
_FOLDERS = ("modelnet40_ply_hdf5_2048", "modelnet40_normal_resampled", "ModelNet40", "ModelNet10")


def read_modelnet(spec: str) -> Published:
    """Read `modelnet40:DIR` or `modelnet10:DIR`; the layout is found by the files in DIR.

    DIR is one of the published folders or holds one of them. The record says which layout it was, and whether the
    numbers of shapes are those published.

    Raises:
        UsageError: no layout is recognised, a file is missing or broken, or a category is none of ModelNet10's.
    """
    name, _, place = spec.partition(":")
    root = Path(place)
    if not place or not root.is_dir():
        raise UsageError(f"--data {spec}: there is no folder {place!r}; expected {name}:DIR, DIR holding {_any(name)}")
    read = _read(spec, name, root)
    strange = sorted({*read.train.categories, *read.test.categories} - set(MODELNET10))
    if name == "modelnet10" and strange:
        raise UsageError(
            f"--data {spec}: {len(strange)} categories that ModelNet10 does not have, such as {strange[0]}; "
            f"it has {', '.join(MODELNET10)}"
        )
    counts = (len(read.train.ids), len(read.test.ids))
    return read._replace(record={"dataset": name, "as_many_as_published": counts in SHAPES[name]} | read.record)


def _read(spec: str, name: str, root: Path) -> Published:
    wanted = _FOLDERS[:3] if name == "modelnet40" else _FOLDERS[1:2] + _FOLDERS[3:]
    for folder in (*(root / below for below in wanted), root):
        if not folder.is_dir():
            continue
        if any((folder / f"{part}_files.txt").is_file() or numbered_files(folder, part) for part in SPLITS):
            return _read_hdf5(spec, folder)
        if any((folder / f"{name}_{part}.txt").is_file() for part in SPLITS):
            return _read_resampled(spec, name, folder)
        if folders.has_folders(folder):
            return folders.read_folders(spec, folder)
    raise UsageError(f"--data {spec}: no known layout in {root}; expected {_any(name)}")


def _any(name: str) -> str:
    layouts = [HDF5_LAYOUT] if name == "modelnet40" else []
    return "; or ".join([*layouts, RESAMPLED_LAYOUT.format(name=name), folders.LAYOUT])


def _read_hdf5(spec: str, folder: Path) -> Published:
    """Lists name files by paths of another machine: only the file's name counts, looked up beside the list."""
    paths: dict[str, list[Path]] = {}
    lists = [part for part in SPLITS if (folder / f"{part}_files.txt").is_file()]
    for part in SPLITS:
        if part in lists or not numbered_files(folder, part):
            lines = read_lines(spec, folder / f"{part}_files.txt", HDF5_LAYOUT)
            paths[part] = [folder / PurePosixPath(line.replace("\\", "/")).name for line in lines]
        else:
            paths[part] = numbered_files(folder, part)
    refuse_repeats(spec, [path.name for part in SPLITS for path in paths[part]])
    named = (folder / "shape_names.txt").is_file()
    names = read_lines(spec, folder / "shape_names.txt", HDF5_LAYOUT) if named else []
    train, test = (read_h5_part(spec, part, paths[part], names, HDF5_LAYOUT) for part in SPLITS)
    if not named:
        names = sorted({*train.categories, *test.categories}, key=int)
    record = {
        "layout": HDF5_LAYOUT,
        "split": "as the files are listed" if len(lists) == 2 else "by file name, for want of a list",
        "split_drawn": False,
        "category_names": "shape_names.txt" if named else "the labels' numbers: there is no shape_names.txt",
        "files": file_hashes(folder, [*paths["train"], *paths["test"]]),
        "orientation": UP_ASSUMED,
        "point_order": "as in the file",
    }
    return Published(names, train, test, record)


def _read_resampled(spec: str, name: str, folder: Path) -> Published:
    layout = RESAMPLED_LAYOUT.format(name=name)
    names = read_lines(spec, folder / f"{name}_shape_names.txt", layout)
    lists = {part: read_lines(spec, folder / f"{name}_{part}.txt", layout) for part in SPLITS}
    refuse_repeats(spec, lists["train"] + lists["test"])
    train, test = (_resampled_part(spec, folder, lists[part], names, layout) for part in SPLITS)
    record: dict[str, Any] = {
        "layout": layout,
        "split": "as listed",
        "split_drawn": False,
        "files": {"number": len(train.ids) + len(test.ids)}
        | file_hashes(folder, [folder / f"{name}_{part}.txt" for part in SPLITS]),
        "orientation": UP_ASSUMED,
        "point_order": f"the first {train.points.shape[1]} in file order, normalised after",
    }
    return Published(names, train, test, record)


def _resampled_part(spec: str, folder: Path, ids: list[str], names: Sequence[str], layout: str) -> Part:
    categories = [shape.rpartition("_")[0] for shape in ids]
    paths = [folder / category / f"{shape}.txt" for category, shape in zip(categories, ids, strict=True)]
    strange = sorted(set(categories) - set(names))
    if strange:
        raise UsageError(f"--data {spec}: {strange[0]!r} is listed, but is none of the shape names; expected {layout}")
    clouds = [_first_points(spec, path, layout) for path in paths]
    return Part(stack_clouds(spec, paths, clouds), categories, ids, [str(path) for path in paths])


def _first_points(spec: str, path: Path, layout: str) -> np.ndarray:
    with require_file(spec, path, layout).open("rb") as file:
        lines = [line for line in islice(file, POINTS) if line.strip()]
    try:
        if not lines:
            raise ValueError("the file is empty")
        table = np.loadtxt(lines, delimiter=",", dtype=np.float32, ndmin=2)
        if table.shape[1] < 3:
            raise ValueError(f"{table.shape[1]} numbers a line")
    except ValueError as error:
        raise UsageError(f"--data {spec}: {path} cannot be used: {error}; expected {layout}") from error
    return np.ascontiguousarray(table[:, :3])
