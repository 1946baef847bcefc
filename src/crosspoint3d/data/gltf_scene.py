"""The scene side of glTF 2.0: nodes with their transforms, primitives, materials.

Layout after https://registry.khronos.org/glTF/specs/2.0/glTF-2.0.html. Skins and morph targets stay at rest.
"""

from pathlib import Path
from typing import Any

import numpy as np

from crosspoint3d.data.assemble import Array, MeshError, Part, assemble, cloud
from crosspoint3d.data.companions import Textures
from crosspoint3d.data.gltf import Container
from crosspoint3d.data.mesh import Mesh

_POINTS, _TRIANGLES, _STRIP, _FAN = 0, 4, 5, 6


def read_gltf(data: bytes, folder: Path) -> Mesh:
    """Read the bytes of a glTF or GLB file; `folder` is where buffers and textures are looked for.

    Every instance of a mesh is there with its node's transform. The colour of a corner is baseColorFactor
    times COLOR_0, turned from linear to sRGB; a texture that is missing leaves that colour.

    Raises:
        MeshError: truncated, a missing buffer, an extension that would change the shape, no usable surface.
    """
    container = Container(data, folder)
    textures = Textures()
    shapes: dict[int, list[tuple[Part, bool]]] = {}
    parts: list[Part] = []
    points: list[Part] = []
    for matrix, mesh in _instances(container):
        if mesh not in shapes:
            primitives = container.listed("meshes", mesh)["primitives"]
            shapes[mesh] = [_primitive(container, item, textures) for item in primitives if _is_used(item)]
        for part, is_cloud in shapes[mesh]:
            vertices = part.vertices.astype(np.float64) @ matrix[:3, :3].T + matrix[:3, 3]
            mirrored = np.linalg.det(matrix[:3, :3]) < 0
            placed = Part(vertices, part.faces, part.colors, part.uv, part.texture)
            if mirrored and not is_cloud:
                placed.faces = part.faces[:, ::-1]
                placed.colors = None if part.colors is None else part.colors[:, ::-1]
                placed.uv = None if part.uv is None else part.uv[:, ::-1]
            (points if is_cloud else parts).append(placed)
    if not parts and points:
        colors = None
        if all(part.colors is not None for part in points):
            colors = np.concatenate([part.colors for part in points if part.colors is not None])
        return cloud(np.concatenate([part.vertices for part in points]), colors)
    return assemble(parts, textures.images)


def _instances(container: Container) -> list[tuple[Array, int]]:
    """World matrix (4, 4) and mesh of every node of the scene that has one."""
    header = container.header
    nodes = header.get("nodes", [])
    if header.get("scenes"):
        roots = container.listed("scenes", header.get("scene", 0)).get("nodes", [])
    else:
        children = {child for node in nodes for child in node.get("children", [])}
        roots = [index for index in range(len(nodes)) if index not in children]
    stack = [(index, np.eye(4)) for index in reversed(roots)]
    seen: set[int] = set()
    found: list[tuple[Array, int]] = []
    while stack:
        index, parent = stack.pop()
        if index in seen:
            raise MeshError(f"gltf node {index} has two parents")
        seen.add(index)
        node = container.listed("nodes", index)
        if "EXT_mesh_gpu_instancing" in node.get("extensions", {}):
            raise MeshError("gltf extension EXT_mesh_gpu_instancing is not supported")
        matrix = parent @ _local(node)
        if "mesh" in node:
            found.append((matrix, node["mesh"]))
        stack += [(child, matrix) for child in reversed(node.get("children", []))]
    return found


def _local(node: dict[str, Any]) -> Array:
    """A node's matrix, or translation * rotation (quaternion x y z w) * scale."""
    if "matrix" in node:
        given: Array = np.array(node["matrix"], np.float64).reshape(4, 4).T
        return given
    x, y, z, w = np.array(node.get("rotation", (0, 0, 0, 1)), np.float64)
    norm = x * x + y * y + z * z + w * w
    s = 2.0 / norm if norm > 0 else 0.0
    matrix: Array = np.eye(4)
    matrix[:3, :3] = [
        [1 - s * (y * y + z * z), s * (x * y - z * w), s * (x * z + y * w)],
        [s * (x * y + z * w), 1 - s * (x * x + z * z), s * (y * z - x * w)],
        [s * (x * z - y * w), s * (y * z + x * w), 1 - s * (x * x + y * y)],
    ]
    matrix[:3, :3] *= np.array(node.get("scale", (1, 1, 1)), np.float64)
    matrix[:3, 3] = node.get("translation", (0, 0, 0))
    return matrix


def _is_used(primitive: dict[str, Any]) -> bool:
    """Lines are no surface; everything else with positions counts."""
    return primitive.get("mode", _TRIANGLES) in (
        _POINTS,
        _TRIANGLES,
        _STRIP,
        _FAN,
    ) and "POSITION" in primitive.get("attributes", {})


