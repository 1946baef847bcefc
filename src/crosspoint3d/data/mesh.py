"""`Mesh`: one shape in memory, whatever file or generator it came from.

Axis letters: V vertices, F faces (triangles), T textures.
"""

from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float32, Int16, Int32, UInt8


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
        parts: the part label of every face (procedural shapes), or None.
        normals: unit normals of a point cloud's points where the file has them, or None.
    """

    vertices: Float32[np.ndarray, "V 3"]
    faces: Int32[np.ndarray, "F 3"]
    vertex_colors: UInt8[np.ndarray, "V 3"] | None = None
    corner_colors: UInt8[np.ndarray, "F 3 3"] | None = None
    uv: Float32[np.ndarray, "F 3 2"] | None = None
    texture_index: Int16[np.ndarray, " F"] | None = None
    textures: tuple[UInt8[np.ndarray, "H W 3"], ...] = field(default=())
    parts: UInt8[np.ndarray, " F"] | None = None
    normals: Float32[np.ndarray, "V 3"] | None = None

    @property
    def is_cloud(self) -> bool:
        """Whether the shape is points only."""
        return len(self.faces) == 0
