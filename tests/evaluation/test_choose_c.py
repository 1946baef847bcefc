import numpy as np
import pytest
from sklearn.model_selection import cross_val_score
from sklearn.svm import SVC

from crosspoint3d.config import UsageError
from crosspoint3d.evaluation import choose_c as module
from crosspoint3d.evaluation.choose_c import choose_c, stratified_folds


def blobs(shapes: int = 90, width: int = 8, spread: float = 1.5, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(seed)
    labels = np.arange(shapes) % 3
    features = generator.normal(size=(3, width))[labels] + spread * generator.normal(size=(shapes, width))
    features -= features.mean(axis=0)
    return features / np.sqrt((features**2).sum(axis=1).mean()), labels


def test_folds_are_even_and_singles_always_train() -> None:
    labels = np.repeat(np.arange(4), [1, 2, 7, 10])
    fold = stratified_folds(labels, 2, np.random.default_rng(0))
    assert fold[0] == -1
    assert sorted(fold[1:3].tolist()) == [0, 1]
    for category in (2, 3):
        sizes = np.bincount(fold[labels == category], minlength=2)
        assert sizes.max() - sizes.min() <= 1
    again = stratified_folds(labels, 2, np.random.default_rng(0))
    assert np.array_equal(fold, again)
    assert not np.array_equal(fold, stratified_folds(labels, 2, np.random.default_rng(1)))


def test_accuracies_equal_a_plain_cross_validation_of_the_linear_kernel() -> None:
    features, labels = blobs()
    choice = choose_c(features @ features.T, labels, seed=3)
    fold = stratified_folds(labels, 5, np.random.default_rng(3))
    splits = [(np.flatnonzero(fold != f), np.flatnonzero(fold == f)) for f in range(5)]
    for exponent, accuracy in choice["cross_validation"].items():
        model = SVC(kernel="linear", C=10 ** float(exponent))
        assert accuracy == pytest.approx(cross_val_score(model, features, labels, cv=splits).mean())
    best = max(choice["cross_validation"].values())
    assert choice["cross_validation"][f"{choice['exponent']:g}"] == best


@pytest.mark.parametrize("factor", [1e-12, 1e-6, 1.0, 1e6])
def test_the_choice_is_inside_the_grid_or_the_limit_is_named(factor: float) -> None:
    features, labels = blobs()
    choice = choose_c(factor * (features @ features.T), labels, seed=0)
    tried = [float(e) for e in choice["cross_validation"]]
    assert choice["limit_reached"] or min(tried) < choice["exponent"] < max(tried)
    assert choice["limit_reached"] == (factor == 1e-12)
    assert choice["extended"] == (factor != 1.0)


def test_fewer_folds_for_small_categories() -> None:
    features, labels = blobs(60)
    few = np.concatenate([np.flatnonzero(labels == 0)[:3], np.flatnonzero(labels > 0)])
    gram = features[few] @ features[few].T
    assert choose_c(gram, labels[few], seed=0)["folds"] == 3
    one = few[2:]
    assert choose_c(features[one] @ features[one].T, labels[one], seed=0)["folds"] == module.FOLDS
    with pytest.raises(UsageError, match="one shape only"):
        choose_c(np.eye(3), np.arange(3), seed=0)
