"""Points of the surface that can be seen from outside: what a scanner gets of a shape, without what lies within it.

Axis letters: P points, D directions.
"""

import math
from typing import no_type_check

import numpy as np
from jaxtyping import Bool, Float, Float32, Int64

from crosspoint3d import geometry
from crosspoint3d.compiled import njit_cached
from crosspoint3d.data.mesh import Mesh
from crosspoint3d.data.raster import draw_faces, project

SIDES = 48
SAMPLES = 256
WANTED = 2  # sides that must see a point: one may look through a gap of a sample's width
TOLERANCE = 2e-4  # of the depth: a point this far below a face still counts as part of it

compiled = njit_cached()


def sample_outer_surface(
    mesh: Mesh, count: int, generator: np.random.Generator
) -> tuple[Float32[np.ndarray, "P 3"], Int64[np.ndarray, " P"]]:
    """Draw points uniformly from the part of a surface that at least two of 48 cameras around the shape see.

    Args:
        mesh: a shape with faces.
        count: points to draw.
        generator: source of randomness.

    Returns:
        The points and the face of each.

    Raises:
        ValueError: no face has an area.
    """
    points, faces, found = [], [], 0
    eyes: _Eyes | None = None
    while found < count:
        drawn, face, _ = geometry.sample_surface(mesh.vertices, mesh.faces, 2 * count, generator)
        eyes = eyes or _Eyes(mesh)
        seen = eyes.see(drawn)
        points.append(drawn[seen])
        faces.append(face[seen])
        found += len(faces[-1])
    return np.concatenate(points)[:count], np.concatenate(faces)[:count]


def side_poses(count: int) -> Float32[np.ndarray, "D 3"]:
    """Camera poses (azimuth, elevation, distance) spread evenly over the sphere, on a Fibonacci spiral."""
    place = np.arange(count) + 0.5
    azimuth = np.pi * (3 - math.sqrt(5)) * place
    elevation = np.arcsin(1 - 2 * place / count)
    return np.stack([azimuth, elevation, np.full(count, geometry.CAMERA_DISTANCE)], axis=1).astype(np.float32)


class _Eyes:
    """The faces that each camera sees."""

    def __init__(self, mesh: Mesh) -> None:
        used = mesh.vertices[np.unique(mesh.faces)].astype(np.float64)
        self.centre = (used.min(axis=0) + used.max(axis=0)) / 2
        self.scale = float(np.linalg.norm(used - self.centre, axis=1).max()) or 1.0
        self.faces = np.ascontiguousarray(mesh.faces)
        self.matrices = [geometry.camera_matrix(pose) for pose in side_poses(SIDES)]
        self.screens = [self._project(mesh.vertices, matrix) for matrix in self.matrices]
        self.ids = np.full((SIDES, SAMPLES, SAMPLES), -1, np.int32)
        inverse = np.empty((SAMPLES, SAMPLES), np.float32)
        for screen, ids in zip(self.screens, self.ids, strict=True):
            inverse.fill(0.0)
            draw_faces(screen, self.faces, inverse, ids)

    def see(self, points: Float[np.ndarray, "P 3"]) -> Bool[np.ndarray, " P"]:
        times = np.zeros(len(points), np.int64)
        for matrix, screen, ids in zip(self.matrices, self.screens, self.ids, strict=True):
            _count_seen(self._project(points, matrix), screen, self.faces, ids, times)
        return times >= WANTED

    def _project(self, points: Float[np.ndarray, "P 3"], matrix: Float32[np.ndarray, "4 4"]) -> np.ndarray:
        placed = (points.astype(np.float64) - self.centre) / self.scale
        screen: np.ndarray = project(placed, matrix, geometry.HALF_ANGLE_TANGENT, SAMPLES)
        return screen


@compiled
@no_type_check
def _count_seen(points, screen, faces, ids, times):
    """Count the points that no face hides: those not behind the plane of the face that their sample sees."""
    size = len(ids)
    for p in range(len(points)):
        x, y, inverse = points[p, 3], points[p, 4], points[p, 5]
        face = ids[min(max(int(y), 0), size - 1), min(max(int(x), 0), size - 1)]
        if face < 0:
            times[p] += 1
            continue
        a, b, c = faces[face, 0], faces[face, 1], faces[face, 2]
        ux, uy, ui = screen[b, 3] - screen[a, 3], screen[b, 4] - screen[a, 4], screen[b, 5] - screen[a, 5]
        vx, vy, vi = screen[c, 3] - screen[a, 3], screen[c, 4] - screen[a, 4], screen[c, 5] - screen[a, 5]
        area = ux * vy - uy * vx
        if abs(area) < 1e-9:  # edge-on: it hides nothing
            times[p] += 1
            continue
        x, y = x - screen[a, 3], y - screen[a, 4]
        plane = screen[a, 5] + ((x * vy - y * vx) * ui + (y * ux - x * uy) * vi) / area
        if inverse >= plane * (1.0 - TOLERANCE):
            times[p] += 1
