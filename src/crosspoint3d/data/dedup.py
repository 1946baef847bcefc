"""Shapes of exactly the same geometry, whatever their files are called: a hash of each, and who was there first.

Near-duplicates, turned or scaled copies are another matter: `near_duplicates.py`.
"""

import hashlib
from typing import Any

import numpy as np

from crosspoint3d.data.mesh import Mesh
from crosspoint3d.data.table import OK

DUPLICATE = "duplicate of "
"""How the status of a shape begins that was left out because an earlier one has its geometry."""
_CONTENTLESS = ("id", "source", "category", "split", "content")


def content_hash(mesh: Mesh) -> str:
    """A hash (32 hexadecimal digits) of where the triangles of a mesh are, or the points of a cloud.

    Equal for equal sets of float32 coordinates, in whatever order the file lists vertices, faces and corners, whether
    it shares vertices or repeats them, and whatever its colours, textures, normals and labels are. A copy that was
    moved, turned, scaled, rounded to fewer digits, or whose polygons are cut into other triangles has another hash.
    """
    bits = np.ascontiguousarray(mesh.vertices + np.float32(0)).view(np.uint32).astype(np.uint64)  # -0 becomes 0
    places = _mixed(_mixed(_mixed(bits[:, 0]) + bits[:, 1]) + bits[:, 2])
    items = places if mesh.is_cloud else _mixed(_mixed(places + np.uint64(1))[mesh.faces].sum(axis=1, dtype=np.uint64))
    digest = hashlib.blake2b(np.sort(items).astype("<u8").tobytes(), digest_size=16)
    digest.update(b"cloud" if mesh.is_cloud else b"mesh")
    return digest.hexdigest()


def _mixed(values: np.ndarray) -> np.ndarray:
    """The finaliser of splitmix64 (Steele et al. 2014), a bijection in which every bit in decides every bit out."""
    mixed = values + np.uint64(0x9E3779B97F4A7C15)
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    out: np.ndarray = mixed ^ (mixed >> np.uint64(31))
    return out


def same_geometry(ids: list[str], statuses: list[str], contents: list[str | None]) -> dict[str, str]:
    """Each shape with the geometry of one before it, left out or kept, and the id of that first one."""
    first: dict[str, str] = {}
    found = {}
    for name, status, content in zip(ids, statuses, contents, strict=True):
        if status.startswith(DUPLICATE):
            found[name] = status.removeprefix(DUPLICATE)
        elif status == OK and content is not None and (before := first.setdefault(content, name)) != name:
            found[name] = before
    return found


class Duplicates:
    """Refuses rows whose geometry a row before them has; the order of the rows decides, so that every run agrees.

    Args:
        ids, statuses, contents: of the rows that the table holds already.
    """

    def __init__(self, ids: list[str], statuses: list[str], contents: list[str | None]) -> None:
        rows = zip(ids, statuses, contents, strict=True)
        self._first = {content: name for name, status, content in rows if status == OK and content is not None}

    def checked(self, row: dict[str, Any]) -> dict[str, Any]:
        """The row, or in place of a duplicate one that says whose."""
        content = row.get("content")
        if row["status"] != OK or content is None:
            return row
        first = self._first.setdefault(content, row["id"])
        if first == row["id"]:
            return row
        return {name: row.get(name) for name in _CONTENTLESS} | {"status": DUPLICATE + first}
