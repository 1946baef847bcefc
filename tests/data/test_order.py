"""The order of draws: every row once an epoch, the same batches for the same (seed, step), whoever asks for them."""

import hashlib
from collections import Counter
from itertools import islice, pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from crosspoint3d.data.order import Draw, DrawOrder
from crosspoint3d.data.row_index import RowIndex


def everything(size: int) -> RowIndex:
    return RowIndex.of([np.ones(size, dtype=bool)])


def order_of(
    *sizes: int, batch: int = 4, weights: tuple[float, ...] = (), seed: int = 0, consecutive: int = 1
) -> DrawOrder:
    return DrawOrder(tuple(everything(size) for size in sizes), batch, weights, seed, consecutive)


def draws_of(order: DrawOrder, epoch: int) -> list[Draw]:
    return [draw for batch in order.epoch(epoch) for draw in batch]


@settings(deadline=None)
@given(st.integers(4, 40), st.integers(1, 40), st.integers(0, 9), st.sampled_from([1, 2, 4]))
def test_an_epoch_holds_no_row_twice(first: int, second: int, seed: int, consecutive: int) -> None:
    order = order_of(first, second, seed=seed, consecutive=consecutive)
    draws = [(draw.table, draw.row) for draw in draws_of(order, 1)]
    assert len(draws) == order.steps * 4 == (first + second) // 4 * 4
    assert len(set(draws)) == len(draws)
    assert all(0 <= row < (first, second)[table] for table, row in draws)


def test_only_rows_of_the_index_are_drawn() -> None:
    mask = np.random.default_rng(0).random(400) < 0.4
    order = DrawOrder((RowIndex.of([mask]), everything(3)), 1, (), 0)
    drawn = {(draw.table, draw.row) for draw in draws_of(order, 0)}
    assert drawn == {(0, row) for row in np.flatnonzero(mask).tolist()} | {(1, 0), (1, 1), (1, 2)}


@pytest.mark.parametrize("weights", [(), (0.7, 0.3)])
@pytest.mark.parametrize("consecutive", [1, 2])
@settings(deadline=None)
@given(st.integers(0, 2500), st.integers(1, 12))
def test_starting_later_gives_the_rest_of_the_same_batches(
    weights: tuple[float, ...], consecutive: int, start: int, more: int
) -> None:
    order = order_of(13, 9, weights=weights, consecutive=consecutive)
    assert list(order.from_step(start, start + more)) == list(order.from_step(0, start + more))[start:]


def test_an_epoch_is_a_part_of_the_whole_training() -> None:
    order = order_of(13, 9)
    assert [batch for number in range(3) for batch in order.epoch(number)] == list(order.from_step(0, 15))


def test_far_steps_of_a_large_table_come_at_once() -> None:
    """Step 10^12 of a table of 3 * 10^8 rows: walking there, or listing the rows, would be noticed."""

    class Large(RowIndex):
        def __init__(self) -> None:
            pass

        def __len__(self) -> int:
            return 300_000_000

        def __getitem__(self, places: np.ndarray) -> np.ndarray:
            return places

    order = DrawOrder((Large(),), 32, (), 0)
    (batch,) = order.from_step(10**12, 10**12 + 1)
    assert len({draw.row for draw in batch}) == 32 and max(draw.row for draw in batch) > 10**8


def test_epochs_and_seeds_differ() -> None:
    first, second = (draws_of(order_of(40), number) for number in (0, 1))
    assert [draw.row for draw in first] != [draw.row for draw in second]
    assert [draw.view for draw in first] != [draw.view for draw in second]
    assert first != draws_of(order_of(40, seed=1), 0)


def test_rows_that_an_epoch_leaves_out_change() -> None:
    order = order_of(7)
    left = Counter(row for epoch in range(700) for row in set(range(7)) - {d.row for d in draws_of(order, epoch)})
    assert stats.chisquare([left[row] for row in range(7)]).pvalue > 1e-4


def test_views_are_even_and_independent_of_rows() -> None:
    views = np.array([draw.view for draw in draws_of(order_of(48_000), 0)])
    assert stats.chisquare(np.bincount(views % 12)).pvalue > 1e-4
    assert abs(stats.spearmanr(views[1:], views[:-1]).statistic) < 0.03


def test_weights_decide_the_share_of_each_table() -> None:
    draws = draws_of(order_of(50, 1000, weights=(3.0, 1.0)), 0)
    assert sum(draw.table == 0 for draw in draws) == round(0.75 * 1048)
    counts = np.bincount([draw.row for draw in draws if draw.table == 0], minlength=50)
    assert counts.max() - counts.min() <= 1


