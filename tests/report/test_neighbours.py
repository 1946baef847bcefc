import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from crosspoint3d.report.neighbours import search_pictures
from crosspoint3d.report.shapes import spread


def test_searches_are_what_sorting_says() -> None:
    generator = np.random.default_rng(0)
    clouds, pictures = generator.normal(size=(2, 20, 6)).astype(np.float32)
    searches, recall = search_pictures(clouds, pictures, ["a"] * 20, 20, np.random.default_rng(1))
    assert sorted(search.query for search in searches) == list(range(20))
    hits = 0
    for search in searches:
        picture = pictures[search.query]
        cosine = [float(c @ picture / np.linalg.norm(c) / np.linalg.norm(picture)) for c in clouds]
        order = sorted(range(20), key=lambda row, cosine=cosine: -cosine[row])
        assert search.found == order[:5]
        assert search.rank == order.index(search.query) + 1
        np.testing.assert_allclose(search.similarity, [cosine[row] for row in [*order[:5], search.query]], atol=1e-6)
        hits += search.rank == 1
    assert recall == hits / 20


def test_a_collapsed_space_finds_nothing_by_luck() -> None:
    same = np.ones((10, 4), np.float32)
    searches, recall = search_pictures(same, same, [None] * 10, 3, np.random.default_rng(0))
    assert recall == 0 and [search.rank for search in searches] == [5.5] * 3


@given(st.lists(st.sampled_from([None, "a", "b", "c"]), min_size=1, max_size=20), st.integers(0, 99))
def test_spread_repeats_no_category_before_all_have_had_their_turn(names: list[str | None], seed: int) -> None:
    order = np.random.default_rng(seed).permutation(len(names)).tolist()
    found = spread(order, names)
    assert sorted(found) == sorted(order)
    kinds = len(set(names))
    assert len({names[row] for row in found[:kinds]}) == kinds
