"""Scores of part segmentation against counting point by point."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crosspoint3d.evaluation import part_scores as module
from crosspoint3d.evaluation.part_scores import category_table, part_counts, part_scores, shape_ious
from crosspoint3d.parts_table import PartsTable

TABLE = PartsTable(
    ("chair", "ball", "lamp", "unseen"),
    ((0, 3, 4), (1,), (2, 6), (5,)),
    ("seat", "ball", "foot", "leg", "back", "?", "shade"),
)


def slow_ious(predicted: Any, truth: Any, categories: Any, table: PartsTable) -> list[float]:
    ious = []
    for answer, real, category in zip(predicted.tolist(), truth.tolist(), categories.tolist(), strict=True):
        values = []
        for part in table.parts[category]:
            both = sum(1 for a, b in zip(answer, real, strict=True) if a == part and b == part)
            either = sum(1 for a, b in zip(answer, real, strict=True) if a == part or b == part)
            values.append(both / either if either else 1.0)
        ious.append(sum(values) / len(values))
    return ious


def slow_scores(predicted: Any, truth: Any, categories: Any, table: PartsTable) -> dict[str, float]:
    ious = slow_ious(predicted, truth, categories, table)
    by_category: dict[int, list[float]] = {}
    for category, value in zip(categories.tolist(), ious, strict=True):
        by_category.setdefault(category, []).append(value)
    pairs = [(a, b) for row in zip(predicted.tolist(), truth.tolist(), strict=True) for a, b in zip(*row, strict=True)]
    recalls = [
        sum(1 for a, b in pairs if a == b == part) / sum(1 for _, b in pairs if b == part)
        for part in {b for _, b in pairs}
    ]
    return {
        "instance_miou": sum(ious) / len(ious),
        "class_miou": sum(sum(values) / len(values) for values in by_category.values()) / len(by_category),
        "part_accuracy": sum(1 for a, b in pairs if a == b) / len(pairs),
        "mean_part_accuracy": sum(recalls) / len(recalls),
    }


def draw(shapes: int, points: int, restrict: bool, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Shapes of three of the four categories, some without some of their parts; answers right three times in four."""
    generator = np.random.default_rng(seed)
    categories = generator.integers(3, size=shapes)
    truth, predicted = np.empty((2, shapes, points), dtype=np.int16)
    for row, category in enumerate(categories):
        own = np.array(TABLE.parts[category])
        there = generator.choice(own, generator.integers(1, len(own) + 1), replace=False)
        truth[row] = generator.choice(there, points)
        guess = generator.choice(own if restrict else len(TABLE), points)
        predicted[row] = np.where(generator.random(points) < 0.75, truth[row], guess)
    return predicted, truth, categories


@settings(max_examples=40, deadline=None)
@given(shapes=st.integers(1, 12), points=st.integers(1, 30), restrict=st.booleans(), seed=st.integers(0, 9999))
def test_scores_are_those_of_counting_by_hand(shapes: int, points: int, restrict: bool, seed: int) -> None:
    predicted, truth, categories = draw(shapes, points, restrict, seed)
    found = part_scores(predicted, truth, categories, TABLE)
    assert found == pytest.approx(slow_scores(predicted, truth, categories, TABLE), abs=1e-12)
    assert shape_ious(predicted, truth, categories, TABLE) == pytest.approx(
        slow_ious(predicted, truth, categories, TABLE), abs=1e-12
    )
    perfect = part_scores(truth, truth, categories, TABLE)
    assert set(perfect.values()) == {1.0}


def test_a_part_that_is_absent_and_not_predicted_counts_one() -> None:
    seat, leg, back, foot = 0, 3, 4, 2
    truth = np.array([[seat, seat, leg, leg]] * 4)
    predicted = np.array(
        [[seat, seat, leg, leg], [seat, leg, leg, leg], [seat, seat, leg, back], [seat, seat, leg, foot]]
    )
    found = shape_ious(predicted, truth, np.zeros(4, dtype=np.int64), TABLE)
    expected = [1.0, (1 / 2 + 2 / 3 + 1) / 3, (1 + 1 / 2 + 0) / 3, (1 + 1 / 2 + 1) / 3]
    assert found == pytest.approx(expected), "a part of another category is a miss, no more"