@settings(deadline=None)
@given(st.lists(st.integers(1, 60), min_size=1, max_size=4), st.integers(0, 99))
def test_with_weights_no_row_comes_twice_before_each_came_once(sizes: list[int], seed: int) -> None:
    """Over several epochs together, whether a table is gone through many times in one or once in many."""
    weights = tuple(np.random.default_rng(seed).uniform(0.1, 1, len(sizes)).tolist())
    order = order_of(*sizes, batch=1, weights=weights, seed=seed)
    draws = [draw for epoch in range(3) for draw in draws_of(order, epoch)]
    for number, size in enumerate(sizes):
        counts = np.bincount([draw.row for draw in draws if draw.table == number], minlength=size)
        assert counts.max() - counts.min() <= 1
        assert counts.sum() == 3 * (order.ends[number + 1] - order.ends[number])


def test_tables_are_mixed_evenly_through_an_epoch() -> None:
    tables = np.array([draw.table for draw in draws_of(order_of(2000, 500, 3000, weights=(1.0, 1.0, 2.0)), 0)])
    counts = [np.bincount(part, minlength=3) for part in np.array_split(tables, 5)]
    assert stats.chi2_contingency(np.array(counts)).pvalue > 1e-4


@pytest.mark.parametrize("world", [1, 2, 4])
def test_processes_share_every_batch_without_overlap(world: int) -> None:
    order = order_of(37, batch=8)
    shares = [list(order.from_step(0, 8, rank, world)) for rank in range(world)]
    for number, batch in enumerate(order.from_step(0, 8)):
        assert [draw for share in shares for draw in share[number]] == batch
    rows = [{draw.row for batch in share[:4] for draw in batch} for share in shares]
    assert sum(map(len, rows)) == len(set().union(*rows)) == 32


@pytest.mark.parametrize("size", [64, 67, 1000])
def test_consecutive_rows_come_together_in_the_share_of_one_process(size: int) -> None:
    order = order_of(size, batch=16, consecutive=8)
    begins = set()
    for epoch in range(3):
        runs = [
            [draw.row for draw in draws[start : start + 8]]
            for rank in range(2)
            for draws in order.from_step(epoch * order.steps, (epoch + 1) * order.steps, rank, 2)
            for start in (0, 8)
            if draws[start:]
        ]
        broken = [run for run in runs if any((b - a) % size != 1 for a, b in pairwise(run))]
        assert len(broken) <= 1  # the one with the rest of fewer than eight rows
        begins |= {run[0] % 8 for run in runs if run not in broken}
    assert len(begins) > 1  # runs begin elsewhere in every epoch


@pytest.mark.parametrize("sizes", [(64, 64), (61, 203)])
def test_weighted_tables_are_read_in_whole_runs_too(sizes: tuple[int, int]) -> None:
    order = order_of(*sizes, batch=16, weights=(0.5, 0.3), consecutive=8)
    assert all(end % 8 == 0 for end in order.ends) and order.ends[-1] == order.steps * 16
    draws = [draw for epoch in range(6) for draw in draws_of(order, epoch)]
    runs = [draws[start : start + 8] for start in range(0, len(draws), 8)]
    assert all(len({draw.table for draw in run}) == 1 for run in runs)
    whole = sum(all((b.row - a.row) % sizes[a.table] == 1 for a, b in pairwise(run)) for run in runs)
    turns = sum(sum(draw.table == table for draw in draws) // size + 1 for table, size in enumerate(sizes))
    assert whole >= len(runs) - 2 * turns  # but for the ends of a turn through a table
    for table, size in enumerate(sizes):  # none comes more than once more often than another
        counts = np.bincount([draw.row for draw in draws if draw.table == table], minlength=size)
        assert counts.max() - counts.min() <= 1


def test_from_step_never_ends_early() -> None:
    assert sum(1 for _ in islice(order_of(9).from_step(0, 1000), 1000)) == 1000


def test_the_fingerprint_is_the_hash_of_the_row_numbers() -> None:
    masks = [np.random.default_rng(seed).random(3000) < 0.5 for seed in (0, 1)]
    order = DrawOrder(tuple(RowIndex.of([mask]) for mask in masks), 4, (), 0)
    rows = b"/".join(np.flatnonzero(mask).tobytes() for mask in masks)
    assert order.fingerprint() == hashlib.sha256(rows).hexdigest()
