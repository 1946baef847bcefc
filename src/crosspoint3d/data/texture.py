"""Textures as the shading kernels take them: every level of every image in one flat array."""

from typing import no_type_check

import numpy as np
from jaxtyping import Float32, Int64, UInt8

from crosspoint3d.compiled import njit_cached
from crosspoint3d.data.mesh import Mesh
from crosspoint3d.data.shading import LEVELS, TO_LINEAR, TO_SRGB

_MOST_TEXELS = 1e12

compiled = njit_cached()


@compiled
@no_type_check
def _halve(image):
    """Half an image's size (rounded up), each texel the mean of four in linear intensities."""
    height, width = (image.shape[0] + 1) // 2, (image.shape[1] + 1) // 2
    small = np.empty((height, width, 3), np.uint8)
    for row in range(height):
        for column in range(width):
            r0, c0 = 2 * row, 2 * column
            r1, c1 = min(r0 + 1, image.shape[0] - 1), min(c0 + 1, image.shape[1] - 1)
            for k in range(3):
                upper = TO_LINEAR[image[r0, c0, k]] + TO_LINEAR[image[r0, c1, k]]
                lower = TO_LINEAR[image[r1, c0, k]] + TO_LINEAR[image[r1, c1, k]]
                small[row, column, k] = TO_SRGB[int(0.25 * (upper + lower) * (LEVELS - 1) + 0.5)]
    return small


def texture_levels(
    textures: tuple[UInt8[np.ndarray, "_ _ 3"], ...],
) -> tuple[UInt8[np.ndarray, "N 3"], Int64[np.ndarray, "T L 3"]]:
    """Every texture at full size, half, a quarter and so on to one texel (Williams, "Pyramidal parametrics", 1983).

    Returns:
        All texels in one array, and for each texture and level its start in there, height and width; a texture with
        fewer levels than another repeats its last one.
    """
    texels: list[np.ndarray] = []
    table: list[list[tuple[int, int, int]]] = []
    start = 0
    for texture in textures:
        image = np.ascontiguousarray(texture)
        rows = []
        while True:
            rows.append((start, image.shape[0], image.shape[1]))
            texels.append(image.reshape(-1, 3))
            start += image.shape[0] * image.shape[1]
            if max(image.shape[:2]) == 1:
                break
            image = _halve(image)
        table.append(rows)
    if not table:
        return np.zeros((0, 3), np.uint8), np.zeros((0, 0, 3), np.int64)
    most = max(len(rows) for rows in table)
    padded = [rows + [rows[-1]] * (most - len(rows)) for rows in table]
    return np.concatenate(texels), np.array(padded, np.int64)


def texel_density(mesh: Mesh, areas: Float32[np.ndarray, " F"]) -> Float32[np.ndarray, " F"]:
    """Texels that each face spreads over a unit of surface area; 0 for faces without texture."""
    density = np.zeros(len(mesh.faces), np.float32)
    if mesh.uv is None or mesh.texture_index is None:
        return density
    textured = np.flatnonzero((mesh.texture_index >= 0) & (areas > 0))
    sizes = np.array([image.shape[0] * image.shape[1] for image in mesh.textures], np.float64)
    with np.errstate(all="ignore"):
        corners = mesh.uv[textured].astype(np.float64)
        first, second = corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
        spans = 0.5 * np.abs(first[:, 0] * second[:, 1] - first[:, 1] * second[:, 0])
        texels = spans * sizes[mesh.texture_index[textured]] / areas[textured]
    density[textured] = np.minimum(np.nan_to_num(texels, nan=0.0, posinf=_MOST_TEXELS), _MOST_TEXELS)
    return density
