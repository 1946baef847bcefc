import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from crosspoint3d.evaluation.part_scores import part_scores, shape_ious
from crosspoint3d.evaluation.segment_results import (
    PartAnswers,
    most_frequent_parts,
    save_examples,
    segment_details,
    segment_scores,
)
from tests.evaluation.part_fakes import TABLE, shapes


def answers(count: int, seed: int, *, points: int = 20, right: float = 0.7, name: str = "s") -> PartAnswers:
    """Answers of which a share is right, and the others are any part of the category."""
    split = shapes(count, points, 0, name)
    generator = np.random.default_rng(seed)
    guess = np.stack([generator.choice(TABLE.parts[category], points) for category in split.categories])
    return PartAnswers(split, np.where(generator.random(guess.shape) < right, split.parts, guess).astype(np.int16))


def ious(run: PartAnswers) -> np.ndarray:
    return shape_ious(run.predicted, run.split.parts, run.split.categories, TABLE)


def test_details_are_means_over_the_seeds_with_their_interval() -> None:
    runs = [answers(8, seed) for seed in range(3)]
    details = segment_details(runs, TABLE)
    json.dumps(details, allow_nan=False)
    assert details["categories"] == list(TABLE.categories)
    for category, row in enumerate(details["per_category"]):
        mine = runs[0].split.categories == category
        means = [ious(run)[mine].mean() for run in runs]
        assert row["name"] == TABLE.categories[category] and row["shapes"] == mine.sum()
        assert row["iou"] == pytest.approx(np.mean(means))
        assert row["ci95"] == pytest.approx(stats.t.ppf(0.975, 2) * stats.sem(means))
        right = [(run.predicted == run.split.parts)[mine].mean() for run in runs]
        assert row["point_accuracy"] == pytest.approx(np.mean(right))
    assert [row["name"] for row in details["per_part"]] == list(TABLE.names)
    assert details["per_part"][3]["category"] == "chair" and "ci95" not in details["per_part"][3]
    single = np.mean([ious(run) for run in runs], axis=0)
    assert [row["iou"] for row in details["shapes"]] == pytest.approx(single, abs=1e-6)
    assert [row["id"] for row in details["shapes"]] == list(runs[0].split.ids)
    assert details["shapes"][2] == {"id": "s2", "category": "lamp", "iou": pytest.approx(single[2], abs=1e-6)}
    assert details["paired"]["instance_miou"] == {"unit": "test shape", "values": pytest.approx(single, abs=1e-6)}
    scores = segment_scores(runs, TABLE)
    expected = [part_scores(run.predicted, run.split.parts, run.split.categories, TABLE) for run in runs]
    for name, score in scores.items():
        assert score["values"] == [found[name] for found in expected]


def test_seeds_with_other_shapes_are_laid_end_to_end_and_shared_ones_averaged() -> None:
    first, second = answers(5, 0), answers(5, 1)
    moved = PartAnswers(replace(second.split, ids=("s3", "s4", "s5", "s6", "s7")), second.predicted)
    details = segment_details([first, moved], TABLE)
    assert len(details["paired"]["instance_miou"]["values"]) == 10
    found = {row["id"]: row["iou"] for row in details["shapes"]}
    assert list(found) == [f"s{i}" for i in range(8)]
    assert found["s3"] == pytest.approx((ious(first)[3] + ious(moved)[0]) / 2, abs=1e-6)
    assert found["s7"] == pytest.approx(ious(moved)[4], abs=1e-6)


def test_what_never_occurs_has_no_iou() -> None:
    run = answers(1, 0)
    rows = segment_details([run, run], TABLE)["per_category"]
    assert rows[1] == {"name": "ball", "shapes": 0.0, "iou": None, "ci95": None, "point_accuracy": None}
    assert segment_details([run], TABLE)["per_part"][1] == {"name": "ball", "category": "ball", "iou": None}


@pytest.mark.parametrize(
    ("count", "kinds"),
    [(40, (6, 6, 6)), (18, (6, 6, 6)), (17, (6, 5, 6)), (7, (3, 1, 3)), (2, (1, 0, 1)), (1, (1, 0, 0))],
)
def test_examples_are_the_worst_the_middle_and_the_best(tmp_path: Path, count: int, kinds: tuple[int, ...]) -> None:
    run = answers(count, 3, points=50)
    save_examples(tmp_path / "examples.npz", run, TABLE)
    with np.load(tmp_path / "examples.npz", allow_pickle=False) as file:
        found = dict(file)
    assert found["kinds"].tolist() == [
        kind for kind, n in zip(("worst", "median", "best"), kinds, strict=True) for _ in range(n)
    ]
    rows = [int(name[1:]) for name in found["ids"]]
    assert len(set(rows)) == len(rows)
    values = ious(run)
    order = np.sort(values)
    np.testing.assert_allclose(found["iou"], values[rows], atol=1e-6)
    assert (np.diff(found["iou"]) >= 0).all()
    np.testing.assert_allclose(found["iou"][: kinds[0]], order[: kinds[0]], atol=1e-6)
    if kinds[2]:
        np.testing.assert_allclose(found["iou"][-kinds[2] :], order[-kinds[2] :], atol=1e-6)
    if count == 40:
        np.testing.assert_allclose(found["iou"][6:12], order[17:23], atol=1e-6)
    assert found["points"].dtype == np.float16
    np.testing.assert_allclose(found["points"], run.split.points[rows], atol=1e-3)
    np.testing.assert_array_equal(found["truth"], run.split.parts[rows])
    np.testing.assert_array_equal(found["predicted"], run.predicted[rows])
    assert found["categories"].tolist() == [TABLE.categories[run.split.categories[row]] for row in rows]
    assert found["part_names"].tolist() == list(TABLE.names)
    assert found["part_categories"].tolist() == ["chair", "ball", "lamp", "chair", "chair", "lamp"]


def test_chance_answers_the_most_frequent_part_of_the_category() -> None:
    train, split = shapes(9, 30, 1), shapes(6, 20, 2)
    train.parts[0] = 4
    constant = [max(own, key=lambda part: (train.parts == part).sum()) for own in TABLE.parts]
    assert constant[0] == 4
    predicted = np.array([[constant[category]] * 20 for category in split.categories])
    assert most_frequent_parts(train, split, TABLE) == part_scores(predicted, split.parts, split.categories, TABLE)
    unseen = most_frequent_parts(train.take([1]), split, TABLE)
    assert unseen["part_accuracy"] == pytest.approx(np.isin(split.parts, [0, 1, 2]).mean())
