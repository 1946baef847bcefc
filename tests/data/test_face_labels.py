"""Part labels of faces and points: what label files say, and that every sampled point gets its own."""

from pathlib import Path

import numpy as np
import pytest

from crosspoint3d.data.assemble import MeshError
from crosspoint3d.data.face_labels import names_in, read_labels, with_part_ids
from crosspoint3d.data.mesh import Mesh
from crosspoint3d.data.meshes import is_shape_file, read_mesh
from crosspoint3d.data.part_names import PartNames, collect
from tests.data.shapes_on_disk import CORNERS, QUADS, TRIANGLES, Gltf, labelled_ply, npy, off, ply, rows, stl, write

MIXED = [QUADS[0].tolist(), TRIANGLES[1].tolist(), [0, 1], TRIANGLES[7].tolist(), *QUADS[2:].tolist()]
SIDES = np.array([5, 1, 9, 1, 2, 7, 0, 3])  # a label for each of MIXED, the second line among them
OWNERS = [0, 0, 1, 3, 4, 4, 5, 5, 6, 6, 7, 7]


def text_off(faces: list[list[int]]) -> bytes:
    polygons = "".join(f"{len(face)} {' '.join(map(str, face))}\n" for face in faces)
    return f"OFF\n8 {len(faces)} 0\n{rows(CORNERS)}{polygons}".encode()


def text_obj(faces: list[list[int]], between: str = "", uv: str = "") -> bytes:
    lines = [
        "f " + " ".join(f"{corner + 1}{uv.format(corner + 1)}" for corner in face) + between.format(i % 3)
        for i, face in enumerate(faces)
    ]
    points = "".join("v " + line for line in rows(CORNERS).splitlines(True))
    points += "".join("vt " + line for line in rows(CORNERS[:, :2] / 2).splitlines(True)) if uv else ""
    return (points + "\n".join(lines) + "\n").encode()


def triangles_of(mesh: Mesh) -> list[set[tuple[float, ...]]]:
    return [{tuple(corner) for corner in face} for face in mesh.vertices[mesh.faces].tolist()]


MADE_OF = {
    "mixed.off": text_off(MIXED),
    "one_line.off": text_off(MIXED).replace(b"\n", b" "),
    "mixed.ply": ply(MIXED),
    "mixed.obj": text_obj(MIXED),
    "materials.obj": text_obj(MIXED, "\nusemtl m{}"),
    "groups.obj": text_obj(MIXED, "\ng m{}\ns 1\no x"),
    "textured.obj": text_obj([face for face in MIXED if len(face) > 2], "\nusemtl m{}", "/{}"),
    "windows.obj": text_obj(MIXED, "\nusemtl m{}").replace(b"\n", b"\r\n"),
}


@pytest.mark.parametrize("name", MADE_OF)
def test_triangles_know_the_polygon_that_they_were_cut_from(name: str, tmp_path: Path) -> None:
    mesh = read_mesh(write(tmp_path, name, MADE_OF[name]), file_order=True)
    polygons = [face for face in MIXED if len(face) > 2] if name == "textured.obj" else MIXED
    assert mesh.in_file == len(polygons) and mesh.owner is not None and len(mesh.owner) == len(mesh.faces) == 12
    for triangle, owner in zip(triangles_of(mesh), mesh.owner, strict=True):
        assert triangle <= {tuple(corner) for corner in CORNERS[polygons[owner]].tolist()}
    assert np.unique(mesh.owner).tolist() == [i for i, face in enumerate(polygons) if len(face) > 2]


@pytest.mark.parametrize("data", [off(TRIANGLES), ply(TRIANGLES.tolist())])
def test_plain_triangles_need_no_owner(data: bytes, tmp_path: Path) -> None:
    mesh = read_mesh(write(tmp_path, "a.off" if data[:3] == b"OFF" else "a.ply", data))
    assert mesh.owner is None and mesh.in_file == 12


def test_stl_and_gltf_have_their_triangles_in_order(tmp_path: Path) -> None:
    file = Gltf()
    file.cube()
    file.node(mesh=0)
    for name, data in (("a.stl", stl()), ("a.glb", file.glb())):
        mesh = read_mesh(write(tmp_path, name, data), file_order=True)
        assert triangles_of(mesh) == [{tuple(c) for c in CORNERS[face].tolist()} for face in TRIANGLES]
        labels = np.arange(12)
        np.testing.assert_array_equal(with_part_ids(mesh, labels, None, None).parts, labels)


