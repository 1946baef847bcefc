"""The training loader: every row once an epoch, the same batches for the same (seed, step)."""

from itertools import islice
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from crosspoint3d.config import UsageError
from crosspoint3d.data.order import Draw, DrawOrder
from crosspoint3d.data.pairs import PairDataset, decode, load_pairs
from tests.data.tables import example_table


def order_of(*sizes: int, batch: int = 4, weights: tuple[float, ...] = (), seed: int = 0) -> DrawOrder:
    return DrawOrder(tuple(np.arange(size) for size in sizes), batch, weights, seed)


@given(st.integers(4, 40), st.integers(1, 40), st.integers(0, 9))
def test_an_epoch_holds_no_row_twice(first: int, second: int, seed: int) -> None:
    order = order_of(first, second, seed=seed)
    draws = [(draw.table, draw.row) for batch in order.epoch(1) for draw in batch]
    assert len(draws) == order.steps * 4 == (first + second) // 4 * 4
    assert len(set(draws)) == len(draws)


@given(st.integers(0, 25), st.integers(1, 12))
def test_starting_later_gives_the_rest_of_the_same_batches(start: int, more: int) -> None:
    order = order_of(13, 9)
    assert list(order.from_step(start, start + more)) == list(order.from_step(0, start + more))[start:]


def test_epochs_and_seeds_differ() -> None:
    first, second = (list(order_of(40).epoch(number)) for number in (0, 1))
    assert first != second
    assert first != list(order_of(40, seed=1).epoch(0))


def test_weights_decide_the_share_of_each_table() -> None:
    draws = [draw for batch in order_of(50, 1000, weights=(3.0, 1.0)).epoch(0) for draw in batch]
    share = np.mean([draw.table == 0 for draw in draws])
    assert 0.7 < share < 0.8
    counts = np.bincount([draw.row for draw in draws if draw.table == 0], minlength=50)
    assert counts.max() - counts.min() <= 1


@pytest.mark.parametrize("workers", [0, 1])
def test_batches_hold_the_rows_asked_for(workers: int, tmp_path: Path) -> None:
    tables = [example_table(tmp_path / "a", 8), example_table(tmp_path / "b", 4)]
    order = order_of(8, 4)
    batches = list(order.from_step(2, 5))
    loaded = list(load_pairs(tables, iter(batches), workers=workers, pin=False))
    assert len(loaded) == 3
    for draws, pairs in zip(batches, loaded, strict=True):
        for i, draw in enumerate(draws):
            row = tables[draw.table].take([draw.row], ["points", "views"])
            torch.testing.assert_close(pairs.points[i], torch.from_numpy(row["points"][0]))
            picture = decode(row["views"][0][draw.view % 2])
            np.testing.assert_array_equal(pairs.images[i].permute(1, 2, 0).numpy(), picture)


def test_tables_with_pictures_of_different_sizes_are_refused(tmp_path: Path) -> None:
    tables = [example_table(tmp_path / "a", 2), example_table(tmp_path / "b", 2, size=48)]
    with pytest.raises(UsageError, match="different sizes"):
        PairDataset(tables)[[Draw(0, 0, 0), Draw(1, 0, 0)]]


def test_from_step_never_ends_early() -> None:
    assert sum(1 for _ in islice(order_of(9).from_step(0, 1000), 1000)) == 1000
