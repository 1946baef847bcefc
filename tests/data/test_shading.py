"""Colours: flat and smooth faces, textures, vertex colours, perspective."""

import numpy as np

from crosspoint3d.data.mesh import Mesh
from crosspoint3d.data.render import render_views
from crosspoint3d.data.shading import TO_LINEAR
from tests.data.solids import CORNER, FRONT, UNIT, WHITE, cube, quad, rays, sphere


def test_every_face_of_a_cube_is_exactly_flat() -> None:
    mesh = cube()
    for seed in range(3):
        for picture in render_views(mesh, 6, image_size=96, supersample=1, seed=seed):
            colors = np.unique(picture.reshape(-1, 3), axis=0)
            assert 2 <= len(colors) <= 4  # white and one to three faces


def test_a_sphere_is_smooth() -> None:
    picture = render_views(sphere(), poses=CORNER, image_size=96, supersample=1, frame=UNIT)[0].astype(int)
    inside = np.linalg.norm(np.stack(np.mgrid[:96, :96]) - 47.5, axis=0) < 30
    steps = np.abs(np.diff(picture[..., 0], axis=1))[inside[:, 1:] & inside[:, :-1]]
    assert steps.max() <= 6
    assert np.ptp(picture[..., 0][inside]) > 60


def test_texture_v_points_up_and_repeats() -> None:
    checker = np.array([[[255, 0, 0], [0, 255, 0]], [[0, 0, 255], [255, 255, 0]]], np.uint8)
    corners = np.array([[0, 0], [1, 0], [1, 1], [0, 1]], np.float32)
    for shift in (0.0, 3.0, -2.0):
        uv = (corners + shift)[[[0, 1, 2], [0, 2, 3]]].astype(np.float32)
        mesh = quad(uv=uv, texture_index=np.zeros(2, np.int16), textures=(np.repeat(np.repeat(checker, 8, 0), 8, 1),))
        picture = render_views(mesh, poses=FRONT, image_size=64, frame=UNIT)[0]
        found = [picture[y, x].argsort()[::-1] for y, x in ((24, 24), (24, 40), (40, 24))]
        assert [order[0] for order in found] == [0, 1, 2]  # red green / blue yellow, as the file shows it
        assert picture[40, 40, 0] > 150
        assert picture[40, 40, 1] > 150
        assert picture[40, 40, 2] < 10


def test_a_fine_texture_fades_to_its_mean() -> None:
    noise = np.random.default_rng(0).choice(np.array([0, 255], np.uint8), (1024, 1024, 1)).repeat(3, axis=2)
    uv = np.array([[[0, 0], [1, 0], [1, 1]], [[0, 0], [1, 1], [0, 1]]], np.float32)
    mesh = quad(uv=uv, texture_index=np.zeros(2, np.int16), textures=(noise,))
    picture = render_views(mesh, poses=FRONT, image_size=64, frame=UNIT)[0]
    assert picture[22:42, 22:42].std() < 5


def test_colors_blend_between_vertices_and_tint_textures() -> None:
    colors = np.array([[255, 0, 0], [0, 0, 255], [0, 0, 255], [255, 0, 0]], np.uint8)
    mesh = quad(vertex_colors=colors)
    picture = render_views(mesh, poses=FRONT, image_size=64, frame=UNIT)[0].astype(int)
    inside = picture[32, 20:44]
    assert (np.diff(inside[:, 0]) < 0).all()
    assert (np.diff(inside[:, 2]) > 0).all()
    corner = quad(corner_colors=colors[mesh.faces])
    np.testing.assert_array_equal(render_views(corner, 3), render_views(mesh, 3))
    white = np.full((4, 4, 3), 255, np.uint8)
    uv, index = np.zeros((2, 3, 2), np.float32), np.zeros(2, np.int16)
    tinted = quad(corner_colors=colors[mesh.faces], uv=uv, texture_index=index, textures=(white,))
    close = np.abs(
        render_views(tinted, poses=FRONT, frame=UNIT).astype(int) - render_views(mesh, poses=FRONT, frame=UNIT)
    )
    assert close.max() <= 2


def test_perspective_correct_interpolation() -> None:
    """On a plank that runs away from the camera, color follows the place in space, not the place in the picture."""
    vertices = np.array([[-0.3, -0.2, 1], [0.3, -0.2, 1], [0.3, 0.2, -1], [-0.3, 0.2, -1]], np.float32)
    black_to_white = np.repeat(np.array([0, 0, 255, 255], np.uint8)[:, None], 3, axis=1)
    mesh = Mesh(vertices, np.array([[0, 1, 2], [0, 2, 3]], np.int32), vertex_colors=black_to_white)
    picture = render_views(mesh, poses=FRONT, image_size=128, supersample=1, frame=UNIT)[0]
    rows = np.flatnonzero(picture[:, 63, 0] < WHITE)
    origin, directions = rays(FRONT[0], 128)
    directions = directions[rows, 63]
    reached = origin - (origin @ [0, 5, 1]) / (directions @ [0, 5, 1])[:, None] * directions  # plank: 5y + z = 0
    share = (1 - reached[:, 2]) / 2
    brightness = TO_LINEAR[picture[rows, 63, 0]]
    assert len(rows) > 15
    np.testing.assert_allclose(brightness / brightness[0], share / share[0], atol=0.015)


def test_winding_does_not_matter() -> None:
    mesh = sphere()
    flipped = mesh.faces.copy()
    flipped[::2] = flipped[::2, ::-1]
    first = render_views(mesh, 4, image_size=64).astype(int)
    second = render_views(Mesh(mesh.vertices, flipped), 4, image_size=64)
    # Up to rounding, and to single samples of the outline where two edges of a sliver are equally long.
    assert (np.abs(first - second) > 1).mean() < 1e-3


def test_soup_and_indexed_mesh_look_the_same() -> None:
    mesh = sphere()
    soup = Mesh(mesh.vertices[mesh.faces].reshape(-1, 3), np.arange(mesh.faces.size, dtype=np.int32).reshape(-1, 3))
    difference = render_views(mesh, 4, image_size=64).astype(int) - render_views(soup, 4, image_size=64)
    assert np.abs(difference).max() <= 1
