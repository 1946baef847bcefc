"""Point clouds as pictures: every point a small ball in the z-buffer, lit by a normal that is given or estimated.

`no_type_check`: compiled functions cannot be wrapped by the checks that the tests switch on.
"""

import math
from typing import Any, no_type_check

import numpy as np
from scipy.spatial import cKDTree

from crosspoint3d.compiled import njit_cached
from crosspoint3d.data.mesh import Mesh
from crosspoint3d.data.raster import NEAR, TIE, first_sample, last_sample, project
from crosspoint3d.data.shading import CLAY, TO_LINEAR, encode, light_on
from crosspoint3d.geometry import HALF_ANGLE_TANGENT

MOST_SPLATS = 20_000

compiled = njit_cached()


@compiled
@no_type_check
def draw_splats(screen, radius, half_angle_tangent, inverse, ids):
    """Draw points as balls of a radius (world units), at least one sample wide."""
    size = inverse.shape[0]
    for i in range(len(screen)):
        depth = screen[i, 2]
        if depth < NEAR:
            continue
        x, y = screen[i, 3], screen[i, 4]
        reach = max(0.5 * size * radius / (half_angle_tangent * depth), 0.75)
        left, right = first_sample(x - reach, size), last_sample(x + reach, size)
        top, bottom = first_sample(y - reach, size), last_sample(y + reach, size)
        for row in range(top, bottom + 1):
            for column in range(left, right + 1):
                gap = ((column + 0.5 - x) ** 2 + (row + 0.5 - y) ** 2) / (reach * reach)
                if gap > 1.0:
                    continue
                value = 1.0 / max(depth - radius * math.sqrt(1.0 - gap), NEAR)
                if value > inverse[row, column] * TIE:
                    inverse[row, column] = value
                    ids[row, column] = i


@compiled
@no_type_check
def shade_splats(picture, supersample, ids, inverse, normals, colors, lights):
    """Write the picture `(H, H, 3)` of what `draw_splats` found; normals `(N, 3)`, colors `(N or 0, 3)`.

    The length of a normal (0 to 1) is how far it can be trusted: the rest of the light is even. Farther is darker, so
    that thin and ragged clouds can still be read.
    """
    nearest, farthest = 0.0, 1e30
    for row in range(inverse.shape[0]):
        for column in range(inverse.shape[1]):
            if ids[row, column] >= 0:
                nearest, farthest = max(nearest, inverse[row, column]), min(farthest, inverse[row, column])
    nearest, span = 1.0 / max(nearest, 1e-9), 1.0 / farthest - 1.0 / max(nearest, 1e-9)
    size = picture.shape[0]
    share = 1.0 / (supersample * supersample)
    for row in range(size):
        for column in range(size):
            sum_red = sum_green = sum_blue = 0.0
            for i in range(supersample * supersample):
                sample_row, sample_column = row * supersample + i // supersample, column * supersample + i % supersample
                point = ids[sample_row, sample_column]
                if point < 0:
                    sum_red, sum_green, sum_blue = sum_red + share, sum_green + share, sum_blue + share
                    continue
                x, y, z = normals[point, 0], normals[point, 1], normals[point, 2]
                if x * lights[2, 0] + y * lights[2, 1] + z * lights[2, 2] < 0.0:
                    x, y, z = -x, -y, -z
                trust = math.sqrt(x * x + y * y + z * z)
                light = 0.62 * (1.0 - min(trust, 1.0))
                if trust > 0.0:
                    light += min(trust, 1.0) * light_on(x / trust, y / trust, z / trust, lights)
                behind = (1.0 / inverse[sample_row, sample_column] - nearest) / max(span, 0.2)
                light *= share * (1.0 - 0.45 * behind)
                red, green, blue = CLAY
                if len(colors):
                    red, green, blue = (
                        TO_LINEAR[colors[point, 0]],
                        TO_LINEAR[colors[point, 1]],
                        TO_LINEAR[colors[point, 2]],
                    )
                sum_red, sum_green, sum_blue = sum_red + light * red, sum_green + light * green, sum_blue + light * blue
            picture[row, column, 0] = encode(sum_red)
            picture[row, column, 1] = encode(sum_green)
            picture[row, column, 2] = encode(sum_blue)


def _estimate_normals(points: np.ndarray, neighbours: np.ndarray) -> np.ndarray:
    """Normals of local planes, averaged over the neighbours without regard to sign; length says how plane it is."""
    patches = points[neighbours].astype(np.float64)
    patches -= patches.mean(axis=1, keepdims=True)
    spread, axes = np.linalg.eigh(np.einsum("nki,nkj->nij", patches, patches))
    planarity = (spread[:, 1] - spread[:, 0]) / np.maximum(spread[:, 2], 1e-30)
    normals = axes[:, :, 0] * planarity[:, None]
    around = normals[neighbours]
    weight, axes = np.linalg.eigh(np.einsum("nki,nkj->nij", around, around) / neighbours.shape[1])
    trusted: np.ndarray = axes[:, :, 2] * np.sqrt(np.clip(3.0 * weight[:, 2:], 0.0, 1.0))
    return np.ascontiguousarray(trusted.astype(np.float32))


def splat_painter(mesh: Mesh, placed: np.ndarray) -> Any:
    """Function that draws a cloud's points as one camera sees them; at most `MOST_SPLATS` of them, a fixed choice.

    The balls' radius follows the median distance to the fourth neighbour.
    """
    keep = np.arange(len(placed))
    if len(keep) > MOST_SPLATS:
        keep = np.sort(np.random.default_rng(0).choice(len(keep), MOST_SPLATS, replace=False))
    points = np.ascontiguousarray(placed[keep])
    neighbours = min(12, len(points))
    distances, indices = cKDTree(points).query(points, neighbours)
    distances, indices = distances.reshape(len(points), -1), indices.reshape(len(points), -1)
    spacing = float(np.median(distances[:, min(4, neighbours - 1)]))
    radius = min(max(0.75 * spacing, 0.006), 0.05) if spacing > 0 else 0.05
    if mesh.normals is not None:
        normals = np.ascontiguousarray(mesh.normals[keep])
    else:
        normals = _estimate_normals(points, indices)
    colors = np.zeros((0, 3), np.uint8) if mesh.vertex_colors is None else mesh.vertex_colors[keep]

    def draw(
        matrix: np.ndarray, lights: np.ndarray, inverse: np.ndarray, ids: np.ndarray, picture: Any, supersample: int
    ) -> None:
        draw_splats(
            project(points, matrix, HALF_ANGLE_TANGENT, inverse.shape[0]), radius, HALF_ANGLE_TANGENT, inverse, ids
        )
        if picture is not None:
            shade_splats(picture, supersample, ids, inverse, normals, colors, lights)

    return draw
