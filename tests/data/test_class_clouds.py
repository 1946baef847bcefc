from pathlib import Path
from typing import Any

import numpy as np
import pytest

from crosspoint3d.config import Protocol, UsageError
from crosspoint3d.data.class_clouds import ClassClouds, deal_labels
from crosspoint3d.data.clouds import load_clouds
from crosspoint3d.data.table import ShapeTable

SHAPES = {"one": 1, "two": 2, "three": 3, "ten": 10, "forty": 40}


def table(folder: Path, splits: dict[str, dict[str, int]]) -> str:
    """A table of so many shapes of each category in each split."""
    rows: list[dict[str, Any]] = []
    for split, counts in splits.items():
        for category, count in counts.items():
            for number in range(count):
                points = np.random.default_rng(len(rows)).normal(size=(8, 3)).astype(np.float16)
                rows.append(
                    {"id": f"{split}/{category}{number}", "source": "here", "points": points, "status": "ok",
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
    assert clouds.record["val"]["from"] == "the table's split val"


def test_of_few_labelled_shapes_none_is_held_out(tmp_path: Path) -> None:
    path = table(tmp_path, {"train": SHAPES, "test": {"ten": 3}})
    clouds = dealt(path, seed=0, fraction=0.05)
    assert len(clouds.val) == 0
    assert counts(clouds.train.labels, clouds.categories) == dict.fromkeys(clouds.categories, 1) | {"forty": 2}
    assert "no category has three" in clouds.record["val"]["from"]


@pytest.mark.parametrize("fraction", [0.0, -0.1, 1.5])
def test_a_share_out_of_range_is_named(fraction: float) -> None:
    with pytest.raises(UsageError, match=f"--labels {fraction:g}: a share"):
        dealt("procedural:40", seed=0, fraction=fraction)


def test_procedural_shapes_have_all_three_splits() -> None:
    clouds = dealt("procedural:80:3", seed=0, fraction=1.0)
    assert len(clouds.val) > 0
    assert len(clouds.train) + len(clouds.val) + len(clouds.test) == 80
