"""Shapes that are nearly the same surface, whatever they are called and however they are turned, mirrored or scaled.

Two sets that took models from the same places share shapes under other names. Axis letters: N, M shapes, P points.
"""

import itertools
from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from scipy.spatial import cKDTree

PAIRS = 20_000
SAMPLE, COARSE = 512, 128
CANDIDATES, FRAMES, STEPS = 40, 3, 8
# The 48 ways of laying one set of principal axes on another, mirrored ones included.
_TURNS = np.array(
    [
        np.eye(3)[list(order)] * np.array(signs)[:, None]
        for order in itertools.permutations(range(3))
        for signs in itertools.product((1, -1), repeat=3)
    ]
)


class Match(NamedTuple):
    """A pair of near-duplicates.

    Attributes:
        shape: row among the shapes searched.
        query: row among the shapes asked about.
        ratio: distance of the two surfaces by that of two samples of the query's own surface: 1 for equal shapes.
    """

    shape: int
    query: int
    ratio: float


def near_duplicates(
    shapes: Float[np.ndarray, "N P 3"], queries: Float[np.ndarray, "M P 3"], *, ratio: float, seed: int = 0
) -> list[Match]:
    """Which shapes are near-duplicates of which queries.

    Of each query the 40 shapes with the most similar distributions of distances (the D2 of Osada et al. 2002, and
    distances from the centre) are laid on it by their principal axes in all 48 ways; the best three are refined by ICP
    (Besl and McKay 1992). What counts is the mean of both Chamfer distances at 512 points.

    Args:
        shapes: clouds of any place, size and orientation.
        queries: likewise, with as many points, 1,024 at least.
        ratio: largest distance, in multiples of that between two samples of the query itself.
        seed: decides the points compared.

    Returns:
        All matches, query by query, the nearest shape first.

    Raises:
        ValueError: the clouds have fewer than 1,024 points, or shapes and queries not as many.
    """
    if shapes.shape[1] != queries.shape[1] or queries.shape[1] < 2 * SAMPLE:
        raise ValueError(
            f"near_duplicates: clouds of {shapes.shape[1]} and {queries.shape[1]} points; give both as many, "
            f"{2 * SAMPLE:,} at least"
        )
    generator = np.random.default_rng(seed)
    pairs = generator.integers(0, queries.shape[1], (2, PAIRS))
    shapes, queries = _unit(shapes), _unit(queries)
    described = np.array([_descriptor(cloud, pairs) for cloud in shapes])
    found = []
    for number, query in enumerate(queries):
        sample, again = np.split(query[generator.permutation(len(query))[: 2 * SAMPLE]], 2)
        tree = cKDTree(sample)
        limit = ratio * _chamfer(again, tree)
        closest = np.abs(described - _descriptor(query, pairs)).sum(axis=1).argsort()[:CANDIDATES]
        distances = {int(row): _aligned_distance(shapes[row], tree) for row in closest}
        near = sorted((distance, row) for row, distance in distances.items() if distance < limit)
        found += [Match(row, number, ratio * distance / limit) for distance, row in near]
    return found


def _unit(clouds: np.ndarray) -> np.ndarray:
    """Clouds about their means, with a root mean square radius of 1."""
    centred = clouds - clouds.mean(axis=1, keepdims=True)
    unit: np.ndarray = centred / np.sqrt(np.square(centred).sum(axis=2).mean(axis=1))[:, None, None]
    return unit


def _descriptor(cloud: np.ndarray, pairs: np.ndarray) -> np.ndarray:
    between = np.linalg.norm(cloud[pairs[0]] - cloud[pairs[1]], axis=1)
    radii = np.linalg.norm(cloud, axis=1)
    histograms = np.histogram(between, 64, (0, 5))[0] / len(between), np.histogram(radii, 32, (0, 3))[0] / len(radii)
    return np.concatenate(histograms)


def _axes(points: np.ndarray) -> np.ndarray:
    axes: np.ndarray = np.linalg.eigh(points.T @ points)[1]
    return axes


def _chamfer(points: np.ndarray, tree: cKDTree) -> float:
    there, back = tree.query(points)[0].mean(), cKDTree(points).query(tree.data)[0].mean()
    return float(there + back) / 2


def _aligned_distance(cloud: np.ndarray, tree: cKDTree) -> float:
    """Chamfer distance of a cloud's first points to those of the tree, in the best place and turn found."""
    own, target = cloud[:SAMPLE] @ _axes(cloud), _axes(tree.data)
    frames = [turn.T @ target.T for turn in _TURNS]
    coarse = [tree.query(own[:COARSE] @ frame)[0].mean() for frame in frames]
    best = np.inf
    for place in np.argsort(coarse)[:FRAMES]:
        points = own @ frames[place]
        for _ in range(STEPS):
            onto = tree.data[tree.query(points)[1]]
            moved, aim = points - points.mean(axis=0), onto - onto.mean(axis=0)
            left, _, right = np.linalg.svd(moved.T @ aim)
            points = moved @ (left @ right) + onto.mean(axis=0)
        best = min(best, _chamfer(points, tree))
    return best
