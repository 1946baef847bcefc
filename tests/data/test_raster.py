"""What is visible: depth against ray casting, thin and broken faces."""

import numpy as np
import pytest

from crosspoint3d.data.mesh import Mesh
from crosspoint3d.data.render import render_views
from crosspoint3d.geometry import CAMERA_DISTANCE
from tests.data.solids import FRONT, UNIT, cast, quad, random_soup, rays, sphere


@pytest.mark.parametrize("seed", range(4))
def test_depth_equals_ray_casting(seed: int) -> None:
    mesh = random_soup(seed)
    poses = np.array([[seed * 1.3, 0.4 * seed - 0.5, CAMERA_DISTANCE], [0.2, 1.2, 2.5]])
    depths = render_views(mesh, poses=poses, image_size=96, mode="depth", supersample=1, frame=UNIT)
    for depth, pose in zip(depths, poses, strict=True):
        expected = cast(mesh, pose, 96)
        agree = np.isclose(depth, expected, atol=2e-4) | (np.isinf(depth) & np.isinf(expected))
        # What may differ: slivers are drawn one sample wide (nearer or covered, never missing).
        assert agree.mean() > 0.985
        assert (np.isfinite(depth) | np.isinf(expected)).all()
        assert (depth[~agree] < expected[~agree]).all()


def test_depth_of_a_sphere_and_of_a_plane() -> None:
    depth = render_views(sphere(0.8, 96, 192), poses=FRONT, image_size=64, mode="depth", supersample=1, frame=UNIT)[0]
    origin, directions = rays(FRONT[0], 64)
    a, b, c = (directions**2).sum(-1), directions @ origin, origin @ origin - 0.8**2
    with np.errstate(invalid="ignore"):
        expected = (-b - np.sqrt(b * b - a * c)) / a
    inside = b * b - a * c > 0.05
    np.testing.assert_allclose(depth[inside], expected[inside], atol=2e-3)
    flat = render_views(quad(0.25), poses=FRONT, image_size=64, mode="depth", frame=UNIT)[0]
    np.testing.assert_allclose(flat[np.isfinite(flat)], CAMERA_DISTANCE - 0.25, atol=1e-5)
    assert np.isfinite(flat[20:44, 20:44]).all()


def test_the_nearer_triangle_wins_whatever_the_order() -> None:
    near, far = quad(0.3, 0.3), quad(-0.3, 0.8)
    for order in ((near, far), (far, near)):
        vertices = np.concatenate([mesh.vertices for mesh in order])
        faces = np.concatenate([order[0].faces, order[1].faces + 4])
        colors = np.zeros((8, 3), np.uint8)
        colors[:4, 0 if order[0] is near else 2] = 255
        colors[4:, 2 if order[0] is near else 0] = 255
        picture = render_views(Mesh(vertices, faces, vertex_colors=colors), poses=FRONT, image_size=64, frame=UNIT)[0]
        assert picture[32, 32, 0] > 150
        assert picture[32, 32, 2] < 10
        assert picture[32, 14, 2] > 150
        assert picture[32, 14, 0] < 10


@pytest.mark.parametrize("width", [1e-2, 1e-3, 1e-6])
def test_thin_rods_do_not_vanish(width: float) -> None:
    vertices = np.array([[-0.8, -0.5, 0], [0.8, 0.5, 0], [0.8, 0.5 + width, 0], [-0.8, width - 0.5, 0]], np.float32)
    rod = Mesh(vertices, np.array([[0, 1, 2], [0, 2, 3]], np.int32))
    covered = render_views(rod, poses=FRONT, image_size=64, mode="silhouette", frame=UNIT)[0]
    assert covered[:, 9:55].any(axis=0).all()


def test_degenerate_huge_and_hidden_faces_are_safe() -> None:
    vertices = np.array(
        [[0, 0, 0], [0.5, 0, 0], [0, 0.5, 0], [0, 0, 0], [1e30, 1, 0], [0, -1e30, 5], [0.1, 0.1, 3.0], [9, 0, 9]],
        np.float32,
    )
    faces = np.array([[0, 1, 2], [0, 0, 1], [0, 3, 1], [0, 4, 5], [0, 6, 7], [6, 6, 7], [5, 4, 7]], np.int32)
    for mode in ("color", "depth", "silhouette"):
        views = render_views(Mesh(vertices, faces), 6, image_size=48, mode=mode, frame=UNIT)
        assert views.shape[:3] == (6, 48, 48)
    alone = render_views(Mesh(vertices, faces[1:3]), 2, image_size=32, frame=UNIT)
    assert alone.min() > 60


def test_faces_through_the_camera_plane_keep_their_part_in_front() -> None:
    vertices = np.array([[-9, -0.5, 0], [9, -0.5, 0], [0, -0.5, 9]], np.float32)
    mesh = Mesh(vertices, np.array([[0, 1, 2]], np.int32))
    depth = render_views(mesh, poses=FRONT, image_size=64, supersample=1, mode="depth", frame=UNIT)[0]
    expected = cast(mesh, FRONT[0], 64)
    np.testing.assert_allclose(depth, expected, rtol=1e-4)
    assert np.isfinite(expected).sum() > 500


@pytest.mark.parametrize("seed", range(40))
def test_no_coordinates_or_textures_take_the_kernels_down(seed: int) -> None:
    generator = np.random.default_rng(seed)
    vertices = (generator.normal(size=(20, 3)) * 10.0 ** generator.uniform(-6, 6, (20, 1))).astype(np.float32)
    faces = generator.integers(0, 20, (30, 3)).astype(np.int32)
    uv = (generator.normal(size=(30, 3, 2)) * 10.0 ** generator.uniform(-3, 9)).astype(np.float32)
    uv[0] = (np.nan, np.inf)[seed % 2]
    texture = generator.integers(0, 256, (5, 3, 3), dtype=np.uint8)
    index = generator.integers(-1, 1, 30).astype(np.int16)
    frame = None if seed % 2 else (np.zeros(3), 10.0 ** generator.uniform(-3, 3))
    mesh = Mesh(vertices, faces, uv=uv, texture_index=index, textures=(texture,))
    first = render_views(mesh, 2, image_size=20, seed=seed, frame=frame)
    np.testing.assert_array_equal(first, render_views(mesh, 2, image_size=20, seed=seed, frame=frame))
