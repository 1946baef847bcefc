"""PLY files: meshes of any polygons and point clouds, colours and part labels, textures.

Layout after Greg Turk's description of the format (http://paulbourke.net/dataformats/ply/).
"""

from pathlib import Path

import numpy as np

from crosspoint3d.data.assemble import Array, MeshError, Part, assemble, cloud, fan, to_uint8
from crosspoint3d.data.companions import Textures, decode_texture, find_companion
from crosspoint3d.data.mesh import Mesh
from crosspoint3d.data.off import numbers
from crosspoint3d.data.ply_rows import Columns, read_binary, read_header, read_text

_COLORS = (("red", "green", "blue"), ("diffuse_red", "diffuse_green", "diffuse_blue"), ("r", "g", "b"))
_UV = (("texture_u", "texture_v"), ("u", "v"), ("s", "t"))
_LABELS = ("label", "part", "segment", "part_id", "object_id")


def read_ply(data: bytes, folder: Path) -> Mesh:
    """Read the bytes of a PLY file; `folder` is where its textures are looked for.

    Raises:
        MeshError: not PLY, truncated, or no usable surface or points.
    """
    encoding, elements, texture_names, offset = read_header(data)
    columns: dict[str, Columns] = {}
    if encoding == "ascii":
        flat, at = numbers(data[offset:]), 0
        for element in elements:
            columns[element.name], at = read_text(flat, at, element)
    else:
        order = "<" if encoding == "binary_little_endian" else ">"
        for element in elements:
            columns[element.name], offset = read_binary(data, offset, element, order)
    if "vertex" not in columns:
        raise MeshError("no vertices")
    vertex = columns["vertex"]
    points = vertex.pick((("x", "y", "z"),))
    if points is None:
        raise MeshError("vertices without x, y and z")
    colors = vertex.pick(_COLORS)
    if "face" not in columns or not any(len(counts) for counts in columns["face"].counts.values()):
        if "tristrips" in columns:
            raise MeshError("triangle strips are not supported")
        return cloud(points, colors, vertex.pick((("nx", "ny", "nz"),)), _labels(vertex))
    return _mesh(points, colors, vertex, columns["face"], texture_names, folder)


def _mesh(
    points: Array,
    colors: Array | None,
    vertex: Columns,
    face: Columns,
    texture_names: list[str],
    folder: Path,
) -> Mesh:
    name = next((name for name in ("vertex_indices", "vertex_index") if name in face.counts), None)
    if name is None:
        raise MeshError("faces without vertex_indices")
    positions, owner = fan(face.counts[name])
    faces = face.values[name].astype(np.int64)[positions]
    inside = bool(len(faces)) and faces.min() >= 0 and faces.max() < len(points)
    labels = _labels(face)
    part = Part(points, faces, owner=owner, labels=None if labels is None else labels[owner])
    face_colors, uv = face.pick(_COLORS), vertex.pick(_UV)
    if face_colors is not None:
        part.colors = np.repeat(to_uint8(face_colors)[owner][:, None], 3, axis=1)
    elif colors is not None and inside:
        part.colors = to_uint8(colors)[faces]
    if "texcoord" in face.counts and np.array_equal(face.counts["texcoord"], 2 * face.counts[name]):
        part.uv = face.values["texcoord"].reshape(-1, 2)[positions]
    elif uv is not None and inside:
        part.uv = uv[faces]
    textures = Textures()
    if part.uv is not None:
        paths = [find_companion(folder, name) for name in texture_names]
        known = np.array(
            [textures.add(path, decode_texture(path.read_bytes()) if path else None) for path in paths] or [-1],
            np.int16,
        )
        chosen = face.values["texnumber"][owner] if "texnumber" in face.values else np.zeros(len(faces))
        part.texture = known[np.clip(chosen.astype(np.int64), 0, len(known) - 1)]
    return assemble([part], textures.images, owners=len(face.counts[name]))


def _labels(columns: Columns) -> Array | None:
    """The first property of whole numbers that is named like part labels, one a row."""
    for name in _LABELS:
        values = columns.values.get(name)
        if values is not None and name not in columns.counts and values.dtype.kind in "iu":
            return values.astype(np.int64)
    return None
