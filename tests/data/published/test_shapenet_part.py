"""ShapeNetPart in small copies of its layouts, whole and with one thing wrong."""

import itertools
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from crosspoint3d import geometry
from crosspoint3d.config import UsageError
from crosspoint3d.data.clouds import load_clouds
from crosspoint3d.data.part_clouds import load_part_clouds
from crosspoint3d.data.published import read_shapenet_part
from tests.data.part_sets import hdf5_folder, labelled_shapes, text_folder, text_shape, write_h5

FIRST_PARTS = (0, 4, 6, 8, 12, 16, 19, 22, 24, 28, 30, 36, 38, 41, 44, 47, 50)
NAMES = "Airplane Bag Cap Car Chair Earphone Guitar Knife Lamp Laptop Motorbike Mug Pistol Rocket Skateboard Table"


def normalised(clouds: np.ndarray) -> np.ndarray:
    return np.stack([geometry.normalise(cloud)[0] for cloud in clouds])


def joined(*seeds: int, **settings: Any) -> list[np.ndarray]:
    return [np.concatenate(values) for values in zip(*(labelled_shapes(s, **settings) for s in seeds), strict=True)]


def test_hdf5_files_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    folder = hdf5_folder(tmp_path)
    write_h5(folder / "ply_data_train10.h5", 9)
    whole, inner = (load_part_clouds(f"shapenetpart:{at}", seed=seed) for seed, at in enumerate((tmp_path, folder)))
    clouds, labels, pids = joined(0, 1, 9)
    np.testing.assert_array_equal(whole.train.points, normalised(clouds))
    np.testing.assert_array_equal(whole.train.parts, pids)
    np.testing.assert_array_equal(inner.train.points, whole.train.points)
    assert whole.train.categories.tolist() == labels.ravel().tolist()
    assert whole.train.ids[4:6] == ("train/4", "train/5") and whole.test.ids[0] == "test/0"
    assert whole.table.categories == tuple(NAMES.split())
    assert whole.table.parts == tuple(tuple(range(*span)) for span in itertools.pairwise(FIRST_PARTS))
    assert len(whole.table) == 50 and whole.table.names[38:41] == ("Pistol 0", "Pistol 1", "Pistol 2")
    np.testing.assert_array_equal(whole.val.parts, labelled_shapes(2)[2])
    np.testing.assert_array_equal(whole.test.parts, labelled_shapes(3)[2])
    record = whole.record
    assert record["dataset"] == "ShapeNetPart" and record["as_many_as_published"] is False
    assert (record["train_shapes"], record["val_shapes"], record["test_shapes"]) == (12, 4, 4)
    assert (record["categories"], record["parts"], record["parts_table"]) == (16, 50, "the 50 parts of ShapeNetPart")
    assert record["split_drawn"] is False and "own val split" in record["val"]["from"]
    assert "y up assumed" in record["orientation"] and len(record["files"]) == 5
    assert record["split_sha256"] == inner.record["split_sha256"]
    assert "without a shape: Cap" in record["notes"][0]


def test_lists_decide_the_order(tmp_path: Path) -> None:
    folder = hdf5_folder(tmp_path, "shapenet_part_seg_hdf5_data")
    (folder / "train_hdf5_file_list.txt").write_text("ply_data_train1.h5\n./hdf5_data/ply_data_train0.h5\n")
    parts = load_part_clouds(f"shapenetpart:{tmp_path}", seed=0).train.parts
    np.testing.assert_array_equal(parts, joined(1, 0)[2])


def test_categories_are_those_of_shapenetpart_unless_a_file_says_otherwise(tmp_path: Path) -> None:
    folder = hdf5_folder(tmp_path)
    categories = folder / "all_object_categories.txt"
    known = load_part_clouds(f"shapenetpart:{folder}", seed=0)
    categories.unlink()
    assert load_part_clouds(f"shapenetpart:{folder}", seed=0).table == known.table
    categories.write_text("Sword 1\nAxe 2\n")
    other = load_part_clouds(f"shapenetpart:{folder}", seed=0)
    assert other.table.categories == ("Axe", "Sword") and other.train.categories.tolist() == [1, 0] * 4
    assert other.table.names == (*(f"Sword part {i}" for i in range(4)), "Axe part 4", "Axe part 5")
    np.testing.assert_array_equal(other.train.parts, known.train.parts)
    assert "labels that occur" in other.record["parts_table"] and "as_many_as_published" not in other.record