def test_a_broken_face_line_is_no_label_of_another_face(tmp_path: Path) -> None:
    path = write(tmp_path, "a.obj", text_obj(MIXED) + b"f\t1 2 3\n")
    if len(read_mesh(path).faces) == 13:
        pytest.skip("this trimesh reads the line")
    with pytest.raises(MeshError, match=r"face lines are not understood \(13 triangles announced, 12 read"):
        read_mesh(path, file_order=True)


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("name", ["label", "part", "segment", "part_id", "object_id"])
def test_ply_faces_carry_labels(name: str, order: str, tmp_path: Path) -> None:
    mesh = read_mesh(write(tmp_path, "a.ply", labelled_ply(MIXED, SIDES, name, "short", order)))
    assert mesh.parts is not None
    np.testing.assert_array_equal(mesh.parts, SIDES[OWNERS])
    assert read_mesh(write(tmp_path, "b.ply", labelled_ply(MIXED, SIDES, name, "float", order))).parts is None
    assert read_mesh(write(tmp_path, "c.ply", labelled_ply(MIXED, SIDES, "quality", "short", order))).parts is None


def test_points_keep_their_labels_when_others_are_left_out(tmp_path: Path) -> None:
    points = CORNERS.copy()
    points[[0, 5]] = np.nan
    labels = np.arange(8) % 3
    table = "".join(f"{x:g} {y:g} {z:g} {label}\n" for (x, y, z), label in zip(points, labels, strict=True))
    head = "ply\nformat ascii 1.0\nelement vertex 8\nproperty float x\nproperty float y\nproperty float z\n"
    mesh = read_mesh(write(tmp_path, "a.ply", (head + "property int label\nend_header\n" + table).encode()))
    kept = [1, 2, 3, 4, 6, 7]
    assert mesh.is_cloud and mesh.parts is not None
    np.testing.assert_array_equal(mesh.parts, labels[kept])
    plain = read_mesh(write(tmp_path, "a.npy", npy(points)))
    np.testing.assert_array_equal(with_part_ids(plain, labels + 4, None, None).parts, labels[kept] + 4)
    with pytest.raises(MeshError, match=r"do not fit \(6 labels, 8 points\)"):
        with_part_ids(plain, labels[kept], None, None)


NAMED = b"\xef\xbb\xbfback rest\n1 2 \n7\n\n  leg\n3 4 5 6\nback rest\n8\n"


def test_label_files(tmp_path: Path) -> None:
    np.testing.assert_array_equal(read_labels(write(tmp_path, "a.seg", b"3\n1\r\n2\n")), [3, 1, 2])
    np.testing.assert_array_equal(read_labels(write(tmp_path, "a.npy", npy(np.array([4, 0], np.uint16)))), [4, 0])
    np.testing.assert_array_equal(read_labels(write(tmp_path, "b_labels.txt", b"3\n1\n2\n")), [3, 1, 2])
    named = read_labels(write(tmp_path, "a_labels.txt", NAMED))
    assert isinstance(named, dict)
    assert {name: faces.tolist() for name, faces in named.items()} == {"back rest": [0, 1, 6, 7], "leg": [2, 3, 4, 5]}
    assert not is_shape_file(tmp_path / "a.npy")
    assert is_shape_file(write(tmp_path, "cloud.npy", npy(np.zeros((2, 3)))))
    assert is_shape_file(write(tmp_path, "pickle.npy", npy(np.array([{}]))))


@pytest.mark.parametrize(
    ("name", "data", "reason"),
    [
        ("a.seg", b"1\nx\n", r"broken part labels \(a.seg: holds something that is no number"),
        ("a.seg", b"1\n2.5\n", "2.5 is not a whole number"),
        ("a.npy", npy(np.zeros(3)), r"expected a row of whole numbers, found float64 \(3,\)"),
        ("a.npy", npy(np.zeros((3, 1), int)), r"found int64 \(3, 1\)"),
        ("a.npy", b"x", "broken part labels"),
        ("a_labels.txt", b"1 2\nleg\n", "begins with face numbers; expected the name of a part"),
        ("a_labels.txt", b"\xff\xfe", "broken part labels"),
        ("a_labels.txt", b"leg\n" + b"9" * 40, "broken part labels"),
        ("missing.seg", None, r"part labels cannot be read \(missing.seg: No such file"),
    ],
)
def test_broken_label_files(name: str, data: bytes | None, reason: str, tmp_path: Path) -> None:
    path = tmp_path / name if data is None else write(tmp_path, name, data)
    with pytest.raises(MeshError, match=reason):
        read_labels(path)


