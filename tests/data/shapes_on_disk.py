"""Small files written by hand for the reader tests."""

import base64
import io
import json
import struct
from pathlib import Path

import numpy as np
from PIL import Image

CORNERS = np.array([[0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0], [0, 0, 1], [1, 0, 1], [1, 1, 1], [0, 1, 1]], np.float32)
QUADS = np.array([[0, 3, 2, 1], [4, 5, 6, 7], [0, 1, 5, 4], [1, 2, 6, 5], [2, 3, 7, 6], [3, 0, 4, 7]])
TRIANGLES = np.concatenate([QUADS[:, [0, 1, 2]], QUADS[:, [0, 2, 3]]])


def area(mesh):
    corners = mesh.vertices.astype(np.float64)[mesh.faces]
    cross = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    return float(np.linalg.norm(cross, axis=1).sum() / 2)


def rows(array):
    return "".join(" ".join(f"{value:g}" for value in row) + "\n" for row in array)


def off(faces=QUADS, header="OFF\n8 {count} 0\n", vertices=CORNERS):
    polygons = np.column_stack([np.full(len(faces), faces.shape[1]), faces])
    return (header.format(count=len(faces)) + rows(vertices) + rows(polygons)).encode()


def ply(faces, order="<", corner_type="int", vertex_extra=(), face_colors=None, points=CORNERS):
    """Binary PLY of polygons of any size; vertex_extra: uchar RGB (V, 3)."""
    name = "little" if order == "<" else "big"
    header = f"ply\nformat binary_{name}_endian 1.0\ncomment by hand\nelement vertex {len(points)}\n"
    header += "".join(f"property float {axis}\n" for axis in "xyz")
    colors = "".join(f"property uchar {c}\n" for c in ("red", "green", "blue"))
    header += colors if len(vertex_extra) else ""
    header += f"element face {len(faces)}\nproperty list uchar {corner_type} vertex_indices\n"
    header += colors if face_colors is not None else ""
    body = b""
    for index, point in enumerate(points):
        body += struct.pack(order + "3f", *point)
        body += bytes(vertex_extra[index]) if len(vertex_extra) else b""
    for index, face in enumerate(faces):
        body += struct.pack(f"{order}B{len(face)}i", len(face), *face)
        body += bytes(face_colors[index]) if face_colors is not None else b""
    return header.encode() + b"end_header\n" + body


def labelled_ply(faces, labels, name="label", kind="short", order="<", points=CORNERS):
    """Binary PLY whose faces carry a number beside their corners."""
    header, body = ply(faces, order, points=points).split(b"end_header\n", 1)
    at = 12 * len(points)
    out = body[:at]
    for face, label in zip(faces, labels, strict=True):
        size = 1 + 4 * len(face)
        out += body[at : at + size] + struct.pack(order + {"short": "h", "float": "f"}[kind], label)
        at += size
    return header + f"property {kind} {name}\nend_header\n".encode() + out


def npy(array):
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


def stl(faces=TRIANGLES, announced=None):
    body = b"".join(struct.pack("<12fH", 0, 0, 0, *CORNERS[face].reshape(-1), 0) for face in faces)
    return b"solid but binary".ljust(80) + struct.pack("<I", len(faces) if announced is None else announced) + body


def stl_text(faces=TRIANGLES):
    text = "solid cube\n"
    for face in faces:
        text += "facet normal 0 0 0\n outer loop\n"
        text += "".join(f"  vertex {x:g} {y:g} {z:e}\n" for x, y, z in CORNERS[face])
        text += " endloop\nendfacet\n"
    return (text + "endsolid cube\n").encode()


def png(color, size=4):
    buffer = io.BytesIO()
    Image.new("RGB", (size, size), color).save(buffer, "PNG")
    return buffer.getvalue()


class Gltf:
    """A glTF file under construction: add arrays, then read `header` and `binary`."""

    def __init__(self):
        self.binary = b""
        self.header = {"asset": {"version": "2.0"}, "accessors": [], "bufferViews": []}
        self.header |= {"meshes": [], "nodes": [], "scene": 0, "scenes": [{"nodes": []}]}

    def view(self, data):
        self.header["bufferViews"].append({"buffer": 0, "byteOffset": len(self.binary), "byteLength": len(data)})
        self.binary += data + b"\0" * (-len(data) % 4)
        return len(self.header["bufferViews"]) - 1

    def accessor(self, array, **extra):
        kinds = {"float32": 5126, "uint8": 5121, "uint16": 5123, "uint32": 5125, "int16": 5122}
        shape = "SCALAR" if array.ndim == 1 else f"VEC{array.shape[1]}"
        entry = {"componentType": kinds[array.dtype.name], "count": len(array), "type": shape} | extra
        if "bufferView" not in entry:
            entry["bufferView"] = self.view(array.tobytes())
        self.header["accessors"].append(entry)
        return len(self.header["accessors"]) - 1

    def cube(self, **attributes):
        """Adds a mesh of one primitive: the unit cube."""
        primitive = {
            "attributes": {"POSITION": self.accessor(CORNERS)} | attributes,
            "indices": self.accessor(TRIANGLES.reshape(-1).astype(np.uint16)),
        }
        self.header["meshes"].append({"primitives": [primitive]})
        return primitive

    def node(self, root=True, **node):
        self.header["nodes"].append(node)
        if root:
            self.header["scenes"][0]["nodes"].append(len(self.header["nodes"]) - 1)
        return len(self.header["nodes"]) - 1

    def glb(self):
        header = self.header | {"buffers": [{"byteLength": len(self.binary)}]}
        text = json.dumps(header).encode()
        text += b" " * (-len(text) % 4)
        chunks = struct.pack("<I4s", len(text), b"JSON") + text
        chunks += struct.pack("<I4s", len(self.binary), b"BIN\0") + self.binary
        return b"glTF" + struct.pack("<II", 2, 12 + len(chunks)) + chunks

    def gltf(self, uri=None):
        uri = uri or "data:application/octet-stream;base64," + base64.b64encode(self.binary).decode()
        header = self.header | {"buffers": [{"byteLength": len(self.binary), "uri": uri}]}
        return json.dumps(header).encode()


def write(folder: Path, name: str, data: bytes) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path