def test_without_val_a_fifth_of_train_is_drawn(tmp_path: Path) -> None:
    folder = hdf5_folder(tmp_path, shapes=10)
    (folder / "ply_data_val0.h5").unlink()
    clouds, again, other = (load_part_clouds(f"shapenetpart:{folder}", seed=seed) for seed in (0, 0, 1))
    assert (len(clouds.train), len(clouds.val), len(clouds.test)) == (16, 4, 10)
    assert np.bincount(clouds.val.categories).tolist() == [2, 2]
    assert not set(clouds.train.ids) & set(clouds.val.ids)
    assert clouds.val.ids == again.val.ids != other.val.ids
    assert clouds.record["split_sha256"] == other.record["split_sha256"], "train and test are the data's own"
    assert clouds.record["val"]["sha256"] != other.record["val"]["sha256"]
    assert "fifth" in clouds.record["val"]["from"] and clouds.record["split_drawn"] is False
    raw = {f"train/{row}": pid for row, pid in enumerate(joined(0, 1, shapes=10)[2])}
    for split in (clouds.train, clouds.val):
        np.testing.assert_array_equal(split.parts, [raw[name] for name in split.ids])


def own_table(folder: Path, **changes: Any) -> None:
    parts = {"Bag": {"names": ["strap", "body"], "first_id": 4}, "Plane": {"names": list("abcd"), "first_id": 0}}
    table = {"categories": ["Plane", "Bag"], "parts": parts, "num_parts": 6} | changes
    (folder / "parts.json").write_text(json.dumps(table))


def test_an_own_table_of_parts(tmp_path: Path) -> None:
    folder = hdf5_folder(tmp_path, "mine")
    (folder / "all_object_categories.txt").unlink()
    own_table(folder)
    clouds = load_part_clouds(f"shapenetpart:{tmp_path}", seed=0)
    assert clouds.table.categories == ("Plane", "Bag") and clouds.table.parts == ((0, 1, 2, 3), (4, 5))
    assert clouds.table.names == ("a", "b", "c", "d", "strap", "body")
    np.testing.assert_array_equal(clouds.train.parts, joined(0, 1)[2])
    assert clouds.record["parts_table"] == "parts.json" and clouds.record["dataset"] == "mine"


def test_names_are_ids_where_they_differ(tmp_path: Path) -> None:
    folder = hdf5_folder(tmp_path)
    for number, part in enumerate(("train0", "train1", "val0", "test0")):
        with h5py.File(folder / f"ply_data_{part}.h5", "a") as file:
            file["name"] = np.array([f"n{number}-{i}" for i in range(4)], dtype="S8")
    assert load_part_clouds(f"shapenetpart:{folder}", seed=0).train.ids[3:5] == ("n0-3", "n1-0")
    with h5py.File(folder / "ply_data_test0.h5", "a") as file:
        file["name"][0] = b"n0-3"
    assert load_part_clouds(f"shapenetpart:{folder}", seed=0).train.ids[3:5] == ("train/3", "train/4")


