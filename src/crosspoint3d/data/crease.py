"""Normals for smooth shading within a crease angle: one numba kernel, once a mesh.

`no_type_check`: compiled functions cannot be wrapped by the checks that the tests switch on.
"""

import math
from typing import no_type_check

import numpy as np

from crosspoint3d.compiled import njit_cached

MOST_NEIGHBOURS = 256

compiled = njit_cached()


@compiled
@no_type_check
def _merge_by_position(vertices):
    """For every vertex the first vertex at (nearly) the same place; files are often soups of separate triangles."""
    count = len(vertices)
    cells = np.empty((count, 3), np.int32)
    for i in range(count):
        for axis in range(3):
            cells[i, axis] = math.floor(min(max(vertices[i, axis] * 131072.0, -2e9), 2e9) + 0.5)
    capacity = 16
    while capacity < 2 * count:
        capacity *= 2
    slots = np.full(capacity, -1, np.int32)
    first = np.empty(count, np.int32)
    for i in range(count):
        mixed = (
            np.uint32(cells[i, 0]) * np.uint32(73856093)
            ^ np.uint32(cells[i, 1]) * np.uint32(19349663)
            ^ np.uint32(cells[i, 2]) * np.uint32(83492791)
        )
        mixed = np.uint32(mixed ^ (mixed >> np.uint32(15)))
        slot = int(mixed) & (capacity - 1)
        while True:
            other = slots[slot]
            if other < 0:
                slots[slot] = i
                first[i] = i
                break
            if cells[other, 0] == cells[i, 0] and cells[other, 1] == cells[i, 1] and cells[other, 2] == cells[i, 2]:
                first[i] = other
                break
            slot = (slot + 1) & (capacity - 1)
    return first


@compiled
@no_type_check
def crease_normals(vertices, faces, crease_cosine):
    """Unit normal of every face corner, smoothed over the faces around it within the crease angle only.

    Weights are area times corner angle, so that neither the triangulation of a panel nor a bevel beside it tilts the
    panel. Winding does not matter: neighbours are turned to the side of the face. Zero for faces without area.

    Returns:
        Normals `(F, 3, 3)` float32, and `(F,)` uint8: 1 where the three corners share the face's normal.
    """
    count = len(faces)
    first = _merge_by_position(vertices)
    normals = np.zeros((count, 3))
    weights = np.zeros((count, 3))
    starts = np.zeros(len(vertices) + 1, np.int64)
    sides = np.empty((3, 3))
    for f in range(count):
        for corner in range(3):
            starts[first[faces[f, corner]] + 1] += 1
            for axis in range(3):
                head, tail = vertices[faces[f, (corner + 1) % 3], axis], vertices[faces[f, corner], axis]
                sides[corner, axis] = float(head) - float(tail)
        x = sides[0, 1] * sides[1, 2] - sides[0, 2] * sides[1, 1]
        y = sides[0, 2] * sides[1, 0] - sides[0, 0] * sides[1, 2]
        z = sides[0, 0] * sides[1, 1] - sides[0, 1] * sides[1, 0]
        area = math.sqrt(x * x + y * y + z * z)
        if not area > 0.0:
            continue
        normals[f, 0], normals[f, 1], normals[f, 2] = x / area, y / area, z / area
        for corner in range(3):
            before = (corner + 2) % 3
            dot = -(
                sides[corner, 0] * sides[before, 0]
                + sides[corner, 1] * sides[before, 1]
                + sides[corner, 2] * sides[before, 2]
            )
            weights[f, corner] = area * math.atan2(area, dot)
    for i in range(len(vertices)):
        starts[i + 1] += starts[i]
    cursor = starts[:-1].copy()
    around = np.empty(3 * count, np.int32)
    for f in range(count):
        for corner in range(3):
            vertex = first[faces[f, corner]]
            around[cursor[vertex]] = 3 * f + corner
            cursor[vertex] += 1

    smooth = np.zeros((count, 3, 3), np.float32)
    flat = np.zeros(count, np.uint8)
    for f in range(count):
        nx, ny, nz = normals[f, 0], normals[f, 1], normals[f, 2]
        if nx == 0.0 and ny == 0.0 and nz == 0.0:
            continue
        same = 0
        for corner in range(3):
            vertex = first[faces[f, corner]]
            stride = 1 + (starts[vertex + 1] - starts[vertex]) // MOST_NEIGHBOURS
            weight = weights[f, corner]
            x, y, z = weight * nx, weight * ny, weight * nz
            for slot in range(starts[vertex], starts[vertex + 1], stride):
                other = around[slot] // 3
                if other == f:
                    continue
                ox, oy, oz = normals[other, 0], normals[other, 1], normals[other, 2]
                dot = nx * ox + ny * oy + nz * oz
                if abs(dot) < crease_cosine:
                    continue
                weight = weights[other, around[slot] % 3]
                if dot < 0.0:
                    weight = -weight
                x, y, z = x + weight * ox, y + weight * oy, z + weight * oz
            length = math.sqrt(x * x + y * y + z * z)
            if length > 0.0:
                x, y, z = x / length, y / length, z / length
            if not length > 0.0 or x * nx + y * ny + z * nz > 1.0 - 1e-6:
                x, y, z = nx, ny, nz
                same += 1
            smooth[f, corner, 0], smooth[f, corner, 1], smooth[f, corner, 2] = x, y, z
        flat[f] = same == 3
    return smooth, flat
