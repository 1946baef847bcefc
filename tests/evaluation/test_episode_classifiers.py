import warnings
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from crosspoint3d.evaluation.episode_classifiers import (
    CLASSIFIERS,
    Classifier,
    episode_score,
    logistic,
    prototype,
)
from crosspoint3d.evaluation.episodes import Episode

each = pytest.mark.parametrize("classifier", list(CLASSIFIERS))


def episode(ways: int = 3, shots: int = 4, queries: int = 5) -> tuple[Episode, np.ndarray, np.ndarray]:
    """An episode on rows that are shuffled, and the way of each row of the two splits."""
    generator = np.random.default_rng(1)
    support, query = generator.permutation(ways * shots), generator.permutation(ways * queries)
    labels = [np.empty(len(rows), dtype=np.int64) for rows in (support, query)]
    labels[0][support], labels[1][query] = np.repeat(np.arange(ways), shots), np.repeat(np.arange(ways), queries)
    return Episode(np.arange(ways), support, query), labels[0], labels[1]


def clusters(labels: np.ndarray, dims: int, noise: float, seed: int) -> np.ndarray:
    means = np.random.default_rng(0).normal(size=(int(labels.max()) + 1, dims))
    return (means[labels] + noise * np.random.default_rng(seed).normal(size=(len(labels), dims))).astype(np.float32)


@each
def test_perfect_features_score_one(classifier: Classifier) -> None:
    drawn, support, query = episode()
    perfect = np.eye(3, dtype=np.float32)
    assert episode_score(perfect[support], perfect[query], drawn, classifier) == (1.0, True)


@each
@given(value=st.floats(-1e6, 1e6, width=32), ways=st.integers(2, 5), dims=st.integers(1, 40))
def test_constant_features_score_chance(classifier: Classifier, value: float, ways: int, dims: int) -> None:
    drawn, support, query = episode(ways)
    constant = np.full((max(len(support), len(query)), dims), value, dtype=np.float32)
    score = episode_score(constant[: len(support)], constant[: len(query)], drawn, classifier)
    assert score.accuracy == pytest.approx(1 / ways)
    assert score.converged


@each
def test_scaling_the_features_changes_nothing(classifier: Classifier) -> None:
    drawn, support, query = episode()
    features = clusters(support, 6, 2.0, 1), clusters(query, 6, 2.0, 2)
    scores = [episode_score(features[0] * s, features[1] * s, drawn, classifier) for s in np.float32([1, 1024])]
    assert scores[0] == scores[1]
    assert 1 / 3 < scores[0].accuracy < 1


@each
def test_one_shape_a_category_is_enough(classifier: Classifier) -> None:
    drawn, support, query = episode(ways=4, shots=1)
    score = episode_score(clusters(support, 30, 0.1, 1), clusters(query, 30, 0.1, 2), drawn, classifier)
    assert score == (1.0, True)


def test_svm_is_the_published_one() -> None:
    drawn, support, query = episode(5, 10, 20)
    features, queries = clusters(support, 50, 2.0, 1), clusters(query, 50, 2.0, 2)
    scaler = StandardScaler().fit(features)
    right = SVC(kernel="linear").fit(scaler.transform(features), support).predict(scaler.transform(queries)) == query
    assert episode_score(features, queries, drawn).accuracy == right.mean()
    assert right.mean() < 1


@given(st.integers(0, 1000), st.integers(2, 5), st.integers(1, 20), st.floats(-100, 100))
def test_prototype_is_the_nearest_mean(seed: int, ways: int, dims: int, offset: float) -> None:
    generator = np.random.default_rng(seed)
    labels = generator.permutation(np.repeat(np.arange(ways), 3))
    support, queries = generator.normal(size=(len(labels), dims)), generator.normal(size=(7, dims))
    means = np.stack([support[labels == way].mean(0) for way in range(ways)])
    nearest = ((queries[:, None] - means) ** 2).sum(2).argmin(1)
    assert prototype(support + offset, labels, queries + offset).ways.tolist() == nearest.tolist()


@pytest.mark.parametrize("dims", [3, 80])  # fewer than rows, and more
def test_logistic_is_scikit_learns(dims: int) -> None:
    _, support, query = episode(4, 10, 20)
    features, queries = clusters(support, dims, 2.0, 1), clusters(query, dims, 2.0, 2)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model = LogisticRegression(tol=1e-10, max_iter=20_000).fit(features.astype(np.float64), support)
    answers = logistic(features.astype(np.float64), support, queries.astype(np.float64))
    assert answers.converged
    assert answers.ways.tolist() == model.predict(queries.astype(np.float64)).tolist()


def test_a_solver_that_stops_short_is_told_and_warns_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    def stopped(**arguments: Any) -> LogisticRegression:
        return LogisticRegression(**(arguments | {"max_iter": 1}))

    monkeypatch.setattr("crosspoint3d.evaluation.episode_classifiers.LogisticRegression", stopped)
    drawn, support, query = episode()
    assert not episode_score(clusters(support, 6, 1.0, 1), clusters(query, 6, 1.0, 2), drawn, "logistic").converged
