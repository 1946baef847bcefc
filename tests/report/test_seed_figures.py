import numpy as np
import pytest

from crosspoint3d.evaluation.calibration import calibration
from crosspoint3d.report.finetuned_run import SeedRun
from crosspoint3d.report.seed_figures import MOST_PLACES, loss_figure, reliability_figure, seed_color, validation_figure


def seed(number: int, epochs: int, steps: int = 4, **outcome: int) -> SeedRun:
    """Loss 1 / (epoch + 1) plus the step's place in it; validated every other epoch, best at the middle one."""
    rows = []
    for step in range(1, epochs * steps + 1):
        epoch = (step - 1) // steps
        rows.append({"step": step, "epoch": epoch, "loss": 1 / (epoch + 1) + step % steps})
        if step % (2 * steps) == 0:
            rows[-1]["val/miou"] = 0.9 - 0.01 * abs(epoch + 1 - epochs // 2)
    return SeedRun(number, rows, outcome)


def test_a_loss_is_the_mean_of_its_epoch() -> None:
    figure = loss_figure([seed(0, 6), seed(3, 2)])
    first, second = figure.data
    assert list(first.x) == [1, 2, 3, 4, 5, 6] and list(second.x) == [1, 2]
    assert list(first.y) == pytest.approx([1 / epoch + 1.5 for epoch in range(1, 7)], abs=1e-4)
    assert [trace.name for trace in figure.data] == ["seed 0", "seed 3"]
    assert first.line.color == seed_color(0) != second.line.color == seed_color(1)


def test_long_trainings_stay_small() -> None:
    figure = loss_figure([seed(0, 3 * MOST_PLACES + 1, steps=1)])
    assert MOST_PLACES / 2 < len(figure.data[0].x) <= MOST_PLACES
    assert figure.data[0].y[0] == pytest.approx(np.mean([1, 1 / 2, 1 / 3, 1 / 4]), abs=1e-4)


def test_the_kept_epoch_is_ringed() -> None:
    line, ring, other, kept = validation_figure([seed(0, 8), seed(1, 8, kept_after=8)], "miou", "mIoU").data
    assert list(line.x) == [2, 4, 6, 8] and list(line.y) == pytest.approx([88, 90, 88, 86])
    assert (list(ring.x), list(ring.y)) == ([4], [90]) and list(kept.x) == [8]
    assert other.line.color == kept.marker.color != ring.marker.color
    assert len(validation_figure([SeedRun(0, [], {})], "miou", "mIoU").data) == 0


def test_reliability_shows_what_was_measured() -> None:
    generator = np.random.default_rng(0)
    probabilities = generator.dirichlet(np.ones(4), 200)
    labels = generator.integers(0, 4, 200)
    found = calibration(probabilities, labels)
    diagonal, line = reliability_figure(None, found).data
    assert list(diagonal.x) == list(diagonal.y) == [0, 100]
    counts = [part.count for part in found.bins if part.count]
    assert list(line.text) == [f"{count} answers" for count in counts] and sum(counts) == 200
    sharper = probabilities**3 / (probabilities**3).sum(axis=1, keepdims=True)
    names = [trace.name for trace in reliability_figure(calibration(sharper, labels), found).data[1:]]
    assert names == ["as trained", "fitted temperature"]
    right = (probabilities.argmax(axis=1) == labels).mean()
    assert sum(y * count for y, count in zip(line.y, counts, strict=True)) / 200 == pytest.approx(100 * right, abs=0.01)
