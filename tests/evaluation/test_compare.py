import copy
from itertools import product
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from crosspoint3d.evaluation.compare import compare, holm, paired_test, why_not
from crosspoint3d.evaluation.result import Result


def answers(
    generator: np.random.Generator, only_first: int, only_second: int, both: int = 40
) -> tuple[np.ndarray, ...]:
    """Right and wrong answers of two encoders that disagree on so many shapes."""
    first = np.r_[np.ones(only_first), np.zeros(only_second), np.ones(both), np.zeros(30)]
    second = np.r_[np.zeros(only_first), np.ones(only_second), np.ones(both), np.zeros(30)]
    order = generator.permutation(len(first))
    return first[order], second[order]


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 25), st.integers(0, 25), st.integers(0, 2**32 - 1))
def test_right_or_wrong_by_one_seed_is_mcnemars_exact_test(only_first: int, only_second: int, seed: int) -> None:
    generator = np.random.default_rng(seed)
    first, second = answers(generator, only_first, only_second)
    found = paired_test(first, second, generator)
    count = only_first + only_second
    exact = stats.binomtest(only_first, count, 0.5).pvalue if count else 1.0
    assert found.p == pytest.approx(exact, abs=5 * (exact * (1 - exact) / 9999) ** 0.5 + 2e-4)
    assert found.difference == pytest.approx((only_first - only_second) / len(first))
    assert found.units == len(first)


@pytest.mark.parametrize("shift", [0.0, 0.1, 0.3])
def test_scores_of_any_size_by_the_plain_definition(shift: float) -> None:
    generator = np.random.default_rng(3)
    first, second = generator.random((2, 60))
    first += shift

    flipped = generator.choice([-1.0, 1.0], (20_000, 60)) @ (first - second)
    share = (np.abs(flipped) >= abs((first - second).sum())).mean()
    found = paired_test(first, second, np.random.default_rng(0))
    assert found.p == pytest.approx(share, abs=0.02)
    interval = stats.ttest_rel(first, second).confidence_interval(0.95)
    assert (found.low, found.high) == pytest.approx((interval.low, interval.high))


def test_every_flip_of_signs_counts_alike() -> None:
    generator = np.random.default_rng(1)
    first, second = np.round(generator.random((2, 9)), 2)
    differences = first - second
    sums = [abs(np.dot(signs, differences)) for signs in product((-1, 1), repeat=9)]
    exact = np.mean([value >= abs(differences.sum()) - 1e-9 for value in sums])
    assert paired_test(first, second, generator, draws=50_000).p == pytest.approx(exact, abs=0.01)


def test_equal_sums_of_rounded_thirds_are_equal() -> None:
    first, second = np.array([0, 2, 2, 2]) / 3, np.array([1, 1, 1, 1]) / 3
    first, second = np.round(first, 6), np.round(second, 6)
    assert paired_test(first, second, np.random.default_rng(0)).p == pytest.approx(10 / 16, abs=0.02)


def test_equal_encoders_do_not_differ() -> None:
    values = np.random.default_rng(0).random(50)
    found = paired_test(values, values.copy(), np.random.default_rng(0))
    assert (found.difference, found.low, found.high, found.p) == (0, 0, 0, 1)


def test_the_order_of_the_two_only_turns_the_difference_round() -> None:
    first, second = np.random.default_rng(2).random((2, 40))
    one, other = (paired_test(a, b, np.random.default_rng(7)) for a, b in ((first, second), (second, first)))
    assert one.p == pytest.approx(other.p, abs=0.02)
    assert (one.difference, one.low) == pytest.approx((-other.difference, -other.high))


@settings(deadline=None)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=8))
def test_holm_by_its_definition(p_values: list[float]) -> None:
    order = sorted(range(len(p_values)), key=lambda i: p_values[i])
    for i, corrected in enumerate(holm(p_values)):
        before = order[: order.index(i) + 1]
        wanted = max(min(1.0, (len(p_values) - rank) * p_values[j]) for rank, j in enumerate(before))
        assert corrected == pytest.approx(wanted)


def result(values: list[float], **protocol: Any) -> Result:
    record = {
        "mode": "clean",
        "data": {"split_sha256": "s"},
        "seeds": [0],
        "points": {"count": 8},
        "config": {"encoder": "e", "k": None, "data": "d", "n_way": 5},
        "encoders": [{"clouds_sha256": "c"}],
    }
    details = {"paired": {"accuracy": {"unit": "episode", "values": values}}}
    return Result("few-shot", {}, {}, {}, record | protocol, details)


def test_results_of_the_same_units_are_compared_pair_by_pair() -> None:
    generator = np.random.default_rng(0)
    base = generator.random(200)
    results = {
        "a": result((base + 0.1).tolist(), config={"encoder": "a", "k": 20, "data": "d", "n_way": 5}),
        "b": result(base.tolist()),
        "c": result((base + 0.01 * generator.normal(size=200)).tolist()),
    }
    found = {(c.first, c.second): c for c in compare(results, "accuracy")}
    assert list(found) == [("a", "b"), ("a", "c"), ("b", "c")]
    assert found["a", "b"].test is not None
    assert found["a", "b"].test.difference == pytest.approx(0.1)
    assert found["a", "b"].test.p == pytest.approx(1e-4)
    assert found["a", "b"].p == pytest.approx(3e-4), "Holm: three pairs, the smallest times three"
    assert found["a", "b"].unit == "episode"
    assert compare(results, "accuracy") == compare(results, "accuracy")


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"mode": "paper"}, "protocol"),
        ({"seeds": [0, 1]}, "seeds"),
        ({"data": {"split_sha256": "other"}}, "split"),
        ({"points": {"count": 9}}, "points"),
        ({"encoders": [{"clouds_sha256": "other"}]}, "clouds"),
        ({"corruptions": {"jitter": {"levels": ["0.01"]}}}, "corruptions"),
        ({"config": {"encoder": "e", "data": "d", "n_way": 10}}, "option n_way: 5 and 10"),
        ({"config": {"encoder": "e", "data": "f", "n_way": 5}}, "option data"),
    ],
)
def test_results_of_other_units_are_refused_with_the_reason(change: dict[str, Any], reason: str) -> None:
    values = [0.1, 0.2, 0.3]
    pair = {"a": result(values), "b": result(values, **change)}
    assert reason in why_not(pair["a"], pair["b"], "accuracy")
    (found,) = compare(pair, "accuracy")
    assert (found.test, found.p) == (None, None)
    assert reason in found.reason


def test_units_of_another_kind_or_number_are_refused() -> None:
    first, shorter, other = result([0.1, 0.2]), result([0.1]), copy.deepcopy(result([0.1, 0.2]))
    other.details["paired"]["accuracy"]["unit"] = "query"
    assert "number of episodes: 2 and 1" in why_not(first, shorter, "accuracy")
    assert "unit: episode and query" in why_not(first, other, "accuracy")
    assert "no results of single units" in why_not(first, first, "nmi")
    assert "only one episode" in why_not(shorter, shorter, "accuracy")
