"""Results made ahead by a thread: in order, never too many, and never a thread left over."""

import threading
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crosspoint3d.data.ahead import ahead


def threads() -> int:
    return sum(thread.name == "ahead" for thread in threading.enumerate())


@given(st.lists(st.integers()), st.integers(1, 4))
def test_results_come_in_order(items: list[int], depth: int) -> None:
    assert list(ahead(lambda item: (item, None), iter(items), depth)) == [(item, None) for item in items]
    assert not threads()


@pytest.mark.parametrize("depth", [1, 2, 5])
def test_no_more_than_depth_are_made_ahead(depth: int) -> None:
    made: list[int] = []
    handed_out, full = 0, threading.Condition()

    def make(item: int) -> int:
        with full:
            made.append(item)
            assert len(made) <= handed_out + depth
            full.notify_all()
        return item

    results = ahead(make, iter(range(20)), depth)
    for number in range(10):
        with full:
            handed_out = number + 1  # from here on, as far as the thread can know
        assert next(results) == number
        with full:
            assert full.wait_for(lambda most=number + 1 + depth: len(made) == most, timeout=10)
    results.close()
    assert not threads() and len(made) == 10 + depth


def test_an_error_is_raised_in_its_turn() -> None:
    def make(item: int) -> float:
        return 1 / item

    results = ahead(make, iter([1, 2, 0, 4]), 3)
    assert [next(results), next(results)] == [1, 0.5]
    with pytest.raises(ZeroDivisionError):
        next(results)
    assert next(results, None) is None and not threads()

    def broken() -> Iterator[int]:
        yield 1
        raise KeyError("source")

    results = ahead(make, broken(), 3)
    assert next(results) == 1
    with pytest.raises(KeyError, match="source"):
        next(results)


def test_one_that_was_never_used_starts_nothing() -> None:
    results = ahead(str, iter([1]), 1)
    assert not threads()
    results.close()
    assert next(results, None) is None
