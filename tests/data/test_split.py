import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crosspoint3d.data.split import draw_split, labelled_rows, split_hash, stratified_share

CATEGORIES = st.lists(st.sampled_from(["a", "b", "c", None]), max_size=60)


@given(CATEGORIES, st.integers(0, 5))
def test_each_category_gives_a_fifth_and_single_shapes_stay(categories: list[str | None], seed: int) -> None:
    test = draw_split(categories, seed)
    for category in set(categories):
        mask = np.array([c == category for c in categories])
        count = int(mask.sum())
        assert test[mask].sum() == (0 if count == 1 else max(1, round(count / 5)))


def test_the_seed_decides_the_split() -> None:
    categories = ["a", "b"] * 25
    assert np.array_equal(draw_split(categories, 3), draw_split(categories, 3))
    assert not np.array_equal(draw_split(categories, 3), draw_split(categories, 4))


@given(CATEGORIES, st.floats(0.01, 1.0), st.integers(1, 3))
def test_a_share_is_stratified(categories: list[str | None], share: float, least: int) -> None:
    kept = stratified_share(categories, share, least=least)
    assert (np.diff(kept) > 0).all()
    for category in set(categories):
        count = categories.count(category)
        found = sum(categories[row] == category for row in kept)
        assert found == min(count, max(least, round(share * count)))


def test_the_hash_knows_ids_labels_and_parts_but_no_order() -> None:
    rows = [("x", "a"), ("y", "b")]
    assert split_hash(rows, []) == split_hash(rows[::-1], [])
    others = [split_hash([], rows), split_hash([("x", "b"), ("y", "b")], []), split_hash(rows[:1], rows[1:])]
    assert len({split_hash(rows, []), *others}) == 4


def test_all_of_a_share_is_all() -> None:
    assert stratified_share(["a", "b", "a"], 1.0, least=1).tolist() == [0, 1, 2]
    assert stratified_share([], 0.5, least=1).tolist() == []
    with pytest.raises(TypeError):
        stratified_share(["a"], 0.5)  # type: ignore[call-arg]


def test_subsets_are_nested_and_stratified() -> None:
    generator = np.random.default_rng(0)
    labels = generator.permutation(np.repeat(np.arange(4), (100, 40, 7, 1)))
    fractions = [0.01, 0.1, 0.25, 0.5, 1.0]
    subsets = labelled_rows(labels, fractions, 3)
    counts = [np.bincount(labels[rows], minlength=4).tolist() for rows in subsets]
    assert counts == [[1, 1, 1, 1], [10, 4, 1, 1], [25, 10, 2, 1], [50, 20, 4, 1], [100, 40, 7, 1]]
    for smaller, larger in itertools.pairwise(subsets):
        assert set(smaller) <= set(larger)
        assert (np.diff(larger) > 0).all()


def test_subsets_depend_on_the_seed_and_on_nothing_else() -> None:
    labels = np.arange(300) % 3
    first, again, other = (labelled_rows(labels, [0.1], seed)[0] for seed in (0, 0, 1))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)
    assert np.array_equal(labelled_rows(labels, [0.02, 0.1, 0.7], 0)[1], first), "the other fractions change nothing"
