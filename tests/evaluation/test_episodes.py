from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crosspoint3d.config import FewShotConfig, UsageError
from crosspoint3d.evaluation.episodes import draw_episodes, drawable

SMALL = FewShotConfig("run", "somewhere", n_way=3, k_shot=2, n_query=4, episodes=6)


def config(**changes: int) -> FewShotConfig:
    return replace(SMALL, **changes)


def test_queries_of_the_test_split_are_balanced_and_cross_the_split() -> None:
    train, test = np.arange(50) % 5, np.arange(40) % 5
    episodes = draw_episodes(train, test, config(), np.random.default_rng(0))
    assert len(episodes) == 6
    assert len({tuple(episode.ways) for episode in episodes}) > 1
    for episode in episodes:
        assert len(set(episode.ways)) == 3
        assert train[episode.support].tolist() == np.repeat(episode.ways, 2).tolist()
        assert test[episode.query].tolist() == np.repeat(episode.ways, 4).tolist()
        assert len(set(episode.support)) == 6
        assert len(set(episode.query)) == 12


def test_queries_of_the_train_split_are_never_a_shape_of_the_support() -> None:
    train = np.arange(18) % 3  # six a category: support 2 and query 4 use all of them
    for episode in draw_episodes(train, None, config(), np.random.default_rng(0)):
        assert train[episode.query].tolist() == np.repeat(episode.ways, 4).tolist()
        assert sorted([*episode.support, *episode.query]) == list(range(18))


def test_episodes_repeat_by_seed() -> None:
    train, test = np.arange(50) % 5, np.arange(40) % 5
    draws = [draw_episodes(train, test, config(), np.random.default_rng(seed)) for seed in (0, 0, 1)]
    rows = [[(*e.ways, *e.support, *e.query) for e in episodes] for episodes in draws]
    assert rows[0] == rows[1] != rows[2]


def test_a_category_without_enough_shapes_is_never_drawn() -> None:
    train = np.repeat(np.arange(4), [9, 9, 9, 1])
    test = np.repeat(np.arange(4), 5)
    for episode in draw_episodes(train, test, config(), np.random.default_rng(0)):
        assert 3 not in episode.ways
    assert drawable(train, test, config()).tolist() == drawable(train, None, config()).tolist() == [0, 1, 2]


COUNTS = st.lists(st.integers(0, 12), min_size=2, max_size=6)


@given(COUNTS, COUNTS, st.booleans(), st.integers(2, 4), st.integers(1, 6), st.integers(1, 6))
def test_what_can_be_drawn_is_what_has_enough(
    train_counts: list[int], test_counts: list[int], cross: bool, n_way: int, k_shot: int, n_query: int
) -> None:
    test_counts = (test_counts + [0] * len(train_counts))[: len(train_counts)]
    train = np.repeat(np.arange(len(train_counts)), train_counts)
    test = np.repeat(np.arange(len(test_counts)), test_counts) if cross else None
    if cross:
        fits = [a >= k_shot and b >= n_query for a, b in zip(train_counts, test_counts, strict=True)]
    else:
        fits = [a >= k_shot + n_query for a in train_counts]
    settings = config(n_way=n_way, k_shot=k_shot, n_query=n_query)
    if sum(fits) >= n_way:
        assert drawable(train, test, settings).tolist() == np.flatnonzero(fits).tolist()
        return
    with pytest.raises(UsageError, match=f"--n-way {n_way}") as raised:
        drawable(train, test, settings)
    words = str(raised.value).replace(")", "").replace("(", "").split()
    for flag, name in (("--n-query", "n_query"), ("--k-shot", "k_shot"), ("--n-way", "n_way")):
        for place in [i for i, word in enumerate(words) if word == flag and words[i + 2 : i + 3] == ["works"]]:
            drawable(train, test, replace(settings, **{name: int(words[place + 1])}))


@pytest.mark.parametrize(
    ("changes", "remedy"),
    [
        ({"n_query": 9}, "--n-query 5 works, or --n-way"),
        ({"k_shot": 20}, r"smaller --k-shot \(9 works\)"),
        ({"k_shot": 20, "n_query": 9}, "a smaller --k-shot$"),
        ({"n_way": 9}, "--n-way 9: the data has 4 categories to draw from; 2 to 4 work"),
    ],
)
def test_too_few_shapes_say_what_would_work(changes: dict[str, int], remedy: str) -> None:
    train, test = np.repeat(np.arange(4), 9), np.repeat(np.arange(4), [5, 5, 10, 10])
    with pytest.raises(UsageError, match=remedy):
        draw_episodes(train, test, config(**changes), np.random.default_rng(0))


def test_queries_of_the_train_split_are_named_where_they_would_do() -> None:
    train, test = np.repeat(np.arange(4), 9), np.repeat(np.arange(4), 2)
    with pytest.raises(UsageError, match=r"none of 4 categories .* --n-query 2 works, or --queries train$"):
        drawable(train, test, config(n_query=5))
    drawable(train, None, config(n_query=5))
    with pytest.raises(UsageError, match=r"--n-query 2 works$"):
        drawable(train, test, config(n_query=8))


def test_the_named_remedy_works_within_the_train_split() -> None:
    train = np.repeat(np.arange(4), 9)
    with pytest.raises(UsageError, match="2 train shapes for the support and 8 more of them for queries; --n-query 7 "):
        draw_episodes(train, None, config(n_query=8), np.random.default_rng(0))
    draw_episodes(train, None, config(n_query=7), np.random.default_rng(0))
