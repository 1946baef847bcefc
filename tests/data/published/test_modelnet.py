"""ModelNet in small copies of its layouts, whole and with one thing wrong."""

from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest

from crosspoint3d import geometry
from crosspoint3d.config import LinearConfig, UsageError
from crosspoint3d.data.clouds import load_clouds
from crosspoint3d.data.meshes import read_mesh
from crosspoint3d.data.published.modelnet import SHAPES
from crosspoint3d.evaluation.linear_probe import linear
from crosspoint3d.evaluation.result_files import read_result
from tests.data.shapes_on_disk import CORNERS, off

NAMES = ["chair", "night_stand"]


def h5(path: Path, *, seed: int, shapes: int = 6, points: int = 40, label: np.ndarray | None = None) -> np.ndarray:
    generator = np.random.default_rng(seed)
    labels = np.arange(shapes, dtype=np.uint8)[:, None] % 2 if label is None else label
    stretch = np.where(labels[:, :, None] == 0, np.float32(1), np.array([1, 3, 1], dtype=np.float32))
    clouds = generator.normal(size=(shapes, points, 3)).astype(np.float32) * stretch
    with h5py.File(path, "w") as file:
        file["data"], file["label"] = clouds, labels
    return clouds


def hdf5_folder(root: Path) -> Path:
    folder = root / "modelnet40_ply_hdf5_2048"
    folder.mkdir()
    for seed, name in enumerate(("train0", "train1", "test0")):
        h5(folder / f"ply_data_{name}.h5", seed=seed)
    # The published lists begin with a folder of their own; the order in them is not always that of the numbers.
    (folder / "train_files.txt").write_text(
        "data/modelnet40_ply_hdf5_2048/ply_data_train1.h5\n/else/where/ply_data_train0.h5\n"
    )
    (folder / "test_files.txt").write_text("data/modelnet40_ply_hdf5_2048/ply_data_test0.h5\n")
    (folder / "shape_names.txt").write_text("\n".join(NAMES) + "\n")
    return folder


def normalised(clouds: np.ndarray) -> np.ndarray:
    return np.stack([geometry.normalise(cloud)[0] for cloud in clouds])


def test_hdf5_files_in_the_order_of_their_list(tmp_path: Path) -> None:
    folder = hdf5_folder(tmp_path)
    whole, inner = load_clouds(f"modelnet40:{tmp_path}", seed=0), load_clouds(f"modelnet40:{folder}", seed=1)
    wanted = np.concatenate([h5(tmp_path / "again.h5", seed=seed) for seed in (1, 0)])
    np.testing.assert_array_equal(whole.train_points, normalised(wanted))
    np.testing.assert_array_equal(whole.train_points, inner.train_points)
    assert whole.train_labels.tolist() == [0, 1] * 6 and whole.categories == tuple(NAMES)
    assert whole.test_ids == tuple(f"test/{index}" for index in range(6))
    record = whole.record
    assert record["split_sha256"] == inner.record["split_sha256"] and record["split_drawn"] is False
    assert record["dataset"] == "modelnet40" and record["as_many_as_published"] is False
    assert "y up assumed" in record["orientation"] and "shape_names" in record["category_names"]
    assert list(record["files"]) == [f"ply_data_{name}.h5" for name in ("train1", "train0", "test0")]
    assert all(len(value) == 64 for value in record["files"].values())


