"""ShapeNetPart (Yi et al. 2016, https://doi.org/10.1145/2980179.2980238) and other sets in its layouts.

Here the HDF5 files of PointNet; `shapenet_part_text.py` reads the text files. A `parts.json` beside the data gives the
categories and parts of another set.
"""

from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

import h5py
import numpy as np

from crosspoint3d.config import UsageError
from crosspoint3d.data.clouds_h5 import read_h5
from crosspoint3d.data.part_rows import Naming, PartRows, found_naming, whole_labels
from crosspoint3d.data.published import shapenet_part_text as text
from crosspoint3d.data.published.parts import (
    UP_ASSUMED,
    file_hashes,
    numbered_files,
    read_lines,
    refuse_repeats,
    require_file,
)
from crosspoint3d.data.published.shapenet_part_names import (
    CATEGORIES,
    NO_TABLE,
    OWN_TABLE,
    TABLE_FILE,
    naming_of,
    read_table,
)

PARTS_PREFIX = "shapenetpart:"
ORIENTATION = "as stored, y up assumed; not rotated"
SPLITS = ("train", "val", "test")
SHAPES = (12137, 1870, 2874)
"""Train, val and test shapes as published."""
HDF5_LAYOUT = (
    "hdf5_data or shapenet_part_seg_hdf5_data: ply_data_{train,val,test}*.h5 with data (n, P, 3), label (n, 1) and "
    "pid (n, P), all_object_categories.txt"
)
_FOLDERS = ("hdf5_data", "shapenet_part_seg_hdf5_data", *text.FOLDERS)


class PublishedParts(NamedTuple):
    """A data set as read: rows of train, val (maybe none) and test, the parts of its categories, what was assumed."""

    splits: dict[str, PartRows]
    naming: Naming
    record: dict[str, Any]


def read_shapenet_part(spec: str) -> PublishedParts:
    """Read `shapenetpart:DIR`; the layout is found by the files in DIR or in a folder below it.

    Raises:
        UsageError: no layout is recognised, or a file is missing, broken or of another layout; names file and row.
    """
    root = Path(spec.removeprefix(PARTS_PREFIX))
    layouts = f"{HDF5_LAYOUT}; or {text.LAYOUT}"
    if spec == PARTS_PREFIX or not root.is_dir():
        raise UsageError(f"--data {spec}: there is no folder {str(root)!r}; expected DIR holding {layouts}")
    folder = next((at for at in (root, *(root / name for name in _FOLDERS)) if _has_data(at)), None)
    if folder is None:
        below = [path for path in sorted(root.iterdir()) if path.is_dir() and _has_data(path)]
        if len(below) != 1:
            found = f"more than one data set ({', '.join(path.name for path in below)})" if below else "no known layout"
            raise UsageError(f"--data {spec}: {found} in {root}; expected {layouts}")
        folder = below[0]
    read = _read_hdf5(spec, folder) if _has_hdf5(folder) else PublishedParts(*text.read_text(spec, folder))
    about: dict[str, Any] = {"dataset": folder.name, "orientation": ORIENTATION}
    if read.record["parts_table"] == OWN_TABLE:
        counts = tuple(len(read.splits[part].ids) for part in SPLITS)
        about = {"dataset": "ShapeNetPart", "as_many_as_published": counts == SHAPES, "orientation": UP_ASSUMED}
    return read._replace(record=about | read.record)


def _has_data(folder: Path) -> bool:
    return _has_hdf5(folder) or text.is_layout(folder)


def _has_hdf5(folder: Path) -> bool:
    return any(numbered_files(folder, part) for part in SPLITS)


