from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from crosspoint3d.data import meshes
from crosspoint3d.data.meshes import MeshError, is_shape_file, read_mesh
from tests.data.shapes_on_disk import (
    CORNERS,
    QUADS,
    TRIANGLES,
    Gltf,
    area,
    off,
    ply,
    png,
    rows,
    stl,
    stl_text,
    write,
)


def cube_glb():
    file = Gltf()
    file.cube()
    file.node(mesh=0)
    return file.glb()


def obj(faces=QUADS, head="", uv=""):
    corners = CORNERS[:, :2] * 0.5 if uv else CORNERS[:0, :2]
    text = head + "".join("v " + line for line in rows(CORNERS).splitlines(True))
    text += "".join("vt " + line for line in rows(corners).splitlines(True))
    text += uv + "".join(
        "f " + " ".join(f"{i + 1}/{i + 1}" if uv else str(i + 1) for i in face) + "\n" for face in faces
    )
    return text.encode()


CUBES = {
    ".off": off(),
    ".obj": obj(),
    ".ply": ply(TRIANGLES.tolist()),
    ".stl": stl(),
    ".glb": cube_glb(),
}


@pytest.mark.parametrize("suffix", [*CUBES, ".STL", ".Off"])
def test_a_cube_in_every_format(suffix, tmp_path):
    mesh = read_mesh(str(write(tmp_path, "cube" + suffix, CUBES[suffix.lower()])))
    assert len(mesh.faces) == 12
    assert area(mesh) == pytest.approx(6)
    assert not mesh.is_cloud
    assert mesh.vertices.dtype == np.float32 and mesh.faces.dtype == np.int32
    np.testing.assert_array_equal(np.unique(mesh.vertices, axis=0), np.unique(CORNERS, axis=0))


def test_stl_text(tmp_path):
    assert area(read_mesh(write(tmp_path, "a.stl", stl_text()))) == pytest.approx(6)


MTL = "newmtl wood\nKd 1.0 0.5 0.0\nmap_Kd {}\nnewmtl plain\nKd 0 0 1\n"
USE = "usemtl wood\n"


@pytest.mark.parametrize("place", ["wood.png", "texture/wood.png", "../texture/wood.png", "../textures/wood.png", None])
@pytest.mark.parametrize("written", ["wood.png", "C:\\maps\\wood.png", "-s 1 1 1 wood.png"])
def test_obj_with_texture(place, written, tmp_path):
    path = write(tmp_path, "models/cube.obj", obj(head="mtllib cube.mtl\n", uv=USE))
    write(tmp_path, "models/cube.mtl", MTL.format(written).encode())
    if place:
        write(tmp_path / "models", place, png((9, 8, 7)))
    mesh = read_mesh(path)
    assert (mesh.corner_colors == [255, 128, 0]).all()
    if place is None:
        assert mesh.textures == () and mesh.uv is None
    else:
        assert (mesh.textures[0] == [9, 8, 7]).all() and (mesh.texture_index == 0).all()
        np.testing.assert_allclose(mesh.uv, mesh.vertices[mesh.faces][..., :2] * 0.5)


def test_obj_materials_without_texture(tmp_path):
    text = obj(QUADS[:3], head="mtllib m.mtl\nusemtl plain\n")
    text += obj(QUADS[3:]).split(b"f ", 1)[1].join([b"usemtl other\nf ", b""])
    path = write(tmp_path, "m.obj", text)
    write(tmp_path, "m.mtl", b"newmtl plain\nKd 0 0 1\nnewmtl other\nKd 0 1 0\n")
    mesh = read_mesh(path)
    colors, counts = np.unique(mesh.corner_colors[:, 0], axis=0, return_counts=True)
    assert colors.tolist() == [[0, 0, 255], [0, 255, 0]] and counts.tolist() == [6, 6]
    (tmp_path / "m.mtl").unlink()
    assert read_mesh(path).corner_colors is None


def test_obj_black_kd_does_not_hide_a_texture(tmp_path):
    path = write(tmp_path, "cube.obj", obj(head="mtllib cube.mtl\n", uv=USE))
    write(tmp_path, "cube.mtl", b"newmtl wood\nKd 0 0 0\nmap_Kd wood.png\n")
    write(tmp_path, "wood.png", png((9, 8, 7)))
    assert (read_mesh(path).corner_colors == 255).all()


@pytest.mark.parametrize("encoding", ["utf-8", "latin-1", "utf-8-sig"])
def test_obj_with_names_beyond_ascii(encoding, tmp_path):
    text = obj(head="# Stühle\nmtllib a.mtl\nusemtl grün\n").decode()
    path = write(tmp_path, "a.obj", text.encode(encoding))
    write(tmp_path, "a.mtl", "newmtl grün\nKd 0 1 0\n".encode(encoding))
    assert (read_mesh(path).corner_colors == [0, 255, 0]).all()


def test_obj_points_vertex_colors_and_negative_indices(tmp_path):
    table = rows(np.column_stack([CORNERS, CORNERS]))
    text = "".join("v " + line for line in table.splitlines(True))
    assert read_mesh(write(tmp_path, "points.obj", text.encode())).is_cloud
    faces = "".join("f " + " ".join(str(i - 8) for i in face) + "\n" for face in QUADS)
    mesh = read_mesh(write(tmp_path, "cube.obj", (text + faces).encode()))
    assert area(mesh) == pytest.approx(6)
    np.testing.assert_array_equal(mesh.corner_colors, (mesh.vertices * 255).astype(np.uint8)[mesh.faces])


