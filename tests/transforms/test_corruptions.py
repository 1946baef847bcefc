from collections.abc import Callable
from functools import partial

import numpy as np
import pytest

from crosspoint3d.transforms import corruptions as c

Damage = Callable[[np.ndarray, np.random.Generator], np.ndarray]

DAMAGES: dict[str, Damage] = {
    "rotate_z": c.rotate_z,
    "rotate_z_30": partial(c.rotate_z, degrees=30.0),
    "so3": c.so3,
    "so3_30": partial(c.so3, degrees=30.0),
    "jitter": partial(c.jitter, sigma=0.02),
    "drop": partial(c.drop, share=0.5),
    "fewer": partial(c.fewer, count=20),
    "partial": partial(c.partial, share=0.5),
    "scale": partial(c.scale, factor=0.8),
    "stretch": c.stretch,
    "outliers": partial(c.outliers, share=0.1),
}
NORMALISED = {"jitter", "fewer", "partial", "stretch"}
"""Damages after which all points of a cloud are centred and within radius 1."""


def generator(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def clouds(count: int = 6, points: int = 50, seed: int = 3) -> np.ndarray:
    stretched = generator(seed).normal(size=(count, points, 3)) * [1.0, 2.0, 0.5]
    return c.normalise(stretched.astype(np.float32))


def gaps(points: np.ndarray) -> np.ndarray:
    return np.linalg.norm(points[:, :, None].astype(np.float64) - points[:, None], axis=3)


@pytest.mark.parametrize("name", DAMAGES)
def test_the_generator_decides_and_inputs_stay(name: str) -> None:
    same = np.repeat(clouds(1), 6, axis=0)
    before = same.copy()
    damaged = DAMAGES[name](same, generator())
    assert damaged.dtype == np.float32 and damaged.shape[::2] == (6, 3)
    np.testing.assert_array_equal(same, before)
    assert not np.shares_memory(damaged, same)
    np.testing.assert_array_equal(damaged, DAMAGES[name](same, generator()))
    if name != "scale":
        assert not np.array_equal(damaged, DAMAGES[name](same, generator(1)))
        assert all(not np.array_equal(damaged[0], other) for other in damaged[1:]), "each shape draws its own"


@pytest.mark.parametrize("name", sorted(NORMALISED))
def test_normalised_anew(name: str) -> None:
    damaged = DAMAGES[name](clouds(), generator()).astype(np.float64)
    np.testing.assert_allclose(damaged.mean(axis=1), 0, atol=1e-6)
    np.testing.assert_allclose(np.linalg.norm(damaged, axis=2).max(axis=1), 1, atol=1e-6)


def test_normalise_leaves_one_place_at_zero() -> None:
    np.testing.assert_array_equal(c.normalise(np.full((2, 4, 3), 7, np.float32)), np.zeros((2, 4, 3)))


@pytest.mark.parametrize("name", ["rotate_z", "rotate_z_30", "so3", "so3_30"])
def test_rotations_keep_distances_and_handedness(name: str) -> None:
    points = clouds()
    turned = DAMAGES[name](points, generator())
    np.testing.assert_allclose(gaps(turned), gaps(points), atol=1e-5)
    for before, after in zip(points, turned, strict=True):
        matrix = np.linalg.lstsq(before.astype(np.float64), after.astype(np.float64), rcond=None)[0]
        assert np.linalg.det(matrix) == pytest.approx(1, abs=1e-4)


def test_rotate_z_keeps_the_height_and_its_bound() -> None:
    points = np.tile(np.array([1.0, 0.5, 0.0], np.float32), (2000, 1, 1))
    for degrees in (30.0, 180.0):
        turned = c.rotate_z(points, generator(), degrees=degrees)[:, 0]
        np.testing.assert_array_equal(turned[:, 1], points[:, 0, 1])
        angle = np.degrees(np.arctan2(turned[:, 2], turned[:, 0]))
        assert np.abs(angle).max() <= degrees + 1e-3
        quarters = np.histogram(angle, bins=4, range=(-degrees, degrees))[0]
        assert quarters.min() > 0.2 * len(points), "uniform"


def test_rotations_of_space_are_uniform() -> None:
    matrices = c.rotations(20_000, generator())
    np.testing.assert_allclose(matrices @ matrices.transpose(0, 2, 1), np.tile(np.eye(3), (20_000, 1, 1)), atol=1e-12)
    trace = np.trace(matrices, axis1=1, axis2=2)
    # Of a uniform rotation, every entry has mean 0 and mean square 1/3; the trace, a character, has mean square 1.
    np.testing.assert_allclose(matrices.mean(axis=0), 0, atol=0.02)
    np.testing.assert_allclose((matrices**2).mean(axis=0), 1 / 3, atol=0.02)
    assert (trace**2).mean() == pytest.approx(1, abs=0.05)


@pytest.mark.parametrize("degrees", [15.0, 60.0, 90.0])
def test_bounded_rotations_are_the_uniform_ones_within_the_bound(degrees: float) -> None:
    def angles(matrices: np.ndarray) -> np.ndarray:
        return np.degrees(np.arccos(np.clip((np.trace(matrices, axis1=1, axis2=2) - 1) / 2, -1, 1)))

    bounded = angles(c.rotations(4000, generator(), degrees=degrees))
    assert bounded.max() <= degrees + 1e-4
    everywhere = angles(c.rotations(400_000, generator(1)))
    within = everywhere[everywhere <= degrees]
    for share in (0.25, 0.5, 0.75):
        assert np.quantile(bounded, share) == pytest.approx(np.quantile(within, share), abs=0.05 * degrees)


def test_jitter_is_unclipped_normal_noise() -> None:
    sigma, points = 0.05, clouds(40, 500)
    damaged = c.jitter(points, generator(), sigma=sigma).astype(np.float64)
    # The damaged cloud is (points + noise - mean) / radius: the best factor and shift give the noise back.
    noise = []
    for before, after in zip(points.astype(np.float64), damaged, strict=True):
        radius = (before * before).sum() / (before * after).sum()
        noise.append(after * radius - before)
    found = np.stack(noise)
    assert found.std() == pytest.approx(sigma, rel=0.03)
    assert 3.5 * sigma < np.abs(found).max()


@pytest.mark.parametrize("share", [0.25, 0.5, 0.75, 0.9])
def test_drop_replaces_exactly_its_share_by_the_first_kept(share: float) -> None:
    points, dropped = clouds(points=40), round(share * 40)
    damaged = c.drop(points, generator(), share=share)
    left = c.fewer(points, generator(), count=40 - dropped)
    assert damaged.shape == points.shape
    for after, kept in zip(damaged, left, strict=True):
        copies = (after == kept[0]).all(axis=1)
        assert copies.sum() == dropped + 1
        np.testing.assert_array_equal(after[~copies], kept[1:])


def test_drop_keeps_one_point() -> None:
    assert not c.drop(clouds(points=4), generator(), share=0.95).any()


def test_fewer_is_a_subset_in_order() -> None:
    points = clouds(count=3)
    damaged = c.fewer(points, generator(), count=20)
    assert damaged.shape == (3, 20, 3)
    for before, after in zip(points, damaged, strict=True):
        rows = _rows(before, after)
        assert (np.diff(rows) > 0).all()
    np.testing.assert_allclose(c.fewer(points, generator(), count=50), points, atol=1e-6)


def _rows(before: np.ndarray, after: np.ndarray) -> np.ndarray:
    """Which rows of a cloud a normalised subset of it holds, found by the shape of its triangles."""
    wide = before.astype(np.float64)
    for first in range(len(wide)):
        for second in range(first + 1, len(wide)):
            factor = np.linalg.norm(wide[second] - wide[first]) / np.linalg.norm(after[1] - after[0])
            placed = factor * (after.astype(np.float64) - after[0]) + wide[first]
            near = np.linalg.norm(placed[:, None] - wide, axis=2)
            if near.min(axis=1).max() < 1e-4:
                return near.argmin(axis=1)
    raise AssertionError("no subset")


@pytest.mark.parametrize("count", [0, 51])
def test_fewer_refuses_what_a_cloud_does_not_have(count: int) -> None:
    with pytest.raises(ValueError, match=f"count={count}: pick between 1 and the 50"):
        c.fewer(clouds(), generator(), count=count)


@pytest.mark.parametrize("share", [0.25, 0.5, 0.75])
def test_partial_keeps_the_points_at_the_camera(share: float) -> None:
    points = clouds(count=5, points=24)
    damaged = c.partial(points, generator(7), share=share)
    towards = c.directions(5, generator(7))
    assert damaged.shape[1] == round(share * 24) == c.seen(24, share)
    for before, after, direction in zip(points, damaged, towards, strict=True):
        rows = _rows(before, after)
        depth = before @ direction
        hidden = np.setdiff1d(np.arange(24), rows)
        assert depth[rows].min() >= depth[hidden].max()
        assert (np.diff(rows) > 0).all()


def test_directions_are_uniform_on_the_sphere() -> None:
    vectors = c.directions(20_000, generator())
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1)
    for axis in vectors.T:  # Archimedes: each coordinate is uniform
        assert np.histogram(axis, bins=5, range=(-1, 1))[0].min() > 0.19 * len(vectors)


