"""`read_mesh`: one shape file in, a checked `Mesh` out, or the reason why not."""

from collections.abc import Callable
from pathlib import Path

import numpy as np

from crosspoint3d.data.assemble import MeshError
from crosspoint3d.data.gltf_scene import read_gltf
from crosspoint3d.data.mesh import Mesh
from crosspoint3d.data.off import read_off
from crosspoint3d.data.ply import read_ply
from crosspoint3d.data.scans import read_npy, read_npz, read_pcd, read_text
from crosspoint3d.data.stl import read_stl

__all__ = [
    "CLOUD_SUFFIXES",
    "COMPANION_SUFFIXES",
    "MESH_SUFFIXES",
    "Mesh",
    "MeshError",
    "is_shape_file",
    "read_mesh",
]

MESH_SUFFIXES = frozenset({".off", ".obj", ".ply", ".stl", ".glb", ".gltf"})
"""Formats with faces; PLY, OBJ and glTF may hold points only."""
CLOUD_SUFFIXES = frozenset({".npy", ".npz", ".xyz", ".txt", ".pts", ".pcd"})
"""Formats of points."""
_PICTURES = {
    ".png",
    ".jpg",
    ".jpeg",
    ".webp",
    ".bmp",
    ".tga",
    ".tif",
    ".tiff",
    ".gif",
    ".dds",
    ".ktx2",
    ".hdr",
}
COMPANION_SUFFIXES = frozenset({".mtl", ".bin", ".csv", ".json", ".md", ".yaml", ".yml", ".html", ".pdf"} | _PICTURES)
"""Files that lie beside shapes and are none: materials, textures, buffers, tables, documents."""


def is_shape_file(path: Path) -> bool:
    """Whether a file is worth reading as a shape, by its suffix.

    A `.txt` also has to begin with numbers, and a `.npy` to be no single row of numbers (labels).
    """
    suffix = path.suffix.lower()
    if suffix == ".npy":
        try:
            return bool(np.load(path, mmap_mode="r", allow_pickle=False).ndim != 1)
        except (OSError, ValueError):
            return True  # read_mesh says what is wrong with it
    if suffix != ".txt":
        return suffix in MESH_SUFFIXES or suffix in CLOUD_SUFFIXES
    try:
        with path.open("rb") as file:
            words = file.readline(1000).replace(b",", b" ").split()
        return len([float(word) for word in words]) >= 3
    except (OSError, ValueError):
        return False


def read_mesh(path: str | Path, *, file_order: bool = False) -> Mesh:
    """Read one shape file of any format in MESH_SUFFIXES or CLOUD_SUFFIXES.

    Coordinates stay as in the file (all instances of a scene in world coordinates), but for a far-off centre,
    which is moved to the origin to keep float32 exact. Vertices that no face uses are left out. Polygons become fans
    of triangles, and `Mesh.owner` tells which. `Mesh.parts` holds the labels of a PLY file's faces (points of a cloud):
    the first property of whole numbers called label, part, segment, part_id or object_id.

    Args:
        path: the file.
        file_order: keep the faces of an OBJ file in its order, rather than grouped by material.

    Raises:
        MeshError: the file holds no usable shape; its text is the reason, in lower case, without the path.
    """
    path = Path(path)
    suffix = path.suffix.lower()
    if suffix not in _READERS:
        raise MeshError(f"unknown format {suffix or path.name}")
    try:
        data = path.read_bytes().removeprefix(b"\xef\xbb\xbf")
        if not data.strip():
            raise MeshError("empty file")
        if file_order and suffix == ".obj":
            return _obj(data, path.parent, file_order=True)
        return _READERS[suffix](data, path.parent)
    except (MeshError, MemoryError):
        raise
    except OSError as error:
        raise MeshError(f"cannot be read: {error.strerror or error}".lower()) from error
    except Exception as error:
        text = f"{type(error).__name__}: {error}".splitlines()[0][:120]
        raise MeshError(f"broken {suffix[1:]} file ({text})") from error


def _obj(data: bytes, folder: Path, *, file_order: bool = False) -> Mesh:
    from crosspoint3d.data.obj import read_obj  # trimesh takes a third of a second to import

    return read_obj(data, folder, file_order=file_order)


_READERS: dict[str, Callable[[bytes, Path], Mesh]] = {
    ".off": lambda data, _: read_off(data),
    ".obj": _obj,
    ".ply": read_ply,
    ".stl": lambda data, _: read_stl(data),
    ".glb": read_gltf,
    ".gltf": read_gltf,
    ".npy": lambda data, _: read_npy(data),
    ".npz": lambda data, _: read_npz(data),
    ".xyz": lambda data, _: read_text(data),
    ".txt": lambda data, _: read_text(data),
    ".pts": lambda data, _: read_text(data),
    ".pcd": lambda data, _: read_pcd(data),
}
