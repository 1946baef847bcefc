from pathlib import Path
from typing import Any

import numpy as np
import pytest

from crosspoint3d.config import Protocol, UsageError
from crosspoint3d.data.class_clouds import ClassClouds, deal_labels
from crosspoint3d.data.clouds import load_clouds
from crosspoint3d.data.loaded import DRAWN_VAL, NO_VAL, OWN_VAL
from crosspoint3d.data.table import ShapeTable
from tests.data.part_sets import hdf5_folder, write_h5

SHAPES = {"one": 1, "two": 2, "three": 3, "ten": 10, "forty": 40}


def table(folder: Path, splits: dict[str, dict[str, int]], broken: str = "") -> str:
    """A table of so many shapes of each category in each split; the points of one may be NaN."""
    rows: list[dict[str, Any]] = []
    for split, counts in splits.items():
        for category, count in counts.items():
            for number in range(count):
                points = np.random.default_rng(len(rows)).normal(size=(8, 3)).astype(np.float16)
                name = f"{split}/{category}{number}"
                points *= np.float16(np.nan if name == broken else 1)
                rows.append(
                    {"id": name, "source": "here", "points": points, "status": "ok",
                     "category": category, "split": split}
                )  # fmt: skip
    made = ShapeTable.create(folder / "table", points=8, settings={})
    made.append(rows)
    return made.path


def dealt(spec: str, *, seed: int, fraction: float, protocol: Protocol = "clean") -> ClassClouds:
    return deal_labels(load_clouds(spec, seed=seed), seed=seed, fraction=fraction, protocol=protocol)


def counts(labels: np.ndarray, names: tuple[str, ...]) -> dict[str, int]:
    return {names[label]: int(count) for label, count in zip(*np.unique(labels, return_counts=True), strict=True)}


def test_a_fifth_of_each_category_is_held_out_and_never_the_last_two(tmp_path: Path) -> None:
    path = table(tmp_path, {"train": SHAPES, "test": {"one": 2, "ten": 3}})
    clouds = dealt(path, seed=0, fraction=1.0)
    assert counts(clouds.val.labels, clouds.categories) == {"three": 1, "ten": 2, "forty": 8}
    assert counts(clouds.train.labels, clouds.categories) == {"one": 1, "two": 2, "three": 2, "ten": 8, "forty": 32}
    every = load_clouds(path, seed=0)
    assert sorted(clouds.train.ids + clouds.val.ids) == sorted(every.train_ids)
    assert clouds.test.ids == every.test_ids
    for split in (clouds.train, clouds.val):
        rows = [every.train_ids.index(name) for name in split.ids]
        assert rows == sorted(rows)
        assert np.array_equal(split.points, every.train_points[rows])
        assert np.array_equal(split.labels, every.train_labels[rows])


def test_the_seed_decides_and_the_record_says_which(tmp_path: Path) -> None:
    path = table(tmp_path, {"train": SHAPES, "test": {"ten": 3}})
    first, again, other = (dealt(path, seed=seed, fraction=0.5) for seed in (3, 3, 4))
    assert first.train.ids == again.train.ids != other.train.ids
    assert first.record == again.record
    for key in ("labelled", "val"):
        assert first.record[key]["sha256"] != other.record[key]["sha256"]
    assert first.record["split_sha256"] == other.record["split_sha256"]
    assert first.record["train_shapes"] == len(first.train) == 1 + 1 + 2 + 4 + 16
    assert first.record["val"]["shapes"] == len(first.val) == 0 + 0 + 0 + 1 + 4
    assert first.record["labelled"] | {"sha256": "", "drawn": ""} == {
        "share": 0.5, "of": 56, "drawn": "", "sha256": ""
    }  # fmt: skip
    assert set(first.train.ids).isdisjoint(first.val.ids)


