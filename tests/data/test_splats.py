"""Point clouds as pictures."""

import math

import numpy as np
import pytest

from crosspoint3d.data.mesh import Mesh
from crosspoint3d.data.render import render_views
from crosspoint3d.geometry import CAMERA_DISTANCE
from tests.data.solids import CORNER, UNIT, sphere


def test_points_become_shaded_balls() -> None:
    heights, turns = 1 - (2 * np.arange(3000) + 1) / 3000, np.arange(3000) * math.pi * (3 - math.sqrt(5))
    points = np.stack([np.cos(turns), heights, np.sin(turns)], axis=1)
    points[:, ::2] *= np.sqrt(1 - heights**2)[:, None]
    points = (0.8 * points).astype(np.float32)
    cloud = Mesh(points, np.zeros((0, 3), np.int32))
    color = render_views(cloud, poses=CORNER, image_size=64, frame=UNIT)[0]
    solid = render_views(sphere(), poses=CORNER, image_size=64, frame=UNIT)[0]
    assert np.corrcoef(color[..., 0].ravel(), solid[..., 0].ravel())[0, 1] > 0.85
    depth = render_views(cloud, poses=CORNER, image_size=64, mode="depth", frame=UNIT)[0]
    assert depth[32, 32] == pytest.approx(CAMERA_DISTANCE - 0.8, abs=0.06)
    red = np.tile(np.array([[255, 0, 0]], np.uint8), (len(points), 1))
    given = Mesh(points, cloud.faces, vertex_colors=red, normals=(points / 0.8).astype(np.float32))
    picture = render_views(given, poses=CORNER, image_size=64, frame=UNIT)[0]
    assert picture[32, 32, 0] > 120
    assert picture[32, 32, 1] == 0


@pytest.mark.parametrize("count", [1, 2, 3, 30_000])
def test_clouds_of_any_size(count: int) -> None:
    points = np.random.default_rng(count).normal(size=(count, 3)).astype(np.float32)
    pictures = render_views(Mesh(points, np.zeros((0, 3), np.int32)), 2, image_size=32)
    assert (pictures.min(axis=(1, 2, 3)) < 245).all()