def test_hdf5_files_by_their_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = hdf5_folder(tmp_path)
    for name in ("train_files", "test_files", "shape_names"):
        (folder / f"{name}.txt").unlink()
    h5(folder / "ply_data_train10.h5", seed=9)
    monkeypatch.setitem(SHAPES, "modelnet40", ((18, 6),))
    clouds = load_clouds(f"modelnet40:{folder}", seed=0)
    assert clouds.record["as_many_as_published"] is True
    wanted = np.concatenate([h5(tmp_path / "again.h5", seed=seed) for seed in (0, 1, 9)])
    np.testing.assert_array_equal(clouds.train_points, normalised(wanted))
    assert clouds.categories == ("0", "1")
    assert "no shape_names.txt" in clouds.record["category_names"] and "by file name" in clouds.record["split"]


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-100])


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (
            lambda at: (at / "ply_data_train0.h5").unlink(),
            r"no file .*ply_data_train0\.h5; expected modelnet40_ply_hdf5",
        ),
        (
            lambda at: cut(at / "ply_data_test0.h5"),
            r"test0\.h5 is not an HDF5 file, or it is cut short.*expected model",
        ),
        (lambda at: (at / "train_files.txt").write_text("\n"), r"train_files\.txt is empty; expected modelnet40_ply"),
        (lambda at: (at / "train_files.txt").write_bytes(b"\xff\xfe\x9d"), r"train_files\.txt is no text"),
        (lambda at: (at / "shape_names.txt").write_text("chair"), r"label 1, but there are 1 categories"),
        (lambda at: h5(at / "ply_data_train0.h5", seed=0, points=30), r"differing sizes: 30 points in .*40 in "),
        (
            lambda at: h5(at / "ply_data_test0.h5", seed=0, shapes=2, label=np.zeros((2, 1), np.uint8)),
            r"different categories \(only in train: night_stand\)",
        ),
        (lambda at: (at / "test_files.txt").write_text("ply_data_train0.h5"), r"train0\.h5 is listed more than once"),
        (
            lambda at: [(at / name).unlink() for name in ("ply_data_test0.h5", "test_files.txt")],
            r"no file .*test_files\.txt; expected modelnet40_ply_hdf5",
        ),
    ],
)
def test_wrong_hdf5_folders_are_named(tmp_path: Path, spoil: Callable[[Path], object], message: str) -> None:
    spoil(hdf5_folder(tmp_path))
    with pytest.raises(UsageError, match=message):
        load_clouds(f"modelnet40:{tmp_path}", seed=0)


@pytest.mark.parametrize("place", ["", "nowhere", "empty"])
def test_nothing_there_names_every_layout(tmp_path: Path, place: str) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(UsageError, match=r"modelnet40_ply_hdf5_2048.*normal_resampled.*Class/train"):
        load_clouds(f"modelnet40:{tmp_path / place if place else ''}", seed=0)


def resampled_folder(root: Path, name: str = "modelnet40", points: int = 2060) -> dict[str, np.ndarray]:
    generator = np.random.default_rng(5)
    tables = {}
    lists: dict[str, list[str]] = {"train": [], "test": []}
    for category in NAMES:
        (root / category).mkdir(exist_ok=True)
        for number in range(1, 5):
            shape = f"{category}_{number:04d}"
            lists["train" if number < 4 else "test"].append(shape)
            tables[shape] = generator.normal(size=(points, 6))
            np.savetxt(root / category / f"{shape}.txt", tables[shape], delimiter=",", fmt="%.6f")
    for part, shapes in lists.items():
        (root / f"{name}_{part}.txt").write_text("\n".join(shapes) + "\n")
    (root / f"{name}_shape_names.txt").write_text("\n".join(NAMES))
    return tables


