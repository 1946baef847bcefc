"""ShapeNetPart's text files, a file a shape: those with normals of PointNet++, and the older points and labels apart.

Axis letters: N shapes, P points.
"""

import functools
import json
import zlib
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from jaxtyping import Float32

from crosspoint3d.config import UsageError
from crosspoint3d.data.part_rows import Naming, PartRows, found_naming, require_parts, whole_labels
from crosspoint3d.data.published.parts import POINTS, file_hashes, read_lines, refuse_repeats, require_file
from crosspoint3d.data.published.shapenet_part_names import TABLE_FILE, naming_of, read_table

FOLDERS = (
    "shapenetcore_partanno_segmentation_benchmark_v0_normal",
    "shapenetcore_partanno_segmentation_benchmark_v0",
)
SYNSETS = "synsetoffset2category.txt"
LAYOUT = (
    f"{FOLDERS[0]}: {SYNSETS}, train_test_split/shuffled_{{train,val,test}}_file_list.json and SYNSET/ID.txt with "
    f"lines x y z nx ny nz part (or {FOLDERS[1]}: SYNSET/points/ID.pts and SYNSET/points_label/ID.seg)"
)
DRAW_SEED = 0


def is_layout(folder: Path) -> bool:
    """Whether a folder looks like LAYOUT, complete or not."""
    return (folder / SYNSETS).is_file() or (folder / "train_test_split").is_dir()


def read_text(spec: str, folder: Path) -> tuple[dict[str, PartRows], Naming, dict[str, Any]]:
    """Read either text layout: rows of train, val (maybe none) and test, the parts of each category, and the record.

    2,048 points of each shape are kept in file order, drawn by a fixed seed and the shape's id; a shape of fewer points
    has all of them, then repeats.

    Raises:
        UsageError: a file is missing, broken or of another layout, or a shape is listed twice; names file and line.
    """
    synsets = _synsets(spec, folder)
    lists = {part: _listed(spec, folder, part) for part in ("train", "val", "test")}
    refuse_repeats(spec, [name for names in lists.values() for name in names])
    apart = any((folder / synset / "points").is_dir() for synset in synsets)
    if (folder / TABLE_FILE).is_file():
        naming, source = read_table(spec, folder / TABLE_FILE), TABLE_FILE
    else:
        naming, source = naming_of(list(synsets.values()), local=apart)
    splits = {part: _read_split(spec, folder, names, synsets, apart) for part, names in lists.items()}
    record = {
        "layout": LAYOUT,
        "split": "as listed in train_test_split",
        "split_drawn": False,
        "parts_table": source,
        "files": {"number": sum(map(len, lists.values()))}
        | file_hashes(folder, [path for part in lists if (path := _list_file(folder, part)).is_file()]),
        "point_order": f"{POINTS:,} points drawn by seed {DRAW_SEED} and the shape's id, in file order; "
        "shapes of fewer points have repeats at the end",
    }
    naming = naming or found_naming(splits.values())
    for rows in splits.values():
        require_parts(spec, rows, naming)
    return splits, naming, record


def _synsets(spec: str, folder: Path) -> dict[str, str]:
    pairs = [line.split() for line in read_lines(spec, folder / SYNSETS, LAYOUT)]
    wrong = next((number for number, pair in enumerate(pairs, 1) if len(pair) != 2), None)
    if wrong:
        raise UsageError(f"--data {spec}: {folder / SYNSETS} line {wrong}: expected a category and its synset")
    return {synset: name for name, synset in pairs}


def _list_file(folder: Path, part: str) -> Path:
    return folder / "train_test_split" / f"shuffled_{part}_file_list.json"


def _listed(spec: str, folder: Path, part: str) -> list[str]:
    path = _list_file(folder, part)
    if part == "val" and not path.is_file():
        return []
    try:
        entries = json.loads(require_file(spec, path, LAYOUT).read_text(encoding="utf-8"))
        if not isinstance(entries, list):
            raise ValueError("it is no list")
        names = ["/".join(PurePosixPath(entry).parts[-2:]) for entry in entries]
        if strange := [name for name in names if name.count("/") != 1]:
            raise ValueError(f"entry {strange[0]!r}")
    except (ValueError, TypeError) as error:
        raise UsageError(f"--data {spec}: {path}: expected a list of 'shape_data/SYNSET/ID': {error}") from error
    return names


def _read_split(spec: str, folder: Path, names: list[str], synsets: dict[str, str], apart: bool) -> PartRows:
    points = np.empty((len(names), POINTS, 3), dtype=np.float32)
    labels = np.empty((len(names), POINTS), dtype=np.int16)
    categories, places = [], []
    for row, name in enumerate(names):
        synset, shape = name.split("/")
        if synset not in synsets:
            raise UsageError(f"--data {spec}: {name} is listed, but {SYNSETS} has no synset {synset}")
        if apart:
            path = folder / synset / "points" / f"{shape}.pts"
            beside = folder / synset / "points_label" / f"{shape}.seg"
            cloud, own = _numbers(spec, path, 3), _numbers(spec, beside, 1)
            if len(cloud) != len(own):
                raise UsageError(f"--data {spec}: {path} has {len(cloud):,} points, {beside} {len(own):,} labels")
        else:
            path = folder / synset / f"{shape}.txt"
            cloud = _numbers(spec, path, 7)
            own = cloud[:, 6:]
        own = whole_labels(spec, own.T, functools.partial(_at, path))
        kept = _kept(len(cloud), name)
        points[row], labels[row] = cloud[kept, :3], own[0, kept]
        categories.append(synsets[synset])
        places.append(str(path))
    return PartRows(points, labels, categories, names, places)


def _at(path: Path, _: int) -> str:
    return str(path)


def _numbers(spec: str, path: Path, columns: int) -> Float32[np.ndarray, "P _"]:
    try:
        with require_file(spec, path, LAYOUT).open("rb") as file:
            lines = [line for line in file if line.strip()]
        if not lines:
            raise ValueError("the file is empty")
        table = np.loadtxt(lines, dtype=np.float32, ndmin=2)
        if table.shape[1] != columns:
            raise ValueError(f"{table.shape[1]} numbers a line, expected {columns}")
    except ValueError as error:
        raise UsageError(f"--data {spec}: {path} cannot be used: {error}; expected {LAYOUT}") from error
    return table


def _kept(available: int, name: str) -> np.ndarray:
    generator = np.random.default_rng([DRAW_SEED, zlib.crc32(name.encode())])
    if available >= POINTS:
        return np.sort(generator.permutation(available)[:POINTS])
    return np.concatenate([np.arange(available), generator.integers(available, size=POINTS - available)])
