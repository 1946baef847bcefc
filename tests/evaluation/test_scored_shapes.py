from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from crosspoint3d.config import UsageError
from crosspoint3d.data.clouds import LabelledClouds
from crosspoint3d.evaluation import scored_shapes as module
from tests.evaluation.fakes import cluster_clouds

LABELS = np.repeat(np.arange(4), [1, 3, 30, 66])


@pytest.mark.parametrize("count", [4, 5, 37, 50, 99, 100])
def test_exactly_so_many_rows_in_proportion(count: int) -> None:
    rows = module.stratified_rows(LABELS, count)
    assert len(rows) == count == len(set(rows.tolist())) and (np.diff(rows) > 0).all()
    taken = np.bincount(LABELS[rows], minlength=4)
    assert taken.min() >= 1
    assert np.abs(taken - np.maximum(np.bincount(LABELS) * count / 100, 1)).max() < 2
    np.testing.assert_array_equal(rows, module.stratified_rows(LABELS, count))


def test_zero_is_all_and_the_order_of_the_shapes_is_not_the_choice() -> None:
    np.testing.assert_array_equal(module.stratified_rows(LABELS, 0), np.arange(100))
    assert module.stratified_rows(LABELS, 50).tolist() != module.stratified_rows(LABELS, 50, seed=1).tolist()


@pytest.mark.parametrize("count", [3, 101])
def test_more_than_there_are_or_fewer_than_categories(count: int) -> None:
    with pytest.raises(UsageError, match=f"--test-shapes {count}: the test split has 100 shapes in 4 categories.*4 to"):
        module.stratified_rows(LABELS, count)


def load(**changes: Any) -> LabelledClouds:
    clouds = cluster_clouds()("first", seed=0)
    return replace(clouds, record=clouds.record | changes.pop("record", {}), **changes)


def others(monkeypatch: pytest.MonkeyPatch, there: dict[str, LabelledClouds], **options: Any) -> list[module.OtherTest]:
    monkeypatch.setattr(module, "load_clouds", lambda spec, *, seed: there[spec])
    return module.other_tests(list(there) * 2, load(), **({"points": 16, "limit": 1.0, "seed": 0} | options))


def test_labels_follow_the_names_of_categories(monkeypatch: pytest.MonkeyPatch) -> None:
    (other,) = others(monkeypatch, {"other": load(categories=("c", "a", "b"))})
    assert other.name == "other" and other.points.shape == (12, 16, 3)
    assert other.labels.tolist() == [2, 0, 1] * 4, "its label 0 is c, which is 2 here"


def test_a_variant_names_its_score_unless_two_have_it(monkeypatch: pytest.MonkeyPatch) -> None:
    there = {name: load(record={"variant": variant}) for name, variant in (("x", "A"), ("y", "B"), ("z", "B"))}
    assert [other.name for other in others(monkeypatch, there)] == ["A", "y", "z"]


def test_points_and_share_are_those_of_the_first_data(monkeypatch: pytest.MonkeyPatch) -> None:
    (other,) = others(monkeypatch, {"other": load()}, points=8, limit=0.5)
    assert other.points.shape == (6, 8, 3) and other.record["limit"] == 0.5
    assert other.record["points_picked"] == "8 of 16 points, drawn at random from the seed"
    (again,), (differently,) = (others(monkeypatch, {"other": load()}, points=8, limit=0.5, seed=s) for s in (0, 1))
    hashes = [found.record["clouds_sha256"] for found in (other, again, differently)]
    assert hashes[0] == hashes[1] != hashes[2]
    with pytest.raises(
        UsageError, match=r"--transfer other: its clouds have 16 points, fewer than the 20.*--points 16"
    ):
        others(monkeypatch, {"other": load()}, points=20)


def test_other_categories_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UsageError, match=r"--transfer x has other .*\(only there: d; only in --data: b\)"):
        others(monkeypatch, {"x": load(categories=("a", "c", "d"))})


def test_data_that_cannot_be_read_is_named_by_its_flag(tmp_path: Any) -> None:
    with pytest.raises(UsageError, match=r"--transfer modelnet40:.*nowhere: (?!--data)"):
        module.other_tests([f"modelnet40:{tmp_path}/nowhere"], load(), points=16, limit=1.0, seed=0)
