"""`Mesh`: one shape in memory, whatever file or generator it came from.

Axis letters: V vertices, F faces (triangles), T textures, R faces of a mesh or points of a cloud.
"""

from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float32, Int16, Int32, Integer, UInt8


@dataclass(frozen=True)
class Mesh:
    """A triangle mesh, or a point cloud when it has no faces.

    Attributes:
        vertices: positions, any unit and centre, y up.
        faces: vertex indices of each triangle; zero rows mean that `vertices` is a point cloud.
        vertex_colors: RGB of every vertex, or None.
        corner_colors: RGB of the three corners of every face (material, face and vertex colours all end up
            here; with a texture they are its tint), or None for the renderer's neutral grey.
        uv: texture coordinates of the three corners of every face, v upwards, or None.
        texture_index: which of `textures` each face uses, -1 for none.
        textures: RGB images `(H, W, 3)`.
        parts: the part label of every face, or of every point of a cloud: global ids of procedural shapes, of files
            what their label property says; or None.
        normals: unit normals of a point cloud's points where the file has them, or None.
        owner: which face of the file each triangle was cut from, or which point of the file a cloud's point is; None
            where the file has just these, in this order (of an OBJ file known when read in `file_order`).
        owners: faces, or points, in the file, where `owner` is given.
    """

    vertices: Float32[np.ndarray, "V 3"]
    faces: Int32[np.ndarray, "F 3"]
    vertex_colors: UInt8[np.ndarray, "V 3"] | None = None
    corner_colors: UInt8[np.ndarray, "F 3 3"] | None = None
    uv: Float32[np.ndarray, "F 3 2"] | None = None
    texture_index: Int16[np.ndarray, " F"] | None = None
    textures: tuple[UInt8[np.ndarray, "H W 3"], ...] = field(default=())
    parts: Integer[np.ndarray, " R"] | None = None
    normals: Float32[np.ndarray, "V 3"] | None = None
    owner: Int32[np.ndarray, " R"] | None = None
    owners: int = 0

    @property
    def is_cloud(self) -> bool:
        """Whether the shape is points only."""
        return len(self.faces) == 0

    @property
    def in_file(self) -> int:
        """Faces of the mesh's file, before polygons were cut into triangles; of a cloud, points."""
        if self.owner is not None:
            return self.owners
        return len(self.vertices) if self.is_cloud else len(self.faces)
