from pathlib import Path
from typing import Any

import numpy as np
import pytest

from crosspoint3d.config import UsageError
from crosspoint3d.data.clouds import load_clouds
from crosspoint3d.data.table import ShapeTable


def row(index: int, **changes: Any) -> dict[str, Any]:
    points = np.random.default_rng(index).normal(size=(16, 3)).astype(np.float16)
    values = {"id": f"s{index}", "source": "here", "points": points, "views": [b"one", b"two"], "status": "ok"}
    return values | {"category": "ab"[index % 2], "split": "test" if index % 4 > 1 else "train"} | changes


def table(folder: Path, rows: list[dict[str, Any]]) -> str:
    made = ShapeTable.create(folder / "table", points=16, settings={})
    made.append(rows)
    return made.path


def test_a_table_with_a_split(tmp_path: Path) -> None:
    rows = [row(i) for i in range(8)]
    rows += [row(8, category=None), row(9, split="val"), row(10, status="empty", points=None), row(11, split=None)]
    clouds = load_clouds(table(tmp_path, rows), seed=0)
    assert clouds.train_ids == ("s0", "s1", "s4", "s5")
    assert clouds.test_ids == ("s2", "s3", "s6", "s7")
    assert clouds.categories == ("a", "b")
    assert clouds.test_labels.tolist() == [0, 1, 0, 1]
    assert clouds.record["left_out"] == {"no category": 1, "val": 1, "no split": 1}
    assert clouds.record["notes"] == []
    assert np.allclose(np.linalg.norm(clouds.test_points, axis=2).max(axis=1), 1, atol=1e-5)


def test_a_table_without_a_split_gets_one_from_the_seed(tmp_path: Path) -> None:
    path = table(tmp_path, [row(i, split=None) for i in range(20)] + [row(20, split=None, category="c")])
    clouds, again, other = (load_clouds(path, seed=seed) for seed in (0, 0, 1))
    assert (len(clouds.train_ids), len(clouds.test_ids)) == (17, 4)
    assert clouds.record["split_sha256"] == again.record["split_sha256"] != other.record["split_sha256"]
    assert clouds.record["split_drawn"] is True
    assert clouds.record["single_shape_categories"] == ["c"]
    assert "s20" in clouds.train_ids
    assert any("without their labels" in note for note in clouds.record["notes"])
    assert any("one shape" in note and "c" in note for note in clouds.record["notes"])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"category": None}, "none of its 8 shapes has a category"),
        ({"category": "a"}, "one category only"),
        ({"split": "train"}, r"no labelled shape is in the test split \(there is: 8 train, 0 test\); both are needed"),
        ({"split": "test"}, "no labelled shape is in the train split"),
        ({"points": np.full((16, 3), np.nan, dtype=np.float16)}, r"row 0 \(s0\): .*not finite"),
        ({"status": "broken"}, "no usable shape"),
    ],
)
def test_tables_that_cannot_be_used(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    path = table(tmp_path, [row(i, **changes) for i in range(8)])
    with pytest.raises(UsageError, match=message):
        load_clouds(path, seed=0)


def test_a_category_only_in_test_is_named(tmp_path: Path) -> None:
    path = table(tmp_path, [*(row(i) for i in range(8)), row(8, category="novel", split="test")])
    with pytest.raises(UsageError, match=r"row 8 \(s8\): categories of the test split .*train does not have: novel"):
        load_clouds(path, seed=0)


def test_a_missing_table_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no table"):
        load_clouds(str(tmp_path / "nowhere"), seed=0)


def test_procedural_clouds_repeat() -> None:
    first, again = (load_clouds("procedural:40:3", seed=0) for _ in range(2))
    assert first.train_points.shape[1:] == (2048, 3)
    assert np.array_equal(first.test_points, again.test_points)
    assert len(first.train_ids) + len(first.test_ids) == 40
    assert first.record["split_drawn"] is True


def test_too_few_procedural_shapes_to_draw_a_test_split_from() -> None:
    message = r"no labelled shape is in the test split \(there is: 9 train, 0 test\); .*: procedural:48 has two of each"
    with pytest.raises(UsageError, match=message):
        load_clouds("procedural:9", seed=0)


@pytest.mark.parametrize("spec", ["procedural:", "procedural:0", "procedural:x", "procedural:9:y"])
def test_wrong_procedural_specs_are_named(spec: str) -> None:
    with pytest.raises(UsageError, match="expected procedural:COUNT"):
        load_clouds(spec, seed=0)


def test_pictures_are_no_clouds() -> None:
    with pytest.raises(UsageError, match="images:X: pictures have no clouds; only `evaluate few-shot`"):
        load_clouds("images:X", seed=0)
