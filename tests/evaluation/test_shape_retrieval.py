from typing import Any

import numpy as np
import pytest
from sklearn.metrics import average_precision_score

from crosspoint3d.config import RetrievalConfig, UsageError
from crosspoint3d.evaluation import shape_retrieval as module
from crosspoint3d.evaluation.metrics import RECALLS
from crosspoint3d.evaluation.shape_retrieval import chance, expected, search, shape_to_shape
from tests.evaluation.fakes import Radii, cluster_clouds, use_encoders

LABELS = np.repeat(np.arange(5), [1, 2, 3, 8, 20])


def generator(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def plain(similarities: np.ndarray, relevant: np.ndarray) -> tuple[float, list[float]]:
    """Average precision and success of one order: by decreasing similarity, no two alike."""
    ranked = relevant[np.argsort(-similarities)]
    places = np.flatnonzero(ranked)
    precision = np.mean([(ranked[: place + 1]).mean() for place in places])
    return float(precision), [float(places[0] < r) for r in RECALLS]


def simulated(similarities: np.ndarray, relevant: np.ndarray, draws: int) -> tuple[float, np.ndarray]:
    """The same, mean over random orders of what is equal."""
    runs = []
    for order in (generator(seed).permutation(len(relevant)) for seed in range(draws)):
        ranked = order[np.argsort(-similarities[order], kind="stable")]
        runs.append(plain(-np.arange(len(ranked)), relevant[ranked]))
    return float(np.mean([run[0] for run in runs])), np.mean([run[1] for run in runs], axis=0)


def test_without_ties_it_is_the_plain_definition() -> None:
    similarities = generator().normal(size=(20, 60))
    relevant = generator(1).random((20, 60)) < 0.2
    relevant[:, 0] = True
    precision, within = expected(similarities, relevant)
    for row in range(20):
        wanted = plain(similarities[row], relevant[row])
        assert precision[row] == pytest.approx(wanted[0])
        assert precision[row] == pytest.approx(average_precision_score(relevant[row], similarities[row]))
        assert within[row].tolist() == wanted[1]


def test_ties_are_the_mean_over_their_orders() -> None:
    levels = generator().integers(0, 4, (4, 14)).astype(np.float64)
    relevant = generator(1).random((4, 14)) < 0.3
    relevant[:, 3] = True
    precision, within = expected(levels + 4e-7 * generator(2).random((4, 14)), relevant)
    for row in range(4):
        wanted = simulated(levels[row], relevant[row], 4000)
        assert precision[row] == pytest.approx(wanted[0], abs=0.01)
        np.testing.assert_allclose(within[row], wanted[1], atol=0.03)


def test_a_chain_of_near_ones_is_no_tie() -> None:
    similarities = -np.arange(100)[None] * 8e-7  # neighbours are within 1e-6, most are not
    relevant = (np.arange(100) < 50)[None]
    assert expected(similarities, relevant)[0][0] > 0.99
    assert expected(similarities, ~relevant)[0][0] < 0.35


@pytest.mark.parametrize("seed", range(3))
def test_chance_is_a_random_order(seed: int) -> None:
    labels = generator(seed).permutation(LABELS)
    wanted = chance(labels)
    found = [search(generator(1000 + draw).normal(size=(len(labels), 40)), labels) for draw in range(150)]
    np.testing.assert_array_equal(found[0].labels, wanted.labels)
    precision = np.mean([run.average_precision.mean() for run in found])
    assert precision == pytest.approx(wanted.average_precision.mean(), abs=0.01)
    within = np.mean([run.within.mean(axis=0) for run in found], axis=0)
    np.testing.assert_allclose(within, wanted.within.mean(axis=0), atol=0.02)
    # Exactly: one relevant shape among 33 is at each place with the same probability.
    pair = wanted.labels == 1
    np.testing.assert_allclose(wanted.average_precision[pair], (1 / np.arange(1, 34)).sum() / 33)
    np.testing.assert_allclose(wanted.within[pair], np.array([RECALLS]) / 33 * np.ones((2, 1)))


@pytest.mark.parametrize("features", [np.full((34, 3), 0.3), np.zeros((34, 3))])
def test_constant_features_score_exactly_chance(features: np.ndarray) -> None:
    noisy = (features * (1 + 1e-7 * generator().normal(size=features.shape))).astype(np.float32)
    found, wanted = search(noisy, LABELS), chance(LABELS)
    np.testing.assert_allclose(found.average_precision, wanted.average_precision)
    np.testing.assert_allclose(found.within, wanted.within)
    assert found.scores() == pytest.approx(wanted.scores())


def test_perfect_features_score_one_and_lonely_shapes_do_not_ask() -> None:
    found = search(np.eye(5)[LABELS] * generator().uniform(1, 9, (34, 1)), LABELS)
    assert set(found.scores().values()) == {1.0}
    assert len(found.labels) == 33 and 0 not in found.labels


def test_the_query_is_not_among_what_it_searches() -> None:
    found = search(np.eye(4), np.array([0, 0, 1, 1]))
    np.testing.assert_allclose(found.average_precision, (1 + 1 / 2 + 1 / 3) / 3)


def test_blocks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    features = generator().normal(size=(34, 6))
    whole = search(features, LABELS)
    monkeypatch.setattr(module, "BLOCK", 7)
    np.testing.assert_array_equal(search(features, LABELS).average_precision, whole.average_precision)


def test_the_mean_over_categories_counts_small_ones_as_much() -> None:
    labels = np.array([0] * 10 + [1, 1])
    features = np.concatenate([np.tile([1.0, 0, 0], (10, 1)), [[0.0, 1, 0], [0.0, 0, 1]]])
    scores = search(features, labels).scores()
    pair = (1 / np.arange(1, 12)).sum() / 11  # both are equally far from all
    assert scores["shape_to_shape_map"] == pytest.approx((10 + 2 * pair) / 12)
    assert scores["shape_to_shape_map_by_category"] == pytest.approx((1 + pair) / 2)


def config(**changes: Any) -> RetrievalConfig:
    values = {"encoder": "run", "data": "somewhere", "seeds": 2, "points": 16, "device": "cpu", "search": "shapes"}
    return RetrievalConfig(**(values | changes))


def test_both_encoders_and_the_record(monkeypatch: pytest.MonkeyPatch) -> None:
    use_encoders(monkeypatch, trained=Radii(1.0), untrained=Radii(0.0))
    monkeypatch.setattr("crosspoint3d.evaluation.seeds.load_clouds", cluster_clouds(test=13))
    found = shape_to_shape(config())
    assert found.repeated and found.trained[0]["shape_to_shape_recall@1"] == 1
    assert found.untrained[0] == pytest.approx(found.chance)
    record = found.choices["shape_to_shape"]
    assert record["queries"] == 13 and record["gallery"] == "the other 12 labelled test shapes"
    units = found.details["paired"]["shape_to_shape_map"]
    assert units["unit"] == "query" and len(units["values"]) == 13
    by_category = found.details["average_precision_by_category"]["trained"]
    assert list(by_category) == ["a", "b", "c"]
    assert np.mean([*by_category.values()]) == pytest.approx(found.trained[0]["shape_to_shape_map_by_category"])


def test_queries_without_another_of_their_category_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    use_encoders(monkeypatch, trained=Radii(1.0), untrained=Radii(0.0))
    monkeypatch.setattr("crosspoint3d.evaluation.seeds.load_clouds", cluster_clouds(test=4))
    record = shape_to_shape(config()).choices["shape_to_shape"]
    assert record["queries"] == 2
    assert record["queries_left_out"] == {"no other test shape of their category": 2}
    monkeypatch.setattr("crosspoint3d.evaluation.seeds.load_clouds", cluster_clouds(test=3))
    with pytest.raises(UsageError, match="--data somewhere: no category has two test shapes"):
        shape_to_shape(config())
