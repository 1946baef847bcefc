"""Near-duplicates: found however they are turned, mirrored, scaled and sampled; other shapes are not."""

import numpy as np
import pytest

from crosspoint3d import geometry
from crosspoint3d.data.near_duplicates import near_duplicates
from crosspoint3d.data.shapes import procedural_shape

POINTS = 1024


def cloud(index: int, seed: int) -> np.ndarray:
    mesh, _ = procedural_shape(index)
    points, _, _ = geometry.sample_surface(mesh.vertices, mesh.faces, POINTS, np.random.default_rng(seed))
    return points.astype(np.float64)


def turned(points: np.ndarray, seed: int) -> np.ndarray:
    generator = np.random.default_rng(seed)
    turn = np.linalg.qr(generator.normal(size=(3, 3)))[0]  # a rotation or a reflection
    return generator.uniform(0.2, 5) * points @ turn + generator.normal(size=3)


@pytest.mark.parametrize("seed", [0, 1])
def test_a_copy_is_found_and_others_are_not(seed: int) -> None:
    shapes = np.stack([cloud(index, 100 + seed) for index in range(5)])
    query = turned(cloud(3, 200 + seed), seed)[None]
    found = near_duplicates(shapes, query, ratio=1.2, seed=seed)
    assert [(match.shape, match.query) for match in found] == [(3, 0)]
    assert 0.8 < found[0].ratio < 1.2


def test_a_larger_ratio_finds_more_nearest_first() -> None:
    shapes = np.stack([cloud(index, 1) for index in range(4)])
    few, many = (near_duplicates(shapes, cloud(2, 2)[None], ratio=ratio) for ratio in (1.2, 20.0))
    assert [match.shape for match in few] == [2] and sorted(match.shape for match in many) == [0, 1, 2, 3]
    assert [match.ratio for match in many] == sorted(match.ratio for match in many)


def test_too_few_points_are_refused() -> None:
    with pytest.raises(ValueError, match="1,024 at least"):
        near_duplicates(np.zeros((1, 512, 3)), np.zeros((1, 512, 3)), ratio=1.5)
