from dataclasses import replace

import pytest

from crosspoint3d.evaluation.segment_results import segment_details
from crosspoint3d.report.category_bars import category_bars, parts_by_category
from tests.report.fake_finetuned import TABLE, labelled_shapes, part_answers
from tests.report.fake_run import LINEAR, classified


def test_categories_are_sorted_and_their_intervals_stay_on_the_track() -> None:
    rows = [
        {"name": "few", "shapes": 1, "iou": 0.98, "ci95": 0.3, "point_accuracy": 0.5},
        {"name": "many", "shapes": 14.5, "iou": 0.25, "ci95": 0.05, "point_accuracy": None},
        {"name": "none", "shapes": 0, "iou": None, "ci95": None, "point_accuracy": None},
        {"name": "two seeds", "shapes": 1, "iou": 0.1, "ci95": 3.5, "point_accuracy": 0.0},
        {"name": "one seed", "shapes": 3, "iou": 0.5, "ci95": 0, "point_accuracy": 0.75},
    ]
    bars = category_bars(replace(LINEAR, details={"per_category": rows}))
    assert [(bar.name, bar.length, bar.interval) for bar in bars] == [
        ("few", 98.0, (68.0, 100.0)), ("one seed", 50.0, None), ("many", 25.0, (20.0, 30.0)),
        ("two seeds", 10.0, (0.0, 100.0)),
    ]  # fmt: skip
    assert [(bar.score, bar.shapes, bar.more) for bar in bars] == [
        ("98.0 ± 30.0 %", "1", "50.0 % of its points right"),
        ("50.0 %", "3", "75.0 % of its points right"),
        ("25.0 ± 5.0 %", "14.5", ""),
        ("10.0 ± over 100 %", "1", "0.0 % of its points right"),
    ]


def test_classified_categories_say_what_they_are_taken_for() -> None:
    found = classified("classify", 6)
    counts = found.details["trained"]["confusion_over_seeds"]
    bars = {bar.name: bar for bar in category_bars(found)}
    assert len(bars) == 6
    for row, own in enumerate(counts):
        bar = bars[f"category_{row}"]
        assert bar.length == pytest.approx(100 * own[row] / sum(own), abs=0.01) and bar.interval is None
        assert bool(bar.more) == (own[row] < sum(own))
    lengths = [bar.length for bar in category_bars(found)]
    assert lengths == sorted(lengths, reverse=True)


def test_parts_stand_below_their_category() -> None:
    split = labelled_shapes(6)
    found = parts_by_category(segment_details([part_answers(split, TABLE, 0)], TABLE))
    assert {name: [part.name for part in own] for name, own in found.items()} == {
        "Chair": ["seat", "leg", "arm"], "Mug": ["body", "handle"], "Table": ["top", "leg"],
    }  # fmt: skip
    assert all(part.iou is not None and f"{part.iou:.1f} %" == part.score for own in found.values() for part in own)


@pytest.mark.parametrize(
    "details", [{}, {"per_category": 3, "per_part": "x"}, {"per_category": [3], "per_part": [None]}]
)
def test_without_details_there_are_none(details: dict[str, object]) -> None:
    assert category_bars(replace(LINEAR, details=details)) == [] and parts_by_category(details) == {}
