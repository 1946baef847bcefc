import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from crosspoint3d.evaluation import metrics


def test_summary_matches_the_t_interval() -> None:
    values = [0.5, 0.7, 0.6, 0.9]
    found = metrics.summary(values)
    low, high = stats.t.interval(0.95, 3, np.mean(values), stats.sem(values))
    assert found["mean"] == pytest.approx(0.675)
    assert found["std"] == pytest.approx(np.std(values, ddof=1))
    assert found["ci95"] == pytest.approx((high - low) / 2)
    assert found["n"] == 4
    assert found["values"] == values


def test_summary_without_spread_is_exactly_zero() -> None:
    assert metrics.summary([0.1] * 5)["std"] == 0
    assert metrics.summary([0.1] * 5)["ci95"] == 0
    assert metrics.summary([0.3]) == {"mean": 0.3, "std": 0.0, "ci95": 0.0, "n": 1, "values": [0.3]}
    with pytest.raises(ValueError, match="empty"):
        metrics.summary([])


def test_accuracies_by_hand() -> None:
    labels, predicted = np.array([0, 0, 0, 0, 2]), np.array([0, 0, 0, 2, 0])
    counts = metrics.confusion(labels, predicted, 3)
    assert counts.tolist() == [[3, 0, 1], [0, 0, 0], [1, 0, 0]]
    scores = metrics.accuracies(counts)
    assert scores["overall_accuracy"] == pytest.approx(3 / 5)
    assert scores["mean_class_accuracy"] == pytest.approx((3 / 4 + 0) / 2), "the absent category does not count"


def test_accuracy_chance_is_the_constant_answer() -> None:
    train, test = np.array([0, 1, 1, 2]), np.array([0, 1, 1, 1, 2])
    found = metrics.accuracy_chance(train, test)
    constant = metrics.accuracies(metrics.confusion(test, np.ones(5, dtype=np.int64), 3))
    assert found == pytest.approx(constant)


@settings(deadline=None, max_examples=30)
@given(st.integers(2, 30), st.integers(0, 10_000))
def test_ranks_equal_the_place_in_a_sorted_list(gallery: int, seed: int) -> None:
    generator = np.random.default_rng(seed)
    similarities = generator.permuted(np.tile(np.linspace(-1, 1, gallery), (5, 1)), axis=1)
    own = generator.integers(gallery, size=5)
    expected = [sorted(row, reverse=True).index(row[mine]) + 1 for row, mine in zip(similarities, own, strict=True)]
    assert metrics.ranks(similarities, own).tolist() == expected


def test_ties_never_flatter() -> None:
    similarities = np.array([[0.5, 0.5, 0.5, 0.9]])
    assert metrics.ranks(similarities, np.array([0])).tolist() == [3.0]  # one better, two equal
    assert metrics.ranks(similarities, np.array([3])).tolist() == [1.0]


@pytest.mark.parametrize("noise", [0.0, 1e-8])
def test_collapsed_embeddings_score_chance_or_below(noise: float) -> None:
    generator = np.random.default_rng(0)
    collapsed = (np.ones((200, 8)) + noise * generator.normal(size=(200, 8))).astype(np.float32)
    rank = metrics.ranks(metrics.cosines(collapsed, collapsed), np.arange(200))
    scores, chance = metrics.retrieval_scores(rank), metrics.retrieval_chance(200)
    assert scores["mean_rank"] == chance["mean_rank"] == 100.5
    assert scores["median_rank"] == chance["median_rank"]
    for name in ("recall@1", "recall@5", "recall@10"):
        assert scores[name] <= chance[name]


def test_random_embeddings_score_about_chance() -> None:
    generator = np.random.default_rng(1)
    rank = metrics.ranks(
        metrics.cosines(generator.normal(size=(2000, 4)), generator.normal(size=(2000, 4))), np.arange(2000)
    )
    scores, chance = metrics.retrieval_scores(rank), metrics.retrieval_chance(2000)
    assert scores["mean_rank"] == pytest.approx(chance["mean_rank"], rel=0.05)
    assert abs(scores["recall@10"] - chance["recall@10"]) < 0.01


def test_perfect_retrieval_and_small_galleries() -> None:
    scores = metrics.retrieval_scores(metrics.ranks(np.eye(4), np.arange(4)))
    assert scores == {"recall@1": 1, "recall@5": 1, "recall@10": 1, "mean_rank": 1, "median_rank": 1}
    assert metrics.retrieval_chance(4) == {
        "recall@1": 0.25,
        "recall@5": 1.0,
        "recall@10": 1.0,
        "mean_rank": 2.5,
        "median_rank": 2.5,
    }


def test_zero_vectors_are_similar_to_nothing() -> None:
    assert metrics.cosines(np.zeros((1, 3)), np.ones((2, 3))).tolist() == [[0.0, 0.0]]


def test_mean_scores_are_of_each_name() -> None:
    assert metrics.mean_scores([{"a": 1.0, "b": 0.0}, {"a": 2.0, "b": 4.0}]) == {"a": 1.5, "b": 2.0}