@pytest.mark.parametrize("older", [False, True])
def test_text_files(tmp_path: Path, older: bool) -> None:
    folder = text_folder(tmp_path, older=older)
    clouds, again = (load_part_clouds(f"shapenetpart:{at}", seed=0) for at in (tmp_path, folder))
    np.testing.assert_array_equal(clouds.train.points, again.train.points)
    assert clouds.train.points.shape == (4, 2048, 3) and (len(clouds.val), len(clouds.test)) == (2, 2)
    assert clouds.test.ids == ("02691156/s6", "02773838/s7") and clouds.train.categories.tolist() == [0, 1, 0, 1]
    assert len(clouds.table) == 50 and clouds.record["files"]["number"] == 8
    assert "2,048 points drawn by seed 0" in clouds.record["point_order"]
    raw = read_shapenet_part(f"shapenetpart:{folder}").splits["train"].points
    np.testing.assert_array_equal(clouds.train.points, normalised(raw))
    for row, size in enumerate((20, 2048, 2100, 20)):
        cloud, part = text_shape(row, size)
        lines = {tuple(point): line for line, point in enumerate(cloud[:, :3].astype(np.float32).tolist())}
        kept = np.array([lines[tuple(point)] for point in raw[row].tolist()])
        np.testing.assert_array_equal(clouds.train.parts[row], part[kept])
        assert (np.diff(kept[: min(size, 2048)]) > 0).all(), "in file order"
        assert size > 2048 or set(kept) == set(range(size)), "all of a small shape, then repeats"


def test_text_files_without_a_val_list(tmp_path: Path) -> None:
    folder = text_folder(tmp_path)
    lists = folder / "train_test_split"
    added = json.loads((lists / "shuffled_val_file_list.json").read_text())
    (lists / "shuffled_val_file_list.json").unlink()
    train = lists / "shuffled_train_file_list.json"
    train.write_text(json.dumps(json.loads(train.read_text()) + added))
    clouds = load_part_clouds(f"shapenetpart:{folder}", seed=0)
    assert (len(clouds.train), len(clouds.val), len(clouds.test)) == (4, 2, 2)


def test_the_same_data_as_categories(tmp_path: Path) -> None:
    folder = hdf5_folder(tmp_path)
    clouds = load_clouds(f"shapenetpart:{folder}", seed=0)
    np.testing.assert_array_equal(clouds.train_points, normalised(joined(0, 1)[0]))
    assert clouds.categories == ("Airplane", "Bag") and clouds.test_labels.tolist() == [0, 1, 0, 1]
    assert clouds.record["left_out"] == {"val": 4}


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (
            lambda at: write_h5(at / "ply_data_test0.h5", 3, categories=3),
            r"ply_data_test0\.h5 row 2: categories of the test split that train does not have: Cap",
        ),
        (
            lambda at: (at / "ply_data_test0.h5").unlink(),
            r"no labelled shape is in the test split \(there is: 8 train, 0 test\); both are needed",
        ),
        (
            lambda at: write_h5(at / "ply_data_train1.h5", 1, data=point(np.nan)),
            r"train1\.h5 row 2: points holds a value that is not finite",
        ),
    ],
)
def test_categories_that_cannot_be_used(tmp_path: Path, spoil: Callable[[Path], object], message: str) -> None:
    folder = hdf5_folder(tmp_path)
    spoil(folder)
    with pytest.raises(UsageError, match=message):
        load_clouds(f"shapenetpart:{folder}", seed=0)


def test_a_category_of_train_alone_is_kept(tmp_path: Path) -> None:
    folder = hdf5_folder(tmp_path)
    write_h5(folder / "ply_data_train1.h5", 1, categories=3)
    assert load_clouds(f"shapenetpart:{folder}", seed=0).categories == ("Airplane", "Bag", "Cap")


def label(**rows: Any) -> Callable[[Path], object]:
    """Rewrite rows of `pid` in the second train file, as floats where a value is no whole number."""

    def spoil(folder: Path) -> None:
        pid = labelled_shapes(1)[2].astype(np.float32)
        for row, value in rows.items():
            pid[int(row[1:])] = value
        whole = np.isfinite(pid).all() and (pid == pid.astype(np.int64)).all()
        write_h5(folder / "ply_data_train1.h5", 1, pid=pid.astype(np.int64) if whole else pid)

    return spoil


def file(**changes: Any) -> Callable[[Path], object]:
    return lambda folder: write_h5(folder / "ply_data_train1.h5", 1, **changes)


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-100])


