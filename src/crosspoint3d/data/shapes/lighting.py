"""Lamps: floor, table, desk arm, arc, lantern."""

import math

import numpy as np

from crosspoint3d.data.shapes.builder import Builder, Colour
from crosspoint3d.data.shapes.curves import smooth
from crosspoint3d.data.shapes.primitives import Number, Point, Solid, box, ellipsoid, lathe, loft, rod, tube

LAMP = ("base", "pole", "shade", "bulb", "switch")


def _shade(b: Builder, size: Number, kind: str) -> list[Solid]:
    """An open shade whose upper rim is at y = 0, hanging down; a globe is closed."""
    tall = size * b.between(0.7, 1.5)
    if kind == "globe":
        return [ellipsoid((size, size * b.between(0.8, 1.1), size), (0, -0.5 * size, 0), sides=18, rings=9)]
    upper = {"drum": b.between(0.85, 1.0), "cone": b.between(0.3, 0.65), "bell": b.between(0.25, 0.45), "dome": 0.2}[
        kind
    ]
    bend = {"bell": 0.75, "dome": 1.3}.get(kind, 1.0)
    middle = upper + (1 - upper) * 0.5 ** (1 / bend) if kind == "dome" else upper + (1 - upper) * 0.5 * bend
    outer = smooth([(size * upper, 0), (size * middle, -0.5 * tall), (size, -tall)], 7)
    inner = outer[::-1] - np.array([0.03 * size, 0.0])
    profile = np.concatenate([outer, inner])
    if kind in ("cone", "drum", "bell"):
        ring = np.concatenate([profile, profile[:1]])
        return [_open_ring(ring[:-1])]
    return [lathe(np.concatenate([[[0, 0.02]], outer, inner, [[0, -0.03 * size]]]), sides=22)]


def _open_ring(profile: np.ndarray, sides: int = 22) -> Solid:
    """A shade open above and below: the closed profile turned about y."""
    angles = np.arange(sides) * 2 * math.pi / sides
    around = np.stack([np.cos(angles), np.sin(angles)], 1)
    rings = np.empty((sides, len(profile), 3))
    rings[..., 0] = around[:, :1] * profile[:, 0]
    rings[..., 1] = profile[:, 1]
    rings[..., 2] = around[:, 1:] * profile[:, 0]
    return loft(rings, loop=True)


def lamp(b: Builder) -> None:
    """A base, a pole, a shade; five families from bedside to arc lamp."""
    style = b.pick("floor", "floor", "table", "table", "arm", "arc", "tripod")
    metal, cloth = b.material("metal", "wood", "painted"), b.material("linen", "fabric", "petal", "linen")
    kind = b.pick("drum", "cone", "bell", "dome", "globe")
    if style == "table":
        _table_lamp(b, metal, cloth, kind)
    elif style == "arm":
        _arm_lamp(b, metal, b.material("painted", "plastic", "metal"))
    else:
        height, size = b.between(1.1, 1.8), b.between(0.14, 0.34)
        foot = b.between(0.12, 0.24)
        if style == "tripod":
            _tripod(b, b.material("wood", "metal"), b.count(3, 4), 0.78 * height, b.between(0.2, 0.34))
            b.add("pole", metal, rod((0, 0.72 * height, 0), (0, height, 0), 0.015))
        else:
            disc = np.array([[0, 0], [foot, 0], [foot, 0.03], [0.3 * foot, b.between(0.035, 0.1)], [0, 0.1]])
            square = 2 if b.chance(0.7) else 8
            b.add("base", metal, lathe(disc, sides=24, power=square))
        if style == "arc":
            out = b.between(0.4, 1.0)
            path = smooth(
                [
                    (0, 0.02, 0),
                    (0, 0.6 * height, 0),
                    (0.25 * out, height, 0),
                    (0.75 * out, 1.02 * height, 0),
                    (out, 0.9 * height, 0),
                ],
                20,
            )
            b.add("pole", metal, tube(path, 0.014))
            top, x = 0.9 * height, out
        else:
            b.add("pole", metal, rod((0, 0.02, 0), (0, height, 0), b.between(0.01, 0.025)))
            top, x = height, 0.0
        above = 0.02 if style == "arc" else 0.35 * size
        b.add("shade", cloth, *(solid.moved(x, top + above, 0) for solid in _shade(b, size, kind)))
        if kind != "globe":
            b.add(
                "bulb", b.material("light"), ellipsoid((0.05, 0.06, 0.05), (x, top - 0.25 * size, 0), sides=10, rings=6)
            )
            b.add(
                "pole",
                metal,
                rod((x - 0.5 * size, top - 0.1 * size, 0), (x + 0.5 * size, top - 0.1 * size, 0), 0.006, sides=6),
            )