def test_a_category_of_one_part_and_one_without_shapes() -> None:
    ball, leg = np.full((1, 5), 1), np.full((1, 5), 3)
    one = np.array([1])
    assert shape_ious(ball, ball, one, TABLE).tolist() == [1.0]
    assert shape_ious(leg, ball, one, TABLE).tolist() == [0.0]
    rows = category_table(ball, ball, one, TABLE)
    assert [row["name"] for row in rows] == list(TABLE.categories)
    assert rows[1] == {"name": "ball", "shapes": 1, "iou": 1.0, "point_accuracy": 1.0}
    assert rows[3] == {"name": "unseen", "shapes": 0, "iou": None, "point_accuracy": None}


def test_class_miou_weighs_categories_alike() -> None:
    truth = np.array([[1] * 4] * 3 + [[2] * 4])
    predicted = np.array([[1] * 4] * 3 + [[6] * 4])
    found = part_scores(predicted, truth, np.array([1, 1, 1, 2]), TABLE)
    assert found["instance_miou"] == pytest.approx(3 / 4) and found["class_miou"] == pytest.approx(1 / 2)


def test_tables_by_category_and_part_are_those_of_counting() -> None:
    predicted, truth, categories = draw(20, 25, False, 7)
    ious = slow_ious(predicted, truth, categories, TABLE)
    for category, row in enumerate(category_table(predicted, truth, categories, TABLE)[:3]):
        mine = categories == category
        assert row["shapes"] == mine.sum() and row["iou"] == pytest.approx(
            np.mean([ious[i] for i in np.flatnonzero(mine)])
        )
        assert row["point_accuracy"] == pytest.approx((predicted == truth)[mine].mean())
    rows = part_counts(predicted, truth, categories, TABLE).by_part()
    for part, row in enumerate(rows):
        both, either = ((predicted == part) & (truth == part)).sum(), ((predicted == part) | (truth == part)).sum()
        assert row["iou"] == pytest.approx(both / either)
    assert [(row["name"], row["category"]) for row in rows][3] == ("leg", "chair")
    absent = part_counts(np.array([[1]]), np.array([[1]]), np.array([1]), TABLE).by_part()
    assert [row["iou"] for row in absent] == [None, 1.0, None, None, None, None, None]


def test_blocks_are_no_part_of_the_result(monkeypatch: pytest.MonkeyPatch) -> None:
    predicted, truth, categories = draw(11, 9, False, 3)
    whole = part_counts(predicted, truth, categories, TABLE)
    monkeypatch.setattr(module, "BLOCK", 20)
    blocks = part_counts(predicted, truth, categories, TABLE)
    for name in ("both", "truth", "predicted"):
        np.testing.assert_array_equal(getattr(whole, name), getattr(blocks, name))
    assert whole.truth.sum() == whole.predicted.sum() == 99


@pytest.mark.parametrize(
    ("predicted", "truth", "category", "words"),
    [
        ([[0, 7]], [[0, 3]], 0, r"predicted\[0, 1\] is 7; the table has parts 0 to 6"),
        ([[0, 3]], [[0, -1]], 0, r"truth\[0, 1\] is -1"),
        ([[0, 3]], [[0, 6]], 0, r"shape 0 has points of part 6 \(shade\), which its category chair does not have"),
        ([[0, 3]], [[0, 3]], 4, r"categories\[0\] is 4; the table has 0 to 3"),
        ([[0, 3]], [[0, 3]], -1, r"categories\[0\] is -1"),
    ],
)
def test_labels_outside_the_table_are_named(predicted: Any, truth: Any, category: int, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        part_scores(np.array(predicted), np.array(truth), np.array([category]), TABLE)


def test_no_shapes_are_refused() -> None:
    nothing = np.empty((0, 4), dtype=np.int16)
    with pytest.raises(ValueError, match=r"\(0, 4\) has no points"):
        part_scores(nothing, nothing, np.empty(0, dtype=np.int64), TABLE)
