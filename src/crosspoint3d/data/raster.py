"""The z-buffer: numba kernels that find which face each sample of a picture sees, and how deep it lies.

Only visibility is decided here; `shading` colours what is visible. Vertices arrive in homogeneous sample coordinates
`(X, Y, W)` with `x = X / W`, `y = Y / W` in samples (y down) and `W` the depth along the view axis, followed by
`(x, y, 1 / W)`, which only hold for `W >= NEAR`. A triangle is the set of samples whose three edge functions agree in
sign; the edge functions are cross products of homogeneous corners (Olano and Greer, "Triangle scan conversion using 2D
homogeneous coordinates", 1997), so that triangles through the camera plane need no clipping. Both `inverse` (1 / depth,
0 = background) and `ids` (-1 = background) are `(S, S)`.

`no_type_check`: compiled functions cannot be wrapped by the checks that the tests switch on.
"""

import math
from typing import no_type_check

import numpy as np

from crosspoint3d.compiled import njit_cached

NEAR = 0.02
TIE = 1.0 + 2e-6  # coincident faces: the first one wins everywhere, without speckles
LINE_BIAS = 1.002  # the line of a thin face only wins over what is clearly behind it,
MOST_SLACK = 0.05  # allowing for the face's slope, up to this share of its depth

compiled = njit_cached()
inlined = njit_cached(inline="always")


@compiled
@no_type_check
def project(vertices, matrix, half_angle_tangent, size):
    """Sample coordinates `(V, 6)` float64 (see above) of vertices `(V, 3)` seen through a camera matrix."""
    screen = np.empty((len(vertices), 6))
    half = 0.5 * size
    for i in range(len(vertices)):
        x, y, z = float(vertices[i, 0]), float(vertices[i, 1]), float(vertices[i, 2])
        right = matrix[0, 0] * x + matrix[0, 1] * y + matrix[0, 2] * z + matrix[0, 3]
        up = matrix[1, 0] * x + matrix[1, 1] * y + matrix[1, 2] * z + matrix[1, 3]
        depth = -(matrix[2, 0] * x + matrix[2, 1] * y + matrix[2, 2] * z + matrix[2, 3])
        screen[i, 0] = half * (depth + right / half_angle_tangent)
        screen[i, 1] = half * (depth - up / half_angle_tangent)
        screen[i, 2] = depth
        screen[i, 5] = 1.0 / max(depth, NEAR)
        screen[i, 3] = screen[i, 0] * screen[i, 5]
        screen[i, 4] = screen[i, 1] * screen[i, 5]
    return screen


@inlined
@no_type_check
def first_sample(low, size):
    """Index of the first sample whose centre is not left of `low`."""
    return math.ceil(min(max(low - 0.5, 0.0), float(size)))


@inlined
@no_type_check
def last_sample(high, size):
    """Index of the last sample whose centre is not right of `high`."""
    return math.floor(min(max(high - 0.5, -1.0), size - 1.0))


@inlined
@no_type_check
def _turn(slope):
    """Minus one over the slope of an edge function along a row; 0 where the row never crosses it."""
    return -1.0 / slope if abs(slope) > 1e-200 else 0.0


@inlined
@no_type_check
def _narrow(low, high, turn, slope, offset):
    """The part of `[low, high]` where `slope * x + offset >= 0`, empty when `high < low`.

    The faces on both sides of an edge get the same crossing to the last bit, hence no cracks.
    """
    crossing = offset * turn
    if turn == 0.0:
        if offset < 0.0:
            high = low - 1.0
    elif slope > 0.0:
        low = max(low, min(crossing, high + 1.0))
    else:
        high = min(high, max(crossing, low - 1.0))
    return low, high


