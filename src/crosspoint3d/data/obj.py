"""Wavefront OBJ through trimesh, with the colours and textures of its MTL file."""

import io
import re
from pathlib import Path
from typing import Any

import numpy as np
from trimesh.exchange.obj import load_obj
from trimesh.resolvers import Resolver

from crosspoint3d.data.assemble import Array, MeshError, Part, assemble, cloud, fan, to_uint8
from crosspoint3d.data.companions import Textures, as_rgb, find_companion
from crosspoint3d.data.mesh import Mesh


class _Beside(Resolver):  # type: ignore[misc]
    """Hands trimesh the files that an OBJ file names, wherever `find_companion` finds them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def get(self, key: str) -> bytes:
        path = find_companion(self.folder, key) or find_companion(self.folder, key.split()[-1])
        if path is None:
            raise FileNotFoundError(key)
        data = path.read_bytes()
        return _text(data).encode() if path.suffix.lower() == ".mtl" else data

    def keys(self) -> list[str]:
        return []

    def write(self, name: str, data: bytes) -> None:
        raise NotImplementedError(name)

    def namespaced(self, namespace: str) -> "_Beside":
        return _Beside(self.folder / namespace)


def read_obj(data: bytes, folder: Path, *, file_order: bool = False) -> Mesh:
    """Read the bytes of an OBJ file; `folder` is where its MTL file and textures are looked for.

    A texture that is missing leaves the material's colour (Kd), a material that is missing leaves none. Faces are
    grouped by material, unless `file_order` keeps them as in the file.

    Raises:
        MeshError: no vertices, indices out of range, or no usable surface.
    """
    rows = len(re.findall(rb"^\s*v\s", data, re.MULTILINE))
    if rows == 0:
        raise MeshError("no vertices")
    if re.search(rb"^\s*f\b[^\n]*[ \t]0+(?=[/\s]|$)", data, re.MULTILINE):
        raise MeshError(f"face index 0 out of range ({rows} vertices, counted from 1)")
    try:
        loaded = load_obj(io.StringIO(_text(data)), resolver=_Beside(folder), group_material=not file_order)
    except IndexError as error:
        number = re.search(r"index (-?\d+)", str(error))
        raise MeshError(f"face index {number[1] if number else ''} out of range ({rows} vertices)") from error
    if "geometry" not in loaded:
        return cloud(loaded["vertices"], loaded.get("vertex_colors"))
    geometries = list(loaded["geometry"].values())
    textures = Textures()
    if not file_order:
        return assemble([_part(geometry, textures) for geometry in geometries], textures.images)
    parts = [_part(geometry, textures) for geometry in reversed(geometries)]  # trimesh takes pieces from the end
    faces = re.findall(r"^f[ \t]([^\n]*)", _text(data).replace("\r\n", "\n").replace("\\\n", ""), re.MULTILINE)
    _, owner = fan(np.array([len(line.split()) for line in faces]))
    ends = np.cumsum([len(part.faces) for part in parts])
    if ends[-1] != len(owner):
        raise MeshError(f"face lines are not understood ({len(owner)} triangles announced, {ends[-1]} read)")
    for part, own in zip(parts, np.split(owner, ends[:-1]), strict=True):
        part.owner = own
    return assemble(parts, textures.images, owners=len(faces))


def _text(data: bytes) -> str:
    """UTF-8, or Latin-1 where it is not; trimesh would need another package to guess."""
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return data.decode("latin-1")


def _part(geometry: dict[str, Any], textures: Textures) -> Part:
    polygons = np.asarray(geometry["faces"])
    if np.shape(geometry["vertices"])[1:] != (3,):
        raise MeshError("vertices without x, y and z")
    positions, _ = fan(np.full(len(polygons), polygons.shape[1]))
    part = Part(geometry["vertices"], polygons.reshape(-1)[positions])
    visual: Any = geometry.get("visual")
    material = None if visual is None else visual.material
    if (
        visual is not None
        and material is not None
        and visual.uv is not None
        and getattr(material, "image", None) is not None
    ):
        part.texture = textures.add(id(material.image), as_rgb(material.image))
        part.uv = visual.uv[part.faces] if part.texture >= 0 else None
    tint = _tint(material, textured=part.uv is not None)
    if tint is not None:
        part.colors = np.broadcast_to(tint, (len(part.faces), 3, 3))
    elif part.uv is None and geometry.get("vertex_colors") is not None:
        part.colors = to_uint8(geometry["vertex_colors"])[part.faces]
    return part


def _tint(material: Any, *, textured: bool) -> Array | None:
    """Kd as uint8 RGB; white for a texture under a black Kd, which some exporters write for "not used"."""
    kd = getattr(material, "kwargs", {}).get("kd") if material is not None else None
    color = None if kd is None or np.size(kd) != 3 else np.clip(np.asarray(kd, np.float64), 0.0, 1.0)
    if textured and (color is None or not color.any()):
        color = np.ones(3)
    return None if color is None else np.rint(np.nan_to_num(color) * 255.0).astype(np.uint8)
