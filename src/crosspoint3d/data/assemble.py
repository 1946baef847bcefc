"""From what a file reader found to a checked `Mesh`: triangles, colours, and every refusal.

Axis letters: V vertices, F faces (triangles), P polygons, C corners of all polygons, N points.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from crosspoint3d.data.mesh import Mesh

Array = npt.NDArray[Any]
NEUTRAL = 190  # grey of a face without a colour in a file where other faces have one
LARGEST = 1e15  # beyond it squares of float32 coordinates come near overflow


class MeshError(ValueError):
    """A file that holds no usable shape; the text is the reason in a few words."""


@dataclass
class Part:
    """What one piece of a file holds.

    Vertices (V, 3), faces (F, 3), colors (F, 3, 3) uint8, uv (F, 3, 2), texture (F,) or one for all, owner (F,): the
    face of the file that each was cut from, labels (F,) int64.
    """

    vertices: Array
    faces: Array
    colors: Array | None = None
    uv: Array | None = None
    texture: int | Array = -1
    owner: Array | None = None
    labels: Array | None = None


def fan(counts: Array) -> tuple[Array, Array]:
    """Cut polygons into triangle fans.

    Args:
        counts: corners of each polygon (P,); their corners lie one after the other in a flat list of C.

    Returns:
        Places in that flat list (F, 3), and the polygon that each triangle comes from (F,). Polygons of
        fewer than three corners give none.
    """
    counts = counts.astype(np.int64)
    triangles = np.maximum(counts - 2, 0)
    owner = np.repeat(np.arange(len(counts)), triangles)
    first = (np.cumsum(counts) - counts)[owner]
    step = np.arange(len(owner)) - (np.cumsum(triangles) - triangles)[owner]
    return np.stack([first, first + step + 1, first + step + 2], axis=1), owner


def to_uint8(colors: Array) -> Array:
    """Colours of any type as uint8: floats up to 1 and 16-bit integers are scaled, the rest clipped."""
    if colors.dtype == np.uint8:
        return colors
    if colors.dtype == np.uint16:
        return (colors // 257).astype(np.uint8)
    values = np.nan_to_num(colors.astype(np.float64))
    if values.size and values.max() <= 1.0:
        values = values * 255.0
    return np.clip(np.rint(values), 0, 255).astype(np.uint8)


def assemble(parts: Sequence[Part], textures: Sequence[Array] = (), owners: int = 0) -> Mesh:
    """One mesh of all parts, checked, in float32, without vertices that no face uses.

    Args:
        parts: what the file holds, in one coordinate system.
        textures: RGB images (H, W, 3) that the parts' `texture` counts into.
        owners: faces of the file, which the parts' `owner` counts into.

    Raises:
        MeshError: no faces, indices out of range, non-finite or huge coordinates, zero area.
    """
    parts = [part for part in parts if len(part.faces)]
    if not parts:
        raise MeshError("no faces")
    for part in parts:
        _check_indices(part.faces, len(part.vertices))
    starts = np.cumsum([0] + [len(part.vertices) for part in parts])
    vertices = np.concatenate([part.vertices for part in parts])
    faces = np.concatenate([part.faces.astype(np.int64) + start for part, start in zip(parts, starts, strict=False)])
    used = np.zeros(len(vertices), dtype=bool)
    used[faces] = True
    if not used.all():
        faces = (np.cumsum(used) - 1)[faces]
        vertices = vertices[used]
    if not np.isfinite(vertices).all():
        raise MeshError("non-finite vertices")
    vertices = _to_float32(vertices)
    _check_area(vertices, faces)
    owner = _whole([part.owner for part in parts])
    if owner is not None and owners == len(faces) and np.array_equal(owner, np.arange(owners)):
        owner = None
    return Mesh(
        vertices=vertices,
        faces=faces.astype(np.int32),
        corner_colors=_join([part.colors for part in parts], parts, NEUTRAL, np.uint8, (3, 3)),
        uv=_join([part.uv for part in parts], parts, 0, np.float32, (3, 2)) if textures else None,
        texture_index=_textures(parts) if textures else None,
        textures=tuple(textures),
        parts=_whole([part.labels for part in parts]),
        owner=None if owner is None else owner.astype(np.int32),
        owners=0 if owner is None else owners,
    )


def cloud(
    points: Array, colors: Array | None = None, normals: Array | None = None, labels: Array | None = None
) -> Mesh:
    """A shape of points only; points that are not finite are left out.

    Args:
        points: (N, 3), any type.
        colors: (N, 3) of any type and range, or None.
        normals: (N, 3), made unit length here, or None.
        labels: (N,), whole numbers, or None.

    Raises:
        MeshError: fewer than four finite points, or all at one place.
    """
    finite = np.isfinite(points.astype(np.float64)).all(axis=1)
    if finite.sum() < 4:
        raise MeshError(f"only {finite.sum()} finite points")
    kept = _to_float32(points[finite])
    if float(np.ptp(kept, axis=0).max()) == 0.0:
        raise MeshError("all points at one place")
    if normals is not None:
        normals = np.nan_to_num(normals[finite].astype(np.float64))
        length = np.linalg.norm(normals, axis=1, keepdims=True)
        normals = (normals / np.where(length > 0, length, 1)).astype(np.float32)
    return Mesh(
        vertices=kept,
        faces=np.zeros((0, 3), np.int32),
        vertex_colors=None if colors is None else to_uint8(colors)[finite],
        normals=normals,
        parts=None if labels is None else labels[finite],
        owner=None if finite.all() else np.flatnonzero(finite).astype(np.int32),
        owners=0 if finite.all() else len(points),
    )


def _check_indices(faces: Array, count: int) -> None:
    low, high = faces.min(), faces.max()
    if low < 0 or high >= count:
        raise MeshError(f"face index {int(low if low < 0 else high)} out of range ({count} vertices)")


def _to_float32(vertices: Array) -> Array:
    """Float32, moved to the origin first where a far-off centre (map coordinates) would cost the detail."""
    wide = vertices.astype(np.float64)
    low, high = wide.min(axis=0), wide.max(axis=0)
    if max(-low.min(), high.max()) > LARGEST:
        raise MeshError(f"coordinates up to {max(-low.min(), high.max()):.0e} are too large")
    centre = (low + high) / 2
    if np.abs(centre).max() > 100 * (high - low).max():
        wide = wide - centre
    return wide.astype(np.float32)


def _check_area(vertices: Array, faces: Array) -> None:
    corners = vertices.astype(np.float64)[faces]
    cross = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    area = 0.5 * float(np.sqrt(np.einsum("ij,ij->i", cross, cross)).sum())
    extent = float(np.ptp(vertices, axis=0).max())
    if area <= 1e-12 * extent * extent:
        raise MeshError("zero surface area")


def _join(
    blocks: Sequence[Array | None], parts: Sequence[Part], fill: int, dtype: Any, shape: tuple[int, int]
) -> Array | None:
    if all(block is None for block in blocks):
        return None
    filled = [
        np.full((len(part.faces), *shape), fill, dtype) if block is None else np.nan_to_num(block.astype(dtype))
        for block, part in zip(blocks, parts, strict=True)
    ]
    return np.ascontiguousarray(np.concatenate(filled))


def _whole(blocks: Sequence[Array | None]) -> Array | None:
    """One array of all, or None where a part has none."""
    known = [block for block in blocks if block is not None]
    return np.concatenate(known) if len(known) == len(blocks) else None


def _textures(parts: Sequence[Part]) -> Array:
    return np.concatenate([np.broadcast_to(np.asarray(part.texture, np.int16), len(part.faces)) for part in parts])
