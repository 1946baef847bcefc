import json
from dataclasses import replace

from crosspoint3d.report.scores import command, few_shot_table, score_table
from tests.report.fake_run import FEW_SHOT, LINEAR, RETRIEVAL, along, every_kind, few_shot


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


def test_few_shot_settings_share_a_table_and_what_differs_makes_groups() -> None:
    results = {"b": few_shot(10, 20), "a": few_shot(5, 10), "c": few_shot(5, 20), "few-shot": few_shot(5, 10, "mean")}
    table = few_shot_table(results)
    assert [(row.group, row.label) for row in table.rows] == [
        ("linear SVM", "5-way 10-shot"),
        ("linear SVM", "5-way 20-shot"),
        ("linear SVM", "10-way 20-shot"),
        ("mean", "5-way 10-shot"),
    ]
    assert table.title == "Few-shot" and table.notes == ["a note to read"]
    assert table.protocol.startswith("clean protocol · some table") and "SVM" not in table.protocol
    assert set(json.loads(table.record)) == set(results)


def test_few_shot_rows_that_differ_in_nothing_known_are_told_apart_by_their_folders() -> None:
    table = few_shot_table({"a": few_shot(5, 10), "b": few_shot(5, 10)})
    assert [row.label for row in table.rows] == ["5-way 10-shot (a)", "5-way 10-shot (b)"]
    assert few_shot_table({"few-shot": FEW_SHOT}) == score_table("few-shot", FEW_SHOT)
    unknown = replace(FEW_SHOT, protocol=FEW_SHOT.protocol | {"episodes": None})
    assert few_shot_table({"a": unknown, "b": few_shot(5, 10)}).rows[0].label == "setting unknown"


def test_many_scores_under_conditions_are_folded_away_only_where_plots_show_them() -> None:
    robust = every_kind()["robustness"]
    table = score_table("robustness", robust)
    assert len(table.rows) == 3 and len(table.folded) == 20
    bare = score_table("robustness", replace(robust, details={}))
    assert len(bare.rows) == 23 and bare.folded == []
    few = score_table("robustness", along("robustness", {"jitter": [1, 2]}, overall_accuracy=[0.9, 0.9]))
    assert len(few.rows) == 3 and few.folded == []
    shares = score_table("label-fraction", along("label-fraction", {"": list(range(1, 31))}))
    assert len(shares.rows) == 30, "no other row is left to show"
    assert score_table("linear", LINEAR).folded == []
