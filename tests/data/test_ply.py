import numpy as np
import pytest

from crosspoint3d.data.assemble import MeshError
from crosspoint3d.data.ply import read_ply
from tests.data.shapes_on_disk import CORNERS, QUADS, TRIANGLES, area, ply, png, rows, write

COLORS = np.arange(24, dtype=np.uint8).reshape(8, 3) * 9
MIXED = [*TRIANGLES[:1].tolist(), *TRIANGLES[6:7].tolist(), *QUADS[1:].tolist()]


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("faces", [TRIANGLES.tolist(), QUADS.tolist(), MIXED])
def test_binary(order, faces, tmp_path):
    mesh = read_ply(ply(faces, order, vertex_extra=COLORS), tmp_path)
    assert area(mesh) == pytest.approx(6)
    np.testing.assert_array_equal(mesh.corner_colors, COLORS[mesh.faces])


def test_face_colors_follow_their_polygon(tmp_path):
    colors = np.arange(18, dtype=np.uint8).reshape(6, 3)
    mesh = read_ply(ply(QUADS.tolist(), face_colors=colors, vertex_extra=COLORS), tmp_path)
    np.testing.assert_array_equal(mesh.corner_colors[:, 0], np.repeat(colors, 2, axis=0))
    assert mesh.vertex_colors is None


def text(vertex="", vertices=CORNERS, faces="", face_rows="", comment=""):
    head = f"ply\nformat ascii 1.0\n{comment}element vertex {len(vertices)}\n"
    head += "".join(f"property float {axis}\n" for axis in "xyz") + vertex
    return (head + faces + "end_header\n" + rows(vertices) + face_rows).encode()


FACES = "element face {}\nproperty list uchar int vertex_index\n"


def test_text(tmp_path):
    polygons = "".join(f"{len(face)} " + " ".join(map(str, face)) + "\n" for face in MIXED)
    extra = "property float red\nproperty float green\nproperty float blue\n"
    table = np.column_stack([CORNERS, CORNERS])
    mesh = read_ply(text(extra, table, FACES.format(len(MIXED)), polygons), tmp_path)
    assert area(mesh) == pytest.approx(6)
    np.testing.assert_array_equal(mesh.corner_colors, (mesh.vertices * 255).astype(np.uint8)[mesh.faces])


def test_wedge_texture(tmp_path):
    write(tmp_path, "texture/red.png", png((255, 0, 0)))
    faces = FACES.format(1) + "property list uchar float texcoord\n"
    data = text(faces=faces, face_rows="3 0 1 2 6 0 0 1 0 0.5 1\n", comment="comment TextureFile red.png\n")
    mesh = read_ply(data, tmp_path)
    np.testing.assert_array_equal(mesh.uv, [[[0, 0], [1, 0], [0.5, 1]]])
    np.testing.assert_array_equal(mesh.texture_index, [0])
    assert (mesh.textures[0] == [255, 0, 0]).all()
    missing = read_ply(data.replace(b"red.png", b"blue.png"), tmp_path)
    assert missing.textures == () and missing.uv is None


def test_points_only(tmp_path):
    normals = CORNERS - 0.5
    extra = "property float nx\nproperty float ny\nproperty float nz\n"
    mesh = read_ply(text(extra, np.column_stack([CORNERS, normals])), tmp_path)
    assert mesh.is_cloud
    np.testing.assert_array_equal(mesh.vertices, CORNERS)
    np.testing.assert_allclose(mesh.normals, normals / np.sqrt(0.75), rtol=1e-6)
    mesh = read_ply(ply([], vertex_extra=COLORS), tmp_path)
    assert mesh.is_cloud
    np.testing.assert_array_equal(mesh.vertex_colors, COLORS)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"plx\n", "no ply header"),
        (b"ply\nformat ascii 1.0\nelement vertex 3\n", "truncated: header without an end"),
        (b"ply\nformat ascii 1.0\nelement vertex\nend_header\n", "'element vertex' is not understood"),
        (b"ply\nformat ascii 1.0\nelement vertex 1\nproperty quad x\nend_header\n", "is not understood"),
        (b"ply\nformat xml 1.0\nend_header\n", "ply format 'xml' is not known"),
        (b"ply\nformat ascii 1.0\nend_header\n", "no vertices"),
        (ply(QUADS.tolist())[:-5], "truncated: 6 faces announced, 5 found"),
        (ply(MIXED)[:-5], "truncated: 7 faces announced, 6 found"),
        (ply([])[:-30], "truncated: 8 vertices announced, 5 found"),
        (text(vertices=CORNERS)[:-20], "truncated: 8 vertices announced, 4 found"),
        (ply([[0, 1, 99]]), r"face index 99 out of range \(8 vertices\)"),
        (ply([[0, 1, -2]]), r"face index -2 out of range \(8 vertices\)"),
        (ply([[0, 1, 99]], vertex_extra=COLORS), r"face index 99 out of range \(8 vertices\)"),
        (ply([[0, 1, 2]], points=CORNERS * np.nan), "non-finite vertices"),
        (ply([[0, 1, 1]]), "zero surface area"),
        (ply([[0, 1]]), "no faces"),
        (ply([], points=CORNERS[:3]), "only 3 finite points"),
        (ply([], points=CORNERS * 0), "all points at one place"),
    ],
)
def test_refusals(data, reason, tmp_path):
    with pytest.raises(MeshError, match=reason):
        read_ply(data, tmp_path)