@pytest.mark.parametrize(
    ("name", "data", "reason"),
    [
        ("a.off", b"", "empty file"),
        ("a.glb", b" \n", "empty file"),
        ("a.xyzq", b"1", r"unknown format \.xyzq"),
        ("noname", b"1", "unknown format noname"),
        ("a.obj", b"# nothing\n", "no vertices"),
        ("a.obj", obj() + b"f 1 2 99\n", r"face index 98 out of range \(8 vertices\)"),
        ("a.obj", obj().replace(b"v 1 1 1", b"v nan 1 1"), "non-finite vertices"),
        ("a.obj", b"v 0 0\nv 1 0\nv 0 1\nf 1 2 3\n", "vertices without x, y and z"),
        ("a.obj", obj(QUADS[:1] * 0), "zero surface area"),
        ("a.stl", stl()[:-60], "truncated: 12 faces announced, 10 found"),
        ("a.stl", stl(announced=0), "no faces"),
        ("a.stl", b"\1\2", "truncated: no stl header"),
        ("a.stl", stl_text()[:-40], "truncated"),
        ("a.stl", stl(TRIANGLES[:1] * 0), "zero surface area"),
        ("a.ply", CUBES[".ply"][:-1], "truncated: 12 faces announced, 11 found"),
        ("a.glb", CUBES[".glb"][:-1], "truncated"),
    ],
)
def test_refusals(name, data, reason, tmp_path):
    with pytest.raises(MeshError, match=reason):
        read_mesh(write(tmp_path, name, data))


def test_a_file_that_cannot_be_opened(tmp_path):
    with pytest.raises(MeshError, match="no such file"):
        read_mesh(tmp_path / "missing.off")
    (tmp_path / "folder.off").mkdir()
    with pytest.raises(MeshError, match="is a directory"):
        read_mesh(tmp_path / "folder.off")


@pytest.mark.parametrize("stop", [KeyboardInterrupt, MemoryError])
def test_interrupts_pass_through_and_surprises_do_not(stop, tmp_path, monkeypatch):
    path = write(tmp_path, "a.off", off())

    def fail(data, folder):
        raise stop

    monkeypatch.setitem(meshes._READERS, ".off", fail)
    with pytest.raises(stop):
        read_mesh(path)

    def surprise(data, folder):
        raise RuntimeError("boom")

    monkeypatch.setitem(meshes._READERS, ".off", surprise)
    with pytest.raises(MeshError, match=r"broken off file \(RuntimeError: boom\)"):
        read_mesh(path)


def attempt(path):
    """Either a refusal or a mesh that is sound."""
    try:
        mesh = read_mesh(path)
    except MeshError as error:
        assert str(error)
        return
    assert np.isfinite(mesh.vertices).all()
    assert mesh.is_cloud or (area(mesh) > 0 and mesh.faces.min() >= 0 and mesh.faces.max() < len(mesh.vertices))


FUZZED = {**CUBES, ".stl ": stl_text(), ".ply ": ply([*QUADS[:2].tolist(), *TRIANGLES.tolist()], ">")}
FUZZ = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.mark.parametrize("kind", FUZZED)
@FUZZ
@given(share=st.floats(0, 1, exclude_max=True))
def test_truncated_anywhere(kind, share, tmp_path):
    data = FUZZED[kind]
    attempt(write(tmp_path, "cut" + kind.strip(), data[: int(share * len(data))]))


@pytest.mark.parametrize("kind", FUZZED)
@FUZZ
@given(changes=st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255)), min_size=1, max_size=6))
def test_bytes_changed_anywhere(kind, changes, tmp_path):
    data = bytearray(FUZZED[kind])
    for share, value in changes:
        data[int(share * len(data))] = value
    attempt(write(tmp_path, "odd" + kind.strip(), bytes(data)))


def test_is_shape_file(tmp_path):
    assert is_shape_file(Path("a.OFF")) and is_shape_file(Path("a.npy"))
    assert not is_shape_file(Path("a.mtl"))
    assert is_shape_file(write(tmp_path, "scan.txt", b"1,2,3\n"))
    assert not is_shape_file(write(tmp_path, "LICENSE.txt", b"Creative Commons\n"))
    assert not is_shape_file(tmp_path / "missing.txt")


@pytest.mark.shared
def test_furniture_is_the_same_in_both_formats(shared_data):
    for name in ("armchair", "table_low", "shelf_B_large_decorated"):
        pair = [read_mesh(shared_data / "furniture_cc0" / kind / f"{name}.{kind}") for kind in ("obj", "gltf")]
        assert area(pair[0]) == pytest.approx(area(pair[1]), rel=1e-4)
        np.testing.assert_allclose(pair[0].vertices.max(axis=0), pair[1].vertices.max(axis=0), atol=1e-4)
        assert len(pair[0].textures) == len(pair[1].textures) == 1
        spans = [np.percentile(mesh.uv.reshape(-1, 2), [5, 95], axis=0) for mesh in pair]
        np.testing.assert_allclose(*spans, atol=0.02)


@pytest.mark.shared
def test_princeton_meshes(shared_data):
    for path in sorted((shared_data / "princeton_meshes").glob("*/*.ply"))[::100]:
        assert area(read_mesh(path)) > 0
