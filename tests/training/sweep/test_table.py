"""The table's arithmetic against the plain definitions, and its words."""

from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from crosspoint3d.config import KnnConfig, PretrainConfig
from crosspoint3d.evaluation.result import Result
from crosspoint3d.training.sweep.plan import Evaluation, Plan, Setting
from crosspoint3d.training.sweep.table import Failure, Table, build_table, difference
from crosspoint3d.training.sweep.text import terminal

SCORE = "overall_accuracy"


def table(scores: dict[str, dict[int, float]], seeds: int, baseline: str = "") -> Table:
    config = PretrainConfig(data=(Path("T"),), out=Path())
    settings = [Setting(name, {"k": name}, config, name) for name in scores]
    first = next((s for s in settings if s.name == baseline), settings[0])
    plan = Plan(Path("s.yaml"), settings, tuple(range(seeds)), [Evaluation("knn", "knn", KnnConfig("", "T"))], first)
    measured = {
        (name, seed, "knn"): Result("knn", {SCORE: {"mean": value}, "other": {"mean": 0.5}}, {}, {SCORE: 0.1}, {}, {})
        for name, values in scores.items()
        for seed, value in values.items()
    }
    return build_table(plan, measured, [Failure("9 · seed 1", "pretrain", "no luck", "x.log")], 0, ["be careful"])


def test_differences_are_paired_by_seed() -> None:
    generator = np.random.default_rng(0)
    first, second = generator.random(6), generator.random(6)
    found = difference(dict(enumerate(second)), dict(enumerate(first)))
    assert found is not None and found.p is not None
    expected = stats.ttest_rel(second, first)
    low, high = expected.confidence_interval(0.95)
    assert (found.mean, found.low, found.high) == pytest.approx(((second - first).mean(), low, high))
    assert found.p == pytest.approx(expected.pvalue)
    some = difference({0: second[0], 3: second[3]}, dict(enumerate(first)))
    assert some is not None and some.n == 2
    assert some.mean == pytest.approx((second[0] - first[0] + second[3] - first[3]) / 2)


def test_what_cannot_be_tested_has_no_p_value() -> None:
    assert difference({0: 0.5}, {1: 0.5}) is None
    one = difference({0: 0.5}, {0: 0.25})
    assert one is not None and (one.mean, one.low, one.high, one.p) == (0.25, 0.25, 0.25, None)
    same = difference({0: 0.5, 1: 0.75}, {0: 0.25, 1: 0.5})
    assert same is not None and same.p is None and not same.counts


def test_p_values_are_corrected_for_the_rows_of_the_column() -> None:
    scores = {"4": {0: 0.50, 1: 0.52, 2: 0.51}, "5": {0: 0.70, 1: 0.71, 2: 0.715}, "6": {0: 0.5, 1: 0.6, 2: 0.4}}
    cells = table(scores, 3).shown[0].cells
    raw = [stats.ttest_rel(list(scores[name].values()), list(scores["4"].values())).pvalue for name in ("5", "6")]
    p = [found.p for name in ("5", "6") if (found := cells[name].difference)]
    assert p == pytest.approx([2 * raw[0], raw[1]])
    assert cells["4"].difference is None


def test_the_terminal_has_every_setting_in_the_order_of_the_file() -> None:
    scores = {"9": {0: 0.5}, "4": {0: 0.50, 1: 0.52}, "5": {0: 0.40, 1: 0.71}}
    made = table(scores, 2, baseline="4")
    assert [column.score for column in made.columns] == [SCORE, "other"]
    assert [column.score for column in made.shown] == [SCORE], "a table shows the main scores"
    lines = terminal(made).splitlines()
    assert lines[0].split() == ["knn"]
    assert lines[1].split() == ["k", "overall", "accuracy", "difference"]
    assert [line.split()[0] for line in lines[2:5]] == ["9", "4", "5"]
    assert "50.0 (n = 1)" in lines[2] and "+0.0 (one seed)" in lines[2]
    assert "51.0 ± 12.7" in lines[3] and "baseline" in lines[3]
    assert "over 2 seeds" in terminal(made)
    assert lines[-2:] == ["note: be careful", "failed: 9 · seed 1: pretrain: no luck (x.log)"]


def test_a_narrow_terminal_gets_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    scores = {"4": {0: 0.5, 1: 0.52}, "5": {0: 0.4, 1: 0.71}}
    made = table(scores, 2)
    wide = Table(made.plan, [made.shown[0]] * 3, [], 0, [])
    blocks = terminal(wide).split("\n\n")
    assert sum(block.lstrip().startswith("knn") for block in blocks) == 3
    assert max(map(len, "\n".join(blocks[:3]).splitlines())) <= 60
