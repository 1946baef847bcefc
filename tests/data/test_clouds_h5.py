import json
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from crosspoint3d.config import UsageError
from crosspoint3d.data.clouds import load_clouds


def write(path: Path, *, key: str = "points", seed: int = 0, scale_on: str = "", **datasets: Any) -> Path:
    generator = np.random.default_rng(seed)
    defaults = {key: generator.normal(size=(8, 20, 3)).astype(np.float32), "label": np.arange(8) % 2}
    with h5py.File(path, "w") as file:
        for name, values in (defaults | datasets).items():
            if values is not None:
                file[name] = values
        if scale_on:
            (file if scale_on == "file" else file[key]).attrs["scale"] = 0.25
    return path


def spec(folder: Path, **changes: Any) -> str:
    return f"clouds:{write(folder / 'train.h5')},{write(folder / 'test.h5', seed=1, **changes)}"


def test_float_points_and_flat_labels(tmp_path: Path) -> None:
    clouds = load_clouds(spec(tmp_path), seed=0)
    assert clouds.train_points.shape == clouds.test_points.shape == (8, 20, 3)
    assert clouds.train_labels.tolist() == [0, 1] * 4
    assert clouds.categories == ("0", "1")
    assert clouds.test_ids[0] == "test/0"
    assert clouds.record["split_drawn"] is False
    assert np.abs(clouds.train_points.mean(axis=1)).max() < 1e-6
    assert np.allclose(np.linalg.norm(clouds.train_points, axis=2).max(axis=1), 1, atol=1e-5)


@pytest.mark.parametrize("scale_on", ["dataset", "file"])
def test_integer_points_times_their_scale(tmp_path: Path, scale_on: str) -> None:
    whole = np.random.default_rng(1).integers(-100, 100, (8, 20, 3)).astype(np.int16)
    both = {"data": whole, "label": np.arange(8).reshape(8, 1) % 2}
    integers = write(tmp_path / "i.h5", key="data", scale_on=scale_on, **both)
    floats = write(tmp_path / "f.h5", key="data", **(both | {"data": whole.astype(np.float32)}))
    clouds = load_clouds(f"clouds:{integers},{floats}", seed=0)
    assert np.allclose(clouds.train_points, clouds.test_points, atol=1e-6)


def test_names_and_classes_beside_the_file(tmp_path: Path) -> None:
    (tmp_path / "classes.json").write_text(json.dumps(["chair", "table", "unused"]))
    train = write(tmp_path / "a.h5", name=np.array([f"a{i}" for i in range(8)], dtype="S4"))
    test = write(tmp_path / "b.h5", name=np.array([f"b{i}" for i in range(8)], dtype="S4"))
    clouds = load_clouds(f"clouds:{train},{test}", seed=0)
    assert clouds.categories == ("chair", "table")
    assert clouds.test_ids[:2] == ("b0", "b1")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"points": None}, "expected the datasets"),
        ({"label": None}, "expected the datasets"),
        ({"points": np.zeros((8, 20), dtype=np.float32)}, r"shape \(8, 20\)"),
        ({"label": np.zeros(5, dtype=int)}, "expected 8 integers"),
        ({"label": np.zeros(8)}, "expected 8 integers"),
        ({"points": np.ones((8, 20, 3), dtype=np.int16)}, "no attribute scale"),
        ({"label": np.array([0, 1, 2, 3, 0, 1, 2, 3])}, r"test\.h5 row 2: .*train does not have: 2, 3"),
        ({"points": np.full((8, 20, 3), np.nan, dtype=np.float32)}, r"test\.h5 row 0: .*not finite"),
        ({"points": np.ones((8, 20, 3), dtype=np.float32)}, r"test\.h5 row 0: .*coincide"),
    ],
)
def test_wrong_layouts_are_named(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        load_clouds(spec(tmp_path, **changes), seed=0)


def test_wrong_files_are_named(tmp_path: Path) -> None:
    good = write(tmp_path / "good.h5")
    (tmp_path / "text.h5").write_text("no")
    for bad, message in (
        (f"clouds:{good}", "expected two files"),
        (f"clouds:{good},{tmp_path / 'none.h5'}", "no file"),
        (f"clouds:{good},{tmp_path / 'text.h5'}", "not an HDF5 file"),
    ):
        with pytest.raises(UsageError, match=message):
            load_clouds(bad, seed=0)
    for text, message in (
        ('["a"]', r"good\.h5 row 1: label 1, .*names 1 categories"),
        ('["a", "a"]', "different"),
        ("{", "expected a list"),
    ):
        (tmp_path / "classes.json").write_text(text)
        with pytest.raises(UsageError, match=message):
            load_clouds(f"clouds:{good},{good}", seed=0)


@pytest.mark.shared
def test_modelnet40_reads_as_published(shared_data: Path) -> None:
    folder = shared_data / "modelnet40"
    clouds = load_clouds(f"clouds:{folder / 'train.h5'},{folder / 'test.h5'}", seed=0)
    assert (len(clouds.train_ids), len(clouds.test_ids), len(clouds.categories)) == (9843, 2468, 40)
    assert clouds.categories[clouds.test_labels[0]] == "airplane"
    assert clouds.test_ids[0] == "airplane_0627"
