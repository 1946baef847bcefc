"""Labelled PLYs come back as they were written, through this package's reader and through another one's."""

from pathlib import Path

import numpy as np
import pytest
import trimesh

from crosspoint3d.data.mesh import Mesh
from crosspoint3d.data.meshes import read_mesh
from crosspoint3d.labelling.ply_file import write_labelled_ply


@pytest.fixture
def generator() -> np.random.Generator:
    return np.random.default_rng(4)


def test_a_mesh_comes_back_with_the_colours_of_its_faces(tmp_path: Path, generator: np.random.Generator) -> None:
    ball = trimesh.creation.icosphere(1)
    mesh = Mesh(np.asarray(ball.vertices, np.float32), np.asarray(ball.faces, np.int32))
    colours = generator.integers(0, 256, (len(mesh.faces), 3)).astype(np.uint8)
    parts = generator.integers(0, 300, len(mesh.faces)).astype(np.int16)
    write_labelled_ply(tmp_path / "a.ply", mesh, colours, parts)
    back = read_mesh(tmp_path / "a.ply")
    np.testing.assert_array_equal(back.vertices, mesh.vertices)
    np.testing.assert_array_equal(back.faces, mesh.faces)
    np.testing.assert_array_equal(back.corner_colors, np.repeat(colours[:, None], 3, axis=1))
    other = trimesh.load(tmp_path / "a.ply", process=False)
    np.testing.assert_array_equal(other.visual.face_colors[:, :3], colours)
    np.testing.assert_array_equal(other.metadata["_ply_raw"]["face"]["data"]["part"].ravel(), parts)


def test_a_cloud_comes_back_with_the_colours_of_its_points(tmp_path: Path, generator: np.random.Generator) -> None:
    mesh = Mesh(generator.normal(size=(30, 3)).astype(np.float32), np.zeros((0, 3), np.int32))
    colours = generator.integers(0, 256, (30, 3)).astype(np.uint8)
    write_labelled_ply(tmp_path / "a.ply", mesh, colours, np.arange(30, dtype=np.int16))
    back = read_mesh(tmp_path / "a.ply")
    assert back.is_cloud
    np.testing.assert_array_equal(back.vertices, mesh.vertices)
    np.testing.assert_array_equal(back.vertex_colors, colours)


def test_labels_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    ball = trimesh.creation.icosphere(0)
    mesh = Mesh(np.asarray(ball.vertices, np.float32), np.asarray(ball.faces, np.int32))
    with pytest.raises(ValueError, match="each of 20 faces"):
        write_labelled_ply(tmp_path / "a.ply", mesh, np.zeros((12, 3), np.uint8), np.zeros(12, np.int16))
    assert not (tmp_path / "a.ply").exists()
