import numpy as np
import pytest

from crosspoint3d.config import UsageError
from crosspoint3d.evaluation.part_matching import match_parts
from crosspoint3d.parts_table import PartsTable
from tests.evaluation.part_fakes import TABLE, shapes

OTHER = PartsTable(
    ("lamp", "chair", "ball"), ((4, 5), (0, 1, 2), (3,)), ("back", "leg", "seat", "ball", "shade", "foot")
)
GENERIC = PartsTable(
    ("category 0", "category 1", "category 2"), (tuple(range(6)), (), ()), tuple(f"part {i}" for i in range(6))
)


def test_labels_in_another_order_are_matched_by_name() -> None:
    split = shapes(6, 10, 0)
    matching = match_parts(TABLE, OTHER, published=False)
    matched = matching.apply(split)
    assert matching.table is OTHER and matching.notes == () and matched.points is split.points
    assert [TABLE.categories[c] for c in split.categories] == [OTHER.categories[c] for c in matched.categories]
    np.testing.assert_array_equal(np.array(TABLE.names)[split.parts], np.array(OTHER.names)[matched.parts])
    assert matched.parts.dtype == np.int16
    back = match_parts(OTHER, TABLE, published=False).apply(matched)
    np.testing.assert_array_equal(back.parts, split.parts)


def test_a_part_name_may_stand_in_several_categories() -> None:
    data = PartsTable(("a", "b"), ((0, 1), (2, 3)), ("leg", "top", "leg", "top"))
    network = PartsTable(("b", "a"), ((1, 2), (0, 3)), ("top", "top", "leg", "leg"))
    assert match_parts(data, network, published=False).parts.tolist() == [3, 0, 2, 1]


def test_data_may_lack_categories_but_not_have_others() -> None:
    some = PartsTable(("lamp", "ball"), ((0, 1), (2,)), ("foot", "shade", "ball"))
    matching = match_parts(some, TABLE, published=False)
    assert matching.categories.tolist() == [2, 1] and matching.parts.tolist() == [2, 5, 1]
    assert matching.notes == ("the data has 2 of the network's 3 categories",)
    with pytest.raises(UsageError, match="the data has the category chair, the network only lamp, ball"):
        match_parts(TABLE, some, published=False)


def test_other_parts_are_refused_with_both_lists() -> None:
    fewer = PartsTable(("ball", "lamp"), ((0,), (1,)), ("ball", "shade"))
    with pytest.raises(UsageError, match="parts of lamp: shade in the data, foot, shade in the network"):
        match_parts(fewer, TABLE, published=False)
    twice = PartsTable(("lamp",), ((0, 1),), ("foot", "foot"))
    with pytest.raises(UsageError, match="parts of lamp"):
        match_parts(twice, twice, published=False)


def test_published_weights_take_the_names_of_data_of_their_size() -> None:
    matching = match_parts(TABLE, GENERIC, published=True)
    split = shapes(6, 10, 0)
    assert matching.table is TABLE and "published weights hold no names" in matching.notes[0]
    np.testing.assert_array_equal(matching.apply(split).parts, split.parts)
    np.testing.assert_array_equal(matching.apply(split).categories, split.categories)
    assert match_parts(TABLE, OTHER, published=True).table is OTHER, "names come first"
    with pytest.raises(UsageError, match="category chair, the network only category 0"):
        match_parts(TABLE, GENERIC, published=False)
    more = PartsTable((*TABLE.categories, "cup"), (*TABLE.parts, (6,)), (*TABLE.names, "cup"))
    with pytest.raises(UsageError, match="category chair, the network only category 0"):
        match_parts(more, GENERIC, published=True)
