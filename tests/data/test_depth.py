"""Depth pictures: levels of a fixed range about the shape's centre, against ray casting and through `prepare`."""

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from crosspoint3d.config import PrepareConfig, UsageError
from crosspoint3d.data.batches import decode
from crosspoint3d.data.depth import depth_levels, depth_of, encode_levels
from crosspoint3d.data.mesh import Mesh
from crosspoint3d.data.prepare import prepare
from crosspoint3d.data.render import render_views, render_with_depth
from crosspoint3d.data.shapes import procedural_shape
from crosspoint3d.data.table import ShapeTable
from crosspoint3d.geometry import ring_poses
from tests.data.shapes_on_disk import write
from tests.data.solids import UNIT, cast, cube, random_soup, rays, sphere

HALF_STEP = 1 / 254


def poses(count: int, seed: int) -> np.ndarray:
    return ring_poses(count, np.random.default_rng(seed))


@given(st.lists(st.floats(-1.0, 1.0), min_size=1, max_size=9), st.floats(1.5, 5.0))
def test_a_level_stands_for_a_depth_to_half_a_step(behind: list[float], distance: float) -> None:
    depth = np.array([behind]) + distance
    levels = depth_levels(depth, distance)
    assert levels.min() >= 1
    np.testing.assert_allclose(depth_of(levels, distance), depth, rtol=0, atol=HALF_STEP + 1e-9)


def test_the_ends_the_middle_and_what_lies_beyond() -> None:
    depth = np.array([[1.0, 2.0, 3.0, 0.5, 9.0, np.inf]])
    assert depth_levels(depth, 2.0).tolist() == [[255, 128, 1, 255, 1, 0]]
    assert depth_of(np.array([[255, 128, 1, 0]], np.uint8), 2.0).tolist() == [[1.0, 2.0, 3.0, np.inf]]


@pytest.mark.parametrize(
    "mesh", [cube(0.5), random_soup(1), random_soup(2), sphere(0.9)], ids=["cube", "one", "two", "sphere"]
)
def test_levels_are_those_of_exact_rays(mesh: Mesh) -> None:
    for pose in poses(3, 5):
        _, depths = render_with_depth(mesh, pose[None], image_size=40, supersample=1, frame=UNIT)
        levels = depth_levels(depths[0], float(pose[2]))
        found = depth_of(levels, float(pose[2]))
        expected = _sphere_depth(pose, 40, 0.9) if len(mesh.faces) > 500 else cast(mesh, pose, 40)
        both = np.isfinite(found) & np.isfinite(expected)
        assert (np.isfinite(found) == np.isfinite(expected)).mean() > 0.97  # thin faces are drawn a sample wide
        off = np.abs(found[both] - expected[both])
        assert np.quantile(off, 0.9) < HALF_STEP + (0.01 if len(mesh.faces) > 500 else 1e-4)
        assert both.sum() > 100


def _sphere_depth(pose: np.ndarray, size: int, radius: float) -> np.ndarray:
    origin, directions = rays(pose, size)
    square = (directions**2).sum(-1)
    towards = -(directions @ origin) / square
    rest = radius**2 - (((origin + towards[..., None] * directions) ** 2).sum(-1))
    return np.where(rest > 0, towards - np.sqrt(np.maximum(rest, 0) / square), np.inf)


def test_a_cloud_has_depths_near_its_points() -> None:
    generator = np.random.default_rng(0)
    points = generator.normal(size=(4000, 3))
    points /= np.linalg.norm(points, axis=1, keepdims=True)
    cloud = Mesh((0.8 * points).astype(np.float32), np.zeros((0, 3), np.int32))
    for pose in poses(2, 1):
        _, depths = render_with_depth(cloud, pose[None], image_size=48, supersample=1, frame=UNIT)
        found = depth_of(depth_levels(depths[0], float(pose[2])), float(pose[2]))
        expected = _sphere_depth(pose, 48, 0.8)
        both = np.isfinite(found) & np.isfinite(expected)
        assert both.sum() > 500
        assert np.median(np.abs(found[both] - expected[both])) < 0.05  # balls reach out of the surface by their radius


