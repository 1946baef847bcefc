"""Laws of the maths: normalisation, sampling by area, cameras, rotations, farthest points."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from crosspoint3d import geometry

seeds = st.integers(0, 2**32 - 1)
clouds = arrays(np.float64, st.tuples(st.integers(2, 40), st.just(3)), elements=st.floats(-1e3, 1e3))


def soup(seed: int, faces: int = 7) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(seed)
    return generator.normal(size=(9, 3)).astype(np.float32), generator.integers(0, 9, (faces, 3))


@given(clouds)
def test_normalise_centres_scales_and_can_be_undone(points: np.ndarray) -> None:
    if np.ptp(points, axis=0).max() < 1e-3:
        return
    unit, centre, scale = geometry.normalise(points)
    assert np.abs(unit.mean(axis=0)).max() < 1e-5
    assert np.linalg.norm(unit, axis=1).max() == pytest.approx(1.0, abs=1e-6)
    np.testing.assert_allclose(unit * scale + centre, points, atol=1e-3)
    again, _, _ = geometry.normalise(unit)
    np.testing.assert_allclose(again, unit, atol=1e-5)


@pytest.mark.parametrize(
    ("points", "reason"),
    [
        (np.zeros((0, 3)), "empty"),
        (np.full((5, 3), 0.1), "coincide"),
        (np.zeros((1, 3)), "coincide"),
        (np.array([[0.0, 0.0, np.nan], [1.0, 0.0, 0.0]]), "finite"),
    ],
)
def test_normalise_refuses_what_has_no_extent(points: np.ndarray, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        geometry.normalise(points)


def test_areas_and_normals_of_a_known_triangle() -> None:
    vertices = np.array([[0, 0, 0], [2, 0, 0], [0, 3, 0]], np.float32)
    faces = np.array([[0, 1, 2], [0, 2, 1], [0, 0, 1]])
    np.testing.assert_allclose(geometry.face_areas(vertices, faces), [3, 3, 0])
    np.testing.assert_allclose(geometry.face_normals(vertices, faces), [[0, 0, 1], [0, 0, -1], [0, 0, 0]])


@given(seeds)
def test_sampled_points_lie_where_their_weights_say(seed: int) -> None:
    vertices, faces = soup(seed)
    if geometry.face_areas(vertices, faces).sum() == 0:
        return
    points, index, weights = geometry.sample_surface(vertices, faces, 50, np.random.default_rng(seed))
    assert weights.min() >= 0
    np.testing.assert_allclose(weights.sum(axis=1), 1, atol=1e-6)
    np.testing.assert_allclose(points, (weights[..., None] * vertices[faces[index]]).sum(axis=1), atol=1e-5)
    assert (geometry.face_areas(vertices, faces)[index] > 0).all()


def test_sampling_is_uniform_over_area_and_within_a_face() -> None:
    vertices = np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0], [3, 3, 0]], np.float32)
    faces = np.array([[0, 1, 2], [1, 1, 2], [1, 3, 2]])
    areas = geometry.face_areas(vertices, faces)
    count = 20_000
    _, index, weights = geometry.sample_surface(vertices, faces, count, np.random.default_rng(3))
    assert (index == 1).sum() == 0
    expected = count * areas[[0, 2]] / areas.sum()
    observed = np.array([(index == 0).sum(), (index == 2).sum()])
    assert ((observed - expected) ** 2 / expected).sum() < 10.8  # chi-square, one degree of freedom, p = 0.001
    # A quarter of a triangle lies nearer than one half to each corner, the fourth quarter to none.
    quarters = np.array([*(weights > 0.5).sum(axis=0), (weights <= 0.5).all(axis=1).sum()])
    assert ((quarters - count / 4) ** 2 / (count / 4)).sum() < 16.3  # three degrees of freedom, p = 0.001


def test_sampling_depends_on_the_generator_only() -> None:
    vertices, faces = soup(1)
    first, second, other = (
        geometry.sample_surface(vertices, faces, 20, np.random.default_rng(seed))[0] for seed in (5, 5, 6)
    )
    np.testing.assert_array_equal(first, second)
    assert not np.array_equal(first, other)


def test_sampling_refuses_a_surface_without_area() -> None:
    with pytest.raises(ValueError, match="total area of 0"):
        geometry.sample_surface(np.zeros((3, 3)), np.array([[0, 1, 2]]), 5, np.random.default_rng(0))
    with pytest.raises(ValueError, match="0 faces"):
        geometry.sample_surface(np.zeros((3, 3)), np.zeros((0, 3), np.int32), 5, np.random.default_rng(0))


@given(st.integers(1, 30), seeds)
def test_half_the_poses_stand_on_an_even_ring(views: int, seed: int) -> None:
    poses = geometry.ring_poses(views, np.random.default_rng(seed))
    ring = (views + 1) // 2
    assert poses.shape == (views, 3)
    np.testing.assert_allclose(np.degrees(poses[:ring, 1]), 30, atol=1e-4)
    turns = np.sort(poses[:ring, 0].astype(np.float64))
    np.testing.assert_allclose(np.diff(turns), 2 * math.pi / ring, atol=1e-5)
    assert (np.degrees(poses[:, 1]) >= -20.01).all()
    assert (np.degrees(poses[:, 1]) <= 70.01).all()
    np.testing.assert_allclose(poses[:, 2], geometry.CAMERA_DISTANCE, rtol=1e-6)


@pytest.mark.parametrize(
    ("degrees", "point", "camera"),
    [
        ((0, 0), (1, 0, 0), (1, 0, -3)),  # from +z: x is to the right
        ((0, 0), (0, 1, 0), (0, 1, -3)),  # y is up
        ((0, 0), (0, 0, 1), (0, 0, -2)),  # +z is nearer
        ((90, 0), (0, 0, 1), (-1, 0, -3)),  # from +x: z is to the left
        ((0, 90), (0, 0, -1), (0, 1, -3)),  # from above: -z is up
    ],
)
def test_camera_conventions(degrees: tuple, point: tuple, camera: tuple) -> None:
    pose = np.array([*np.radians(degrees), 3.0])
    np.testing.assert_allclose(geometry.camera_matrix(pose) @ [*point, 1.0], [*camera, 1.0], atol=1e-6)


@given(st.floats(-7, 7), st.floats(-1.6, 1.6), st.floats(1.5, 5))
def test_cameras_are_rigid_and_look_at_the_origin(azimuth: float, elevation: float, distance: float) -> None:
    matrix = geometry.camera_matrix(np.array([azimuth, elevation, distance]))
    np.testing.assert_allclose(matrix[:3, :3] @ matrix[:3, :3].T, np.eye(3), atol=1e-6)
    assert np.linalg.det(matrix[:3, :3]) == pytest.approx(1, abs=1e-5)
    np.testing.assert_allclose(matrix @ [0, 0, 0, 1], [0, 0, -distance, 1], rtol=1e-6)


@given(seeds, st.floats(-3, 3), st.floats(-1.5, 1.5), st.floats(0.5, 1))
def test_the_fitting_distance_is_the_least(seed: int, azimuth: float, elevation: float, fill: float) -> None:
    points = np.random.default_rng(seed).normal(size=(20, 3))
    distance = geometry.fitting_distance(points, azimuth, elevation, fill)
    matrix = geometry.camera_matrix(np.array([azimuth, elevation, distance])).astype(np.float64)
    seen = points @ matrix[:3, :3].T + matrix[:3, 3]
    reach = np.abs(seen[:, :2]).max(axis=1) / (-seen[:, 2] * geometry.HALF_ANGLE_TANGENT)
    assert reach.max() == pytest.approx(fill, rel=1e-4)


@given(seeds)
def test_random_rotations_are_rotations(seed: int) -> None:
    matrix = geometry.random_rotation(np.random.default_rng(seed))
    np.testing.assert_allclose(matrix @ matrix.T, np.eye(3), atol=1e-5)
    assert np.linalg.det(matrix) == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize(("axis", "start", "end"), [("x", 1, 2), ("y", 2, 0), ("z", 0, 1)])
def test_rotation_follows_the_right_hand(axis: str, start: int, end: int) -> None:
    basis = np.eye(3)
    turned = geometry.rotation_about(axis, math.pi / 2) @ basis[start]
    np.testing.assert_allclose(turned, basis[end], atol=1e-6)


@pytest.mark.parametrize("up", ["x", "y", "z"])
def test_up_rotation_brings_the_axis_to_y(up: str) -> None:
    matrix = geometry.up_rotation(up)
    np.testing.assert_array_equal(matrix @ np.eye(3)["xyz".index(up)], [0, 1, 0])
    assert np.linalg.det(matrix) == pytest.approx(1)


@settings(max_examples=30)
@given(seeds, st.integers(1, 15))
def test_farthest_points_equal_the_definition(seed: int, count: int) -> None:
    points = np.random.default_rng(seed).normal(size=(15, 3)).astype(np.float32)
    chosen = geometry.farthest_points(points, count, np.random.default_rng(seed))
    assert len(set(chosen.tolist())) == count
    for step in range(1, count):
        gaps = np.linalg.norm(points[:, None].astype(float) - points[chosen[:step]], axis=2).min(axis=1)
        assert gaps[chosen[step]] == pytest.approx(gaps.max())


def test_farthest_points_of_duplicates_stay_distinct_and_counts_are_checked() -> None:
    chosen = geometry.farthest_points(np.zeros((4, 3)), 4, np.random.default_rng(0))
    assert sorted(chosen.tolist()) == [0, 1, 2, 3]
    with pytest.raises(ValueError, match="count=5"):
        geometry.farthest_points(np.zeros((4, 3)), 5, np.random.default_rng(0))