def damage(path: Path) -> None:
    """Change bytes of a compressed array, whose checksum then differs."""
    clouds, labels, pid = labelled_shapes(1)
    with h5py.File(path, "w") as file:
        file["data"], file["label"] = clouds, labels
        file.create_dataset("pid", data=pid, chunks=pid.shape, fletcher32=True)
        place = file["pid"].id.get_chunk_info(0).byte_offset
    with path.open("r+b") as raw:
        raw.seek(place)
        raw.write(b"\xff" * 8)


def point(value: float) -> np.ndarray:
    clouds = labelled_shapes(1)[0]
    clouds[2, 5, 1] = value
    return clouds


ONE_NAN = np.where(np.arange(24) == 3, np.nan, 0)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (
            label(r2=7),
            r"ply_data_train1\.h5 row 2: 24 of 24 points have the part label 7, but the parts of Airplane are .*3; "
            r"without a parts\.json the data is read as ShapeNetPart: put one beside other data, \{\"categories\"",
        ),
        (label(r1=0), r"train1\.h5 row 1: 24 of 24 points have the part label 0, but the parts of Bag are 4, 5"),
        (label(r3=70), r"train1\.h5 row 3: .* part label 70"),
        (label(r3=70_000), r"train1\.h5 row 3: part label 70000 is no whole number from 0 to 32,767"),
        (label(r3=4.5), r"train1\.h5 row 3: part label 4\.5 is no whole number"),
        (label(r3=np.nan), r"train1\.h5 row 3: the shape has no part labels"),
        (label(r3=-1), r"train1\.h5 row 3: the shape has no part labels"),
        (label(r0=ONE_NAN), r"train1\.h5 row 0: 1 of 24 points have no part label"),
        (file(pid=labelled_shapes(1)[2].astype("S1")), r"train1\.h5 row 0: part labels are of type \|S1"),
        (file(pid=labelled_shapes(1)[2][:, :20]), r"train1\.h5: pid has shape \(4, 20\), expected \(4, 24\)"),
        (file(pid=None), r"train1\.h5: expected the dataset pid.*found data, label; expected hdf5_data"),
        (file(label=None), r"train1\.h5: expected the datasets points \(or data\) and label.*expected hdf5_data"),
        (file(data=None), r"train1\.h5: expected the datasets points \(or data\) and label"),
        (file(data=labelled_shapes(1)[0][:, :, :2]), r"train1\.h5: data has shape \(4, 24, 2\)"),
        (file(label=np.array([0, 1, 2, 3])), r"train1\.h5 row 3: label 3, .*numbered 0 to 2$"),
        (file(points=30), r"differing sizes: 30 points in .*train1\.h5, 24 in .*train0\.h5"),
        (file(data=point(np.inf)), r"train1\.h5 row 2: points holds a value that is not finite"),
        (file(data=np.ones((4, 24, 3), np.float32)), r"train1\.h5 row 0: all 24 points coincide"),
        (
            lambda at: cut(at / "ply_data_train1.h5"),
            r"train1\.h5 is not an HDF5 file, or it is cut short.*expected hdf5_",
        ),
        (lambda at: damage(at / "ply_data_train1.h5"), r"train1\.h5 is cut short or damaged"),
        (
            lambda at: (at / "train_hdf5_file_list.txt").write_text("ply_data_train7.h5"),
            r"no file .*ply_data_train7\.h5",
        ),
        (
            lambda at: (at / "val_hdf5_file_list.txt").write_text("ply_data_train0.h5"),
            r"train0\.h5 is listed more than",
        ),
        (lambda at: (at / "ply_data_test0.h5").unlink(), "no shape with parts is in the test split"),
        (lambda at: write_h5(at / "ply_data_test0.h5", 3, shapes=0), "no shape with parts is in the test split"),
        (
            lambda at: [(at / f"ply_data_train{i}.h5").unlink() for i in (0, 1)],
            "no shape with parts is in the train split",
        ),
        (
            lambda at: write_h5(at / "ply_data_test0.h5", 3, categories=3),
            r"ply_data_test0\.h5 row 2: categories of the test split that train does not have: Cap",
        ),
        (
            lambda at: write_h5(at / "ply_data_val0.h5", 2, categories=3),
            r"ply_data_val0\.h5 row 2: categories of the val split that train does not have: Cap",
        ),
        (lambda at: (at / "parts.json").write_text("{"), r"parts\.json: expected \{\"categories\""),
        (lambda at: own_table(at, num_parts=7), r"parts\.json: .*the ids of 6 parts must be 0 to num_parts - 1"),
        (lambda at: own_table(at, categories=["Plane", "Axe"]), r"parts\.json: .*KeyError: 'Axe'"),
        (lambda at: own_table(at, categories=["Bag"] * 2), r"parts\.json: .*category 'Bag' repeats"),
        (lambda at: own_table(at, parts=[]), r"parts\.json: .*TypeError"),
        (lambda at: (at / "parts.json").write_text("[]"), r"parts\.json: .*TypeError"),
    ],
)
def test_hdf5_files_that_cannot_be_used(tmp_path: Path, spoil: Callable[[Path], object], message: str) -> None:
    folder = hdf5_folder(tmp_path)
    spoil(folder)
    with pytest.raises(UsageError, match=message):
        load_part_clouds(f"shapenetpart:{folder}", seed=0)


