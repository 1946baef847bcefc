import json
from dataclasses import replace

import pytest

from crosspoint3d.report.scores import command, score_table, spread, verdict
from tests.report.fake_run import FEW_SHOT, LINEAR, RETRIEVAL


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
    bar = score_table("linear", wide).rows[0].bar
    assert bar is not None
    assert bar.trained == (90.0, 60.0, 100.0) and bar.untrained == (10.0, 0.0, 40.0) and bar.chance == 25.0


def test_titles_groups_and_records() -> None:
    assert score_table("few-shot", FEW_SHOT).title == "Few-shot, 5-way 10-shot"
    table = score_table("retrieval", RETRIEVAL)
    assert [(row.group, row.label, row.bar is None) for row in table.rows] == [
        ("Picture → shape", "Recall@1", False),
        ("Shape → picture", "Mean rank", True),
    ]
    record = json.loads(table.record)
    assert record["scores"] == RETRIEVAL.scores and "details" not in record
    assert record["protocol"]["command"] == command(RETRIEVAL) == "crosspoint3d evaluate retrieval --encoder 'a b'"


def test_a_result_without_a_baseline_says_so() -> None:
    row = score_table("linear", replace(LINEAR, untrained={}, chance={})).rows[0]
    assert (row.untrained, row.difference, row.tone, row.chance) == ("not measured", "", "open", "")
