"""The training loader: the batches that were drawn, on the device, a bounded number ahead."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from crosspoint3d.config import RunError, UsageError
from crosspoint3d.data.batches import BatchReader
from crosspoint3d.data.order import Draw
from crosspoint3d.data.pairs import AHEAD, Pairs, load_pairs
from crosspoint3d.data.table import ShapeTable
from tests.data.tables import example_table
from tests.data.test_batches import random_draws


@pytest.fixture(scope="module")
def tables(tmp_path_factory: pytest.TempPathFactory) -> list[ShapeTable]:
    folder = tmp_path_factory.mktemp("data")
    return [example_table(folder / "a", 8), example_table(folder / "b", 4)]


def drawn(count: int) -> list[list[Draw]]:
    return [random_draws([8, 4], 4, seed) for seed in range(count)]


def assert_drawn(pairs: list[Pairs], tables: list[ShapeTable], views: int, draws: list[list[Draw]]) -> None:
    reader = BatchReader(tables, views=views)
    for got, batch in zip(pairs, map(reader.read, draws), strict=True):
        assert got.points.dtype == torch.float32 and got.points.is_contiguous()
        np.testing.assert_array_equal(got.points.numpy(), batch.points.astype(np.float32))
        if batch.images is None:
            assert got.images is None
        else:
            assert got.images is not None and got.images.is_contiguous()
            np.testing.assert_array_equal(got.images.permute(0, 1, 3, 4, 2).numpy(), batch.images)


@pytest.mark.parametrize(("workers", "views"), [(0, 0), (0, 1), (0, 3), (1, 2)])
def test_batches_hold_the_rows_asked_for(workers: int, views: int, tables: list[ShapeTable]) -> None:
    draws = drawn(5)
    assert_drawn(list(load_pairs(tables, iter(draws), workers=workers, views=views)), tables, views, draws)


def test_what_is_missing_is_said_at_once_and_what_is_broken_in_its_turn(
    tables: list[ShapeTable], monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(UsageError, match="no depth pictures"):
        load_pairs(tables, iter(drawn(1)), workers=0, pictures="depth")
    take = ShapeTable.take_arrow
    calls = iter(range(9))

    def failing(self: ShapeTable, *arguments: Any) -> Any:
        if next(calls) == 4:
            raise RunError("table is broken")
        return take(self, *arguments)

    monkeypatch.setattr(ShapeTable, "take_arrow", failing)
    pairs = load_pairs(tables[:1], iter([random_draws([8], 4, seed) for seed in range(9)]), workers=0)
    for _ in range(4):
        next(pairs)
    with pytest.raises(RunError, match="table is broken"):
        next(pairs)


@pytest.mark.parametrize("workers", [0, 2])
def test_memory_is_bounded(workers: int, tables: list[ShapeTable]) -> None:
    asked = 0

    def counted() -> Iterator[list[Draw]]:
        nonlocal asked
        for draws in drawn(20):
            asked += 1
            yield draws

    pairs = load_pairs(tables, counted(), workers=workers)
    for number in (1, 2, 3):
        next(pairs)
        most, until = number + AHEAD + workers, time.monotonic() + 20
        while asked < most and time.monotonic() < until:
            time.sleep(0.01)
        time.sleep(0.05)
        assert asked == most
    pairs.close()
    assert asked <= most and not any(thread.name == "ahead" for thread in threading.enumerate())


class FakeCuda:
    """Notes what is asked of CUDA and in which thread; tensors stay where they are."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.calls: list[tuple[str, str]] = []
        self.device = torch.device("cpu")
        self.pinned: list[Tensor] = []
        patch.setattr(torch.cuda, "Stream", lambda device: self)
        patch.setattr(torch.cuda, "stream", self.entered)
        patch.setattr(torch.cuda, "current_stream", lambda device: self)
        patch.setattr(Tensor, "pin_memory", lambda tensor: self.pin(tensor))
        patch.setattr(Tensor, "is_pinned", lambda tensor: any(tensor is one for one in self.pinned))
        patch.setattr(Tensor, "record_stream", lambda tensor, stream: self.note("record_stream"))
        move = Tensor.to
        patch.setattr(Tensor, "to", lambda tensor, *a, **k: self.note(f"to {k}") or move(tensor, *a, **k))

    def note(self, call: str) -> None:
        self.calls.append((call, threading.current_thread().name))

    @contextmanager
    def entered(self, _: Any) -> Iterator[None]:
        self.note("enter")
        yield
        self.note("leave")

    def pin(self, tensor: Tensor) -> Tensor:
        self.note("pin")
        self.pinned.append(tensor.clone())
        return self.pinned[-1]

    def record_event(self) -> str:
        self.note("event")
        return f"event {len(self.calls)}"

    def wait_event(self, event: str) -> None:
        self.note("wait")


@pytest.mark.parametrize("views", [0, 2])
def test_copies_to_cuda_run_beside_the_step_and_it_waits_for_them(
    views: int, tables: list[ShapeTable], monkeypatch: pytest.MonkeyPatch
) -> None:
    draws, parts = drawn(3), 2 if views else 1
    with monkeypatch.context() as patch:
        fake = FakeCuda(patch)
        pairs = list(load_pairs(tables, iter(draws), workers=0, device="cuda", views=views))
    assert_drawn(pairs, tables, views, draws)
    reading = [call for call, thread in fake.calls if thread == "ahead"]
    training = [call for call, thread in fake.calls if thread != "ahead"]
    copied = ["to {'non_blocking': True}"] * parts
    assert reading == ["enter", *["pin"] * parts, *copied, "event", "leave"] * 3
    assert training == ["wait", *["record_stream"] * parts] * 3
