"""The outer surface is what rays reach from outside: against casting every ray, and on shapes known by hand."""

import numpy as np
import pytest
import trimesh

from crosspoint3d import geometry
from crosspoint3d.data.mesh import Mesh
from crosspoint3d.data.outer_surface import sample_outer_surface, side_poses
from crosspoint3d.data.shapes import procedural_shape


def mesh_of(*solids: trimesh.Trimesh) -> Mesh:
    whole = trimesh.util.concatenate(solids)
    return Mesh(whole.vertices.astype(np.float32), whole.faces.astype(np.int32))


def escapes(point: np.ndarray, direction: np.ndarray, corners: np.ndarray) -> bool:
    """Moeller and Trumbore (1997), the plain way: no face crosses the ray beyond its start."""
    a, first, second = corners[:, 0], corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
    across = np.cross(direction, second)
    volume = (first * across).sum(axis=1)
    usable = np.abs(volume) > 1e-12
    volume = np.where(usable, volume, 1.0)
    u = ((point - a) * across).sum(axis=1) / volume
    turned = np.cross(point - a, first)
    v = (turned @ direction) / volume
    distance = (turned * second).sum(axis=1) / volume
    return not (usable & (u >= 0) & (v >= 0) & (u + v <= 1) & (distance > 1e-3)).any()


def test_what_is_inside_is_never_drawn() -> None:
    hidden, shell = trimesh.creation.icosphere(radius=0.4), trimesh.creation.icosphere(radius=1.0)
    points, faces = sample_outer_surface(mesh_of(hidden, shell), 500, np.random.default_rng(0))
    assert points.shape == (500, 3)
    assert (faces >= len(hidden.faces)).all()
    assert np.linalg.norm(points, axis=1).min() > 0.9


def test_two_boxes_that_touch_hide_where_they_touch() -> None:
    lower = trimesh.creation.box((2, 1, 2))
    upper = trimesh.creation.box((1, 1, 1)).apply_translation((0, 1, 0))
    points, faces = sample_outer_surface(mesh_of(lower, upper), 4000, np.random.default_rng(1))
    between = (np.abs(points[:, 1] - 0.5) < 1e-6) & (np.abs(points[:, [0, 2]]).max(axis=1) < 0.45)
    assert not between.any()
    assert (faces >= len(lower.faces)).mean() == pytest.approx(
        5 / 20, abs=0.03
    )  # its sides and top of all that is seen


def test_the_inside_of_an_open_box_is_seen() -> None:
    box = trimesh.creation.box((1, 1, 1))
    top = np.abs(box.face_normals[:, 1] - 1) < 1e-6
    open_box = Mesh(box.vertices.astype(np.float32), box.faces[~top].astype(np.int32))
    points, _ = sample_outer_surface(open_box, 2000, np.random.default_rng(2))
    assert (np.abs(points[:, 1] + 0.5) < 1e-6).mean() == pytest.approx(0.2, abs=0.04)


@pytest.mark.parametrize("index", range(6))
def test_as_rays_say(index: int) -> None:
    mesh, _ = procedural_shape(index, 11)
    generator = np.random.default_rng(index)
    corners = mesh.vertices[mesh.faces].astype(np.float64)
    directions = generator.normal(size=(80, 3))
    drawn, faces = sample_outer_surface(mesh, 60, generator)
    whole, _, _ = geometry.sample_surface(mesh.vertices, mesh.faces, 150, generator)
    free = np.array([any(escapes(point, way, corners) for way in directions) for point in whole.astype(np.float64)])
    reached = np.array([any(escapes(point, way, corners) for way in directions) for point in drawn.astype(np.float64)])
    assert reached.mean() > 0.9
    if not free.all():
        assert reached.mean() > free.mean()
    np.testing.assert_allclose(drawn, np.clip(drawn, corners.min((0, 1)), corners.max((0, 1))), atol=1e-6)
    assert faces.min() >= 0
    assert faces.max() < len(mesh.faces)


def test_the_generator_decides() -> None:
    mesh, _ = procedural_shape(3, 0)
    first, second, other = (sample_outer_surface(mesh, 50, np.random.default_rng(seed)) for seed in (4, 4, 5))
    np.testing.assert_array_equal(first[0], second[0])
    assert not np.array_equal(first[0], other[0])
    with pytest.raises(ValueError, match="area"):
        sample_outer_surface(Mesh(mesh.vertices, np.zeros((1, 3), np.int32)), 5, np.random.default_rng(0))


def test_sides_stand_evenly_around() -> None:
    azimuth, elevation, distance = side_poses(48).T
    eyes = np.stack([np.cos(elevation) * np.sin(azimuth), np.sin(elevation), np.cos(elevation) * np.cos(azimuth)])
    assert np.abs(eyes.mean(axis=1)).max() < 0.01
    assert (distance == np.float32(geometry.CAMERA_DISTANCE)).all()
    between = eyes.T @ eyes - 2 * np.eye(48)
    assert np.degrees(np.arccos(between.max(axis=1))).min() > 20