def test_labels_beyond_shapenetparts_are_told_of_parts_json(tmp_path: Path) -> None:
    folder = hdf5_folder(tmp_path)
    (folder / "all_object_categories.txt").unlink()
    write_h5(folder / "ply_data_train1.h5", 1, label=np.array([0, 1, 16, 1]))
    with pytest.raises(
        UsageError, match=r"row 2: label 16, .*numbered 0 to 15; without a parts\.json .*put one beside"
    ):
        load_part_clouds(f"shapenetpart:{folder}", seed=0)
    write_h5(folder / "ply_data_train1.h5", 1, pid=labelled_shapes(1)[2] + 1)
    own_table(folder)
    with pytest.raises(UsageError, match=r"the parts of Plane are 0, 1, 2, 3$"):
        load_part_clouds(f"shapenetpart:{folder}", seed=0)


def test_one_part_only_is_told(tmp_path: Path) -> None:
    folder = hdf5_folder(tmp_path)
    for seed, part in enumerate(("train0", "train1", "val0", "test0")):
        label, pid = np.ones((4, 1), dtype=np.uint8), np.full((4, 24), 5, dtype=np.uint8)
        write_h5(folder / f"ply_data_{part}.h5", seed, label=label, pid=pid)
    with pytest.raises(UsageError, match=r"all points of the train split are one part \(Bag 1\)"):
        load_part_clouds(f"shapenetpart:{folder}", seed=0)


def shape(text: str) -> Callable[[Path], object]:
    return lambda folder: (folder / "02773838" / "s1.txt").write_text(text)


def listed(text: str, part: str = "val") -> Callable[[Path], object]:
    return lambda folder: (folder / "train_test_split" / f"shuffled_{part}_file_list.json").write_text(text)


