"""Small data sets with part labels in the layouts in which ShapeNetPart is published."""

import json
from pathlib import Path
from typing import Any

import h5py
import numpy as np

SYNSETS = {"Airplane": "02691156", "Bag": "02773838", "Cap": "02954340"}
PIDS = {"Airplane": (0, 4), "Bag": (4, 6), "Cap": (6, 8)}
"""First id and end of the parts of each of these categories, as published."""


def labelled_shapes(
    seed: int, *, shapes: int = 4, points: int = 24, categories: int = 2, local: bool = False
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Clouds (n, P, 3), categories (n, 1) in turns, and the part of every point (n, P): each part occurs."""
    generator = np.random.default_rng(seed)
    label = (np.arange(shapes) % categories).astype(np.uint8)[:, None]
    pid = np.empty((shapes, points), dtype=np.uint8)
    for row, (first, end) in enumerate(list(PIDS.values())[category] for category in label.ravel()):
        pid[row] = generator.permutation(np.arange(points) % (end - first)) + (1 if local else first)
    return generator.normal(size=(shapes, points, 3)).astype(np.float32), label, pid


def write_h5(path: Path, seed: int, **changes: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """One file of such shapes; `data`, `label`, `pid` and `name` replace what it holds, None leaves it out."""
    shapes = {name: changes.pop(name) for name in ("data", "label", "pid", "name") if name in changes}
    drawn = labelled_shapes(seed, **changes)
    with h5py.File(path, "w") as file:
        for name, values in (dict(zip(("data", "label", "pid"), drawn, strict=True)) | shapes).items():
            if values is not None:
                file[name] = values
    return drawn


def hdf5_folder(root: Path, name: str = "hdf5_data", **changes: Any) -> Path:
    """Two train files, one of val and one of test, seeds 0 to 3 in that order."""
    folder = root / name
    folder.mkdir(parents=True)
    for seed, part in enumerate(("train0", "train1", "val0", "test0")):
        write_h5(folder / f"ply_data_{part}.h5", seed, **changes)
    lines = [f"{category}\t{synset}" for category, synset in SYNSETS.items()]
    (folder / "all_object_categories.txt").write_text("\n".join(lines) + "\n")
    return folder


def text_folder(root: Path, *, points: tuple[int, ...] = (20, 2048, 2100), older: bool = False) -> Path:
    """Shapes 0 to 3 in train, 4 and 5 in val, 6 and 7 in test, of two categories in turns and varying sizes."""
    folder = root / f"shapenetcore_partanno_segmentation_benchmark_v0{'' if older else '_normal'}"
    (folder / "train_test_split").mkdir(parents=True)
    names = list(SYNSETS)[:2]
    (folder / "synsetoffset2category.txt").write_text("".join(f"{name}\t{SYNSETS[name]}\n" for name in names))
    listed: dict[str, list[str]] = {"train": [], "val": [], "test": []}
    for index in range(8):
        synset = SYNSETS[names[index % 2]]
        cloud, part = text_shape(index, points[index % len(points)], local=older)
        home = folder / synset
        if older:
            for kind, suffix, values in (("points", "pts", cloud[:, :3]), ("points_label", "seg", part[:, None])):
                (home / kind).mkdir(parents=True, exist_ok=True)
                np.savetxt(home / kind / f"s{index}.{suffix}", values, fmt="%d" if suffix == "seg" else "%.6f")
        else:
            home.mkdir(exist_ok=True)
            np.savetxt(home / f"s{index}.txt", np.column_stack([cloud, part]), fmt="%.6f")
        listed["train" if index < 4 else "val" if index < 6 else "test"].append(f"shape_data/{synset}/s{index}")
    for part_name, entries in listed.items():
        path = folder / "train_test_split" / f"shuffled_{part_name}_file_list.json"
        path.write_text(json.dumps(entries))
    return folder


def text_shape(index: int, points: int, *, local: bool = False) -> tuple[np.ndarray, np.ndarray]:
    """Points with normals (P, 6), to six decimals, and parts (P,) of one shape."""
    clouds, _, pid = labelled_shapes(100 + index, shapes=2, points=points, local=local)
    cloud = np.concatenate([clouds[index % 2], clouds[1 - index % 2]], axis=1).astype(np.float64)
    return np.round(cloud, 6), pid[index % 2]
