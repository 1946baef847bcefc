"""Part segmentation data from tables and procedural shapes; published layouts in `published/test_shapenet_part.py`."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crosspoint3d import geometry
from crosspoint3d.config import UsageError
from crosspoint3d.data.clouds import load_clouds
from crosspoint3d.data.loaded import NO_VAL
from crosspoint3d.data.outer_surface import sample_outer_surface
from crosspoint3d.data.part_clouds import load_part_clouds
from crosspoint3d.data.part_rows import PartRows, make_split, number_parts
from crosspoint3d.data.shapes import PARTS, procedural_shape
from crosspoint3d.data.table import ShapeTable
from crosspoint3d.parts_table import PartsTable

POINTS = 16
STORED = PartsTable(("b", "c", "a"), ((0, 1), (2, 3), (4, 5, 6)), ("leg", "top", "lid", "cup", "arm", "seat", "leg"))
FIRST = {"a": 4, "b": 0, "c": 2}


def row(index: int, *, categories: str = "ab", local: bool = False, **changes: Any) -> dict[str, Any]:
    """Shape `index`: every part of its category, its split by its number."""
    generator = np.random.default_rng(index)
    category = changes.get("category", categories[index % len(categories)])
    count = 3 if category == "a" else 2
    parts = generator.permutation(np.arange(POINTS) % count) + (0 if local else FIRST.get(category, 0))
    values = {
        "id": f"s{index}",
        "source": "here",
        "category": category,
        "split": ("train", "train", "val", "test")[index // 2 % 4],
        "points": generator.normal(size=(POINTS, 3)).astype(np.float16),
        "parts": parts.astype(np.uint8),
        "status": "ok",
    }
    return values | changes


def table(folder: Path, rows: list[dict[str, Any]], **settings: Any) -> str:
    made = ShapeTable.create(folder / "table", points=POINTS, settings=settings)
    made.append(rows)
    return made.path


def rows(count: int = 16, **changes: Any) -> list[dict[str, Any]]:
    return [row(index, **changes) for index in range(count)]


def test_a_table_whose_settings_name_the_parts(tmp_path: Path) -> None:
    stored = rows()
    clouds = load_part_clouds(table(tmp_path, stored, parts_table=STORED.to_dict() | {"numbers": None}), seed=0)
    assert clouds.train.ids == tuple(f"s{i}" for i in (0, 1, 2, 3, 8, 9, 10, 11))
    assert clouds.val.ids == ("s4", "s5", "s12", "s13") and clouds.test.ids == ("s6", "s7", "s14", "s15")
    # c does not occur: its parts are left out and the ids after them move up.
    assert clouds.table == PartsTable(("b", "a"), ((0, 1), (2, 3, 4)), ("leg", "top", "arm", "seat", "leg"))
    assert clouds.train.categories.tolist() == [1, 0] * 4
    for split in (clouds.train, clouds.val, clouds.test):
        for index, name in enumerate(split.ids):
            own = stored[int(name[1:])]
            names = [STORED.names[part] for part in own["parts"]]
            assert [clouds.table.names[part] for part in split.parts[index]] == names
            np.testing.assert_array_equal(split.points[index], geometry.normalise(own["points"].astype(np.float32))[0])
    record = clouds.record
    assert (record["train_shapes"], record["val_shapes"], record["test_shapes"]) == (8, 4, 4)
    assert (record["categories"], record["parts"], record["parts_table"]) == (2, 5, "the table's settings")
    assert record["split"] == "as the table says" and record["notes"] == []


@pytest.mark.parametrize("local", [False, True])
def test_a_table_that_names_no_parts(tmp_path: Path, local: bool) -> None:
    stored = rows(local=local)
    clouds = load_part_clouds(table(tmp_path, stored), seed=0)
    assert clouds.table.categories == ("a", "b")
    first = 0 if local else 4
    names = [f"a part {first + i}" for i in range(3)], ["b part 0", "b part 1"]
    assert clouds.table.names == tuple(names[0] + names[1] if local else names[1] + names[0])
    for index, name in enumerate(clouds.train.ids):
        own = stored[int(name[1:])]
        wanted = [f"{own['category']} part {part}" for part in own["parts"]]
        assert [clouds.table.names[part] for part in clouds.train.parts[index]] == wanted
    assert "labels that occur" in clouds.record["parts_table"]


def test_rows_that_are_left_out_are_counted(tmp_path: Path) -> None:
    stored = [*rows(), row(16, parts=None), row(17, category=None), row(18, split=None), row(19, split="spare")]
    stored.append(row(20, status="broken", points=None, parts=None))
    clouds = load_part_clouds(table(tmp_path, stored), seed=0)
    assert clouds.record["left_out"] == {"no category": 1, "no parts": 1, "no split": 1, "spare": 1}
    assert len(clouds.train) + len(clouds.val) + len(clouds.test) == 16


def test_a_table_without_a_split_gives_test_first_and_then_val(tmp_path: Path) -> None:
    stored = [row(index, split=None) for index in range(50)] + [row(50, category="c", split=None)]
    path = table(tmp_path, stored)
    clouds, again, other = (load_part_clouds(path, seed=seed) for seed in (0, 0, 1))
    assert [np.bincount(s.categories).tolist() for s in (clouds.train, clouds.val, clouds.test)] == [
        [16, 16, 1], [4, 4], [5, 5],
    ]  # fmt: skip
    everything = [*clouds.train.ids, *clouds.val.ids, *clouds.test.ids]
    assert sorted(everything) == sorted(own["id"] for own in stored)
    assert clouds.test.ids == again.test.ids != other.test.ids and clouds.val.ids == again.val.ids
    assert clouds.record["split_sha256"] == again.record["split_sha256"] != other.record["split_sha256"]
    assert clouds.record["split_drawn"] is True and "without their labels" in clouds.record["notes"][0]
    labelled = load_clouds(path, seed=0)
    assert clouds.test.ids == labelled.test_ids, "the same test shapes as for categories"
    assert clouds.record["split_sha256"] == labelled.record["split_sha256"]


def test_val_may_be_empty(tmp_path: Path) -> None:
    clouds = load_part_clouds(table(tmp_path, [row(0), row(1), row(6), row(7)]), seed=0)
    assert len(clouds.val) == 0 and clouds.val.points.shape == (0, POINTS, 3)
    assert clouds.record["val"]["from"] == NO_VAL


@pytest.mark.parametrize(("train", "val"), [(2, 0), (3, 1), (7, 1), (8, 2)])
def test_two_train_shapes_of_a_category_are_never_held_out(tmp_path: Path, train: int, val: int) -> None:
    stored = [row(i, split="train", category="a") for i in range(train)] + [row(90, split="test", category="a")]
    clouds = load_part_clouds(table(tmp_path, stored), seed=0)
    assert (len(clouds.train), len(clouds.val)) == (train - val, val)


def test_too_few_shapes_to_draw_a_test_split_from(tmp_path: Path) -> None:
    needed = r"it is drawn, one shape at least of each category that has two"
    path = table(tmp_path, [row(0, split=None), row(1, split=None)])
    with pytest.raises(UsageError, match=rf"test split \(there is: 2 train, 0 val, 0 test\); {needed}$"):
        load_part_clouds(path, seed=0)
    with pytest.raises(UsageError, match=rf"\(there is: 9 train, .*\); {needed}: procedural:48 has two of each"):
        load_part_clouds("procedural:9", seed=0)


def test_procedural_shapes_as_for_categories() -> None:
    clouds, again = (load_part_clouds("procedural:48:3", seed=1) for _ in range(2))
    labelled = load_clouds("procedural:48:3", seed=1)
    assert clouds.test.ids == labelled.test_ids and clouds.table.categories == labelled.categories
    assert (len(clouds.train), len(clouds.val), len(clouds.test)) == (24, 0, 24)
    assert clouds.record["left_out"] == {} and "procedural" in clouds.record["parts_table"]
    np.testing.assert_array_equal(clouds.train.parts, again.train.parts)
    assert clouds.table.names == tuple(name for _, name in PARTS)
    index = int(clouds.train.ids[5].partition("#")[2])
    mesh, category = procedural_shape(index, 3)
    assert clouds.table.categories[clouds.train.categories[5]] == category
    points, face = sample_outer_surface(mesh, 2048, np.random.default_rng([3, index]))
    np.testing.assert_array_equal(clouds.train.parts[5], mesh.parts[face])
    np.testing.assert_array_equal(clouds.train.points[5], geometry.normalise(points)[0])
    assert "outside" in clouds.record["surface"]


def test_some_categories_keep_their_splits() -> None:
    whole = load_part_clouds("procedural:120:3", seed=1)
    some = load_part_clouds("procedural:120:3", seed=1, categories=("vase", "bed"))
    assert some.table.categories == ("bed", "vase") and some.record["categories_taken"] == ["bed", "vase"]
    assert some.table.names == tuple(name for category, name in PARTS if category in ("bed", "vase"))
    wanted = [i for i, c in enumerate(whole.test.categories) if whole.table.categories[c] in ("bed", "vase")]
    assert some.test.ids == tuple(whole.test.ids[i] for i in wanted) and len(some.test)
    np.testing.assert_array_equal(some.test.points, whole.test.points[wanted])
    names = [[t.table.names[part] for part in t.test.parts[i]] for t, i in ((some, 0), (whole, wanted[0]))]
    assert names[0] == names[1]
    assert set(some.train.ids) < set(whole.train.ids) and set(some.val.ids) < set(whole.val.ids) and len(some.val)
    with pytest.raises(UsageError, match=r"^--categories chairs sofas: --data procedural:48 has airplane, bed, "):
        load_part_clouds("procedural:48", seed=0, categories=("sofas", "bed", "chairs"))


def test_a_table_of_procedural_shapes_made_before_tables_named_parts(tmp_path: Path) -> None:
    first = PARTS.index(("bowl", "body"))
    stored = [row(i, category="bowl", parts=(first + np.arange(POINTS) % 3).astype(np.uint8)) for i in range(16)]
    clouds = load_part_clouds(table(tmp_path, stored, origin="procedural:0"), seed=0)
    assert clouds.table.names == tuple(name for category, name in PARTS if category == "bowl")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"category": None}, "none of its 16 shapes has a category; name them with"),
        ({"parts": None}, "none of its 16 shapes with a category has parts; `prepare` makes parts"),
        ({"status": "broken", "points": None, "parts": None}, r"no usable shape \(all 16 rows were refused\)"),
        ({"split": "train"}, r"is in the test split \(there is: 16 train, 0 val, 0 test\); both are needed"),
        ({"split": "test"}, "no shape with parts is in the train split"),
        (
            {"parts": np.full(POINTS, 1, np.uint8), "category": "b"},
            r"all points of the train split are one part \(top\)",
        ),
        (
            {"points": np.full((POINTS, 3), np.nan, np.float16)},
            r"row 0 \(s0\): points holds a value that is not finite",
        ),
        ({"category": "z"}, r"row 0 \(s0\): the category 'z' is not in the table of parts, which has b, c, a"),
    ],
)
def test_tables_that_cannot_be_used(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    path = table(tmp_path, rows(**changes), parts_table=STORED.to_dict())
    with pytest.raises(UsageError, match=message) as error:
        load_part_clouds(path, seed=0)
    assert str(error.value).startswith(f"--data {path}: ")


def test_a_label_of_another_category_is_told(tmp_path: Path) -> None:
    stored = [*rows(), row(16, parts=np.full(POINTS, 2, np.uint8))]
    with pytest.raises(
        UsageError, match=r"row 16 \(s16\): 16 of 16 points have the part label 2, but the parts of a are 4, 5, 6$"
    ):
        load_part_clouds(table(tmp_path, stored, parts_table=STORED.to_dict()), seed=0)


def test_a_category_that_train_lacks_is_told(tmp_path: Path) -> None:
    stored = [*rows(), row(16, category="c", split="test")]
    with pytest.raises(UsageError, match=r"row 16 \(s16\): categories of the test split that train does not have: c"):
        load_part_clouds(table(tmp_path, stored), seed=0)


@pytest.mark.parametrize("stored", [{"parts": []}, 3, STORED.to_dict() | {"names": ["x"]}])
def test_a_broken_table_of_parts_is_told(tmp_path: Path, stored: Any) -> None:
    with pytest.raises(UsageError, match=r"(?s)its parts_table cannot be used: .*; prepare it anew"):
        load_part_clouds(table(tmp_path, rows(), parts_table=stored), seed=0)


@pytest.mark.parametrize("spec", ["modelnet40:X", "clouds:a.h5,b.h5", "images:X", "scanobjectnn:X"])
def test_data_without_parts_is_refused(spec: str) -> None:
    with pytest.raises(UsageError, match=f"{spec} has no parts: give shapenetpart:DIR, a table with parts or"):
        load_part_clouds(spec, seed=0)


@pytest.mark.parametrize(
    ("spec", "message"), [("procedural:0", "expected procedural:COUNT"), ("nowhere", "no table at")]
)
def test_nothing_there_is_told(spec: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        load_part_clouds(spec, seed=0)


@given(st.lists(st.sets(st.integers(0, 40), min_size=1, max_size=5), min_size=1, max_size=4), st.integers(0, 2**32 - 1))
def test_parts_keep_their_names_however_they_are_numbered(stored: list[set[int]], seed: int) -> None:
    generator = np.random.default_rng(seed)
    naming = {f"c{i}": {label: f"c{i}/{label}" for label in sorted(own)} for i, own in enumerate(stored)}
    labels = np.stack([generator.choice(sorted(own), 9) for own in stored]).astype(np.int16)
    points = generator.normal(size=(len(stored), 9, 3)).astype(np.float32)
    names = [f"c{i}" for i in range(len(stored))]
    made, parts = make_split("x", PartRows(points, labels.copy(), names, names, names), naming, number_parts(naming)), 0
    table = number_parts(naming)
    for category, own in enumerate(made.parts):
        assert [table.names[part] for part in own] == [f"c{category}/{label}" for label in labels[category]]
        assert set(own.tolist()) <= set(table.parts[category])
        parts += len(table.parts[category])
    assert parts == len(table) == sum(map(len, stored))
    distinct = len({label for own in stored for label in own}) == parts
    order = [int(name.partition("/")[2]) for name in table.names]
    assert not distinct or order == sorted(order), "the order of the labels, where no two parts share one"