LINE = "0 0 0 1 0 0"


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (shape(""), r"02773838/s1\.txt cannot be used: the file is empty; expected shapenetcore_partanno"),
        (shape("a b c d e f g\n"), r"s1\.txt cannot be used: could not convert"),
        (shape(f"{LINE}\n"), r"s1\.txt cannot be used: 6 numbers a line, expected 7"),
        (shape(f"{LINE} 4\n0 0\n"), r"s1\.txt cannot be used: .*number of columns changed"),
        (shape(f"{LINE} nan\n"), r"s1\.txt: the shape has no part labels"),
        (shape(f"{LINE} 4\n{LINE} -1\n"), r"s1\.txt: 1 of 2 points have no part label"),
        (shape(f"{LINE} 4.5\n"), r"s1\.txt: part label 4\.5"),
        (
            shape(f"0 1 2 1 0 0 4\n{LINE} 0\n"),
            r"s1\.txt: .* points have the part label 0, but the parts of Bag are 4, 5",
        ),
        (shape(f"0 nan 2 1 0 0 4\n{LINE} 5\n"), r"s1\.txt: points holds a value that is not finite"),
        (lambda at: (at / "02773838" / "s1.txt").unlink(), r"no file .*s1\.txt; expected shapenetcore"),
        (lambda at: (at / "synsetoffset2category.txt").unlink(), r"no file .*synsetoffset2category\.txt"),
        (
            lambda at: (at / "synsetoffset2category.txt").write_text("Bag\n"),
            r"2category\.txt line 1: expected a category",
        ),
        (lambda at: (at / "synsetoffset2category.txt").write_text("Bag 02773838"), "02691156/s0 is listed, but"),
        (lambda at: (at / "train_test_split/shuffled_test_file_list.json").unlink(), r"no file .*shuffled_test"),
        (listed("[]", "test"), "no shape with parts is in the test split"),
        (listed("{}"), r"shuffled_val_file_list\.json: expected a list of .*: it is no list"),
        (listed("["), r"shuffled_val_file_list\.json: expected a list of"),
        (listed("[3]"), r"shuffled_val_file_list\.json: expected a list of"),
        (listed('["s1"]'), r"shuffled_val_file_list\.json: .*entry 's1'"),
        (listed('["shape_data/02773838/s1"]'), "02773838/s1 is listed more than once"),
        (
            lambda at: (at / "parts.json").write_text(
                '{"categories": ["Bag"], "parts": {"Bag": {"names": ["a", "b"], "first_id": 0}}}'
            ),
            r"02691156/s0\.txt: the category 'Airplane' is not in the table of parts, which has Bag",
        ),
    ],
)
def test_text_files_that_cannot_be_used(tmp_path: Path, spoil: Callable[[Path], object], message: str) -> None:
    folder = text_folder(tmp_path, points=(20,))
    spoil(folder)
    with pytest.raises(UsageError, match=message):
        load_part_clouds(f"shapenetpart:{folder}", seed=0)


def test_points_and_labels_of_the_older_layout_must_be_as_many(tmp_path: Path) -> None:
    folder = text_folder(tmp_path, points=(20,), older=True)
    (folder / "02773838" / "points_label" / "s1.seg").write_text("1\n2\n")
    with pytest.raises(UsageError, match=r"points/s1\.pts has 20 points, .*points_label/s1\.seg 2 labels"):
        load_part_clouds(f"shapenetpart:{folder}", seed=0)


def test_folders_without_data_are_told(tmp_path: Path) -> None:
    for place in ("", str(tmp_path / "nowhere")):
        with pytest.raises(UsageError, match=r"there is no folder .*expected DIR holding hdf5_data"):
            load_part_clouds(f"shapenetpart:{place}", seed=0)
    (tmp_path / "empty").mkdir()
    with pytest.raises(UsageError, match=r"no known layout in .*; or shapenetcore_partanno"):
        load_part_clouds(f"shapenetpart:{tmp_path}", seed=0)
    for name in ("one", "two"):
        hdf5_folder(tmp_path, name)
    with pytest.raises(UsageError, match=r"more than one data set \(one, two\)"):
        load_part_clouds(f"shapenetpart:{tmp_path}", seed=0)


@pytest.mark.shared
def test_princeton_parts_as_published(shared_data: Path) -> None:
    folder = shared_data / "princeton_parts"
    clouds = load_part_clouds(f"shapenetpart:{folder}", seed=0)
    assert [len(split) for split in (clouds.train, clouds.val, clouds.test)] == [228, 38, 114]
    assert (len(clouds.table.categories), len(clouds.table)) == (19, 94)
    table = json.loads((folder / "parts.json").read_text())
    for category, own in zip(clouds.table.categories, clouds.table.parts, strict=True):
        named = table["parts"][category]
        assert own == tuple(range(named["first_id"], named["first_id"] + len(named["names"])))
        assert [clouds.table.names[part] for part in own] == named["names"]
    with h5py.File(folder / "ply_data_test0.h5") as file:
        np.testing.assert_array_equal(clouds.test.parts, file["pid"])
        np.testing.assert_array_equal(clouds.test.categories, file["label"][:, 0])
        np.testing.assert_allclose(clouds.test.points[7], normalised(file["data"][7:8])[0])