def _primitive(container: Container, primitive: dict[str, Any], textures: Textures) -> tuple[Part, bool]:
    """One primitive in its mesh's coordinates, and whether it is points; colours of points are (V, 3)."""
    attributes = primitive["attributes"]
    packed = container.draco(primitive)
    values = dict(packed[0]) if packed else {}

    def attribute(name: str) -> Array | None:
        if name not in values and name in attributes:
            values[name] = container.accessor(attributes[name])
        return values.get(name)

    vertices = attribute("POSITION")
    if vertices is None or vertices.shape[1] != 3:
        raise MeshError("positions without x, y and z")
    if packed:
        order = packed[1]
    elif "indices" in primitive:
        order = container.accessor(primitive["indices"])[:, 0].astype(np.int64)
    else:
        order = np.arange(len(vertices))
    mode = primitive.get("mode", _TRIANGLES)
    material = container.listed("materials", primitive["material"]) if "material" in primitive else {}
    tint, texture, coordinates = _material(container, material, textures)
    colors = attribute("COLOR_0")
    linear = None if colors is None and tint is None else np.ones((len(vertices), 3)) * (1.0 if tint is None else tint)
    if colors is not None and linear is not None:
        if len(colors) != len(vertices):
            raise MeshError(f"{len(colors)} colours for {len(vertices)} vertices")
        linear = linear * colors[:, :3]
    rgb = None if linear is None else _srgb(linear)
    if mode == _POINTS:
        return Part(vertices, np.zeros((0, 3), np.int64), rgb), True
    faces = _triangles(order, mode if not packed else _TRIANGLES)
    if len(faces) and (faces.min() < 0 or faces.max() >= len(vertices)):
        raise MeshError(f"face index {int(faces.max())} out of range ({len(vertices)} vertices)")
    part = Part(vertices, faces, None if rgb is None else rgb[faces])
    uv = attribute(f"TEXCOORD_{coordinates['set']}") if texture >= 0 else None
    if uv is not None and len(uv) == len(vertices):
        turned = uv.astype(np.float64) @ coordinates["matrix"][:2, :2].T + coordinates["matrix"][:2, 2]
        part.uv, part.texture = np.stack([turned[:, 0], 1.0 - turned[:, 1]], axis=1)[faces], texture
    return part, False


def _triangles(order: Array, mode: int) -> Array:
    if mode == _TRIANGLES:
        return order[: len(order) // 3 * 3].reshape(-1, 3)
    if mode == _FAN:
        return np.stack([np.full(max(len(order) - 2, 0), order[0]), order[1:-1], order[2:]], axis=1)
    strip = np.stack([order[:-2], order[1:-1], order[2:]], axis=1)
    strip[1::2] = strip[1::2, ::-1]
    return strip


def _material(
    container: Container, material: dict[str, Any], textures: Textures
) -> tuple[Array | None, int, dict[str, Any]]:
    """Linear base colour (3,) or None, place of the texture or -1, its coordinates' number and transform."""
    old = material.get("extensions", {}).get("KHR_materials_pbrSpecularGlossiness")
    base = old if old is not None else material.get("pbrMetallicRoughness", {})
    factor = base.get("diffuseFactor" if old is not None else "baseColorFactor")
    info = base.get("diffuseTexture" if old is not None else "baseColorTexture")
    tint = np.array(factor if factor is not None else (1, 1, 1), np.float64)[:3] if material else None
    coordinates: dict[str, Any] = {"set": 0, "matrix": np.eye(3)}
    if info is None:
        return tint, -1, coordinates
    entry = container.listed("textures", info["index"])
    coordinates["set"] = info.get("texCoord", 0)
    change = info.get("extensions", {}).get("KHR_texture_transform")
    if change is not None:
        angle, (across, down) = change.get("rotation", 0.0), change.get("scale", (1.0, 1.0))
        turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
        coordinates["set"] = change.get("texCoord", coordinates["set"])
        coordinates["matrix"][:2, :2] = turn * (across, down)
        coordinates["matrix"][:2, 2] = change.get("offset", (0.0, 0.0))
    source = entry.get("extensions", {}).get("EXT_texture_webp", entry).get("source", entry.get("source"))
    if source is None:
        return tint, -1, coordinates
    return tint, textures.add(source, container.picture(source)), coordinates


def _srgb(linear: Array) -> Array:
    """Linear colours 0 to 1 as sRGB uint8 (IEC 61966-2-1)."""
    linear = np.clip(np.nan_to_num(linear.astype(np.float64)), 0.0, 1.0)
    curved = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    return np.rint(curved * 255.0).astype(np.uint8)