def test_scale_is_one_factor_for_all() -> None:
    points = clouds()
    for factor in (0.5, 0.8, 1.25, 2.0):
        np.testing.assert_allclose(c.scale(points, generator(), factor=factor), factor * points, rtol=1e-6)


def test_stretch_takes_a_factor_an_axis() -> None:
    points = clouds(200)
    extents = np.ptp(c.stretch(points, generator()), axis=1) / np.ptp(points, axis=1)
    factors = extents / extents[:, :1]
    assert factors.max() <= (3 / 2) ** 2 + 1e-4 and factors.min() >= (2 / 3) ** 2 - 1e-4
    assert (factors[:, 1:].std(axis=0) > 0.1).all()


@pytest.mark.parametrize("share", [0.01, 0.05, 0.1, 0.2])
def test_outliers_replace_exactly_their_share(share: float) -> None:
    points = clouds(count=30, points=60)
    damaged = c.outliers(points, generator(), share=share)
    new = (damaged != points).any(axis=2)
    assert (new.sum(axis=1) == max(1, round(share * 60))).all()
    assert np.linalg.norm(damaged[new], axis=1).max() <= 1 + 1e-6


def test_outliers_fill_the_ball_evenly() -> None:
    damaged = c.outliers(np.zeros((4, 10_000, 3), np.float32), generator(), share=1.0)
    inner = (np.linalg.norm(damaged, axis=2) < 0.5).mean()
    assert inner == pytest.approx(1 / 8, abs=0.01), "half the radius is an eighth of the ball"
