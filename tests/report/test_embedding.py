import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crosspoint3d.report.embedding import embedding_map, neighbour_agreement


def clusters(count: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(seed)
    labels = np.arange(count) % 3
    return (10 * np.eye(3, 20)[labels] + generator.normal(size=(count, 20))).astype(np.float32), labels


def test_shapes_that_lie_together_stay_together() -> None:
    features, labels = clusters(60)
    coordinates, method = embedding_map(features, 0)
    assert method == "t-SNE (perplexity 20)" and np.abs(coordinates).max() == 1
    distances = np.linalg.norm(coordinates[:, None] - coordinates[None], axis=2)
    np.fill_diagonal(distances, np.inf)
    assert (labels[distances.argmin(axis=1)] == labels).mean() > 0.95


def test_the_map_is_a_function_of_features_and_seed_and_ignores_their_length() -> None:
    features, _ = clusters(40)
    first, second = embedding_map(features, 3)[0], embedding_map(features, 3)[0]
    np.testing.assert_array_equal(first, second)
    np.testing.assert_allclose(embedding_map(features * 4, 3)[0], first)


def test_few_shapes_get_their_principal_components() -> None:
    features, _ = clusters(8)
    coordinates, method = embedding_map(features, 0)
    unit = features / np.linalg.norm(features, axis=1, keepdims=True)
    u, s, _ = np.linalg.svd((unit - unit.mean(axis=0)).astype(np.float64), full_matrices=False)
    own = np.abs(np.linalg.norm(coordinates[:, None] - coordinates[None], axis=2))
    plain = np.linalg.norm((u[:, None, :2] - u[None, :, :2]) * s[:2], axis=2)
    assert "principal components" in method
    np.testing.assert_allclose(own / own.max(), plain / plain.max(), atol=1e-5)


@pytest.mark.parametrize("features", [np.ones((12, 4)), np.zeros((12, 4))])
def test_collapsed_features_are_named(features: np.ndarray) -> None:
    with pytest.raises(ValueError, match="collapsed"):
        embedding_map(features.astype(np.float32), 0)


def test_two_shapes_make_no_map() -> None:
    with pytest.raises(ValueError, match="needs 3"):
        embedding_map(np.eye(2, dtype=np.float32), 0)


@given(st.lists(st.sampled_from([None, "a", "b", "c"]), min_size=3, max_size=12), st.integers(0, 1000))
def test_neighbour_agreement_is_what_counting_says(names: list[str | None], seed: int) -> None:
    features = np.random.default_rng(seed).normal(size=(len(names), 5)).astype(np.float32)
    found = neighbour_agreement(features, names)
    rows = [row for row, name in enumerate(names) if name]
    if len({names[row] for row in rows}) < 2:
        assert found is None
        return
    unit = features.astype(np.float64) / np.linalg.norm(features.astype(np.float64), axis=1, keepdims=True)
    agree = [
        names[row] == names[max((other for other in rows if other != row), key=lambda other: unit[row] @ unit[other])]
        for row in rows
    ]
    pairs = [names[a] == names[b] for a in rows for b in rows if a != b]
    assert found == (pytest.approx(np.mean(agree)), pytest.approx(np.mean(pairs)), len(rows))
