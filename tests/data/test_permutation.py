"""Permutations by a cipher: bijections of any size, as even as shuffling, and the same from wherever they are asked."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from crosspoint3d.data.permutation import FEW, hashed, key_of, permuted


def one_key(seed: int) -> np.ndarray:
    return hashed(key_of(seed), np.zeros(1, dtype=np.int64))


def many(size: int, count: int, seed: int) -> np.ndarray:
    """`count` permutations, one a row."""
    keys = hashed(key_of(seed), np.arange(count))
    return permuted(np.tile(np.arange(size), count), size, np.repeat(keys, size)).reshape(count, size)


@settings(deadline=None)
@given(st.integers(1, 5000), st.integers(0, 2**63))
def test_every_place_comes_once(size: int, seed: int) -> None:
    order = permuted(np.arange(size), size, one_key(seed))
    assert np.array_equal(np.sort(order), np.arange(size))


@pytest.mark.parametrize("size", [2**17, 2**17 + 1, 362**2, 361 * 362 - 1])
def test_every_place_comes_once_at_sizes_around_squares_and_powers(size: int) -> None:
    assert np.bincount(permuted(np.arange(size), size, one_key(1)), minlength=size).max() == 1


@settings(deadline=None)
@given(st.integers(1, 10**15), st.integers(0, 9), st.data())
def test_a_place_alone_goes_where_it_goes_among_others(size: int, seed: int, data: st.DataObject) -> None:
    places = np.array(data.draw(st.lists(st.integers(0, size - 1), min_size=1, max_size=20)))
    keys = hashed(key_of(seed), np.array(data.draw(st.lists(st.integers(0, 3), min_size=len(places))))[: len(places)])
    together = permuted(places, size, keys)
    alone = [permuted(places[i : i + 1], size, keys[i : i + 1]).item() for i in range(len(places))]
    assert together.tolist() == alone
    assert together.min() >= 0 and together.max() < size


def test_it_is_the_plain_definition() -> None:
    """One Feistel network on pairs, in Python's integers."""
    size, key = 2000, int(one_key(3)[0])
    wide, tall, mask = 45, 45, 2**64 - 1

    def mix(x: int) -> int:
        x = (x ^ x >> 30) * 0xBF58476D1CE4E5B9 & mask
        x = (x ^ x >> 27) * 0x94D049BB133111EB & mask
        return x ^ x >> 31

    def encipher(place: int) -> int:
        left, right = divmod(place, tall)
        for number in range(1, 11):
            own = mix(key + number * 0x9E3779B97F4A7C15 & mask)
            if number % 2:
                left = (left + ((mix(right + own & mask) >> 32) * wide >> 32)) % wide
            else:
                right = (right + ((mix(left + own & mask) >> 32) * tall >> 32)) % tall
        return left * tall + right

    expected = []
    for place in range(size):
        place = encipher(place)
        while place >= size:
            place = encipher(place)
        expected.append(place)
    assert permuted(np.arange(size), size, one_key(3)).tolist() == expected


@pytest.mark.parametrize("size", [2, 3, 4, 5, 6, 9, 17, 100])
def test_places_and_neighbours_are_even_over_keys(size: int) -> None:
    """Chi-square of where each place goes, and of which things follow each other; fixed points as of random orders."""
    count = 60_000 // size
    orders = many(size, count, seed=size)
    at = np.stack([np.bincount(orders[:, place], minlength=size) for place in range(size)])
    off = ~np.eye(size, dtype=bool)
    follow = np.bincount((orders[:, :-1] * size + orders[:, 1:]).ravel(), minlength=size**2).reshape(size, size)[off]
    assert stats.chi2.sf(((at - count / size) ** 2).sum() / (count / size), (size - 1) ** 2) > 1e-4
    assert stats.chi2.sf(((follow - count / size) ** 2).sum() / (count / size), size * (size - 1) - 1) > 1e-4
    fixed = (orders == np.arange(size)).sum(axis=1)
    assert abs(fixed.mean() - 1) < 5 / np.sqrt(count)  # both mean and variance are 1


@pytest.mark.parametrize("size", [4, 5])
def test_all_orders_of_a_few_things_are_as_frequent(size: int) -> None:
    orders = many(size, 24_000, seed=0)
    _, counts = np.unique(orders @ size ** np.arange(size), return_counts=True)
    assert len(counts) == {4: 24, 5: 120}[size]
    assert stats.chisquare(counts).pvalue > 1e-4


@pytest.mark.parametrize("size", [FEW, 50_000, 1_000_003])
def test_one_order_looks_like_a_shuffled_one(size: int) -> None:
    """By the same statistics as numpy's permutation: ranges, distances of neighbours, rising runs, fixed points."""
    generator = np.random.default_rng(size)
    orders = [permuted(np.arange(size), size, one_key(size)), generator.permutation(size)]
    for order in orders:
        coarse = np.bincount(np.arange(size) * 16 // size * 16 + order * 16 // size, minlength=256)
        assert stats.chisquare(coarse).pvalue > 1e-4  # first sixteenth to first sixteenth, ...
        steps = np.diff(order) % size
        assert stats.chisquare(np.bincount(steps * 16 // size, minlength=16)).pvalue > 1e-4
        rising = np.count_nonzero(order[1:] > order[:-1])
        assert abs(rising - size / 2) < 5 * np.sqrt(size / 12)
        assert np.count_nonzero(order == np.arange(size)) < 10
        assert abs(stats.spearmanr(order, np.arange(size)).statistic) < 5 / np.sqrt(size)


def test_neighbouring_keys_give_unrelated_orders() -> None:
    size = 10_000
    first, second = (permuted(np.arange(size), size, hashed(key_of(0), np.array([number]))) for number in (0, 1))
    assert abs(stats.spearmanr(first, second).statistic) < 0.05
    assert np.count_nonzero(first == second) < 10


@settings(deadline=None)
@given(st.lists(st.integers(0, 2**62), max_size=9), st.integers(0, 2**64 - 1))
def test_hashes_are_those_of_splitmix64(counters: list[int], key: int) -> None:
    mask = 2**64 - 1

    def splitmix(counter: int) -> int:
        x = (counter * 0x9E3779B97F4A7C15 + key) & mask
        x = (x ^ x >> 30) * 0xBF58476D1CE4E5B9 & mask
        x = (x ^ x >> 27) * 0x94D049BB133111EB & mask
        return x ^ x >> 31

    assert hashed(key, np.array(counters, dtype=np.int64)).tolist() == [splitmix(counter) for counter in counters]
