"""Small shapes with a known look, and ray casting as the plain definition of depth."""

import math
from typing import Any

import numpy as np

from crosspoint3d.data.mesh import Mesh
from crosspoint3d.geometry import CAMERA_DISTANCE, FIELD_OF_VIEW, camera_matrix

UNIT = (np.zeros(3), 1.0)
FRONT = np.array([[0.0, 0.0, CAMERA_DISTANCE]])
CORNER = np.array([[0.6, 0.5, CAMERA_DISTANCE]])
WHITE = 255


def cube(half: float = 0.5) -> Mesh:
    grid = [[x, y, z] for x in (-half, half) for y in (-half, half) for z in (-half, half)]
    quads = [[0, 1, 3, 2], [4, 6, 7, 5], [0, 4, 5, 1], [2, 3, 7, 6], [0, 2, 6, 4], [1, 5, 7, 3]]
    faces = [[q[0], q[i], q[i + 1]] for q in quads for i in (1, 2)]
    return Mesh(np.array(grid, np.float32), np.array(faces, np.int32))


def sphere(radius: float = 0.8, rings: int = 24, round_: int = 48) -> Mesh:
    theta, phi = np.linspace(0, math.pi, rings + 1), np.linspace(0, 2 * math.pi, round_, endpoint=False)
    t, p = np.meshgrid(theta, phi, indexing="ij")
    grid = radius * np.stack([np.sin(t) * np.cos(p), np.cos(t), np.sin(t) * np.sin(p)], axis=-1)
    index = np.arange((rings + 1) * round_).reshape(rings + 1, round_)
    a, b = index[:-1], index[1:]
    c, d = np.roll(b, -1, axis=1), np.roll(a, -1, axis=1)
    faces = np.concatenate([np.stack([a, b, c], -1).reshape(-1, 3), np.stack([a, c, d], -1).reshape(-1, 3)])
    return Mesh(grid.reshape(-1, 3).astype(np.float32), faces.astype(np.int32))


def quad(z: float = 0.0, half: float = 0.5, **extra: Any) -> Mesh:
    corners = [[-half, -half, z], [half, -half, z], [half, half, z], [-half, half, z]]
    return Mesh(np.array(corners, np.float32), np.array([[0, 1, 2], [0, 2, 3]], np.int32), **extra)


def random_soup(seed: int, count: int = 25) -> Mesh:
    generator = np.random.default_rng(seed)
    vertices = generator.uniform(-0.55, 0.55, (count * 3, 3)).astype(np.float32)
    return Mesh(vertices, np.arange(count * 3, dtype=np.int32).reshape(-1, 3))


def rays(pose: np.ndarray, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Camera position and, for each pixel centre, the direction that moves one unit along the view axis."""
    matrix = camera_matrix(pose).astype(np.float64)
    steps = (2 * (np.arange(size) + 0.5) / size - 1) * math.tan(FIELD_OF_VIEW / 2)
    x, y = np.meshgrid(steps, -steps)
    directions = np.stack([x, y, -np.ones_like(x)], axis=-1) @ matrix[:3, :3]
    return -matrix[:3, :3].T @ matrix[:3, 3], directions


def cast(mesh: Mesh, pose: np.ndarray, size: int) -> np.ndarray:
    """Depth of every pixel by testing every ray against every triangle (Moeller and Trumbore 1997)."""
    origin, directions = rays(pose, size)
    depth = np.full((size, size), np.inf)
    for corners in mesh.vertices[mesh.faces].astype(np.float64):
        first, second = corners[1] - corners[0], corners[2] - corners[0]
        cross = np.cross(directions, second)
        determinant = cross @ first
        with np.errstate(all="ignore"):
            u = cross @ (origin - corners[0]) / determinant
            other = np.cross(origin - corners[0], first)
            v = directions @ other / determinant
            t = second @ other / determinant
        hit = (u >= 0) & (v >= 0) & (u + v <= 1) & (t > 0)
        depth = np.where(hit & (t < depth), t, depth)
    return depth
