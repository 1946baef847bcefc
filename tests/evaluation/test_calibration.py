import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import log_softmax, softmax

from crosspoint3d.evaluation.calibration import Calibration, calibration, fit_temperature


def draw(count: int, categories: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(seed)
    logits = 3 * generator.normal(size=(count, categories))
    return softmax(logits, axis=1), generator.integers(categories, size=count)


@settings(max_examples=30, deadline=None)
@given(count=st.integers(1, 40), categories=st.integers(1, 6), bins=st.integers(1, 20), seed=st.integers(0, 9999))
def test_every_number_is_that_of_the_loop(count: int, categories: int, bins: int, seed: int) -> None:
    probabilities, labels = draw(count, categories, seed)
    found = calibration(probabilities, labels, bins)
    members: list[list[tuple[float, bool]]] = [[] for _ in range(bins)]
    brier = nll = 0.0
    for row, label in zip(probabilities.tolist(), labels.tolist(), strict=True):
        confidence = max(row)
        place = next(b for b in range(bins) if confidence <= (b + 1) / bins or b == bins - 1)
        members[place].append((confidence, row.index(confidence) == label))
        brier += sum((p - (c == label)) ** 2 for c, p in enumerate(row))
        nll -= math.log(row[label])
    gaps = [
        abs(sum(right for _, right in inside) - sum(sure for sure, _ in inside)) / len(inside)
        for inside in members
        if inside
    ]
    sizes = [len(inside) for inside in members if inside]
    assert [found_bin.count for found_bin in found.bins] == [len(inside) for inside in members]
    assert found.ece == pytest.approx(sum(n * gap for n, gap in zip(sizes, gaps, strict=True)) / count, abs=1e-12)
    assert found.mce == pytest.approx(max(gaps), abs=1e-12)
    assert found.brier == pytest.approx(brier / count) and found.nll == pytest.approx(nll / count)
    assert found.accuracy == pytest.approx(sum(right for inside in members for _, right in inside) / count)
    assert found.confidence == pytest.approx(probabilities.max(axis=1).mean())
    for inside, found_bin in zip(members, found.bins, strict=True):
        if inside:
            assert found_bin.confidence == pytest.approx(np.mean([sure for sure, _ in inside]))
            assert found_bin.accuracy == pytest.approx(np.mean([right for _, right in inside]))
        else:
            assert found_bin.confidence is found_bin.accuracy is None


def test_a_bin_holds_its_upper_end() -> None:
    found = calibration(np.array([[0.5, 0.5], [0.75, 0.25], [1.0, 0.0]]), np.array([0, 0, 1]), 4)
    assert [b.count for b in found.bins] == [0, 1, 1, 1]
    assert found.mce == 1.0 and found.nll == pytest.approx((math.log(2) - math.log(0.75) - math.log(1e-12)) / 3)


def test_true_probabilities_are_calibrated_and_overconfident_ones_are_mended() -> None:
    generator = np.random.default_rng(0)
    logits = 2 * generator.normal(size=(20_000, 4))
    labels = (softmax(logits, axis=1).cumsum(axis=1) > generator.random(len(logits))[:, None]).argmax(axis=1)
    assert calibration(softmax(logits, axis=1), labels).ece < 0.02
    sharp = calibration(softmax(3 * logits, axis=1), labels)
    assert sharp.ece > 0.1 and sharp.confidence > sharp.accuracy
    temperature = fit_temperature((3 * logits).astype(np.float32), labels)
    assert temperature == pytest.approx(3, rel=0.03)
    mended = calibration(softmax(3 * logits / temperature, axis=1), labels)
    assert mended.ece < 0.02 and mended.accuracy == sharp.accuracy and mended.nll < sharp.nll


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 9999))
def test_the_temperature_is_the_best_of_a_fine_grid(seed: int) -> None:
    generator = np.random.default_rng(seed)
    logits = generator.uniform(0.5, 5) * generator.normal(size=(60, 3))
    labels = np.where(generator.random(60) < 0.6, logits.argmax(axis=1), generator.integers(3, size=60))

    def nll(temperature: float) -> float:
        return float(-log_softmax(logits / temperature, axis=1)[np.arange(60), labels].mean())

    grid = min(map(nll, np.exp(np.linspace(-3, 3, 2001)).tolist()))
    assert nll(fit_temperature(logits, labels)) <= grid + 1e-7


def test_answers_that_are_all_right_or_all_wrong_meet_the_ends() -> None:
    logits = np.array([[2.0, 0.0], [0.0, 1.0]])
    assert fit_temperature(logits, np.array([0, 1])) == pytest.approx(math.exp(-3), rel=1e-2)
    assert fit_temperature(logits, np.array([1, 0])) == pytest.approx(math.exp(3), rel=1e-2)


def test_plain_values_there_and_back() -> None:
    found = calibration(*draw(30, 5, 1))
    text = json.dumps(found.to_dict(), allow_nan=False)
    assert Calibration.from_dict(json.loads(text)) == found
    with pytest.raises((KeyError, TypeError)):
        Calibration.from_dict({"ece": 0.5})


def test_refusals_name_the_cause() -> None:
    nothing = np.empty(0, dtype=np.int64)
    with pytest.raises(ValueError, match="probabilities is empty"):
        calibration(np.empty((0, 3)), nothing)
    with pytest.raises(ValueError, match="logits is empty"):
        fit_temperature(np.empty((0, 3)), nothing)
    with pytest.raises(ValueError, match=r"labels from 0 to 2; probabilities has categories 0 to 1"):
        calibration(np.full((2, 2), 0.5), np.array([0, 2]))
    with pytest.raises(ValueError, match="must sum to 1"):
        calibration(np.full((2, 2), 0.7), np.array([0, 1]))
    with pytest.raises(ValueError, match=r"logits\[1\] is not finite"):
        fit_temperature(np.array([[0.0, 1.0], [np.nan, 0.0]]), np.array([0, 1]))
    with pytest.raises(ValueError, match="bins=0"):
        calibration(np.full((2, 2), 0.5), np.array([0, 1]), 0)
