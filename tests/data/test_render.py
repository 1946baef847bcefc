"""The renderer as its callers see it: modes, poses, frames, refusals."""

import math
from typing import Any

import numpy as np
import pytest

from crosspoint3d.data.mesh import Mesh
from crosspoint3d.data.render import render_views
from crosspoint3d.data.shading import TO_LINEAR
from crosspoint3d.geometry import CAMERA_DISTANCE
from tests.data.solids import UNIT, WHITE, cube, quad, random_soup, sphere


@pytest.mark.parametrize("supersample", [1, 2, 3])
def test_silhouette_is_where_depth_is_finite(supersample: int) -> None:
    mesh = random_soup(9)
    options = {"image_size": 40, "supersample": supersample, "seed": 3}
    depth = render_views(mesh, 3, mode="depth", **options)
    covered = render_views(mesh, 3, mode="silhouette", **options)
    color = render_views(mesh, 3, **options)
    assert covered.dtype == bool
    np.testing.assert_array_equal(covered, np.isfinite(depth))
    assert (color[~covered] == WHITE).all()
    assert (color[covered].min(axis=1) < WHITE).mean() > 0.99


def test_more_samples_only_refine_the_picture() -> None:
    def linear(size: int, supersample: int) -> np.ndarray:
        return TO_LINEAR[render_views(sphere(), 2, image_size=size, supersample=supersample)]

    fine = linear(48 * 6, 1).reshape(2, 48, 6, 48, 6, 3).mean(axis=(2, 4))
    errors = [float(np.abs(linear(48, supersample) - fine).mean()) for supersample in (1, 2, 3)]
    assert errors[0] > errors[1] > errors[2]
    assert errors[2] < 0.01


def test_poses_show_the_sides_they_name() -> None:
    """Three balls on the axes: right (+x) is red, up (+y) green, towards the viewer (+z) blue."""
    ball = sphere(0.15, 8, 12)
    offsets = np.array([[0.7, 0, 0], [0, 0.7, 0], [0, 0, 0.7]], np.float32)
    vertices = np.concatenate([ball.vertices + offset for offset in offsets])
    faces = np.concatenate([ball.faces + i * len(ball.vertices) for i in range(3)]).astype(np.int32)
    colors = np.repeat(np.eye(3, dtype=np.uint8) * 255, len(ball.vertices), axis=0)
    mesh = Mesh(vertices, faces, vertex_colors=colors)

    def place(azimuth: float, elevation: float, channel: int) -> tuple[int, int]:
        pose = np.array([[math.radians(azimuth), math.radians(elevation), CAMERA_DISTANCE]])
        picture = render_views(mesh, poses=pose, image_size=60, frame=UNIT)[0].astype(int)
        rows, columns = np.nonzero(picture[..., channel] - np.delete(picture, channel, 2).max(axis=2) > 60)
        return round(float(columns.mean()) / 59 * 2 - 1), round(1 - float(rows.mean()) / 59 * 2)

    assert [place(0, 0, channel) for channel in range(3)] == [(1, 0), (0, 1), (0, 0)]
    assert place(90, 0, 2) == (-1, 0)
    assert place(180, 0, 0) == (-1, 0)
    assert place(0, 90, 2) == (0, -1)


def test_same_input_same_bytes_and_the_frame_moves_the_shape() -> None:
    mesh = random_soup(2)
    np.testing.assert_array_equal(render_views(mesh, 4, seed=1), render_views(mesh, 4, seed=1))
    assert not np.array_equal(render_views(mesh, 4, seed=1), render_views(mesh, 4, seed=2))
    moved = Mesh(mesh.vertices * 4 + np.float32([8, -16, 32]), mesh.faces)
    frame = (np.array([8.0, -16.0, 32.0]), 4.0)
    np.testing.assert_array_equal(render_views(moved, 3, frame=frame), render_views(mesh, 3, frame=UNIT))


def test_without_a_frame_the_shape_fills_the_picture_and_stays_inside() -> None:
    mesh = sphere(37.0)
    stray = Mesh(np.concatenate([mesh.vertices, np.float32([[1e4, 0, 0]])]), mesh.faces)
    for covered in render_views(stray, 4, image_size=64, mode="silhouette"):
        rows = np.flatnonzero(covered.any(axis=1))
        assert 0 < rows[0] <= 4
        assert 59 <= rows[-1] < 63


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"views": 0}, "views=0"),
        ({"image_size": 0}, "image_size=0"),
        ({"supersample": 7}, "supersample=7"),
        ({"frame": (np.zeros(3), 0.0)}, "frame scale=0"),
    ],
)
def test_arguments_are_checked(change: dict[str, Any], reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        render_views(cube(), **change)


@pytest.mark.parametrize(
    ("vertices", "faces", "reason"),
    [
        (np.zeros((0, 3)), np.zeros((0, 3)), "none"),
        (np.full((3, 3), np.nan), [[0, 1, 2]], "not finite"),
        (np.zeros((3, 3)), [[0, 1, 3]], "outside the 3 vertices"),
        (np.zeros((3, 3)), [[0, 1, -1]], "outside the 3 vertices"),
    ],
)
def test_broken_meshes_are_refused(vertices: Any, faces: Any, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        render_views(Mesh(np.array(vertices, np.float32), np.array(faces, np.int32)))


@pytest.mark.shared
def test_real_meshes_are_visible_and_never_burnt_out(shared_data: Any) -> None:
    from crosspoint3d.data.meshes import read_mesh

    for path in sorted((shared_data / "princeton_meshes").glob("*/*.ply"))[::250]:
        color = render_views(read_mesh(path), 4, image_size=64)
        covered = render_views(read_mesh(path), 4, image_size=64, mode="silhouette")
        assert covered.any(axis=(1, 2)).all()
        assert (color[covered].min(axis=1) == WHITE).mean() < 0.02
        assert 90 < color[covered].mean() < 235


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("vertex_colors", np.zeros((3, 3), np.uint8), "vertex_colors has 3 rows: expected 4"),
        ("uv", np.zeros((1, 3, 2), np.float32), "uv has 1 rows: expected 2"),
        ("texture_index", np.zeros(2, np.int16), "more than the 0 textures"),
    ],
)
def test_attributes_that_do_not_fit_are_refused(name: str, value: np.ndarray, reason: str) -> None:
    mesh = quad()
    object.__setattr__(mesh, name, value)  # past the type checks, which only tests switch on
    with pytest.raises(ValueError, match=reason):
        render_views(mesh)