CUBE = Mesh(CORNERS, TRIANGLES.astype(np.int32))
NAMES = collect({"Chair": {1: "leg", 2: "seat"}, "Lamp": {0: "foot", 7: "shade"}})
BY_NAME = collect({"Chair": ["leg", "seat"], "Lamp": ["foot", "shade"]})
SPLIT = {"leg": np.arange(5), "seat": np.arange(5, 12)}


def test_numbers_become_global_ids_of_their_category() -> None:
    values = np.array([0, 7] * 6)
    parts = with_part_ids(CUBE, values, "Lamp", NAMES).parts
    assert parts is not None and parts.dtype == np.uint8
    np.testing.assert_array_equal(parts, np.where(values == 0, 2, 3))
    np.testing.assert_array_equal(with_part_ids(CUBE, values * 36, None, None).parts, values * 36)
    assert with_part_ids(CUBE, None, "Lamp", NAMES) is CUBE


@pytest.mark.parametrize("names", [NAMES, BY_NAME])
def test_names_become_global_ids(names: PartNames) -> None:
    parts = with_part_ids(CUBE, {"shade": SPLIT["leg"], "foot": SPLIT["seat"]}, "Lamp", names).parts
    assert parts is not None
    assert parts.tolist() == [3] * 5 + [2] * 7


@pytest.mark.parametrize(
    ("labels", "category", "names", "reason"),
    [
        (np.zeros(11, int), "Chair", None, r"part labels do not fit \(11 labels, 12 faces\)"),
        (
            np.full(12, 256),
            "Chair",
            None,
            r"outside the category's parts \(256; expected 0 to 255; other numbers need --p",
        ),
        (np.full(12, -1), None, None, r"outside the category's parts \(-1; expected 0 to 255"),
        (np.arange(12), "Chair", NAMES, r"outside the category's parts \(0, 3, .* and 2 more; expected Chair: 1, 2\)"),
        (np.ones(12, int), "Table", NAMES, r"a category without parts \('Table' is none of Chair, Lamp\)"),
        (np.ones(12, int), None, NAMES, r"without a category \(put the shape into a folder"),
        (np.ones(12, int), "Chair", BY_NAME, r"are numbers, but other shapes have names \(say with --parts"),
        (SPLIT, "Lamp", NAMES, r"outside the category's parts \(leg, seat; Lamp has foot, shade\)"),
        (SPLIT, None, None, r"are names of parts of no category"),
        (SPLIT | {"seat": np.arange(4, 12)}, "Chair", NAMES, r"name a face twice \(face 5, also seat\)"),
        (SPLIT | {"seat": np.arange(7, 12)}, "Chair", NAMES, r"leave faces out \(2, the first is face 6\)"),
        (SPLIT | {"seat": np.arange(5, 13)}, "Chair", NAMES, r"do not fit \(face 13 of 12, counted from 1\)"),
        (SPLIT | {"leg": np.arange(-1, 5)}, "Chair", NAMES, r"do not fit \(face 0 of 12, counted from 1\)"),
    ],
)
def test_labels_that_do_not_fit(labels: object, category: str | None, names: PartNames | None, reason: str) -> None:
    with pytest.raises(MeshError, match=reason):
        with_part_ids(CUBE, labels, category, names)  # type: ignore[arg-type]


def test_the_parts_of_a_source_are_those_that_its_files_name(tmp_path: Path) -> None:
    files = {
        "Lamp": [b"shade\n1\nfoot\n2\n", b"bulb\n1\n"],
        "Chair": [b"seat\n1\n", b"\xff", b"1\n2\n"],
        "Table": [b"4\n5\n"],
    }
    paths = [
        (category, write(tmp_path, f"{category}/{i}_labels.txt", data))
        for category, own in files.items()
        for i, data in enumerate(own)
    ]
    names = names_in([*paths, (None, paths[0][1]), ("Table", write(tmp_path, "a.seg", b"1\n"))])
    assert names is not None and names.numbers is None
    assert names.table.categories == ("Chair", "Lamp")
    assert names.table.names == ("seat", "bulb", "foot", "shade")
    assert names.table.parts == ((0,), (1, 2, 3))
    assert names_in(paths[-1:]) is None
