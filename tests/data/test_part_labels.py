from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crosspoint3d.data.part_labels import PartSplit
from crosspoint3d.parts_table import PartsTable

OWNERS = st.lists(st.integers(0, 3), min_size=1, max_size=12)


def table_of(owner: list[int]) -> PartsTable:
    """Parts dealt to categories in any order; a category may have none."""
    parts = tuple(tuple(part for part, own in enumerate(owner) if own == category) for category in range(4))
    return PartsTable(("a", "b", "c", "d"), parts, tuple(f"part {i}" for i in range(len(owner))))


@given(OWNERS)
def test_every_part_belongs_to_one_category(owners: list[int]) -> None:
    table = table_of(owners)
    assert table.category_of().tolist() == owners
    allowed, owner = table.allowed(), table.category_of()
    assert allowed.shape == (4, len(table)) and (allowed.sum(axis=0) == 1).all()
    for part in range(len(table)):
        assert part in table.parts[owner[part]] and allowed[owner[part], part]


@given(OWNERS)
def test_plain_values_give_the_table_back(owners: list[int]) -> None:
    table = table_of(owners)
    assert PartsTable.from_dict(table.to_dict()) == table


@pytest.mark.parametrize(
    ("parts", "names"),
    [
        (((0, 1), (1,)), ("x", "y")),
        (((0,), (2,)), ("x", "y")),
        (((0, 1),), ("x", "y")),
        (((0,), ()), ("x", "y")),
    ],
)
def test_ids_must_be_shared_out_once(parts: tuple[tuple[int, ...], ...], names: tuple[str, ...]) -> None:
    with pytest.raises(ValueError, match="the part ids 0 to 1 must be shared out to 2 categories"):
        PartsTable(("a", "b"), parts, names)


@pytest.mark.parametrize("change", [{"parts": 3}, {"parts": [["x"], []]}, {"names": None}])
def test_values_that_are_no_table(change: dict[str, Any]) -> None:
    values = PartsTable(("a", "b"), ((0,), (1,)), ("x", "y")).to_dict()
    with pytest.raises((TypeError, ValueError)):
        PartsTable.from_dict(values | change)
    with pytest.raises(KeyError):
        PartsTable.from_dict({name: value for name, value in values.items() if name not in change})


def test_some_of_the_shapes() -> None:
    generator = np.random.default_rng(0)
    split = PartSplit(
        generator.normal(size=(4, 5, 3)).astype(np.float32),
        generator.integers(0, 9, (4, 5)).astype(np.int16),
        np.array([3, 1, 0, 2]),
        ("a", "b", "c", "d"),
    )
    taken = split.take([2, 0])
    assert len(taken) == 2 and taken.ids == ("c", "a") and taken.categories.tolist() == [0, 3]
    np.testing.assert_array_equal(taken.points, split.points[[2, 0]])
    np.testing.assert_array_equal(taken.parts, split.parts[[2, 0]])
    assert len(split.take([])) == 0 and split.take([]).points.shape == (0, 5, 3)
    again = split.take([0]).joined(split.take([1, 2])).joined(split.take([]))
    assert again.ids == split.ids[:3]
    for name in ("points", "parts", "categories"):
        np.testing.assert_array_equal(getattr(again, name), getattr(split, name)[:3])
