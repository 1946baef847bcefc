"""Where features lie relative to each other: two coordinates a shape for a map, and how often neighbours agree.

Axis letters: N shapes, D feature width.
"""

from collections import Counter
from collections.abc import Sequence

import numpy as np
from jaxtyping import Float32, Float64
from sklearn.decomposition import PCA
from sklearn.manifold import TSNE
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

FEWEST_FOR_TSNE = 10
FEWEST = 3


def embedding_map(features: Float32[np.ndarray, "N D"], seed: int) -> tuple[Float64[np.ndarray, "N 2"], str]:
    """A map of features, by direction alone (each is divided by its length), scaled into [-1, 1].

    t-SNE (van der Maaten and Hinton 2008), started from the two principal components; those alone for fewer than ten
    shapes. One thread, so that the same features and seed give the same map.

    Returns:
        Coordinates, and the method in words.

    Raises:
        ValueError: there are fewer than three shapes, or all their features are the same.
    """
    if len(features) < FEWEST:
        raise ValueError(f"{len(features)} shapes: a map needs {FEWEST} or more")
    unit = _unit(features)
    centred = unit - unit.mean(axis=0)
    if not np.abs(centred).max() > 1e-7:
        raise ValueError("the encoder gives the same features for every shape (collapsed): there is no map to draw")
    with threadpool_limits(1):
        components = min(50, *centred.shape)
        reduced = PCA(components, svd_solver="full").fit_transform(centred)
        if reduced.shape[1] < 2:
            reduced = np.pad(reduced, ((0, 0), (0, 1)))
        if len(features) < FEWEST_FOR_TSNE:
            return _scaled(reduced[:, :2]), "its two principal components"
        perplexity = min(30.0, (len(features) - 1) / 3)
        start = reduced[:, :2] / max(float(reduced[:, 0].std()), 1e-12) * 1e-4
        model = TSNE(perplexity=perplexity, init=start, learning_rate="auto", random_state=seed % 2**32, n_jobs=1)
        return _scaled(model.fit_transform(reduced)), f"t-SNE (perplexity {perplexity:.0f})"


def neighbour_agreement(
    features: Float32[np.ndarray, "N D"], categories: Sequence[str | None]
) -> tuple[float, float, int] | None:
    """How often a shape's nearest other shape (cosine) is of its category.

    Returns:
        The share, the share that shuffled categories would give, and the number of shapes with a category; None when
        fewer than two categories have shapes.
    """
    rows = [row for row, category in enumerate(categories) if category]
    names = np.array([categories[row] for row in rows], dtype=str)
    counts = Counter(names.tolist())
    if len(counts) < 2:
        return None
    unit = _unit(features[rows])
    similarities = unit @ unit.T
    np.fill_diagonal(similarities, -np.inf)
    share = float((names[similarities.argmax(axis=1)] == names).mean())
    chance = sum(count * (count - 1) for count in counts.values()) / (len(names) * (len(names) - 1))
    return share, chance, len(names)


def _unit(features: np.ndarray) -> np.ndarray:
    wide = features.astype(np.float64)
    lengths = np.linalg.norm(wide, axis=1, keepdims=True)
    unit: np.ndarray = wide / np.where(lengths > 0, lengths, 1.0)
    return unit


def _scaled(coordinates: np.ndarray) -> Float64[np.ndarray, "N 2"]:
    centred = coordinates.astype(np.float64)
    centred -= (centred.max(axis=0) + centred.min(axis=0)) / 2
    scaled: np.ndarray = centred / (np.abs(centred).max() or 1.0)
    return scaled
