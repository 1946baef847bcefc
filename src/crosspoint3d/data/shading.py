"""Colour for what the z-buffer found: numba kernels for light, materials and textures.

Light is added up in linear intensities and written as sRGB. `no_type_check`: compiled functions cannot be wrapped by
the checks that the tests switch on.
"""

import math
from typing import no_type_check

import numpy as np

from crosspoint3d.compiled import njit_cached

LEVELS = 4096
_srgb = np.arange(256) / 255.0
TO_LINEAR = np.where(_srgb <= 0.04045, _srgb / 12.92, ((_srgb + 0.055) / 1.055) ** 2.4).astype(np.float32)
_linear = np.arange(LEVELS) / (LEVELS - 1.0)
TO_SRGB = np.round(
    255.0 * np.where(_linear <= 0.0031308, 12.92 * _linear, 1.055 * _linear ** (1 / 2.4) - 0.055)
).astype(np.uint8)
CLAY = (0.66, 0.72, 0.80)  # linear albedo where a shape brings no colour

compiled = njit_cached()
inlined = njit_cached(inline="always")


@inlined
@no_type_check
def light_on(x, y, z, lights):
    """Intensity on a unit normal: key and fill light, sky from world up, a little less where the surface turns away."""
    key = max(0.0, x * lights[0, 0] + y * lights[0, 1] + z * lights[0, 2])
    fill = max(0.0, x * lights[1, 0] + y * lights[1, 1] + z * lights[1, 2])
    facing = max(0.0, x * lights[2, 0] + y * lights[2, 1] + z * lights[2, 2])
    return (0.13 + 0.08 * y) * (0.5 + 0.5 * facing) + 0.72 * key + 0.17 * fill


@inlined
@no_type_check
def _corner_light(normals, f, wa, wb, wc, flip, lights):
    """Intensity at barycentric weights of a face whose corner normals are blended and renormalised."""
    x = wa * normals[f, 0, 0] + wb * normals[f, 1, 0] + wc * normals[f, 2, 0]
    y = wa * normals[f, 0, 1] + wb * normals[f, 1, 1] + wc * normals[f, 2, 1]
    z = wa * normals[f, 0, 2] + wb * normals[f, 1, 2] + wc * normals[f, 2, 2]
    length = flip * math.sqrt(x * x + y * y + z * z)
    if length == 0.0:
        return 1.0
    return light_on(x / length, y / length, z / length, lights)


@inlined
@no_type_check
def _mix(colors, f, channel, wa, wb, wc):
    """Linear intensity of a channel at barycentric weights."""
    a, b, c = colors[f, 0, channel], colors[f, 1, channel], colors[f, 2, channel]
    return wa * TO_LINEAR[a] + wb * TO_LINEAR[b] + wc * TO_LINEAR[c]


@inlined
@no_type_check
def encode(value):
    """The sRGB byte of a linear intensity, cut to 0 and 1."""
    return TO_SRGB[int(min(value, 1.0) * (LEVELS - 1) + 0.5)] if value > 0.0 else np.uint8(0)


@inlined
@no_type_check
def _texel(texels, levels, texture, level, u, v):
    """Linear RGB of a texture at `(u, v)`, v up, repeated in both directions, bilinear."""
    start, height, width = levels[texture, level, 0], levels[texture, level, 1], levels[texture, level, 2]
    if not (abs(u) < 1e6 and abs(v) < 1e6):
        u, v = 0.0, 0.0
    x = (u - math.floor(u)) * width - 0.5
    y = (1.0 - (v - math.floor(v))) * height - 0.5
    column, row = math.floor(x), math.floor(y)
    right, down = x - column, y - row
    c0, r0 = int(column) % width, int(row) % height
    c1, r1 = (c0 + 1) % width, (r0 + 1) % height
    red = green = blue = 0.0
    for r, c, weight in (
        (r0, c0, (1.0 - down) * (1.0 - right)),
        (r0, c1, (1.0 - down) * right),
        (r1, c0, down * (1.0 - right)),
        (r1, c1, down * right),
    ):
        texel = texels[start + r * width + c]
        red += weight * TO_LINEAR[texel[0]]
        green += weight * TO_LINEAR[texel[1]]
        blue += weight * TO_LINEAR[texel[2]]
    return red, green, blue


