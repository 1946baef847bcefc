from dataclasses import replace
from pathlib import Path

from crosspoint3d.report.evaluations import Evaluation, evaluations, further_evaluations
from crosspoint3d.report.run import RunRecord
from crosspoint3d.report.scores import KINDS
from crosspoint3d.report.sections import Missing
from tests.report.fake_run import LINEAR, along, classified, every_kind

RUN = RunRecord(Path("my run"), {}, [], {}, every_kind(), {}, None, ())


def tables(run: RunRecord) -> list[Evaluation]:
    return [part for part in evaluations(run, []) if isinstance(part, Evaluation)]


def test_all_evaluations_are_shown_in_their_order_with_their_plots() -> None:
    parts = tables(RUN)
    assert len(evaluations(RUN, [])) == len(parts)
    assert [part.table.kind for part in parts] == list(KINDS)
    plots = {part.table.kind: (len(part.curves), len(part.classes)) for part in parts}
    assert plots == {
        "linear": (0, 2), "knn": (0, 2), "few-shot": (0, 0), "label-fraction": (1, 0), "retrieval": (0, 0),
        "cluster": (0, 0), "robustness": (4, 0),
    }  # fmt: skip
    assert [part.table.kind for part in parts if part.opened] == ["linear"]
    assert [part.table.kind for part in parts if part.clean] == ["robustness"]
    ids = [chart.id for part in parts for chart in [*part.curves, *part.classes]]
    assert len(set(ids)) == len(ids) == 9
    assert further_evaluations(RUN, []) == ("", [])


def test_the_main_evaluations_are_missed_and_the_others_named_in_one_line() -> None:
    bare = replace(RUN, results={"a": replace(LINEAR, evaluation="cluster"), "b": replace(LINEAR, evaluation="new")})
    parts = evaluations(bare, [])
    missing = [part.command for part in parts if isinstance(part, Missing)]
    assert missing == [
        f"crosspoint3d evaluate {kind} --encoder 'my run' --data TABLE" for kind in ("linear", "few-shot", "retrieval")
    ]
    assert [part.table.title for part in tables(bare)] == ["Clusters against categories", "new"]
    command, others = further_evaluations(bare, [])
    assert command == "crosspoint3d evaluate knn --encoder 'my run' --data TABLE"
    assert others == ["label-fraction", "robustness"]


def test_curves_hold_the_scores_of_both_encoders_and_the_clean_ones() -> None:
    found = along("robustness", {"jitter": [1, 2]}, overall_accuracy=[0.9, 0.9])
    (chart,) = tables(replace(RUN, results={"r": found}))[0].curves
    lines = {(trace.name, trace.line.dash): list(trace.y) for trace in chart.figure.data}
    assert lines == {
        ("clean", "dash"): [70.0, 70.0],
        ("chance", "dot"): [10.0, 10.0],
        ("untrained", None): [61.0, 51.0],
        ("trained", None): [81.0, 71.0],
    }
    assert chart.below == "how much" and chart.title == "Jitter"
    alone = replace(found, untrained={}, chance={})
    (chart,) = tables(replace(RUN, results={"r": alone}))[0].curves
    assert [trace.name for trace in chart.figure.data] == ["clean", "trained"]


def test_matrices_keep_their_size_for_many_categories() -> None:
    for count, seeds in ((2, [0]), (69, [0, 1]), (150, [0])):
        found = classified("linear", count)
        found = replace(found, protocol=found.protocol | {"seeds": seeds})
        (part,) = tables(replace(RUN, results={"linear": found}))
        dots, matrix = part.classes
        assert matrix.square and matrix.width == matrix.height < 1300
        assert len(matrix.figure.data[0].z) == min(count, 80)
        assert ("over 2 seeds" in matrix.above) == (count == 69)
        assert ("of 150" in matrix.above) == ("80 hardest of 150" in dots.title) == (count == 150)
        assert len(matrix.figure.to_json()) < 200_000


def test_an_older_result_without_details_is_a_table_alone() -> None:
    (part,) = tables(replace(RUN, results={"linear": replace(LINEAR, details={})}))
    assert (part.curves, part.classes, part.opened) == ([], [], False)
