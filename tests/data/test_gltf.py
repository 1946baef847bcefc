import DracoPy
import numpy as np
import pytest

from crosspoint3d.data.assemble import MeshError
from crosspoint3d.data.gltf_scene import read_gltf
from tests.data.shapes_on_disk import CORNERS, TRIANGLES, Gltf, area, png, write


def bounds(mesh):
    return mesh.vertices.min(axis=0).tolist(), mesh.vertices.max(axis=0).tolist()


def test_every_instance_with_nested_transforms(tmp_path):
    file = Gltf()
    file.cube()
    half = 0.5**0.5
    child = file.node(root=False, mesh=0, translation=[1, 0, 0])
    file.node(children=[child], rotation=[0, 0, half, half], scale=[2, 2, 2], translation=[10, 0, 0])
    file.node(mesh=0, matrix=[-1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0, 0, 0, 5, 1])
    mesh = read_gltf(file.glb(), tmp_path)
    assert len(mesh.faces) == 24
    assert area(mesh) == pytest.approx(24 + 6)
    # child: (x + 1, y, z), twice the size, a quarter turn about z, then 10 along x
    first = mesh.vertices[mesh.faces[:12]].reshape(-1, 3)
    np.testing.assert_allclose([first.min(axis=0), first.max(axis=0)], [[8, 2, 0], [10, 4, 2]], atol=1e-6)
    second = mesh.vertices[mesh.faces[12:]]
    np.testing.assert_allclose([second.min(axis=(0, 1)), second.max(axis=(0, 1))], [[-1, 0, 5], [0, 1, 6]])
    outward = np.cross(second[:, 1] - second[:, 0], second[:, 2] - second[:, 0])
    assert (((second.mean(axis=1) - [-0.5, 0.5, 5.5]) * outward).sum(axis=1) > 0).all()


def test_colors(tmp_path):
    file = Gltf()
    shades = file.accessor(np.full((8, 4), 128, np.uint8), normalized=True)
    file.cube(COLOR_0=shades)["material"] = 0
    file.header["materials"] = [{"pbrMetallicRoughness": {"baseColorFactor": [1, 0.5, 0, 1]}}]
    file.node(mesh=0)
    mesh = read_gltf(file.gltf(), tmp_path)
    assert np.unique(mesh.corner_colors.reshape(-1, 3), axis=0).tolist() == [[188, 137, 0]]


def textured(image):
    file = Gltf()
    uv = file.accessor((CORNERS[:, :2] * 0.5).astype(np.float32))
    file.cube(TEXCOORD_0=uv)["material"] = 0
    base = {"baseColorFactor": [1, 0, 0, 1], "baseColorTexture": {"index": 0}}
    file.header |= {
        "materials": [{"pbrMetallicRoughness": base}],
        "textures": [{"source": 0}],
        "images": [image],
    }
    file.node(mesh=0)
    return file


@pytest.mark.parametrize("place", ["wood.png", "texture/wood.png", "../textures/wood.png", None])
def test_texture(place, tmp_path):
    if place:
        write(tmp_path / "models", place, png((0, 200, 0)))
    (tmp_path / "models").mkdir(exist_ok=True)
    mesh = read_gltf(textured({"uri": "wood.png"}).glb(), tmp_path / "models")
    assert (mesh.corner_colors == [255, 0, 0]).all()
    if place is None:
        assert mesh.textures == () and mesh.uv is None
    else:
        assert (mesh.textures[0] == [0, 200, 0]).all() and (mesh.texture_index == 0).all()
        expected = mesh.vertices[mesh.faces][..., :2] * 0.5
        np.testing.assert_allclose(mesh.uv, np.stack([expected[..., 0], 1 - expected[..., 1]], axis=-1))


def test_texture_inside_the_file(tmp_path):
    file = textured({})
    file.header["images"][0]["bufferView"] = file.view(png((1, 2, 3)))
    assert (read_gltf(file.glb(), tmp_path).textures[0] == [1, 2, 3]).all()
    file.header["images"][0]["bufferView"] = file.view(png((1, 2, 3))[:40])
    assert read_gltf(file.glb(), tmp_path).textures == ()


def compressed():
    file = Gltf()
    primitive = file.cube()
    blob = DracoPy.encode(CORNERS, TRIANGLES, quantization_bits=14, preserve_order=True)
    for accessor in file.header["accessors"]:
        del accessor["bufferView"]
    ident = DracoPy.decode(blob).attributes[0]["unique_id"]
    view = file.view(blob)
    primitive["extensions"] = {"KHR_draco_mesh_compression": {"bufferView": view, "attributes": {"POSITION": ident}}}
    file.header["extensionsRequired"] = ["KHR_draco_mesh_compression"]
    file.node(mesh=0)
    return file, view


def test_draco_round_trip(tmp_path):
    mesh = read_gltf(compressed()[0].glb(), tmp_path)
    assert area(mesh) == pytest.approx(6, abs=1e-3)
    assert len(mesh.faces) == 12


