import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crosspoint3d.data.assemble import MeshError, fan
from crosspoint3d.data.off import read_off
from tests.data.shapes_on_disk import CORNERS, QUADS, TRIANGLES, area, off


@pytest.mark.parametrize(
    "header",
    [
        "OFF\n8 {count} 0\n",
        "OFF8 {count} 0\n",
        "OFF 8 {count} 0\n",
        "OFF\n8 {count}\n",
        "8 {count} 0\n",
        "off\n8 {count} 0\n",
        "# made by hand\n\nOFF # keyword\n\n# counts\n8 {count} 24 # edges\n\n",
        "\r\nOFF\r\n8 {count} 0\r\n",
    ],
)
def test_headers(header):
    mesh = read_off(off(header=header))
    assert len(mesh.faces) == 12
    np.testing.assert_array_equal(mesh.vertices, CORNERS)
    assert area(mesh) == pytest.approx(6)
    assert mesh.corner_colors is None


def test_comments_and_blank_lines_anywhere():
    lines = off(TRIANGLES).decode().splitlines()
    text = "\n\n".join(f"{line}  # note 1 2 3" for line in lines)
    assert area(read_off(text.encode())) == pytest.approx(6)


def test_all_on_one_line():
    assert area(read_off(off().replace(b"\n", b" "))) == pytest.approx(6)


def test_polygons_become_fans():
    angles = np.arange(7) / 7 * 2 * np.pi
    ring = np.column_stack([np.cos(angles), np.sin(angles), 0 * angles])
    lines = "\n".join(" ".join(map(str, row)) for row in ring)
    mesh = read_off(f"OFF\n7 3 0\n{lines}\n7 0 1 2 3 4 5 6\n2 0 1\n3 0 1 2\n".encode())
    np.testing.assert_array_equal(mesh.faces, [[0, k, k + 1] for k in range(1, 6)] + [[0, 1, 2]])


@given(st.lists(st.integers(0, 9), max_size=12))
def test_fan_against_the_loop(counts):
    expected, owners, start = [], [], 0
    for polygon, count in enumerate(counts):
        for k in range(1, count - 1):
            expected.append([start, start + k, start + k + 1])
            owners.append(polygon)
        start += count
    positions, owner = fan(np.array(counts, np.int64))
    np.testing.assert_array_equal(positions, np.array(expected, np.int64).reshape(-1, 3))
    np.testing.assert_array_equal(owner, owners)


@pytest.mark.parametrize(("red", "green"), [("255 0 0", "0 255 0 255"), ("1.0 0.0 0.0", "0.0 1.0 0.0 1.0")])
def test_face_colors(red, green):
    text = f"OFF\n4 4 0\n0 0 0\n1 0 0\n0 1 0\n0 0 1\n3 0 1 2 {red}\n3 0 1 3 {green}\n3 1 2 3\n3 0 2 3 7\n"
    colors = read_off(text.encode()).corner_colors
    np.testing.assert_array_equal(colors[:, 1], [[255, 0, 0], [0, 255, 0], [190] * 3, [190] * 3])
    assert (colors == colors[:, :1]).all()


def test_vertex_colors_and_normals():
    colors = np.arange(24).reshape(8, 3) * 10
    rgba = np.column_stack([CORNERS, colors, np.full(8, 255)])
    mesh = read_off(off(header="COFF\n8 {count} 0\n", vertices=rgba))
    np.testing.assert_array_equal(mesh.corner_colors, colors[mesh.faces])
    normals = np.column_stack([CORNERS, CORNERS])
    assert read_off(off(header="NOFF\n8 {count} 0\n", vertices=normals)).corner_colors is None


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"OFF\n", "truncated: no counts"),
        (b"hello there\n", "no off header"),
        (b"OFF BINARY\n\0\0\0\x08", "binary off is not supported"),
        (b"4OFF\n1 1 0\n", "other than 3 dimensions"),
        (b"OFF\n490 518 0\n" + b"0 0 1\n" * 12, "truncated: 490 vertices announced, 12 found"),
        (off()[:-20], "truncated: 6 faces announced, 4 found"),
        (off().replace(b"4 4 5 6 7", b"4 4 5 6 999"), r"face index 999 out of range \(8 vertices\)"),
        (off().replace(b"4 4 5 6 7", b"4 4 5 6 -1"), r"face index -1 out of range \(8 vertices\)"),
        (off().replace(b"4 4 5 6 7", b"4 4 5 6 0.5"), "index 0.5 is not a whole number"),
        (off().replace(b"4 4 5 6 7", b"9 4 5 6 7"), "truncated: face 1 announces 9 corners, 4 found"),
        (off().replace(b"1 1 1", b"nan 1 1"), "non-finite vertices"),
        (off().replace(b"1 1 1", b"inf 1 1"), "non-finite vertices"),
        (off().replace(b"1 1 1", b"1e300 1 1"), "too large"),
        (off().replace(b"1 1 1", b"x 1 1"), "no number"),
        (off(vertices=CORNERS * 0), "zero surface area"),
        (off(vertices=CORNERS[:, :1] * [1.0, 2.0, 3.0]), "zero surface area"),
        (b"OFF\n0 0 0\n", "no vertices"),
        (b"OFF\n3 0 0\n0 0 0\n1 0 0\n0 1 0\n", "no faces"),
    ],
)
def test_refusals(data, reason):
    with pytest.raises(MeshError, match=reason):
        read_off(data)


def test_vertices_without_a_face_do_not_matter():
    text = "OFF\n5 1 0\n0 0 0\nnan nan nan\n1 0 0\n0 1 0\n1e30 0 0\n3 0 2 3\n"
    mesh = read_off(text.encode())
    np.testing.assert_array_equal(mesh.vertices, [[0, 0, 0], [1, 0, 0], [0, 1, 0]])
    np.testing.assert_array_equal(mesh.faces, [[0, 1, 2]])


def test_far_off_shapes_keep_their_detail():
    vertices = CORNERS.astype(np.float64) * 0.01 + [431234.56, 5412345.67, 300.0]
    text = "OFF\n8 6 0\n" + "".join(f"{x:.4f} {y:.4f} {z:.4f}\n" for x, y, z in vertices)
    text += "".join("4 " + " ".join(map(str, face)) + "\n" for face in QUADS)
    assert area(read_off(text.encode())) == pytest.approx(6e-4, rel=1e-4)
