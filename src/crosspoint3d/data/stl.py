"""STL files, binary and ASCII."""

import re

import numpy as np

from crosspoint3d.data.assemble import MeshError, Part, assemble
from crosspoint3d.data.mesh import Mesh
from crosspoint3d.data.off import numbers

_TRIANGLE = np.dtype([("normal", "<f4", 3), ("corners", "<f4", (3, 3)), ("attribute", "<u2")])
_VERTEX = re.compile(rb"^\s*vertex\s+([^\n\r]*)", re.IGNORECASE | re.MULTILINE)


def read_stl(data: bytes) -> Mesh:
    """Read the bytes of an STL file.

    Raises:
        MeshError: truncated, or no usable surface.
    """
    announced = int.from_bytes(data[80:84], "little") if len(data) >= 84 else -1
    is_text = data.lstrip()[:5].lower() == b"solid" and len(data) != 84 + 50 * announced
    if is_text and b"\0" not in data:
        return _read_text(data)
    if announced < 0:
        raise MeshError("truncated: no stl header")
    found = (len(data) - 84) // 50
    if found < announced:
        raise MeshError(f"truncated: {announced} faces announced, {found} found")
    corners = np.frombuffer(data, _TRIANGLE, announced, offset=84)["corners"].reshape(-1, 3)
    return assemble([Part(corners, np.arange(len(corners)).reshape(-1, 3))])


def _read_text(data: bytes) -> Mesh:
    lowered = data.lower()
    ends = lowered.count(b"endfacet")
    rows = _VERTEX.findall(data)
    if ends * 3 != len(rows) or lowered.rfind(b"endsolid") < lowered.rfind(b"endfacet"):
        raise MeshError(f"truncated: {ends} facets closed, {len(rows)} corners found")
    flat = numbers(b" ".join(rows))
    if flat.size != 3 * len(rows):
        raise MeshError("a vertex line has not three numbers")
    return assemble([Part(flat.reshape(-1, 3), np.arange(len(rows)).reshape(-1, 3))])