def test_broken_draco_is_refused(tmp_path):
    file, view = compressed()
    start = file.header["bufferViews"][view]["byteOffset"]
    file.binary = file.binary[: start + 20] + b"\xff" * (len(file.binary) - start - 20)
    with pytest.raises(MeshError, match="draco"):
        read_gltf(file.glb(), tmp_path)


def test_sparse_strided_and_strips(tmp_path):
    file = Gltf()
    padded = np.concatenate([CORNERS * 0, CORNERS], axis=1).astype(np.float32)
    view = file.view(padded.tobytes())
    file.header["bufferViews"][view]["byteStride"] = 24
    places, values = np.array([6], np.uint8), np.array([[3, 1, 1]], np.float32)
    sparse = {
        "count": 1,
        "indices": {"bufferView": file.view(places.tobytes()), "componentType": 5121},
        "values": {"bufferView": file.view(values.tobytes())},
    }
    position = file.accessor(CORNERS, bufferView=view, byteOffset=12, sparse=sparse)
    strip = file.accessor(np.array([4, 5, 7, 6], np.uint8))
    fan = file.accessor(np.array([0, 1, 2, 3], np.uint8))
    file.header["meshes"].append(
        {
            "primitives": [
                {"attributes": {"POSITION": position}, "indices": i, "mode": m} for i, m in ((strip, 5), (fan, 6))
            ]
        }
    )
    file.node(mesh=0)
    mesh = read_gltf(file.glb(), tmp_path)
    assert len(mesh.faces) == 4
    assert area(mesh) == pytest.approx(2 + 1)  # the strip's square has one corner pulled out by 2
    corners = mesh.vertices[mesh.faces]
    assert (np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])[:, 2] > 0).all()


def test_points(tmp_path):
    file = Gltf()
    file.header["meshes"].append({"primitives": [{"attributes": {"POSITION": file.accessor(CORNERS)}, "mode": 0}]})
    file.node(mesh=0, scale=[1, 2, 1])
    mesh = read_gltf(file.glb(), tmp_path)
    assert mesh.is_cloud and bounds(mesh) == ([0, 0, 0], [1, 2, 1])


def change(**header):
    file = Gltf()
    file.cube()
    file.node(mesh=0)
    file.header |= header
    return file.glb()


def without_data():
    file = Gltf()
    file.cube()
    file.node(mesh=0)
    del file.header["accessors"][0]["bufferView"]
    return file.glb()


def cyclic():
    file = Gltf()
    file.cube()
    file.node(mesh=0, children=[1])
    file.node(root=False, children=[0])
    return file.glb()


def meshopt():
    file = Gltf()
    file.cube()
    file.node(mesh=0)
    file.header["bufferViews"][0]["extensions"] = {"EXT_meshopt_compression": {}}
    return file.glb()


def counting(index, count):
    file = Gltf()
    file.cube()
    file.node(mesh=0)
    file.header["accessors"][index]["count"] = count
    return file.glb()


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (change(extensionsRequired=["EXT_meshopt_compression"]), "EXT_meshopt_compression is not supported"),
        (meshopt(), "EXT_meshopt_compression is not supported"),
        (change(extensionsRequired=["ACME_teapot"]), "ACME_teapot is not supported"),
        (
            change(nodes=[{"mesh": 0, "extensions": {"EXT_mesh_gpu_instancing": {}}}]),
            "EXT_mesh_gpu_instancing",
        ),
        (change(asset={"version": "1.0"}), "gltf 1.0 is not supported"),
        (change(nodes=[{"mesh": 5}]), r"gltf meshes 5 out of range \(1 meshes\)"),
        (change(nodes=[]), "out of range"),
        (change(scenes=[{"nodes": []}]), "no faces"),
        (without_data(), "gltf accessor 0 has no data"),
        (cyclic(), "gltf node 0 has two parents"),
        (counting(0, 9), "truncated: 9 values announced, 8 found"),
        (counting(0, 7), r"face index 7 out of range \(7 vertices\)"),
        (change()[:-4], "truncated: .* bytes announced"),
        (change()[:15], "truncated: no glb header"),
        (b'{"asset": {"version": "2.0"', "truncated or broken gltf header"),
        (b"[1]", "truncated or broken gltf header"),
    ],
)
def test_refusals(data, reason, tmp_path):
    with pytest.raises(MeshError, match=reason):
        read_gltf(data, tmp_path)


def test_buffer_beside_the_file(tmp_path):
    file = Gltf()
    file.cube()
    file.node(mesh=0)
    with pytest.raises(MeshError, match=r"missing file cube one\.bin"):
        read_gltf(file.gltf("cube one.bin"), tmp_path)
    write(tmp_path, "cube one.bin", file.binary)
    assert area(read_gltf(file.gltf("cube%20one.bin"), tmp_path)) == pytest.approx(6)
    write(tmp_path, "cube one.bin", file.binary[:50])
    with pytest.raises(MeshError, match="truncated: buffer of"):
        read_gltf(file.gltf("cube one.bin"), tmp_path)
