"""What chairs, stools, tables, desks, benches and lamps stand on: legs of many kinds."""

import math

import numpy as np

from crosspoint3d.data.shapes.builder import Builder, Colour
from crosspoint3d.data.shapes.curves import fillet, smooth
from crosspoint3d.data.shapes.primitives import Number, Point, box, ellipsoid, lathe, rod, tube

STANDS = ("square", "round", "splayed", "turned", "ring", "pedestal", "star", "sled", "panel", "trestle")


def stand(b: Builder, part: str, colour: Colour, kind: str, width: Number, height: Number, depth: Number) -> None:
    """Legs of one of the `STANDS` under a top of this width and depth whose lower side is at this height."""
    reach = min(width, depth)
    thick = b.between(0.05, 0.1) * (0.55 * reach + 0.45 * height)
    x, z = width / 2 - 1.1 * thick, depth / 2 - 1.1 * thick
    if kind in ("square", "round", "splayed", "turned"):
        _four(b, part, colour, kind, x, height, z, thick)
    elif kind == "ring":
        _ring(b, part, colour, width, height, depth, thick)
    elif kind == "pedestal":
        _pedestal(b, part, colour, reach, height)
    elif kind == "star":
        _star(b, part, colour, reach, height, thick)
    elif kind == "sled":
        _sled(b, part, colour, x, height, z, 0.5 * thick)
    elif kind == "panel":
        for side in (-x, x):
            b.add(part, colour, box((thick, height, 2 * z), (side, height / 2, 0), bevel=0.12 * thick))
        if b.chance(0.6):
            b.add(part, colour, box((2 * x, thick, thick), (0, height * b.between(0.2, 0.8), 0)))
    else:
        _trestle(b, part, colour, x, height, z, thick)


def _four(
    b: Builder, part: str, colour: Colour, kind: str, x: Number, height: Number, z: Number, thick: Number
) -> None:
    inner = b.between(0.65, 0.85) if kind == "splayed" else 1.0
    taper = b.between(0.5, 1.0)
    tops: list[Point] = [(sx * x * inner, height, sz * z * inner) for sx, sz in ((1, 1), (-1, 1), (-1, -1), (1, -1))]
    feet: list[Point] = [(sx * x, 0, sz * z) for sx, sz in ((1, 1), (-1, 1), (-1, -1), (1, -1))]
    if kind == "turned":
        radii = [0.35, 0.5, 0.32, 0.62, 0.4, 0.66, 0.5, 0.75, 0.75]
        bulge = [r * thick * b.between(0.85, 1.15) for r in radii]
        leg = lathe(smooth([(r, height * t) for r, t in zip(bulge, np.linspace(0, 1, 9), strict=True)], 17), sides=10)
        b.add(part, colour, *(leg.moved(foot[0], 0, foot[2]) for foot in feet))
    else:
        sides = 4 if kind == "square" else 10
        radius = thick * (0.7 if kind == "square" else 0.55)
        b.add(part, colour, *(rod(t, f, radius, radius * taper, sides=sides) for t, f in zip(tops, feet, strict=True)))
    style = b.pick("none", "none", "box", "h", "sides")
    level = b.between(0.2, 0.5)
    at = [
        tuple(f + (t - f) * level for t, f in zip(top, foot, strict=True)) for top, foot in zip(tops, feet, strict=True)
    ]
    corners: list[Point] = [(p[0], p[1], p[2]) for p in at]
    pairs = {"none": [], "box": [(0, 1), (1, 2), (2, 3), (3, 0)], "h": [(1, 2), (3, 0)], "sides": [(1, 2), (3, 0)]}[
        style
    ]
    b.add(part, colour, *(rod(corners[i], corners[j], 0.35 * thick, sides=8) for i, j in pairs))
    if style == "h":
        side = corners[0][0]
        b.add(part, colour, rod((-side, corners[0][1], 0), (side, corners[0][1], 0), 0.35 * thick, sides=8))