@pytest.mark.parametrize("supersample", [1, 2])
def test_one_pass_gives_what_two_would(supersample: int) -> None:
    mesh, _ = procedural_shape(3, 0)
    views = poses(3, 2)
    pictures, depths = render_with_depth(mesh, views, image_size=30, supersample=supersample, frame=UNIT)
    options: dict[str, Any] = {"poses": views, "image_size": 30, "supersample": supersample, "frame": UNIT}
    np.testing.assert_array_equal(pictures, render_views(mesh, **options))
    np.testing.assert_array_equal(depths, render_views(mesh, mode="depth", **options))


def test_a_picture_is_kept_to_the_last_level() -> None:
    levels = np.random.default_rng(0).integers(0, 256, (20, 20), dtype=np.uint8)
    encoded = encode_levels(levels)
    with Image.open(io.BytesIO(encoded)) as image:
        assert image.mode == "L" and image.format == "PNG"
    np.testing.assert_array_equal(decode(encoded), np.repeat(levels[:, :, None], 3, axis=2))


def prepared(out: Path, **options: Any) -> ShapeTable:
    prepare(PrepareConfig("procedural:4", out, points=64, views=2, image_size=32, workers=1, **options))
    return ShapeTable(out)


def test_a_prepared_depth_picture_is_of_the_same_camera_as_the_view(tmp_path: Path) -> None:
    table, plain = prepared(tmp_path / "depth", depth=True), prepared(tmp_path / "plain")
    assert table.has("depth") and not plain.has("depth")
    taken, other = (each.take(range(4), ["points", "views", "view_poses"]) for each in (table, plain))
    assert taken["views"] == other["views"] and np.array_equal(taken["points"], other["points"])
    for row, encoded in enumerate(table.take(range(4), ["depth"])["depth"]):
        assert len(encoded) == 2
        for view, picture in enumerate(encoded):
            levels = decode(picture)[:, :, 0]
            seen = decode(taken["views"][row][view]).min(axis=2) < 200  # the background of a view is white
            assert levels.shape == (32, 32) and (seen & (levels == 0)).mean() < 0.03
            points, pose = taken["points"][row], taken["view_poses"][row][view]
            nearest = depth_of(levels[None, levels > 0], float(pose[2])).min()
            assert nearest == pytest.approx(_nearest_point(points, pose), abs=0.15)


def _nearest_point(points: np.ndarray, pose: np.ndarray) -> float:
    origin, directions = rays(pose, 3)
    axis = directions[1, 1] / np.linalg.norm(directions[1, 1])
    return float(((points - origin) @ axis).min())


def test_a_table_goes_on_as_it_was_begun(tmp_path: Path) -> None:
    for depth in (True, False):
        prepared(tmp_path / str(depth), depth=depth)
        assert len(prepared(tmp_path / str(depth), depth=depth)) == 4
        with pytest.raises(UsageError, match=f"was made with depth {depth}, now {not depth}"):
            prepared(tmp_path / str(depth), depth=not depth)


def test_a_refused_shape_has_no_depth_and_the_others_do(tmp_path: Path) -> None:
    write(tmp_path / "in", "good.off", b"OFF\n4 4 0\n0 0 0\n1 0 0\n0 1 0\n0 0 1\n3 0 1 2\n3 0 1 3\n3 0 2 3\n3 1 2 3\n")
    write(tmp_path / "in", "bad.off", b"OFF\n1 1 0\n0 0 0\n3 0 1 2\n")
    config = PrepareConfig(
        str(tmp_path / "in"), tmp_path / "out", points=32, views=1, image_size=24, depth=True, workers=1
    )
    prepare(config)
    table = ShapeTable(tmp_path / "out")
    statuses = table.column("status")
    assert [status == "ok" for status in statuses] == table.filled("depth") and sum(table.filled("depth")) == 1
