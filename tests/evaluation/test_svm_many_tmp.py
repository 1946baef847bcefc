import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.svm import SVC

from crosspoint3d.config import UsageError
from crosspoint3d.evaluation.svm import Scaled, by_features, by_products, scaled, svm_predictions


def clusters(
    counts: list[int], queries: int = 40, width: int = 10, seed: int = 0, spread: float = 1.0
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Train features in random order, their labels, and test features."""
    generator = np.random.default_rng(seed)
    centres = 2 * generator.normal(size=(len(counts), width)) + 3
    labels = generator.permutation(np.repeat(np.arange(len(counts)), counts))
    draw = generator.integers(0, len(counts), queries)
    rows = [centres[y] + spread * generator.normal(size=(len(y), width)) for y in (labels, draw)]
    return rows[0].astype(np.float32), labels, rows[1].astype(np.float32)


def products(features: Scaled) -> tuple[np.ndarray, np.ndarray]:
    return features.train @ features.train.T, features.test @ features.train.T


def plain(train: np.ndarray, labels: np.ndarray, test: np.ndarray, c: float) -> np.ndarray:
    return SVC(kernel="linear", C=c).fit(train.astype(np.float64), labels).predict(test.astype(np.float64))


@settings(max_examples=500, deadline=None)
@given(
    counts=st.lists(st.integers(1, 25), min_size=2, max_size=8),
    exponent=st.sampled_from([-3, -2, -1, 0, 1]),
    seed=st.integers(0, 10**6),
)
def test_predictions_are_those_of_a_linear_kernel(counts: list[int], exponent: int, seed: int) -> None:
    train, labels, test = clusters(counts, seed=seed)
    features = scaled(train, test)
    gram, cross = products(features)
    (found,) = svm_predictions(gram, labels, by_products(cross), [10.0**exponent * features.unit])
    expected = plain(train, labels, test, 10.0**exponent)
    assert found.converged
    assert (found.labels == expected).mean() >= 0.95  # one or two of 40 may lie between libsvm's tolerances


@settings(max_examples=500, deadline=None)
@given(
    counts=st.lists(st.integers(1, 25), min_size=2, max_size=8),
    exponent=st.integers(-3, 3),
    seed=st.integers(0, 10**6),
)
def test_the_vote_is_that_of_libsvm(counts: list[int], exponent: int, seed: int) -> None:
    train, labels, test = clusters(counts, seed=seed)
    features = scaled(train, test)
    gram, cross = products(features)
    wide = gram.astype(np.float64), cross.astype(np.float64)
    model = SVC(kernel="precomputed", C=10.0**exponent).fit(wide[0], labels)
    (found,) = svm_predictions(gram, labels, by_products(cross), [10.0**exponent])
    assert np.array_equal(found.labels, model.predict(wide[1]))


def test_a_list_of_c_and_some_rows_are_as_many_machines() -> None:
    train, labels, test = clusters([40, 3, 17, 8], spread=2.5)
    rows = np.random.default_rng(1).permutation(len(labels))[:50]
    features = scaled(train, test)
    gram, cross = products(features)
    cs = [1e-3, 1e-2, 1e-1, 1.0]
    found = svm_predictions(gram, labels, by_products(cross), [c * features.unit for c in cs], rows)
    expected = [plain(train[rows], labels[rows], test, c) for c in cs]
    assert [predictions.labels.tolist() for predictions in found] == [labels.tolist() for labels in expected]
    assert len({tuple(labels) for labels in expected}) > 1


def test_labels_need_not_be_counted_without_gaps() -> None:
    train, labels, test = clusters([9, 9, 9])
    features = scaled(train, test)
    gram, cross = products(features)
    (dense,) = svm_predictions(gram, labels, by_products(cross), [1.0])
    (sparse,) = svm_predictions(gram, 3 * labels + 5, by_products(cross), [1.0])
    assert np.array_equal(sparse.labels, 3 * dense.labels + 5)


def test_a_tie_of_votes_goes_to_the_first_category() -> None:
    train, labels, test = clusters([12] * 6, queries=300, spread=5.0)
    features = scaled(train, test)
    gram, cross = products(features)
    wide = gram.astype(np.float64), cross.astype(np.float64)
    model = SVC(kernel="precomputed", C=1.0, decision_function_shape="ovo").fit(wide[0], labels)
    votes = np.zeros((300, 6), dtype=int)
    pairs = zip(*np.triu_indices(6, 1), strict=True)
    for (first, second), decision in zip(pairs, model.decision_function(wide[1]).T, strict=True):
        votes[np.arange(300), np.where(decision > 0, first, second)] += 1
    tied = (votes == votes.max(axis=1, keepdims=True)).sum(axis=1) > 1
    assert tied.sum() > 10
    (found,) = svm_predictions(gram, labels, by_products(cross), [1.0])
    assert np.array_equal(found.labels[tied], votes[tied].argmax(axis=1))


@pytest.mark.parametrize("categories", [2, 5])
def test_features_and_products_of_the_queries_say_the_same(categories: int) -> None:
    train, labels, test = clusters([20] * categories, spread=3.0)
    rows = np.random.default_rng(1).permutation(len(labels))[:30]
    features = scaled(train, test)
    gram, cross = products(features)
    both = by_products(cross), by_features(features.train, features.test)
    found = [svm_predictions(gram, labels, queries, [0.1, 10.0], rows) for queries in both]
    for one, other in zip(*found, strict=True):
        assert np.array_equal(one.labels, other.labels)
    assert not np.array_equal(found[0][0].labels, found[0][1].labels)


@pytest.mark.parametrize("scale", [1e-4, 1.0, 1e4])
def test_features_are_centred_with_mean_squared_length_one(scale: float) -> None:
    train, _, test = clusters([30, 30], seed=2)
    found = scaled(train * np.float32(scale), test * np.float32(scale))
    wide = train.astype(np.float64)
    unit = ((wide - wide.mean(axis=0)) ** 2).sum(axis=1).mean()
    assert np.allclose(found.train, (wide - wide.mean(axis=0)) / unit**0.5, atol=1e-6)
    assert np.allclose(found.test, (test - wide.mean(axis=0)) / unit**0.5, atol=1e-6)
    assert found.unit == pytest.approx(unit * scale**2, rel=1e-5)
    assert not found.constant


def test_a_far_offset_does_not_drown_the_features() -> None:
    train, _, test = clusters([30, 30, 30], seed=3)
    far = [np.round(rows * 64) / 64 + np.float32(1024) for rows in (train, test)]
    near = [rows - np.float32(1024) for rows in far]
    assert np.array_equal(scaled(*far).train, scaled(*near).train)


def test_an_unfinished_machine_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    train, labels, test = clusters([30, 30], spread=6.0)
    features = scaled(train, test)
    gram, cross = products(features)
    monkeypatch.setattr("crosspoint3d.evaluation.svm.MAX_ITER", 5)
    (found,) = svm_predictions(gram, labels, by_products(cross), [100.0])
    assert not found.converged


@pytest.mark.parametrize("spread", [0.3, 2.0, 8.0])
@pytest.mark.parametrize("exponent", [-6, -2, 0, 2, 5, 8])
def test_tiny_and_huge_c_predict_as_a_linear_kernel_does(spread: float, exponent: int) -> None:
    train, labels, test = clusters([60, 5, 30, 1, 20, 2], queries=500, width=150, spread=spread)
    features = scaled(train, test)
    gram = features.train @ features.train.T
    c = 10.0**exponent
    (found,) = svm_predictions(gram, labels, by_features(features.train, features.test), [c])
    assert found.converged
    assert (found.labels == plain(train, labels, test, c / features.unit)).mean() >= 0.996


def test_one_category_is_no_problem_to_solve() -> None:
    train, labels, test = clusters([9, 9])
    features = scaled(train, test)
    gram, cross = products(features)
    with pytest.raises(UsageError, match="one category"):
        svm_predictions(gram, labels, by_products(cross), [1.0], np.flatnonzero(labels == 1))