def _ring(b: Builder, part: str, colour: Colour, width: Number, height: Number, depth: Number, thick: Number) -> None:
    count, spread, inner = b.count(3, 6), b.between(0.36, 0.5), b.between(0.5, 0.95)
    taper, start = b.between(0.5, 1.0), math.pi / 2
    bar = b.chance(0.4)
    level = b.between(0.2, 0.5)
    ring = []
    for leg in range(count):
        angle = start + leg * 2 * math.pi / count
        x, z = spread * width * math.cos(angle), spread * depth * math.sin(angle)
        b.add(part, colour, rod((x * inner, height, z * inner), (x, 0, z), 0.55 * thick, 0.55 * thick * taper))
        along = 1 + (inner - 1) * level
        ring.append((x * along, height * level, z * along))
    if bar:
        b.add(part, colour, *(rod(p, q, 0.3 * thick, sides=8) for p, q in zip(ring, ring[1:] + ring[:1], strict=True)))


def _pedestal(b: Builder, part: str, colour: Colour, reach: Number, height: Number) -> None:
    foot, neck = b.between(0.28, 0.46) * reach, b.between(0.04, 0.09) * reach
    rise = b.between(0.03, 0.12) * height
    if b.chance(0.5):
        profile = np.array(
            [[0, 0], [foot, 0], [foot, 0.5 * rise], [neck * 1.3, rise], [neck, 1.6 * rise], [neck, height]]
        )
    else:
        waist = [(foot, 0), (foot * 0.95, 0.4 * rise), (neck * b.between(1, 2.5), height * 0.35)]
        waist += [(neck * b.between(1, 2), height * 0.65), (neck, height * 0.85), (2.2 * neck, height)]
        profile = smooth(waist, 16)
    b.add(part, colour, lathe(profile, sides=20))


def _star(b: Builder, part: str, colour: Colour, reach: Number, height: Number, thick: Number) -> None:
    count, spread, hub = b.count(3, 5), b.between(0.42, 0.55) * reach, 0.18 * height
    casters = b.chance(0.6)
    lift = 0.09 * height if casters else 0.3 * thick
    b.add(part, colour, rod((0, 0.6 * hub, 0), (0, height, 0), 0.55 * thick, sides=12))
    b.add(part, colour, rod((0, 0.6 * hub, 0), (0, 0.55 * height, 0), 0.8 * thick, sides=12))
    for arm in range(count):
        angle = math.pi / 2 + arm * 2 * math.pi / count
        x, z = spread * math.cos(angle), spread * math.sin(angle)
        b.add(part, colour, rod((0, hub, 0), (x, lift + 0.25 * thick, z), 0.55 * thick, 0.35 * thick, sides=8))
        if casters:
            size = 0.05 * height
            b.add(part, b.shade(colour, 0.5), ellipsoid((size, size, size), (x, size, z), sides=8, rings=4))


def _sled(b: Builder, part: str, colour: Colour, x: Number, height: Number, z: Number, radius: Number) -> None:
    slant = b.between(-0.15, 0.15) * z
    for side in (-x, x):
        corners = [(side, height, z - slant), (side, radius, z), (side, radius, -z), (side, height, -z + slant)]
        b.add(part, colour, tube(fillet(corners, 4 * radius), radius))
    if b.chance(0.5):
        b.add(part, colour, rod((-x, radius, -z * 0.7), (x, radius, -z * 0.7), radius))


def _trestle(b: Builder, part: str, colour: Colour, x: Number, height: Number, z: Number, thick: Number) -> None:
    crossed = b.chance(0.5)
    top = z if crossed else b.between(0.05, 0.4) * z
    for side in (-0.85 * x, 0.85 * x):
        for way in (-1, 1):
            head = -way * top if crossed else way * top
            b.add(part, colour, rod((side, height, head), (side, 0, way * z), 0.6 * thick, sides=4))
    level = 0.5 * height if crossed else b.between(0.3, 0.9) * height
    b.add(part, colour, rod((-0.85 * x, level, 0), (0.85 * x, level, 0), 0.5 * thick, sides=4))
