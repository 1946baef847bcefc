from dataclasses import replace
from typing import Any

import pytest

from crosspoint3d.evaluation.metrics import summary
from crosspoint3d.report.rows import condition_rows, curves, plain_rows, spread, verdict
from tests.report.fake_run import LINEAR, RETRIEVAL, along, every_kind


def score(mean: float, half: float, n: int = 5) -> dict[str, float]:
    return {"mean": mean, "ci95": half, "n": n}


@pytest.mark.parametrize(
    ("name", "trained", "untrained", "expected"),
    [
        ("accuracy", score(0.8, 0.01), score(0.7, 0.02), ("+10.0 points", "better")),
        ("accuracy", score(0.7, 0.01), score(0.8, 0.02), ("−10.0 points", "worse")),
        ("accuracy", score(0.8, 0.06), score(0.7, 0.05), ("+10.0 points", "open")),
        ("accuracy", score(0.8, 0.0, 1), score(0.7, 0.0, 1), ("+10.0 points", "open")),
        ("accuracy", score(0.8, 0.0), score(0.8, 0.0), ("+0.0 points", "open")),
        ("mean_rank", score(3.0, 0.1), score(6.5, 0.1), ("−3.5", "better")),
        ("mean_rank", score(9.0, 0.1), score(6.5, 0.1), ("+2.5", "worse")),
    ],
)
def test_a_difference_is_decided_only_where_intervals_are_apart(
    name: str, trained: dict[str, float], untrained: dict[str, float], expected: tuple[str, str]
) -> None:
    assert verdict(name, trained, untrained) == expected


def test_shares_are_percentages_and_ranks_are_not() -> None:
    assert spread("overall_accuracy", score(0.8125, 0.0219)) == "81.2 ± 2.2 %"
    assert spread("mean_rank", score(3.14, 0.2)) == "3.1 ± 0.2"
    assert spread("recall@1", score(0.5, 0.0, 1)) == "50.0 %"


def test_bars_stay_on_their_track() -> None:
    wide = replace(
        LINEAR, scores={"overall_accuracy": score(0.9, 0.3)}, untrained={"overall_accuracy": score(0.1, 0.3)}
    )
    bar = plain_rows(wide)[0].bar
    assert bar is not None
    assert bar.trained == (90.0, 60.0, 100.0) and bar.untrained == (10.0, 0.0, 40.0) and bar.chance == 25.0


def test_a_result_without_a_baseline_says_so() -> None:
    row = plain_rows(replace(LINEAR, untrained={}, chance={}))[0]
    assert (row.untrained, row.difference, row.tone, row.chance) == ("not measured", "", "open", "")
    assert row.bar is not None and row.bar.untrained is None and row.bar.trained[0] == 81.0


def test_ways_of_searching_stand_together() -> None:
    rows = plain_rows(every_kind()["retrieval"])
    assert [(row.group, row.label) for row in rows] == [
        ("Picture → shape", "Recall@1"),
        ("Shape → picture", "Mean rank"),
        ("Shape → shape", "Mean average precision"),
        ("Shape → shape", "Recall@1"),
    ]
    assert condition_rows(RETRIEVAL) == []


def test_scores_under_a_condition_stand_under_the_title_of_their_curve() -> None:
    found = along("robustness", {"jitter": [0.01, 0.02], "scale": [0.5, 2]}, overall_accuracy=[0.9, 0.9])
    extra = {"overall_accuracy@scale=anisotropic": summary([0.5, 0.6]), "overall_accuracy@new_kind=5%": summary([0.1])}
    found = replace(found, scores=found.scores | extra)
    assert [(row.group, row.label) for row in condition_rows(found)] == [
        ("Jitter · how much", "0.01"),
        ("Jitter · how much", "0.02"),
        ("Scale · how much", "0.5"),
        ("Scale · how much", "2"),
        ("Scale · how much", "anisotropic"),
        ("Overall accuracy by new kind", "5 %"),
    ]
    assert [row.label for row in plain_rows(found)] == ["Overall accuracy, undamaged"]


def test_alternating_scores_are_sorted_into_their_groups() -> None:
    names = [f"{score}@{share}%" for share in (1, 10) for score in ("overall_accuracy", "mean_class_accuracy")]
    rows = condition_rows(replace(LINEAR, scores={name: summary([0.5]) for name in names}, details={}))
    assert [(row.group, row.label) for row in rows] == [
        (f"{score} by share", level)
        for score in ("Overall accuracy", "Mean class accuracy")
        for level in ("1 %", "10 %")
    ]


def test_other_data_stands_with_the_scores_that_are_always_shown() -> None:
    rows = plain_rows(every_kind()["robustness"])
    assert [(row.group, row.label) for row in rows] == [
        ("", "Overall accuracy, undamaged"),
        ("", "Mean over all damages"),
        ("Tested on other data", "elsewhere: overall accuracy"),
    ]
    assert not any("transfer" in row.group + row.label for row in condition_rows(every_kind()["robustness"]))


@pytest.mark.parametrize(
    "broken",
    [
        None,
        "text",
        {"a": 1},
        [5],
        [{}],
        [{"x": [], "scores": []}],
        [{"x": [1], "scores": ["overall_accuracy@a=1", "overall_accuracy@a=2"]}],
        [{"x": [None], "scores": ["overall_accuracy@a=1"]}],
        [{"x": [float("nan")], "scores": ["overall_accuracy@a=1"]}],
        [{"x": [1], "scores": [["overall_accuracy@a=1"]]}],
        [{"x": [1], "scores": ["unknown"]}],
    ],
)
def test_what_is_no_curve_is_left_out(broken: Any) -> None:
    found = along("robustness", {"a": [1, 2]})
    assert len(curves(found)) == 1
    assert curves(replace(found, details={"curves": broken})) == []