@compiled
@no_type_check
def draw_faces(screen, faces, inverse, ids):
    """Draw triangles into the buffers; whatever is thinner than a sample is drawn one sample wide afterwards."""
    size = inverse.shape[0]
    thin = np.empty(len(faces), np.int32)
    slack = np.empty(len(faces))
    thin_count = 0
    for f in range(len(faces)):
        a, b, c = faces[f, 0], faces[f, 1], faces[f, 2]
        aw, bw, cw = screen[a, 2], screen[b, 2], screen[c, 2]
        if max(aw, bw, cw) < NEAR:
            continue
        ax, ay, bx, by, cx, cy = screen[a, 0], screen[a, 1], screen[b, 0], screen[b, 1], screen[c, 0], screen[c, 1]
        left, right, top, bottom = 0, size - 1, 0, size - 1
        crosses_near = min(aw, bw, cw) < NEAR
        if not crosses_near:
            pax, pay, pbx, pby = screen[a, 3], screen[a, 4], screen[b, 3], screen[b, 4]
            pcx, pcy = screen[c, 3], screen[c, 4]
            low_x, high_x = min(pax, pbx, pcx), max(pax, pbx, pcx)
            low_y, high_y = min(pay, pby, pcy), max(pay, pby, pcy)
            if high_x < 0.0 or high_y < 0.0 or low_x > size or low_y > size:
                continue
            double_area = (pbx - pax) * (pcy - pay) - (pcx - pax) * (pby - pay)
            longest = max(
                (pbx - pax) ** 2 + (pby - pay) ** 2,
                (pcx - pbx) ** 2 + (pcy - pby) ** 2,
                (pax - pcx) ** 2 + (pay - pcy) ** 2,
            )
            if double_area * double_area < longest:  # height below one sample
                ia, ib, ic = screen[a, 5], screen[b, 5], screen[c, 5]
                across = (ib - ia) * (pcy - pay) - (ic - ia) * (pby - pay)
                down = (ic - ia) * (pbx - pax) - (ib - ia) * (pcx - pax)
                slope = (abs(across) + abs(down)) / max(abs(double_area), 1e-30)
                slack[thin_count] = min(slope, MOST_SLACK * max(ia, ib, ic))
                thin[thin_count] = f
                thin_count += 1
            left, right = first_sample(low_x, size), last_sample(high_x, size)
            top, bottom = first_sample(low_y, size), last_sample(high_y, size)
            if left > right or top > bottom:
                continue
        # Edge functions e(x, y) = (x, y, 1) . (q x r), one for each corner.
        eax, eay, eaz = by * cw - bw * cy, bw * cx - bx * cw, bx * cy - by * cx
        ebx, eby, ebz = cy * aw - cw * ay, cw * ax - cx * aw, cx * ay - cy * ax
        ecx, ecy, ecz = ay * bw - aw * by, aw * bx - ax * bw, ax * by - ay * bx
        volume = ax * eax + ay * eay + aw * eaz
        if volume == 0.0:
            continue
        if volume < 0.0:
            eax, eay, eaz, ebx, eby, ebz = -eax, -eay, -eaz, -ebx, -eby, -ebz
            ecx, ecy, ecz, volume = -ecx, -ecy, -ecz, -volume
        ix, iy, iz = (eax + ebx + ecx) / volume, (eay + eby + ecy) / volume, (eaz + ebz + ecz) / volume
        ta, tb, tc = _turn(eax), _turn(ebx), _turn(ecx)
        for row in range(top, bottom + 1):
            y = row + 0.5
            low, high = _narrow(left + 0.5, right + 0.5, ta, eax, eay * y + eaz)
            low, high = _narrow(low, high, tb, ebx, eby * y + ebz)
            low, high = _narrow(low, high, tc, ecx, ecy * y + ecz)
            offset = iy * y + iz
            for column in range(math.ceil(low - 0.5), math.floor(high - 0.5) + 1):
                value = ix * (column + 0.5) + offset
                if value > inverse[row, column] * TIE and not (crosses_near and value > 1.0 / NEAR):
                    inverse[row, column] = value
                    ids[row, column] = f
    for i in range(thin_count):
        _draw_longest_edge(screen, faces, thin[i], slack[i], inverse, ids)


@compiled
@no_type_check
def _draw_longest_edge(screen, faces, f, slack, inverse, ids):
    """Draw the longest edge of a triangle one sample wide, so that rods and sheets seen edge-on do not vanish."""
    best, p, q = -1.0, 0, 0
    for corner in range(3):
        a, b = faces[f, corner], faces[f, (corner + 1) % 3]
        dx, dy = screen[a, 3] - screen[b, 3], screen[a, 4] - screen[b, 4]
        if dx * dx + dy * dy > best:
            best, p, q = dx * dx + dy * dy, a, b
    x0, y0, i0 = screen[p, 3], screen[p, 4], screen[p, 5]
    x1, y1, i1 = screen[q, 3], screen[q, 4], screen[q, 5]
    steep = abs(y1 - y0) > abs(x1 - x0)
    if steep:
        x0, y0, x1, y1 = y0, x0, y1, x1
    if x0 > x1:
        x0, y0, i0, x1, y1, i1 = x1, y1, i1, x0, y0, i0
    size = inverse.shape[0]
    first, last = first_sample(x0, size), last_sample(x1, size)
    if first > last:  # shorter than the way to the next sample: the sample at its middle
        if x1 < 0.0 or x0 >= size:
            return
        first = last = min(max(int(0.5 * (x0 + x1)), 0), size - 1)
    per_step = 1.0 / (x1 - x0) if x1 > x0 else 0.0
    for step in range(first, last + 1):
        t = min(max((step + 0.5 - x0) * per_step, 0.0), 1.0)
        y = y0 + t * (y1 - y0)
        if y < 0.0 or y >= size:
            continue
        value = i0 + t * (i1 - i0)
        row, column = (step, int(y)) if steep else (int(y), step)
        behind = inverse[row, column]
        if behind == 0.0 or value > behind * LINE_BIAS + slack:
            inverse[row, column] = value
            ids[row, column] = f
