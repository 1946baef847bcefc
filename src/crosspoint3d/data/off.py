"""A tolerant reader of OFF files, also the glued `OFF490 518 0` headers of ModelNet.

Layout after http://www.geomview.org/docs/html/OFF.html: keyword, counts, one vertex a line (x y z, for NOFF a
normal, for COFF a colour), one polygon a line (corner count, indices, perhaps a colour); # begins a comment.
"""

import re
import warnings

import numpy as np

from crosspoint3d.data.assemble import NEUTRAL, Array, MeshError, Part, assemble, fan, to_uint8
from crosspoint3d.data.mesh import Mesh

_HEADER = re.compile(rb"\s*(ST)?(C)?(N)?(4)?(n)?((?i:OFF))?[ \t]*(BINARY)?\s*(\d+)\s+(\d+)([ \t]+\d+)?[ \t]*(?=\s|$)")


def read_off(data: bytes) -> Mesh:
    """Read the bytes of an OFF file.

    Raises:
        MeshError: not OFF, truncated, a number that is none, or no usable surface.
    """
    if b"#" in data:
        data = re.sub(rb"#[^\n]*", b"", data)
    header = _HEADER.match(data)
    if re.match(rb"\s*\w*(?i:OFF)\s+BINARY", data):
        raise MeshError("binary off is not supported")
    if header is None:
        raise MeshError("no off header" if not re.match(rb"\s*\w*(?i:OFF)", data) else "truncated: no counts")
    texture, colored, normals, four, dims = (header[group] is not None for group in range(1, 6))
    if four or dims:
        raise MeshError("off with other than 3 dimensions is not supported")
    vertex_count, face_count = int(header[8]), int(header[9])
    lines = [line for line in data[header.end() :].splitlines() if line.strip()]
    if len(lines) < vertex_count + face_count:
        return _stream(numbers(b" ".join(lines)), vertex_count, face_count)
    if vertex_count == 0 or face_count == 0:
        raise MeshError("no vertices" if vertex_count == 0 else "no faces")

    width = len(lines[0].split())
    flat = numbers(b" ".join(lines[:vertex_count]))
    if width < 3 or flat.size != vertex_count * width:
        return _stream(numbers(b" ".join(lines)), vertex_count, face_count)
    table = flat.reshape(vertex_count, width)
    start = 6 if normals else 3
    usable = (colored or (width in (6, 7) and not normals)) and not texture and width >= start + 3
    vertex_colors = to_uint8(table[:, start : start + 3]) if usable else None

    rows = lines[vertex_count : vertex_count + face_count]
    lengths = np.fromiter((len(row.split()) for row in rows), np.int64, face_count)
    flat = numbers(b" ".join(rows))
    if flat.size != lengths.sum():
        raise MeshError("a face line holds something that is no number")
    begin = np.cumsum(lengths) - lengths
    counts = whole(flat[begin])
    if (counts < 0).any() or (counts >= lengths).any():
        bad = int(np.argmax((counts < 0) | (counts >= lengths)))
        raise MeshError(f"truncated: face {bad} announces {counts[bad]} corners, {lengths[bad] - 1} found")
    place = np.arange(flat.size) - np.repeat(begin, lengths)
    corners = whole(flat[(place >= 1) & (place <= np.repeat(counts, lengths))])
    positions, owner = fan(counts)
    faces = corners[positions]
    colors = _face_colors(flat, begin + 1 + counts, lengths - 1 - counts)
    if colors is not None:
        corner_colors: Array | None = np.repeat(colors[owner][:, None], 3, axis=1)
    elif vertex_colors is not None and faces.size and faces.min() >= 0 and faces.max() < vertex_count:
        corner_colors = vertex_colors[faces]
    else:
        corner_colors = None
    return assemble([Part(table[:, :3], faces, corner_colors, owner=owner)], owners=face_count)


def numbers(text: bytes) -> Array:
    """All numbers of a text as float64, (C,).

    Raises:
        MeshError: something in it is no number.
    """
    if not text.strip():
        return np.zeros(0)
    with warnings.catch_warnings():
        warnings.simplefilter("error", DeprecationWarning)
        try:
            return np.fromstring(text, dtype=np.float64, sep=" ")
        except (DeprecationWarning, ValueError) as error:
            raise MeshError("holds something that is no number") from error


def whole(values: Array) -> Array:
    """Float64 values as int64 indices.

    Raises:
        MeshError: a value has a fraction or is not finite.
    """
    with np.errstate(invalid="ignore"):
        result = values.astype(np.int64)
    if not np.array_equal(result, values):
        raise MeshError(f"index {values[np.argmax(result != values)]:g} is not a whole number")
    return result


def _stream(flat: Array, vertex_count: int, face_count: int) -> Mesh:
    """The same file without regard to line ends (no colours then); here truncation shows."""
    if flat.size < 3 * vertex_count:
        raise MeshError(f"truncated: {vertex_count} vertices announced, {flat.size // 3} found")
    rest = flat[3 * vertex_count :].tolist()
    counts: list[int] = []
    corners: list[float] = []
    at = 0
    while len(counts) < face_count:
        size = rest[at] if at < len(rest) else -1
        if not (size >= 0 and size == int(size) and at + 1 + size <= len(rest)):
            raise MeshError(f"truncated: {face_count} faces announced, {len(counts)} found")
        counts.append(int(size))
        corners += rest[at + 1 : at + 1 + int(size)]
        at += 1 + int(size)
    if not counts:
        raise MeshError("no faces")
    positions, owner = fan(np.array(counts))
    vertices = flat[: 3 * vertex_count].reshape(-1, 3)
    faces = whole(np.array(corners, dtype=np.float64))[positions]
    return assemble([Part(vertices, faces, owner=owner)], owners=face_count)


def _face_colors(flat: Array, start: Array, extra: Array) -> Array | None:
    """RGB of each face (P, 3): three or four values after the indices; a single one means nothing here."""
    has = (extra == 3) | (extra == 4)
    if not has.any():
        return None
    colors = np.full((len(start), 3), NEUTRAL, np.uint8)
    colors[has] = to_uint8(flat[start[has][:, None] + np.arange(3)])
    return colors