@compiled
@no_type_check
def shade_faces(
    picture,
    supersample,
    ids,
    inverse,
    screen,
    faces,
    normals,
    flat,
    colors,
    uv,
    texture_index,
    texels,
    levels,
    density,
    lights,
    scale,
):
    """Write the picture `(H, H, 3)` of what `draw_faces` found; a pixel is the mean of its samples.

    A pixel whose samples all see one untextured face is shaded once. `density` is texels for a unit of surface area
    and `scale` the world size of a sample at depth 1: together they choose the texture's level.
    """
    size = picture.shape[0]
    share = 1.0 / (supersample * supersample)
    last = -1
    eax = eay = eaz = ebx = eby = ebz = ecx = ecy = ecz = 0.0
    flip = 1.0
    red = green = blue = 0.0
    for row in range(size):
        for column in range(size):
            top, left = row * supersample, column * supersample
            whole = ids[top, left]
            for i in range(supersample * supersample):
                if ids[top + i // supersample, left + i % supersample] != whole:
                    whole = -2
                    break
            if whole == -1:
                picture[row, column, 0] = picture[row, column, 1] = picture[row, column, 2] = 255
                continue
            once = whole >= 0 and (len(texture_index) == 0 or texture_index[whole] < 0)
            sum_red = sum_green = sum_blue = 0.0
            for i in range(1 if once else supersample * supersample):
                sample_row, sample_column = top + i // supersample, left + i % supersample
                f = ids[sample_row, sample_column]
                if f < 0:
                    sum_red, sum_green, sum_blue = sum_red + share, sum_green + share, sum_blue + share
                    continue
                px, py = sample_column + 0.5, sample_row + 0.5
                weight = share
                if once:
                    px, py, weight = left + 0.5 * supersample, top + 0.5 * supersample, 1.0
                plain = flat[f] == 2
                if f != last:
                    last = f
                    a, b, c = faces[f, 0], faces[f, 1], faces[f, 2]
                    ax, ay, aw = screen[a, 0], screen[a, 1], screen[a, 2]
                    bx, by, bw = screen[b, 0], screen[b, 1], screen[b, 2]
                    cx, cy, cw = screen[c, 0], screen[c, 1], screen[c, 2]
                    eax, eay, eaz = by * cw - bw * cy, bw * cx - bx * cw, bx * cy - by * cx
                    ebx, eby, ebz = cy * aw - cw * ay, cw * ax - cx * aw, cx * ay - cy * ax
                    ecx, ecy, ecz = ay * bw - aw * by, aw * bx - ax * bw, ax * by - ay * bx
                    flip = -1.0  # the determinant's sign tells which side is seen: turn normals to the camera
                    if ax * eax + ay * eay + aw * eaz < 0.0:
                        flip = 1.0
                        eax, eay, eaz, ebx, eby, ebz = -eax, -eay, -eaz, -ebx, -eby, -ebz
                        ecx, ecy, ecz = -ecx, -ecy, -ecz
                elif plain:
                    sum_red, sum_green, sum_blue = (
                        sum_red + weight * red,
                        sum_green + weight * green,
                        sum_blue + weight * blue,
                    )
                    continue
                wa = max(eax * px + eay * py + eaz, 0.0)
                wb = max(ebx * px + eby * py + ebz, 0.0)
                wc = max(ecx * px + ecy * py + ecz, 0.0)
                total = wa + wb + wc
                if total > 0.0:
                    wa, wb, wc = wa / total, wb / total, wc / total
                else:
                    wa = wb = wc = 1.0 / 3.0
                light = _corner_light(normals, f, wa, wb, wc, flip, lights)
                red, green, blue = CLAY
                if len(colors):
                    red = _mix(colors, f, 0, wa, wb, wc)
                    green = _mix(colors, f, 1, wa, wb, wc)
                    blue = _mix(colors, f, 2, wa, wb, wc)
                if len(texture_index) and texture_index[f] >= 0:
                    u = wa * uv[f, 0, 0] + wb * uv[f, 1, 0] + wc * uv[f, 2, 0]
                    v = wa * uv[f, 0, 1] + wb * uv[f, 1, 1] + wc * uv[f, 2, 1]
                    span = density[f] * (scale / inverse[sample_row, sample_column]) ** 2  # texels a sample
                    level = int(0.5 * math.log2(max(span, 1.0)) + 0.5)
                    level = min(level, levels.shape[1] - 1)
                    r, g, b = _texel(texels, levels, texture_index[f], level, u, v)
                    if len(colors):
                        red, green, blue = red * r, green * g, blue * b
                    else:
                        red, green, blue = r, g, b
                red, green, blue = red * light, green * light, blue * light
                sum_red, sum_green, sum_blue = (
                    sum_red + weight * red,
                    sum_green + weight * green,
                    sum_blue + weight * blue,
                )
            picture[row, column, 0] = encode(sum_red)
            picture[row, column, 1] = encode(sum_green)
            picture[row, column, 2] = encode(sum_blue)
