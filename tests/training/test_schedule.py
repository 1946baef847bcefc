"""The learning rate: rises, falls, never zero while training."""

import math

from hypothesis import given
from hypothesis import strategies as st

from crosspoint3d.training.schedule import learning_rate


@given(st.integers(1, 500), st.floats(0, 0.5))
def test_every_step_moves_and_the_peak_is_never_passed(total: int, warmup: float) -> None:
    rates = [learning_rate(step, total, peak=2.0, warmup=warmup) for step in range(total)]
    assert all(0 < rate <= 2.0 for rate in rates)
    top = math.ceil(warmup * total)
    assert rates[:top] == sorted(rates[:top])
    assert rates[top:] == sorted(rates[top:], reverse=True)


def test_without_warmup_it_is_half_a_cosine() -> None:
    rates = [learning_rate(step, 4, peak=1.0, warmup=0.0) for step in range(4)]
    expected = [0.5 * (1 + math.cos(math.pi * step / 4)) for step in range(4)]
    assert rates == expected
    assert rates[0] == 1.0


def test_the_cosine_can_end_above_zero() -> None:
    rates = [learning_rate(step, 10, peak=0.1, warmup=0.2, floor=0.01) for step in range(10)]
    assert rates[:2] == [learning_rate(step, 10, peak=0.1, warmup=0.2) for step in range(2)]
    expected = [1e-3 + (0.1 - 1e-3) * 0.5 * (1 + math.cos(math.pi * step / 8)) for step in range(8)]
    assert all(math.isclose(rate, value, rel_tol=1e-12) for rate, value in zip(rates[2:], expected, strict=True))