def _read_hdf5(spec: str, folder: Path) -> PublishedParts:
    paths: dict[str, list[Path]] = {}
    for part in SPLITS:
        listed = folder / f"{part}_hdf5_file_list.txt"
        if listed.is_file():
            lines = read_lines(spec, listed, HDF5_LAYOUT)
            paths[part] = [folder / PurePosixPath(line.replace("\\", "/")).name for line in lines]
        else:
            paths[part] = numbered_files(folder, part)
    every = [path for part in SPLITS for path in paths[part]]
    refuse_repeats(spec, [path.name for path in every])
    categories, naming, source = _naming(spec, folder)
    splits = {part: _read_split(spec, part, paths[part], categories) for part in SPLITS}
    names = [name for rows in splits.values() for name in rows.ids]
    if len(set(names)) < len(names):
        for part, rows in splits.items():
            splits[part] = rows._replace(ids=[f"{part}/{index}" for index in range(len(rows.ids))])
    record = {
        "layout": HDF5_LAYOUT,
        "split": "as the files are named",
        "split_drawn": False,
        "parts_table": source,
        "files": file_hashes(folder, every),
        "point_order": "as in the file",
    }
    return PublishedParts(splits, naming or found_naming(splits.values()), record)


def _naming(spec: str, folder: Path) -> tuple[Sequence[str], Naming, str]:
    """The categories in order of their labels and their parts; no parts where they must be found in the labels."""
    if (folder / TABLE_FILE).is_file():
        naming = read_table(spec, folder / TABLE_FILE)
        return tuple(naming), naming, TABLE_FILE
    listed = folder / "all_object_categories.txt"
    categories: Sequence[str] = CATEGORIES
    if listed.is_file():
        categories = [line.split()[0] for line in read_lines(spec, listed, HDF5_LAYOUT)]
    return categories, *naming_of(categories)


def _read_split(spec: str, part: str, paths: Sequence[Path], categories: Sequence[str]) -> PartRows:
    read = [_read_file(spec, path, categories, f"{part}/{number}") for number, path in enumerate(paths)]
    if not read:
        return PartRows(np.empty((0, 1, 3), np.float32), np.empty((0, 1), np.int16), [], [], [])
    for path, rows in zip(paths, read, strict=True):
        if rows.points.shape[1] != read[0].points.shape[1]:
            raise UsageError(
                f"--data {spec}: clouds of differing sizes: {rows.points.shape[1]} points in {path}, "
                f"{read[0].points.shape[1]} in {paths[0]}"
            )
    arrays = [np.concatenate(columns) for columns in zip(*(rows[:2] for rows in read), strict=True)]
    lists = [[value for rows in read for value in rows[column]] for column in (2, 3, 4)]
    return PartRows(arrays[0], arrays[1], *lists)


def _read_file(spec: str, path: Path, categories: Sequence[str], name: str) -> PartRows:
    require_file(spec, path, HDF5_LAYOUT)
    try:
        points, labels, ids = read_h5(path)
        with h5py.File(path, "r") as file:
            if "pid" not in file:
                raise UsageError(f"{path}: expected the dataset pid, the part of every point; found {', '.join(file)}")
            parts = np.asarray(file["pid"])
    except OSError as error:
        raise UsageError(f"--data {spec}: {path} is cut short or damaged: {error}; expected {HDF5_LAYOUT}") from error
    except UsageError as error:
        raise UsageError(f"{error}; expected {HDF5_LAYOUT}") from error
    if parts.shape != points.shape[:2]:
        raise UsageError(
            f"--data {spec}: {path}: pid has shape {parts.shape}, expected {points.shape[:2]}, a label of each point"
        )
    places = [f"{path} row {row}" for row in range(len(points))]
    for place, label in zip(places, labels.tolist(), strict=True):
        if label >= len(categories):
            hint = NO_TABLE if categories is CATEGORIES else ""
            raise UsageError(
                f"--data {spec}: {place}: label {label}, but the categories are numbered 0 to {len(categories) - 1}"
                f"{hint}"
            )
    ids = ids if len(ids) == len(points) else [name] * len(points)
    return PartRows(points, whole_labels(spec, parts, places.__getitem__), [categories[i] for i in labels], ids, places)