def test_labelled_shapes_are_nested_and_paper_trains_on_all_of_them(tmp_path: Path) -> None:
    path = table(tmp_path, {"train": SHAPES, "test": {"ten": 3}})
    few, more = (dealt(path, seed=1, fraction=f, protocol="paper") for f in (0.1, 0.5))
    assert set(few.train.ids) < set(more.train.ids)
    assert len(few.val) == len(more.val) == 0
    assert "paper protocol" in few.record["val"]["from"]
    clean = dealt(path, seed=1, fraction=0.5)
    assert set(clean.train.ids + clean.val.ids) == set(more.train.ids)


def test_a_split_val_of_the_table_is_used_whole(tmp_path: Path) -> None:
    path = table(tmp_path, {"train": SHAPES, "val": {"two": 4, "novel": 1}, "test": {"ten": 3}})
    clouds = dealt(path, seed=0, fraction=1.0)
    assert clouds.val.ids == tuple(f"val/two{number}" for number in range(4))
    assert set(clouds.val.labels) == {clouds.categories.index("two")}
    assert np.allclose(np.linalg.norm(clouds.val.points, axis=2).max(axis=1), 1, atol=1e-5)
    assert len(clouds.train) == 56
    assert clouds.record["left_out"]["val"] == 1
    assert clouds.record["val"]["from"] == OWN_VAL


def test_the_val_split_of_a_published_set_is_used_whole(tmp_path: Path) -> None:
    folder = hdf5_folder(tmp_path)
    write_h5(folder / "ply_data_val0.h5", 2, categories=3, points=20)
    clouds = dealt(f"shapenetpart:{folder}", seed=0, fraction=1.0)
    assert (len(clouds.train), clouds.val.ids, len(clouds.test)) == (8, ("val/0", "val/1", "val/3"), 4)
    assert clouds.val.labels.tolist() == [0, 1, 0] and clouds.val.points.shape == (3, 20, 3)
    np.testing.assert_allclose(clouds.val.points.mean(axis=1), 0, atol=1e-6)
    assert clouds.record["val"]["from"] == OWN_VAL
    assert clouds.record["left_out"] == {"val": 1}, "the Cap, which train lacks"


def test_a_broken_val_cloud_is_placed(tmp_path: Path) -> None:
    path = table(tmp_path, {"train": SHAPES, "val": {"novel": 1, "two": 2}, "test": {"ten": 3}}, broken="val/two1")
    with pytest.raises(UsageError, match=r"row 58 \(val/two1\): points holds a value that is not finite"):
        dealt(path, seed=0, fraction=1.0)
    assert len(dealt(path, seed=0, fraction=1.0, protocol="paper").val) == 0


def test_where_the_val_split_has_no_known_category_shapes_are_held_out(tmp_path: Path) -> None:
    path = table(tmp_path, {"train": SHAPES, "val": {"novel": 1}, "test": {"ten": 3}})
    clouds = dealt(path, seed=0, fraction=1.0)
    assert len(clouds.val) == 11 and clouds.record["val"]["from"] == DRAWN_VAL
    assert clouds.record["left_out"]["val"] == 1


def test_of_few_labelled_shapes_none_is_held_out(tmp_path: Path) -> None:
    path = table(tmp_path, {"train": SHAPES, "test": {"ten": 3}})
    clouds = dealt(path, seed=0, fraction=0.05)
    assert len(clouds.val) == 0
    assert counts(clouds.train.labels, clouds.categories) == dict.fromkeys(clouds.categories, 1) | {"forty": 2}
    assert clouds.record["val"]["from"] == NO_VAL


@pytest.mark.parametrize("fraction", [0.0, -0.1, 1.5])
def test_a_share_out_of_range_is_named(fraction: float) -> None:
    with pytest.raises(UsageError, match=f"--labels {fraction:g}: a share"):
        dealt("procedural:40", seed=0, fraction=fraction)


def test_procedural_shapes_have_all_three_splits() -> None:
    clouds = dealt("procedural:80:3", seed=0, fraction=1.0)
    assert len(clouds.val) > 0
    assert len(clouds.train) + len(clouds.val) + len(clouds.test) == 80
