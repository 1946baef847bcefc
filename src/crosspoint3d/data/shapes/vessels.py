"""Mugs and bowls, and what all vessels share: handles and liquids."""

import math

import numpy as np
from jaxtyping import Float

from crosspoint3d.data.shapes.builder import Builder
from crosspoint3d.data.shapes.curves import fillet, hollow, smooth
from crosspoint3d.data.shapes.primitives import Number, Solid, ellipsoid, lathe, rod, tube

MUG = ("body", "handle", "saucer", "drink")
BOWL = ("body", "handle", "foot", "content")


def ear(b: Builder, low: Float[np.ndarray, " 2"], high: Float[np.ndarray, " 2"], out: Number, radius: Number) -> Solid:
    """A handle on the +x side between two (radius, height) points of a wall, reaching `out` beyond it."""
    kind = b.pick("round", "ear", "square")
    reach = max(float(low[0]), float(high[0])) + out
    start, end = (
        [float(low[0]) - 0.5 * radius, float(low[1]), 0.0],
        [float(high[0]) - 0.5 * radius, float(high[1]), 0.0],
    )
    rise = end[1] - start[1]
    if kind == "square":
        return tube(fillet([start, [reach, start[1], 0], [reach, end[1], 0], end], 0.35 * rise), radius)
    belly = b.between(0.35, 0.65) if kind == "round" else b.between(0.65, 0.85)
    middle = [
        [reach - 0.25 * out, start[1] + 0.06 * rise, 0],
        [reach, start[1] + belly * rise, 0],
        [reach - 0.3 * out, end[1] + 0.02 * rise, 0],
    ]
    return tube(smooth([start, *middle, end], 14), radius)


def wall_at(profile: Float[np.ndarray, "R 2"], height: Number) -> Float[np.ndarray, " 2"]:
    """The (radius, height) of a profile at a height."""
    return np.array([float(np.interp(height, profile[:, 1], profile[:, 0])), height])


def _liquid(outer: Float[np.ndarray, "R 2"], level: Number, wall: Number, sides: int) -> Solid:
    """A disc of liquid inside a vessel of this outer wall."""
    low, high = (float(wall_at(outer, y)[0]) - 0.8 * wall for y in (level - 0.02, level))
    return lathe(np.array([[0, level - 0.02], [low, level - 0.02], [high, level], [0, level]]), sides=sides)


def mug(b: Builder) -> None:
    """Cup, mug or tankard; wide and low ones look like bowls."""
    height, bottom = b.between(0.45, 1.5), b.between(0.26, 0.52)
    style = b.pick("straight", "taper", "barrel", "tulip", "cup")
    top = {
        "straight": 1.0,
        "taper": b.between(1.1, 1.5),
        "barrel": 1.0,
        "tulip": b.between(1.0, 1.3),
        "cup": b.between(1.5, 2.1),
    }[style]
    belly = {
        "straight": 1.0,
        "taper": (1 + top) / 2,
        "barrel": b.between(1.1, 1.35),
        "tulip": b.between(0.85, 1.25),
        "cup": b.between(1.3, 1.7),
    }[style]
    points = [(0.92 * bottom, 0), (bottom, 0.05 * height), (bottom * belly, 0.5 * height), (bottom * top, height)]
    outer = smooth(points, 12)
    outer[:, 1] = np.maximum.accumulate(np.clip(outer[:, 1], 0, None) + np.arange(12) * 1e-4)
    wall = b.between(0.03, 0.07)
    glaze = b.material("ceramic", "glazed", "ceramic")
    sides = b.pick(24, 24, 24, 8)
    b.add("body", glaze, lathe(hollow(outer, wall), sides=sides))
    if b.chance(0.85):
        low, high = b.between(0.12, 0.35) * height, b.between(0.68, 0.92) * height
        loop = ear(b, wall_at(outer, low), wall_at(outer, high), b.between(0.18, 0.38), b.between(0.03, 0.065))
        b.add("handle", b.pick(glaze, glaze, b.material("glazed")), loop)
    if b.chance(0.2):
        wide = bottom * b.between(1.7, 2.4)
        dish = smooth([(0.5 * wide, -0.06), (0.7 * wide, -0.04), (wide, 0.06)], 7)
        b.add("saucer", glaze, lathe(hollow(dish, 0.025), sides=24))
    if b.chance(0.4):
        b.add("drink", b.material("drink"), _liquid(outer, b.between(0.7, 0.9) * height, wall, sides))


def bowl(b: Builder) -> None:
    """Soup bowls, plates with a rim, pans and handled bowls; deep ones look like mugs."""
    rim, height = b.between(0.5, 1.0), b.between(0.25, 0.85)
    base, curve = b.between(0.3, 0.6) * rim, b.between(0.25, 0.95)
    angle = np.linspace(0, 1, 9)
    outer = np.stack([base + (rim - base) * angle**curve, height * angle ** (1 / max(curve, 0.4)) + 1e-3 * angle], 1)
    if b.chance(0.35):
        outer = np.concatenate([outer, [[rim * b.between(1.08, 1.25), height * 1.04]]])
    wall = b.between(0.025, 0.06)
    glaze = b.material("ceramic", "glazed", "ceramic", "glazed", "wood", "steel")
    sides = b.pick(28, 28, 28, 9)
    b.add("body", glaze, lathe(hollow(outer, wall), sides=sides))
    if b.chance(0.6):
        ring, drop = b.between(0.7, 1.0) * base, b.between(0.04, 0.18)
        b.add("foot", glaze, rod((0, -drop, 0), (0, 0.02, 0), ring * b.between(0.8, 1.2), ring, sides=20))
    handles = b.pick(0, 0, 0, 1, 2)
    if handles:
        low, high = (0.45, 0.85) if b.chance(0.5) else (0.6, 0.95)
        loop = ear(
            b,
            wall_at(outer, low * height),
            wall_at(outer, high * height),
            b.between(0.12, 0.28),
            b.between(0.025, 0.05),
        )
        b.add("handle", glaze, *([loop] if handles == 1 else [loop, loop.mirrored()]))
    filling = b.pick("none", "none", "soup", "fruit")
    if filling == "soup":
        b.add("content", b.material("drink"), _liquid(outer, b.between(0.6, 0.85) * height, wall, sides))
    elif filling == "fruit":
        colour, size = b.material("petal", "leaf"), b.between(0.16, 0.24) * rim
        for fruit in range(b.count(3, 6)):
            turn = fruit * 2.4
            out = 0.0 if fruit == 0 else 0.42 * rim
            spot = (out * math.cos(turn), (0.75 if fruit else 0.62) * height + 0.3 * size, out * math.sin(turn))
            b.add(
                "content", b.shade(colour, b.between(0.85, 1.1)), ellipsoid((size, size, size), spot, sides=12, rings=6)
            )
