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
        if float(exponent) > 2:  # these classes overlap: libsvm's tolerance decides there
            continue
        model = SVC(kernel="linear", C=10 ** float(exponent))
        assert accuracy == pytest.approx(cross_val_score(model, features, labels, cv=splits).mean())
    best = max(choice["cross_validation"].values())
    assert choice["cross_validation"][f"{choice['exponent']:g}"] == best


@pytest.mark.parametrize("factor", [1e-4, 1.0])
def test_the_choice_is_inside_the_grid(factor: float) -> None:
    features, labels = blobs()
    choice = choose_c(factor * (features @ features.T), labels, seed=0)
    tried = [float(e) for e in choice["cross_validation"]]
    assert min(tried) < choice["exponent"] < max(tried)
    assert choice["extended"] == (factor == 1e-4)
    assert not choice["limit_reached"]


@pytest.mark.parametrize(("sign", "limit"), [(1, module.LIMITS[1]), (-1, module.LIMITS[0])])
def test_a_best_value_on_the_edge_extends_the_grid_up_to_the_limit(
    monkeypatch: pytest.MonkeyPatch, sign: int, limit: float
) -> None:
    def rising(gram: object, labels: object, fold: object, exponents: list[float]) -> dict[float, float]:
        return {e: 0.5 + 0.01 * sign * min(e, 7.5) for e in exponents}

    monkeypatch.setattr(module, "_cross_validate", rising)
    choice = choose_c(np.eye(4), np.array([0, 0, 1, 1]), seed=0)
    assert choice["limit_reached"] == choice["extended"] == True  # noqa: E712
    assert abs(choice["exponent"] - limit) <= 0.5


def test_a_plateau_does_not_pull_the_choice_to_the_edge(monkeypatch: pytest.MonkeyPatch) -> None:
    def flat(gram: object, labels: object, fold: object, exponents: list[float]) -> dict[float, float]:
        return dict.fromkeys(exponents, 0.5)

    monkeypatch.setattr(module, "_cross_validate", flat)
    choice = choose_c(np.eye(4), np.array([0, 0, 1, 1]), seed=0)
    assert choice["exponent"] == module.CENTRE
    assert not choice["extended"]


def test_overlapping_classes_and_a_huge_c_come_to_an_end() -> None:
    features, labels = blobs(spread=4.0)
    fold = stratified_folds(labels, 2, np.random.default_rng(0))
    found = module._cross_validate(1e6 * (features @ features.T), labels, fold, [8.0])
    assert 0 < found[8.0] < 1


def test_fewer_folds_for_small_categories() -> None:
    features, labels = blobs(60)
    few = np.concatenate([np.flatnonzero(labels == 0)[:3], np.flatnonzero(labels > 0)])
    gram = features[few] @ features[few].T
    assert choose_c(gram, labels[few], seed=0)["folds"] == 3
    one = few[2:]
    assert choose_c(features[one] @ features[one].T, labels[one], seed=0)["folds"] == module.FOLDS
    with pytest.raises(UsageError, match="one shape only"):
        choose_c(np.eye(3), np.arange(3), seed=0)