def _tripod(b: Builder, colour: Colour, legs: int, height: Number, spread: Number) -> None:
    """Legs that meet under a hub."""
    b.add("base", colour, rod((0, height - 0.05 * spread, 0), (0, height + 0.1 * spread, 0), 0.16 * spread, sides=14))
    for leg in range(legs):
        angle = math.pi / 2 + 2 * math.pi * leg / legs
        x, z = spread * math.cos(angle), spread * math.sin(angle)
        b.add("base", colour, rod((0.1 * x, height, 0.1 * z), (x, 0, z), 0.065 * spread, 0.045 * spread))


def _table_lamp(b: Builder, metal: Colour, cloth: Colour, kind: str) -> None:
    height, size = b.between(0.25, 0.55), b.between(0.14, 0.3)
    body, wide = b.pick("vase", "ball", "block", "legs"), b.between(0.07, 0.16)
    glaze = b.material("ceramic", "glazed", "wood")
    if body == "vase":
        points = [(0.7, 0), (b.between(0.6, 1.1), 0.3), (b.between(0.7, 1.2), 0.55), (0.35, 0.85), (0.2, 1)]
        profile = smooth(np.array(points) * np.array([wide, height]), 14)
        b.add("base", glaze, lathe(np.concatenate([[[0, 0]], profile, [[0, height]]]), sides=20))
    elif body == "ball":
        b.add("base", glaze, ellipsoid((wide, 0.42 * height, wide), (0, 0.45 * height, 0), sides=18, rings=9))
        b.add("base", metal, rod((0, 0, 0), (0, 0.08 * height, 0), 0.8 * wide, 0.6 * wide, sides=18))
    elif body == "block":
        b.add("base", glaze, box((1.6 * wide, height, 1.6 * wide), (0, height / 2, 0), bevel=0.02))
    else:
        _tripod(b, metal, b.count(3, 4), height, 1.1 * wide)
    stem = height + b.between(0.04, 0.12)
    b.add("pole", metal, rod((0, 0.5 * height, 0), (0, stem, 0), 0.014))
    top = stem + size * b.between(0.5, 0.8)
    b.add("shade", cloth, *(solid.moved(0, top, 0) for solid in _shade(b, size, kind)))
    if kind != "globe":
        b.add("bulb", b.material("light"), ellipsoid((0.035, 0.05, 0.035), (0, stem + 0.04, 0), sides=10, rings=6))
        b.add("pole", metal, rod((0, stem, 0), (0, top - 0.01, 0), 0.006, sides=6))
    if b.chance(0.3):
        b.add(
            "switch",
            metal,
            rod((0.05, stem, 0), (0.05, stem - 0.14, 0), 0.004, sides=6),
            ellipsoid((0.01, 0.012, 0.01), (0.05, stem - 0.15, 0), sides=8, rings=4),
        )


def _arm_lamp(b: Builder, metal: Colour, paint: Colour) -> None:
    foot, lower, upper = b.between(0.08, 0.13), b.between(0.2, 0.36), b.between(0.18, 0.34)
    first, second = math.radians(b.between(95, 125)), math.radians(b.between(-10, 50))
    b.add("base", paint, lathe(np.array([[0, 0], [foot, 0], [foot, 0.02], [0.25 * foot, 0.04], [0, 0.045]]), sides=22))
    start: Point = (0, 0.04, 0)
    elbow: Point = (lower * math.cos(first), 0.04 + lower * math.sin(first), 0)
    head: Point = (elbow[0] + upper * math.cos(second), elbow[1] + upper * math.sin(second), 0)
    for z in (-0.012, 0.012) if b.chance(0.5) else (0,):
        b.add(
            "pole",
            metal,
            rod((0, 0.03, z), (elbow[0], elbow[1], z), 0.008),
            rod((elbow[0], elbow[1], z), (head[0], head[1], z), 0.008),
        )
    b.add("pole", paint, *(ellipsoid((0.02, 0.02, 0.024), joint, sides=10, rings=5) for joint in (start, elbow, head)))
    size, tilt = b.between(0.06, 0.11), b.between(-10, 45)
    hood = [
        solid.turned("z", tilt).moved(head[0], head[1], 0)
        for solid in _shade(b, size, b.pick("dome", "dome", "bell", "cone"))
    ]
    b.add("shade", paint, *hood)
    b.add(
        "bulb",
        b.material("light"),
        ellipsoid((0.4 * size, 0.5 * size, 0.4 * size), (0, -0.5 * size, 0), sides=10, rings=6)
        .turned("z", tilt)
        .moved(head[0], head[1], 0),
    )
    if b.chance(0.4):
        b.add(
            "switch", b.material("plastic"), rod((0.5 * foot, 0.02, 0.4 * foot), (0.5 * foot, 0.05, 0.4 * foot), 0.012)
        )
