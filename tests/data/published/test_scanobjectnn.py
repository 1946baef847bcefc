"""ScanObjectNN in small copies of its folders."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from crosspoint3d.config import UsageError
from crosspoint3d.data.clouds import load_clouds
from crosspoint3d.data.published import object_masks
from crosspoint3d.data.published.scanobjectnn import VARIANTS


def write(path: Path, *, seed: int, shapes: int = 15, **changes: Any) -> dict[str, np.ndarray]:
    generator = np.random.default_rng(seed)
    datasets = {
        "data": generator.normal(size=(shapes, 30, 3)).astype(np.float32),
        "label": np.arange(shapes, dtype=np.int32) % 15,
        "mask": generator.choice(np.array([-1, 4], dtype=np.int32), (shapes, 30)),
    } | changes
    path.parent.mkdir(parents=True, exist_ok=True)
    with h5py.File(path, "w") as file:
        for name, values in datasets.items():
            if values is not None:
                file[name] = values
    return datasets


def variant(root: Path, name: str, *, seed: int = 0) -> list[dict[str, np.ndarray]]:
    folder, ending = VARIANTS[name]
    return [
        write(root / folder / f"{part}_{ending}", seed=seed + number, shapes=30 - 15 * number)
        for number, part in enumerate(("training", "test"))
    ]


@pytest.mark.parametrize("below", [".", "h5_files"])
def test_every_variant_reads_its_own_files(tmp_path: Path, below: str) -> None:
    hashes = set()
    for number, name in enumerate(VARIANTS):
        train, test = variant(tmp_path / below, name, seed=10 * number)
        clouds = load_clouds(f"scanobjectnn:{tmp_path}:{name.lower()}", seed=0)
        centred = train["data"] - train["data"].mean(axis=1, keepdims=True)
        radius = np.linalg.norm(centred, axis=2).max(axis=1)[:, None, None]
        np.testing.assert_allclose(clouds.train_points, centred / radius, atol=1e-5)
        assert [clouds.categories[label] for label in clouds.test_labels[[0, 4, 9, 14]]] == [
            "bag",
            "chair",
            "table",
            "toilet",
        ]
        masks = object_masks(f"scanobjectnn:{tmp_path}:{name}")
        for mask, wanted in zip(masks, (train, test), strict=True):
            np.testing.assert_array_equal(mask, wanted["mask"] != -1)
        record = clouds.record
        assert record["variant"] == name and record["train_shapes"] == 30 and record["categories"] == 15
        assert ("turned about y" in record["orientation"]) == (name in ("PB_T25_R", "PB_T50_R", "PB_T50_RS"))
        assert ("taken out" in record["background"]) == (name == "OBJ_ONLY")
        hashes |= set(record["files"].values())
    assert len(hashes) == 2 * len(VARIANTS)
    assert load_clouds(f"scanobjectnn:{tmp_path}", seed=0).record["variant"] == "OBJ_BG"


def test_a_colon_in_the_folder_is_no_variant(tmp_path: Path) -> None:
    variant(tmp_path / "a:b", "OBJ_BG")
    assert load_clouds(f"scanobjectnn:{tmp_path / 'a:b'}", seed=0).record["variant"] == "OBJ_BG"


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-100])


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (Path.unlink, r"no file .*main_split/test_objectdataset\.h5; expected for OBJ_BG the files training_objectd"),
        (cut, r"test_objectdataset\.h5 is not an HDF5 file, or it is cut short.*expected for OBJ_BG"),
        (lambda path: write(path, seed=1, label=None), r"expected the datasets points .*expected for OBJ_BG"),
        (lambda path: write(path, seed=1, label=np.arange(15) + 1), "label 15, but there are 15 categories"),
        (lambda path: write(path, seed=1, shapes=14), r"different categories \(only in train: toilet\)"),
    ],
)
def test_wrong_files_are_named(tmp_path: Path, spoil: Callable[[Path], object], message: str) -> None:
    variant(tmp_path, "OBJ_BG")
    spoil(tmp_path / "main_split" / "test_objectdataset.h5")
    with pytest.raises(UsageError, match=message):
        load_clouds(f"scanobjectnn:{tmp_path}", seed=0)


@pytest.mark.parametrize(
    ("ending", "message"),
    [
        (":PB_T75", "variant 'PB_T75' is unknown; there are OBJ_BG, OBJ_ONLY"),
        ("/nowhere", "there is no folder .*nowhere; expected for OBJ_BG"),
        (":OBJ_ONLY", r"no file .*main_split_nobg/training_objectdataset\.h5; expected for OBJ_ONLY"),
    ],
)
def test_wrong_specs_are_named(tmp_path: Path, ending: str, message: str) -> None:
    variant(tmp_path, "OBJ_BG")
    with pytest.raises(UsageError, match=message):
        load_clouds(f"scanobjectnn:{tmp_path}{ending}", seed=0)


@pytest.mark.parametrize(
    ("mask", "message"),
    [(None, "has no dataset mask"), (np.ones((15, 9)), r"mask has shape \(15, 9\), expected \(15, 30")],
)
def test_masks_that_do_not_fit_are_named(tmp_path: Path, mask: np.ndarray | None, message: str) -> None:
    variant(tmp_path, "OBJ_BG")
    write(tmp_path / "main_split" / "test_objectdataset.h5", seed=1, mask=mask)
    with pytest.raises(UsageError, match=message):
        object_masks(f"scanobjectnn:{tmp_path}")
