"""Writing labelled shapes as binary PLY: a colour and a part id for every face of a mesh or point of a cloud."""

from pathlib import Path

import numpy as np
from jaxtyping import Int16, UInt8

from crosspoint3d.data.mesh import Mesh
from crosspoint3d.runtime import atomic

_RGB = [("red", "u1"), ("green", "u1"), ("blue", "u1")]
_LABEL = ["property uchar red", "property uchar green", "property uchar blue", "property short part"]


def write_labelled_ply(
    path: Path, mesh: Mesh, colours: UInt8[np.ndarray, "M 3"], parts: Int16[np.ndarray, " M"]
) -> None:
    """Write a mesh with coloured faces, or a cloud of coloured points; `part` is one more property of each.

    Vertices and triangles come in the order of `mesh`, in its coordinates.

    Args:
        path: is replaced whole or not at all.
        mesh: a shape.
        colours: sRGB of each face, or of each point of a cloud.
        parts: part ids of the same.

    Raises:
        ValueError: colours or parts are as many as neither faces nor points.
        OSError: the file cannot be written.
    """
    count = len(mesh.vertices) if mesh.is_cloud else len(mesh.faces)
    if not len(colours) == len(parts) == count:
        what = "points" if mesh.is_cloud else "faces"
        raise ValueError(f"colours ({len(colours)}) and parts ({len(parts)}): expected one for each of {count} {what}")
    header = ["ply", "format binary_little_endian 1.0", "comment part labels by crosspoint3d"]
    header += [f"element vertex {len(mesh.vertices)}", *(f"property float {axis}" for axis in "xyz")]
    label = [*_RGB, ("part", "<i2")]
    if mesh.is_cloud:
        header += _LABEL
        vertices = np.empty(count, np.dtype([("xyz", "<f4", (3,)), *label]))
        rows = [vertices]
        labelled = vertices
    else:
        header += [f"element face {count}", "property list uchar int vertex_indices", *_LABEL]
        vertices = np.empty(len(mesh.vertices), np.dtype([("xyz", "<f4", (3,))]))
        labelled = np.empty(count, np.dtype([("corners", "u1"), ("face", "<i4", (3,)), *label]))
        labelled["corners"], labelled["face"] = 3, mesh.faces
        rows = [vertices, labelled]
    vertices["xyz"] = mesh.vertices
    labelled["part"] = parts
    for channel, (name, _) in enumerate(_RGB):
        labelled[name] = colours[:, channel]
    with atomic(path) as temporary, temporary.open("wb") as file:
        file.write(("\n".join(header) + "\nend_header\n").encode())
        for block in rows:
            file.write(block.tobytes())
