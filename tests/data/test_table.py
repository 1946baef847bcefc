"""ShapeTable: what goes in comes out, and what is no table is refused."""

import json
from pathlib import Path

import lance
import numpy as np
import pyarrow as pa
import pytest

from crosspoint3d.config import RunError, UsageError
from crosspoint3d.data.table import ShapeTable
from tests.data.tables import between, example_row, example_table


def test_rows_come_back_in_the_order_asked_for(tmp_path: Path) -> None:
    rows = [example_row(i) for i in range(9)]
    table = ShapeTable.create(tmp_path / "t", points=32, settings={"seed": 3})
    table.append(rows[:4])
    table.append(rows[4:])
    order = [7, 0, 7, 3]
    taken = ShapeTable(tmp_path / "t").take(order, ["id", "points", "normals", "parts", "views", "view_poses", "area"])
    assert taken["id"] == [rows[i]["id"] for i in order]
    for name in ("points", "normals", "parts", "view_poses"):
        np.testing.assert_array_equal(taken[name], np.stack([rows[i][name] for i in order]))
    assert taken["points"].dtype == np.float32
    assert taken["views"] == [rows[i]["views"] for i in order]
    assert table.settings == {"seed": 3, "points": 32}


def test_select_by_status_and_split(tmp_path: Path) -> None:
    table = ShapeTable.create(tmp_path / "t", points=32, settings={})
    splits = ["train", "test", None, "train"]
    table.append([example_row(i) | {"split": split} for i, split in enumerate(splits)])
    table.append([{"id": "bad", "source": "bad.off", "split": "train", "status": "empty file"}])
    assert table.select().tolist() == [0, 1, 2, 3]
    assert table.select("train").tolist() == [0, 3]
    assert table.select("train", or_null=True).tolist() == [0, 2, 3]
    assert table.column("status") == ["ok"] * 4 + ["empty file"]
    assert len(table) == 5
    assert table.delete_failed() == 1
    assert table.column("id", [3, 0]) == ["shape/3", "shape/0"]


def test_an_array_of_a_failed_row_is_an_error(tmp_path: Path) -> None:
    table = ShapeTable.create(tmp_path / "t", points=32, settings={})
    table.append([example_row(0), {"id": "bad", "source": "bad.off", "status": "empty file"}])
    with pytest.raises(ValueError, match="'points' is null in 1"):
        table.take([0, 1], ["points"])


def test_a_spawned_worker_opens_the_table_anew(tmp_path: Path) -> None:
    table = example_table(tmp_path / "t", 6)
    state = table.__getstate__()
    assert state["path"] == str(tmp_path / "t")
    table.append([example_row(6)])
    again = ShapeTable.__new__(ShapeTable)
    again.__setstate__(state)
    assert again.column("id") == table.column("id")[:6]


@pytest.mark.parametrize("kind", ["missing", "folder", "lance", "version"])
def test_what_is_no_table_is_refused(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "t"
    if kind == "folder":
        path.mkdir()
        (path / "a.txt").write_text("x")
    if kind in ("lance", "version"):
        old = {b"crosspoint3d": json.dumps({"version": 99, "settings": {}}).encode()}
        header = old if kind == "version" else None
        lance.write_dataset(pa.table({"id": ["a"]}).replace_schema_metadata(header), str(path))
    messages = {"lance": "not a ShapeTable", "version": "of version 99, this package reads version 1"}
    with pytest.raises(UsageError, match=messages.get(kind, "no table at")):
        ShapeTable(path)


def test_any_float_type_goes_in_and_nothing_comes_out_of_no_rows(tmp_path: Path) -> None:
    table = ShapeTable.create(tmp_path / "t", points=32, settings={})
    row = example_row(0)
    table.append(
        [row | {"points": row["points"].astype(kind), "id": kind} for kind in ("float16", "float32", "float64")]
    )
    points = table.take([0, 1, 2], ["points"])["points"]
    np.testing.assert_array_equal(points[0], points[1])
    np.testing.assert_array_equal(points[0], points[2])
    empty = table.take(table.select("test"), ["points", "views", "parts"])
    assert empty["points"].shape == (0, 32, 3) and empty["parts"].shape == (0, 32) and empty["views"] == []


def test_rows_are_right_after_others_were_deleted(tmp_path: Path) -> None:
    table = ShapeTable.create(tmp_path / "t", points=32, settings={})
    table.append([{"id": "bad", "source": "x", "status": "broken"}, *(example_row(i) for i in range(3))])
    table.delete_failed()
    assert table.take(table.select(), ["id"])["id"] == ["shape/0", "shape/1", "shape/2"]


def test_rows_that_two_processes_add_at_once_are_not_doubled(tmp_path: Path) -> None:
    first, second = example_table(tmp_path / "t", 4), ShapeTable(tmp_path / "t")
    with between(lambda: second.append([example_row(4)])), pytest.raises(RunError, match="another process writes"):
        first.append([example_row(4), example_row(5)])
    table = ShapeTable(tmp_path / "t")
    assert table.column("id") == [f"shape/{i}" for i in range(5)]
    assert table.take(table.select(), ["area"])["area"] == [1.5] * 5
    table.append([example_row(5)])
    assert len(ShapeTable(tmp_path / "t")) == 6


def test_select_is_the_plain_definition_over_fragments_and_deletions(tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    table = ShapeTable.create(tmp_path / "t", points=32, settings={})
    expected: list[tuple[str, str | None]] = []
    for _ in range(4):
        kinds = generator.integers(0, 3, (9, 2))
        rows = [(("ok", "broken", "duplicate of x")[a], ("train", "test", None)[b]) for a, b in kinds]
        table.append([{"id": "a", "source": "x", "status": status, "split": split} for status, split in rows])
        expected += rows
    for keep in (None, "duplicate of "):
        if keep is not None:
            assert table.delete_failed(keep=keep) == sum(status == "broken" for status, _ in expected)
            expected = [row for row in expected if row[0] != "broken"]
        ok = [(i, split) for i, (status, split) in enumerate(expected) if status == "ok"]
        assert table.select().tolist() == [i for i, _ in ok]
        assert table.select("train").tolist() == [i for i, split in ok if split == "train"]
        assert table.select("train", or_null=True).tolist() == [i for i, split in ok if split in ("train", None)]
        assert table.select().dtype == np.int64


def test_cameras_of_rows_with_other_numbers_of_views_do_not_mix(tmp_path: Path) -> None:
    table = ShapeTable.create(tmp_path / "t", points=32, settings={})
    table.append([example_row(i, views=views) for i, views in enumerate((1, 3, 2))])
    with pytest.raises(ValueError, match="different numbers of views"):
        table.take([0, 1], ["view_poses"])
    assert table.take([1], ["view_poses"])["view_poses"].shape == (1, 3, 3)
