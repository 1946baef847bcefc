"""Clouds of procedural shapes, every point knowing its part.

Axis letters: N shapes, P points.
"""

from functools import lru_cache

import numpy as np
from jaxtyping import Float32, UInt8

from crosspoint3d import geometry
from crosspoint3d.data.outer_surface import sample_outer_surface
from crosspoint3d.data.shapes import procedural_shape

POINTS = 2048


@lru_cache(maxsize=1)
def procedural_clouds(
    count: int, seed: int, *, outer: bool = False
) -> tuple[Float32[np.ndarray, "N P 3"], UInt8[np.ndarray, "N P"], tuple[str, ...]]:
    """The first `count` shapes of the series `seed`, the same on every machine; the arrays are shared: do not write.

    Args:
        count: shapes.
        seed: which series.
        outer: draw from the surface seen from outside only. A quarter of the whole lies within other parts, a mattress
            under its blanket, where two parts share their places.

    Returns:
        Points drawn uniformly from the surfaces, the part of each (its position in `shapes.PARTS`), and the categories.
    """
    points = np.empty((count, POINTS, 3), dtype=np.float32)
    parts = np.empty((count, POINTS), dtype=np.uint8)
    categories = []
    for index in range(count):
        mesh, category = procedural_shape(index, seed)
        generator = np.random.default_rng([seed, index])
        if outer:
            points[index], face = sample_outer_surface(mesh, POINTS, generator)
        else:
            points[index], face, _ = geometry.sample_surface(mesh.vertices, mesh.faces, POINTS, generator)
        assert mesh.parts is not None
        parts[index] = mesh.parts[face]
        categories.append(category)
    points.setflags(write=False)
    parts.setflags(write=False)
    return points, parts, tuple(categories)