@pytest.mark.parametrize("name", ["modelnet40", "modelnet10"])
def test_resampled_text_files(tmp_path: Path, name: str) -> None:
    tables = resampled_folder(tmp_path, name)
    clouds = load_clouds(f"{name}:{tmp_path}", seed=0)
    assert clouds.train_ids[3:] == tuple(f"night_stand_000{number}" for number in (1, 2, 3))
    wanted = normalised(np.stack([tables[shape][:2048, :3] for shape in clouds.test_ids]))
    np.testing.assert_allclose(clouds.test_points, wanted, atol=1e-5)
    assert clouds.test_labels.tolist() == [0, 1] and clouds.record["dataset"] == name
    assert clouds.record["point_order"].startswith("the first 2048 in file order")
    assert "y up assumed" in clouds.record["orientation"]


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (
            lambda at: (at / "modelnet40_test.txt").unlink(),
            r"no file .*modelnet40_test\.txt; expected modelnet40_normal",
        ),
        (
            lambda at: (at / "modelnet40_shape_names.txt").unlink(),
            r"no file .*shape_names\.txt; expected modelnet40_norm",
        ),
        (lambda at: (at / "chair" / "chair_0002.txt").unlink(), r"no file .*chair_0002\.txt; expected modelnet40_norm"),
        (
            lambda at: (at / "chair" / "chair_0002.txt").write_text(""),
            r"chair_0002\.txt cannot be used: the file is empty",
        ),
        (
            lambda at: (at / "chair" / "chair_0002.txt").write_text("1,2,3\n1,2"),
            r"chair_0002\.txt cannot be used: .*expect",
        ),
        (
            lambda at: (at / "chair" / "chair_0002.txt").write_text("1,2\n1,2"),
            r"chair_0002\.txt cannot be used: 2 numbers",
        ),
        (
            lambda at: cut(at / "chair" / "chair_0002.txt"),
            r"differing sizes: 28 points in .*0002\.txt, 30 in .*0001\.txt",
        ),
        (lambda at: (at / "modelnet40_shape_names.txt").write_text("chair"), r"'night_stand' is listed, but is none"),
    ],
)
def test_wrong_resampled_folders_are_named(tmp_path: Path, spoil: Callable[[Path], object], message: str) -> None:
    resampled_folder(tmp_path, points=30)
    path = tmp_path / "chair" / "chair_0002.txt"
    path.write_text("".join("0.125,0.25,0.5,0.0,0.0,1.00000000000000000000\n" for _ in range(30)))
    spoil(tmp_path)
    with pytest.raises(UsageError, match=message):
        load_clouds(f"modelnet40:{tmp_path}", seed=0)


def shape_folders(root: Path, suffix: str, *, by_split: bool = False) -> None:
    generator = np.random.default_rng(3)
    for category in NAMES:
        for part, count in (("train", 3), ("test", 2)):
            at = root / part / category if by_split else root / category / part
            at.mkdir(parents=True)
            (at / ".hidden.off").write_text("no shape")
            for number in range(count):
                path = at / f"{category}_{number}{suffix}"
                if suffix == ".npy":
                    np.save(path, generator.normal(size=(50, 6)))
                else:
                    path.write_bytes(off(vertices=CORNERS * np.array([1, 2, 5], np.float32)))


@pytest.mark.parametrize("by_split", [False, True])
def test_surfaces_are_sampled_and_turned_to_y_up(tmp_path: Path, by_split: bool) -> None:
    shape_folders(tmp_path / "ModelNet10", ".off", by_split=by_split)
    clouds, again = (load_clouds(f"modelnet10:{tmp_path}", seed=seed) for seed in (0, 1))
    assert clouds.train_points.shape == (6, 2048, 3) and clouds.test_points.shape == (4, 2048, 3)
    np.testing.assert_array_equal(clouds.train_points, again.train_points)
    assert not np.array_equal(clouds.train_points[0], clouds.train_points[1])
    mesh = read_mesh(tmp_path / "ModelNet10" / clouds.train_ids[0])
    assert np.ptp(mesh.vertices, axis=0).tolist() == [1, 2, 5]
    extent = np.ptp(clouds.train_points, axis=1)
    np.testing.assert_allclose(extent / extent[:, :1], np.tile([1, 5, 2], (6, 1)), rtol=0.02)
    assert "z up assumed" in clouds.record["orientation"] and clouds.record["files"]["number"] == 10


