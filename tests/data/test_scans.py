import io
import pickle  # noqa: TID251 - to write a file that must be refused

import numpy as np
import pytest

from crosspoint3d.data.assemble import MeshError
from crosspoint3d.data.meshes import read_mesh
from tests.data.shapes_on_disk import CORNERS, rows, write

NORMALS = (CORNERS - 0.5) / np.sqrt(0.75)
COLORS = np.arange(24, dtype=np.uint8).reshape(8, 3) * 9


def npy(array):
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


def npz(**arrays):
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    return buffer.getvalue()


def check(mesh, colors=None, normals=None):
    assert mesh.is_cloud
    np.testing.assert_allclose(mesh.vertices, CORNERS, atol=1e-6)
    assert (mesh.vertex_colors is None) == (colors is None)
    assert (mesh.normals is None) == (normals is None)
    if colors is not None:
        np.testing.assert_array_equal(mesh.vertex_colors, colors)
    if normals is not None:
        np.testing.assert_allclose(mesh.normals, normals, atol=1e-3)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, np.int32])
def test_npy(dtype, tmp_path):
    check(read_mesh(write(tmp_path, "a.npy", npy(CORNERS.astype(dtype)))))


def test_npz(tmp_path):
    check(read_mesh(write(tmp_path, "a.npz", npz(anything=CORNERS))))
    data = npz(label=np.array([3]), points=CORNERS, normals=NORMALS, colors=COLORS)
    check(read_mesh(write(tmp_path, "b.npz", data)), COLORS, NORMALS)


@pytest.mark.parametrize("head", ["", "x y z\n", "# a scan\n\n", "8\n"])
@pytest.mark.parametrize("suffix", [".xyz", ".txt", ".pts"])
def test_text(head, suffix, tmp_path):
    check(read_mesh(write(tmp_path, "a" + suffix, (head + rows(CORNERS)).encode())))


def test_text_columns(tmp_path):
    lines = rows(np.column_stack([CORNERS, NORMALS])).replace(" ", ",")
    check(read_mesh(write(tmp_path, "a.txt", lines.encode())), normals=NORMALS)
    check(read_mesh(write(tmp_path, "b.xyz", rows(np.column_stack([CORNERS, COLORS])).encode())), COLORS)
    table = np.column_stack([CORNERS, np.full(8, -900), COLORS])
    check(read_mesh(write(tmp_path, "c.pts", ("8\n" + rows(table)).encode())), COLORS)
    table = np.column_stack([CORNERS, COLORS, NORMALS])
    check(read_mesh(write(tmp_path, "d.xyz", rows(table).encode())), COLORS, NORMALS)


PACKED = (COLORS.astype(np.uint32) * [65536, 256, 1]).sum(axis=1).astype(np.uint32)
PCD = "# .PCD v0.7\nVERSION 0.7\nFIELDS x y z rgb\nSIZE 4 4 4 4\nTYPE F F F {}\nCOUNT 1 1 1 1\n"
PCD += "WIDTH 8\nHEIGHT 1\nPOINTS 8\nDATA {}\n"


def test_pcd(tmp_path):
    table = np.column_stack([CORNERS, PACKED])
    text = "".join(f"{x} {y} {z} {int(c)}\n" for x, y, z, c in table)
    check(read_mesh(write(tmp_path, "a.pcd", (PCD.format("U", "ascii") + text).encode())), COLORS)
    binary = np.column_stack([CORNERS, PACKED.view(np.float32)]).astype("<f4").tobytes()
    path = write(tmp_path, "b.pcd", PCD.format("F", "binary").encode() + binary)
    check(read_mesh(path), COLORS)
    path.write_bytes(path.read_bytes()[:-17])
    with pytest.raises(MeshError, match="truncated: 8 points announced, 6 found"):
        read_mesh(path)
    path = write(tmp_path, "c.pcd", PCD.format("F", "binary_compressed").encode() + binary)
    with pytest.raises(MeshError, match="binary_compressed is not supported"):
        read_mesh(path)


def test_points_that_are_not_finite_are_left_out(tmp_path):
    points = np.concatenate([CORNERS, np.full((3, 3), np.nan, np.float32)])
    check(read_mesh(write(tmp_path, "a.npy", npy(points))))


@pytest.mark.parametrize(
    ("name", "data", "reason"),
    [
        ("a.npy", npy(CORNERS)[:-9], "truncated or not an array file"),
        ("a.npy", pickle.dumps(CORNERS), "truncated or not an array file"),
        (
            "a.npy",
            npy(CORNERS[:, :2]),
            r"expected numbers of shape \(points, 3 or more\), found float32 \(8, 2\)",
        ),
        ("a.npy", npy(CORNERS[None]), "expected numbers"),
        ("a.npy", npy(CORNERS.astype(complex)), "expected numbers"),
        ("a.npy", npy(CORNERS[:3]), "only 3 finite points"),
        ("a.npy", npy(CORNERS * 0 + 5), "all points at one place"),
        ("a.npz", npz(points=CORNERS)[:-9], "truncated or not an array file"),
        ("a.npz", npz(a=CORNERS, b=CORNERS), "none of points, data, xyz"),
        ("a.xyz", b"hello\nworld\n", "no line with three numbers"),
        ("a.xyz", b"1 2 3\n4 5\n", "lines of different lengths"),
        ("a.xyz", b"1 2 3\n4 5 x\n", "no number"),
        ("a.pts", b"9\n" + rows(CORNERS).encode(), "truncated: 9 points announced, 8 found"),
        ("a.pcd", b"VERSION 0.7\nFIELDS x y z\n", "truncated: no DATA line"),
    ],
)
def test_refusals(name, data, reason, tmp_path):
    with pytest.raises(MeshError, match=reason):
        read_mesh(write(tmp_path, name, data))
