"""ScanObjectNN, objects cut out of indoor scans (Uy et al. 2019, https://arxiv.org/abs/1908.04616).

The layout is that of the authors' `h5_files.zip`; background points carry the mask -1.

Axis letters: N shapes, P points.
"""

from pathlib import Path

import h5py
import numpy as np
from jaxtyping import Bool

from crosspoint3d.config import UsageError
from crosspoint3d.data.published.parts import UP_ASSUMED, Published, file_hashes, read_h5_part, require_file

CATEGORIES = (
    "bag", "bin", "box", "cabinet", "chair", "desk", "display", "door",
    "shelf", "table", "bed", "pillow", "sink", "sofa", "toilet",
)  # fmt: skip
"""In order of the labels."""

VARIANTS = {
    "OBJ_BG": ("main_split", "objectdataset.h5"),
    "OBJ_ONLY": ("main_split_nobg", "objectdataset.h5"),
    "PB_T25": ("main_split", "objectdataset_augmented25_norot.h5"),
    "PB_T25_R": ("main_split", "objectdataset_augmented25rot.h5"),
    "PB_T50_R": ("main_split", "objectdataset_augmentedrot.h5"),
    "PB_T50_RS": ("main_split", "objectdataset_augmentedrot_scale75.h5"),
}
"""Folder and end of the file names; the files begin with `training_` and `test_`."""


def read_scanobjectnn(spec: str) -> Published:
    """Read `scanobjectnn:DIR[:VARIANT]`; the variant is one of VARIANTS, OBJ_BG by default.

    DIR holds `main_split` and `main_split_nobg`, or a folder `h5_files` that does. Background points stay in the
    clouds of all variants but OBJ_ONLY; `object_masks` tells which they are.

    Raises:
        UsageError: the variant is unknown, or a file is missing, broken or of another layout.
    """
    folder, variant = _parse(spec)
    paths, layout = _paths(spec, folder, variant)
    train, test = (
        read_h5_part(spec, part, [path], CATEGORIES, layout)
        for part, path in zip(("train", "test"), paths, strict=True)
    )
    record = {
        "dataset": "ScanObjectNN",
        "variant": variant,
        "split": f"{VARIANTS[variant][0]} as published",
        "split_drawn": False,
        "files": file_hashes(paths[0].parent, paths),
        "orientation": UP_ASSUMED + ("; turned about y by the data set itself" if "_R" in variant else ""),
        "background": "taken out by the data set" if variant == "OBJ_ONLY" else "kept, as published",
        "point_order": "as in the file",
    }
    return Published(list(CATEGORIES), train, test, record)


def object_masks(spec: str) -> tuple[Bool[np.ndarray, "Ntr P"], Bool[np.ndarray, "Nte P"]]:
    """Which points of the train and test clouds belong to the object; the others are its surroundings.

    Rows and points are in the order of the clouds that `read_scanobjectnn` gives for the same `spec`.

    Raises:
        UsageError: a file is missing, or has no mask of the clouds' size.
    """
    folder, variant = _parse(spec)
    paths, layout = _paths(spec, folder, variant)
    masks = []
    for path in paths:
        try:
            with h5py.File(path, "r") as file:
                mask, wanted = np.asarray(file["mask"]), file["data"].shape[:2]
        except (OSError, KeyError) as error:
            raise UsageError(
                f"--data {spec}: {path} has no dataset mask, or is cut short; expected {layout}"
            ) from error
        if mask.shape != wanted:
            raise UsageError(f"--data {spec}: {path}: mask has shape {mask.shape}, expected {wanted}")
        masks.append(mask != -1)
    return masks[0], masks[1]


def _parse(spec: str) -> tuple[Path, str]:
    place = spec.removeprefix("scanobjectnn:")
    folder, colon, variant = place.rpartition(":")
    if colon and variant.upper() in VARIANTS:
        return Path(folder), variant.upper()
    if colon and not Path(place).is_dir() and Path(folder).is_dir():
        raise UsageError(f"--data {spec}: variant {variant!r} is unknown; there are {', '.join(VARIANTS)}")
    return Path(place), "OBJ_BG"


def _paths(spec: str, folder: Path, variant: str) -> tuple[list[Path], str]:
    split, ending = VARIANTS[variant]
    layout = f"for {variant} the files training_{ending} and test_{ending} in DIR/{split} or DIR/h5_files/{split}"
    if not folder.is_dir():
        raise UsageError(f"--data {spec}: there is no folder {folder}; expected {layout}")
    here = next((at for at in (folder / split, folder / "h5_files" / split) if at.is_dir()), folder / split)
    return [require_file(spec, here / f"{part}_{ending}", layout) for part in ("training", "test")], layout