@pytest.mark.parametrize("by_split", [False, True])
def test_arrays_are_taken_as_they_are(tmp_path: Path, by_split: bool) -> None:
    shape_folders(tmp_path, ".npy", by_split=by_split)
    clouds = load_clouds(f"modelnet40:{tmp_path}", seed=0)
    wanted = normalised(np.stack([np.load(tmp_path / name)[:, :3] for name in clouds.test_ids]))
    np.testing.assert_allclose(clouds.test_points, wanted, atol=1e-5)
    assert clouds.test_labels.tolist() == [0, 0, 1, 1] and "y up assumed" in clouds.record["orientation"]


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (
            lambda at: [path.unlink() for path in (at / "test").glob("*.npy")],
            r"no \.npy file in the folder .*chair/test; e",
        ),
        (
            lambda at: np.save(at / "test" / "chair_1.npy", np.ones((9, 3))),
            r"sizes: 9 points in .*chair_1\.npy, 50 in ",
        ),
        (lambda at: np.save(at / "test" / "chair_1.npy", np.ones(9)), r"chair_1\.npy cannot be used: .*\(9,\)"),
        (
            lambda at: cut(at / "train" / "chair_0.npy"),
            r"chair_0\.npy cannot be used: .*; expected folders Class/train",
        ),
        (
            lambda at: (at / "train" / "chair_0.npy").write_bytes(b""),
            r"chair_0\.npy cannot be used: .*; expected folders",
        ),
        (lambda at: (at / "test").rename(at / "other"), r"no \.npy file in the folder .*chair/test; expected folders"),
    ],
)
def test_wrong_folders_are_named(tmp_path: Path, spoil: Callable[[Path], object], message: str) -> None:
    shape_folders(tmp_path, ".npy")
    spoil(tmp_path / "chair")
    with pytest.raises(UsageError, match=message):
        load_clouds(f"modelnet40:{tmp_path}", seed=0)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("test/chair", "test/stool", r"different categories \(only in train: chair; only in test: stool\)"),
        ("test", "other", r"there is no folder .*/test; expected folders Class/train"),
    ],
)
def test_wrong_split_folders_are_named(tmp_path: Path, old: str, new: str, message: str) -> None:
    shape_folders(tmp_path, ".npy", by_split=True)
    (tmp_path / old).rename(tmp_path / new)
    with pytest.raises(UsageError, match=message):
        load_clouds(f"modelnet40:{tmp_path}", seed=0)


def test_a_broken_surface_is_named(tmp_path: Path) -> None:
    shape_folders(tmp_path, ".off")
    (tmp_path / "chair" / "train" / "chair_1.off").write_text("OFF\n3 1 0\n0 0")
    with pytest.raises(UsageError, match=r"chair_1\.off cannot be used: .*; expected folders Class/train"):
        load_clouds(f"modelnet40:{tmp_path}", seed=0)


def test_categories_foreign_to_modelnet10_are_refused(tmp_path: Path) -> None:
    shape_folders(tmp_path, ".npy")
    (tmp_path / "chair").rename(tmp_path / "xbox")
    with pytest.raises(UsageError, match="1 categories that ModelNet10 does not have, such as xbox"):
        load_clouds(f"modelnet10:{tmp_path}", seed=0)


def test_a_linear_probe_on_an_hdf5_folder(tmp_path: Path) -> None:
    hdf5_folder(tmp_path)
    config = LinearConfig(
        encoder="random:pointnet", data=f"modelnet40:{tmp_path}", seeds=1, device="cpu", out=tmp_path / "out"
    )
    scores = linear(config).scores
    assert scores["overall_accuracy"]["mean"] > 0.8  # one class is stretched
    data = read_result(tmp_path / "out" / "result.json").protocol["data"]
    assert data["dataset"] == "modelnet40" and len(data["files"]) == 3 and data["points_count"] == 40


def test_empty_split_folders_are_named(tmp_path: Path) -> None:
    (tmp_path / "train").mkdir()
    (tmp_path / "test").mkdir()
    with pytest.raises(UsageError, match=r"no class folder below .*; expected folders Class/train"):
        load_clouds(f"modelnet40:{tmp_path}", seed=0)
