import csv
import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from crosspoint3d.evaluation.class_tables import (
    class_table,
    confusion_csv,
    hardest_lines,
    per_class_csv,
    similar_order,
    write_class_tables,
)
from crosspoint3d.evaluation.classes import class_details

NAMES = ["night_stand", "dresser", "sofa, corner", "unseen"]
TRAINED = np.array([[53, 15, 18, 0], [2, 84, 0, 0], [0, 0, 20, 0], [0, 0, 0, 0]])
UNTRAINED = np.array([[43, 43, 0, 0], [0, 86, 0, 0], [5, 15, 0, 0], [0, 0, 0, 0]])
DETAILS = class_details(NAMES, {"trained": [TRAINED], "untrained": [UNTRAINED]})


def test_rows_hold_accuracies_and_the_most_frequent_mistake() -> None:
    table = class_table(DETAILS, 1)
    assert table is not None
    assert [row.trained for row in table.categories] == DETAILS["trained"]["per_class_accuracy"]
    assert [row.untrained for row in table.categories] == DETAILS["untrained"]["per_class_accuracy"]
    assert [row.taken_for for row in table.categories] == [("sofa, corner", 18), ("night_stand", 2), None, None]
    assert [row.shapes for row in table.categories] == [86, 86, 20, 0]


def test_counts_are_means_over_the_seeds() -> None:
    details = class_details(NAMES, {"trained": [TRAINED, TRAINED + np.diag([0, 0, 1, 0]), TRAINED]})
    table = class_table(details, 3)
    assert table is not None
    assert table.categories[0].shapes == 86 and table.categories[0].taken_for == ("sofa, corner", 18)
    assert table.categories[2].shapes == pytest.approx(61 / 3)
    assert all(row.untrained is None for row in table.categories)
    np.testing.assert_array_equal(table.counts, 3 * TRAINED + np.diag([0, 0, 1, 0]))


def test_lines_begin_with_the_hardest_and_leave_out_what_is_always_right() -> None:
    assert hardest_lines(class_table(DETAILS, 1)) == [
        "hardest of 4 categories",
        "  night_stand   61.6 % of 86, taken for sofa, corner 18x",
        "  dresser       97.7 % of 86, taken for night_stand 2x",
    ]
    assert hardest_lines(class_table(class_details(["a", "b"], {"trained": [np.diag([3, 4])]}), 1)) == []
    many = class_table(class_details([f"c{i}" for i in range(9)], {"trained": [np.ones((9, 9), int)] * 2}), 2)
    assert len(hardest_lines(many)) == 6 and "(means over 2 seeds)" in hardest_lines(many)[0]
    half = class_table(class_details(["a", "b"], {"trained": [np.array([[1, 1], [0, 2]]), np.diag([2, 2])]}), 2)
    assert hardest_lines(half)[1] == "  a   75.0 % of 2, taken for b 0.5x"


@pytest.mark.parametrize(
    "details",
    [
        {},
        {"episodes": {}},
        {"categories": NAMES},
        {"categories": "abcd", "trained": DETAILS["trained"]},
        {"categories": NAMES[:3], "trained": DETAILS["trained"]},
        {"categories": NAMES, "trained": None},
        {"categories": NAMES, "trained": {"per_class_accuracy": [0.5]}},
        {"categories": NAMES, "trained": {"confusion_over_seeds": [[1, 2], [3]]}},
        {"categories": NAMES, "trained": {"confusion_over_seeds": [1, 2]}},
        {"categories": NAMES, "trained": {"confusion_over_seeds": []}},
        {"categories": NAMES, "trained": {"confusion_over_seeds": [["x"]]}},
        {"categories": NAMES, "trained": {"confusion_over_seeds": [[-1]]}},
        {"categories": NAMES, "trained": {"confusion_over_seeds": [[0, 0], [0, 0]]}},
    ],
)
def test_details_without_a_whole_matrix_give_no_table(details: dict[str, Any]) -> None:
    assert class_table(details, 1) is None
    assert hardest_lines(class_table(details, 1)) == []
    assert class_table(DETAILS, 0) is None


def test_a_broken_twin_leaves_the_rest() -> None:
    table = class_table(DETAILS | {"untrained": {"confusion_over_seeds": [[1]]}}, 1)
    assert table is not None and [row.untrained for row in table.categories] == [None] * 4


def test_csv_files_hold_the_same_numbers(tmp_path: Path) -> None:
    table = class_table(DETAILS, 1)
    assert table is not None
    rows = list(csv.reader(io.StringIO(per_class_csv(table))))
    assert rows[0] == [
        "category", "test_shapes", "accuracy_trained", "accuracy_untrained", "taken_for", "taken_for_shapes",
    ]  # fmt: skip
    assert rows[1] == ["night_stand", "86", "0.616279", "0.500000", "sofa, corner", "18"]
    assert rows[3:] == [["sofa, corner", "20", "1.000000", "0.000000", "", "0"], ["unseen", "0", "", "", "", "0"]]
    matrix = list(csv.reader(io.StringIO(confusion_csv(table))))
    assert matrix[0] == ["truth", *NAMES] and [row[0] for row in matrix[1:]] == NAMES
    np.testing.assert_array_equal(np.array([row[1:] for row in matrix[1:]], dtype=int), TRAINED)

    write_class_tables(tmp_path, table)
    assert (tmp_path / "per_class.csv").read_text(encoding="utf-8") == per_class_csv(table)
    assert (tmp_path / "confusion.csv").read_text(encoding="utf-8") == confusion_csv(table)
    write_class_tables(tmp_path, None)
    assert list(tmp_path.iterdir()) == []


def test_categories_that_are_confused_stand_side_by_side() -> None:
    generator = np.random.default_rng(3)
    shuffled = generator.permutation(12)
    counts = np.diag(np.full(12, 10))
    for left, right in shuffled.reshape(6, 2):
        counts[left, right] = counts[right, left] = 4
    order = similar_order(counts, 12)
    assert sorted(order) == list(range(12))
    places = {category: place for place, category in enumerate(order)}
    assert all(abs(places[left] - places[right]) == 1 for left, right in shuffled.reshape(6, 2))


def test_of_many_categories_those_with_mistakes_are_kept_and_absent_ones_left_out() -> None:
    counts = np.diag(np.arange(20))
    counts[[3, 5, 7], [9, 11, 13]] = 2
    assert sorted(similar_order(counts, 6)) == [3, 5, 7, 9, 11, 13]
    assert sorted(similar_order(counts, 20)) == list(range(1, 20))
    assert similar_order(np.diag([2, 0, 3]), 5) == [0, 2]
