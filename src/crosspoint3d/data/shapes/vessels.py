"""Mugs, bowls, bottles and vases: surfaces of revolution that blend into one another."""

import math

import numpy as np
from jaxtyping import Float

from crosspoint3d.data.shapes.builder import Builder
from crosspoint3d.data.shapes.curves import fillet, hollow, smooth
from crosspoint3d.data.shapes.primitives import Solid, ellipsoid, lathe, ribbon, rod, tube

MUG = ("body", "handle", "saucer", "drink")
BOWL = ("body", "handle", "foot", "content")
BOTTLE = ("body", "neck", "cap", "label", "handle")
VASE = ("body", "neck", "foot", "handle", "stem", "flower")


def _ear(b: Builder, low: Float[np.ndarray, "2"], high: Float[np.ndarray, "2"], out: float, radius: float) -> Solid:
    """A handle on the +x side between two (radius, height) points of a wall, reaching `out` beyond it."""
    kind = b.pick("round", "ear", "square")
    reach = max(float(low[0]), float(high[0])) + out
    start, end = [float(low[0]) - 0.5 * radius, float(low[1]), 0.0], [float(high[0]) - 0.5 * radius, float(high[1]), 0.0]
    rise = end[1] - start[1]
    if kind == "square":
        return tube(fillet([start, [reach, start[1], 0], [reach, end[1], 0], end], 0.35 * rise), radius)
    belly = b.between(0.35, 0.65) if kind == "round" else b.between(0.65, 0.85)
    middle = [[reach - 0.25 * out, start[1] + 0.06 * rise, 0], [reach, start[1] + belly * rise, 0], [reach - 0.3 * out, end[1] + 0.02 * rise, 0]]
    return tube(smooth([start, *middle, end], 14), radius)


def _at(profile: Float[np.ndarray, "R 2"], height: float) -> Float[np.ndarray, "2"]:
    return np.array([float(np.interp(height, profile[:, 1], profile[:, 0])), height])


def mug(b: Builder) -> None:
    """Cup, mug or tankard; wide and low ones look like bowls."""
    height, bottom = b.between(0.45, 1.5), b.between(0.26, 0.52)
    style = b.pick("straight", "taper", "barrel", "tulip", "cup")
    top = {"straight": 1.0, "taper": b.between(1.1, 1.5), "barrel": 1.0, "tulip": b.between(1.0, 1.3), "cup": b.between(1.5, 2.1)}[style]
    belly = {"straight": 1.0, "taper": (1 + top) / 2, "barrel": b.between(1.1, 1.35), "tulip": b.between(0.85, 1.25), "cup": b.between(1.3, 1.7)}[style]
    points = [(0.92 * bottom, 0), (bottom, 0.05 * height), (bottom * belly, 0.5 * height), (bottom * top, height)]
    outer = smooth(points, 12)
    outer[:, 1] = np.maximum.accumulate(np.clip(outer[:, 1], 0, None) + np.arange(12) * 1e-4)
    wall = b.between(0.03, 0.07)
    glaze = b.material("ceramic", "glazed", "ceramic")
    sides = b.pick(24, 24, 24, 8)
    b.add("body", glaze, lathe(hollow(outer, wall), sides=sides))
    if b.chance(0.9):
        low, high = b.between(0.12, 0.35) * height, b.between(0.68, 0.92) * height
        ear = _ear(b, _at(outer, low), _at(outer, high), b.between(0.18, 0.38), b.between(0.03, 0.065))
        b.add("handle", b.pick(glaze, glaze, b.material("glazed")), ear)
    if b.chance(0.2):
        wide = bottom * b.between(1.7, 2.4)
        dish = smooth([(0.5 * wide, -0.06), (0.7 * wide, -0.04), (wide, 0.06)], 7)
        b.add("saucer", glaze, lathe(hollow(dish, 0.025), sides=24))
    if b.chance(0.4):
        level = b.between(0.7, 0.9) * height
        r = float(_at(outer, level)[0]) - 0.7 * wall
        b.add("drink", b.material("drink"), lathe(np.array([[0, level - 0.03], [r, level - 0.03], [r, level], [0, level]]), sides=24))


def bowl(b: Builder) -> None:
    """Soup bowls, plates with a rim, pans and handled bowls; deep ones look like mugs."""
    rim, height = b.between(0.5, 1.0), b.between(0.25, 0.85)
    base, curve = b.between(0.3, 0.6) * rim, b.between(0.25, 0.95)
    angle = np.linspace(0, 1, 9)
    outer = np.stack([base + (rim - base) * angle**curve, height * angle ** (1 / max(curve, 0.4)) + 1e-3 * angle], 1)
    if b.chance(0.35):
        outer = np.concatenate([outer, [[rim * b.between(1.08, 1.25), height * 1.04]]])
    wall = b.between(0.025, 0.06)
    glaze = b.material("ceramic", "glazed", "wood", "metal")
    b.add("body", glaze, lathe(hollow(outer, wall), sides=b.pick(28, 28, 28, 9)))
    if b.chance(0.6):
        ring, drop = b.between(0.7, 1.0) * base, b.between(0.04, 0.18)
        b.add("foot", glaze, rod((0, -drop, 0), (0, 0.02, 0), ring * b.between(0.8, 1.2), ring, sides=20))
    handles = b.pick(0, 0, 0, 1, 2)
    if handles:
        low, high = (0.45, 0.85) if b.chance(0.5) else (0.6, 0.95)
        ear = _ear(b, _at(outer, low * height), _at(outer, high * height), b.between(0.12, 0.28), b.between(0.025, 0.05))
        b.add("handle", glaze, *([ear] if handles == 1 else [ear, ear.mirrored()]))
    filling = b.pick("none", "none", "soup", "fruit")
    if filling == "soup":
        level = b.between(0.6, 0.85) * height
        r = float(_at(outer, level)[0]) - 0.7 * wall
        b.add("content", b.material("drink"), lathe(np.array([[0, level - 0.03], [r, level - 0.03], [r, level], [0, level]]), sides=24))
    elif filling == "fruit":
        colour, size = b.material("petal", "leaf"), b.between(0.16, 0.24) * rim
        for fruit in range(b.count(3, 6)):
            turn = fruit * 2.4
            out = 0.0 if fruit == 0 else 0.42 * rim
            spot = (out * math.cos(turn), (0.75 if fruit else 0.62) * height + 0.3 * size, out * math.sin(turn))
            b.add("content", b.shade(colour, b.between(0.85, 1.1)), ellipsoid((size, size, size), spot, sides=12, rings=6))


def bottle(b: Builder) -> None:
    """Wine, beer, flask, jar and jug: round or square, capped, corked or open."""
    height, radius = b.between(1.0, 2.6), b.between(0.26, 0.5)
    neck, shoulder = radius * b.between(0.22, 0.75), height * b.between(0.5, 0.8)
    slope = min(b.between(0.02, 0.35), 0.9 * (1 - shoulder / height)) * height
    power = b.pick(2.0, 2.0, 2.0, b.between(3, 8))
    glass = b.material("glass", "glass", "plastic", "ceramic")
    waist = radius * b.pick(1.0, 1.0, b.between(0.75, 1.1))
    body = [(0, 0), (0.85 * radius, 0), (radius, 0.04 * height), (waist, 0.5 * shoulder), (radius, shoulder)]
    ease = np.linspace(0, 1, 6)[1:]
    rise = [(neck + (radius - neck) * (0.5 + 0.5 * math.cos(math.pi * t)), shoulder + slope * float(t)) for t in ease]
    b.add("body", glass, lathe(np.array([*body, *rise], dtype=np.float64), sides=24, power=power))
    top, cuff = max(height - shoulder - slope, 0.05), b.between(1.0, 1.25) * neck
    tip = shoulder + slope + top
    square = 2.0 if neck < 0.6 * radius else power
    profile = [(neck, shoulder + slope - 0.02), (neck, tip - 0.06), (cuff, tip - 0.06), (cuff, tip)]
    cap = b.pick("screw", "cork", "none", "pump") if neck < 0.5 * radius else b.pick("screw", "screw", "none")
    if cap == "none":
        profile += [(0.75 * neck, tip), (0.75 * neck, tip - 0.12)]
    b.add("neck", glass, lathe(np.array(profile), sides=20, power=square))
    if cap == "screw":
        high, wide = b.between(0.06, 0.2), cuff * b.between(1.02, 1.2)
        b.add("cap", b.material("metal", "plastic"), rod((0, tip - 0.02, 0), (0, tip + high, 0), wide, 0.95 * wide, sides=20))
    elif cap == "cork":
        b.add("cap", b.material("wood"), rod((0, tip - 0.03, 0), (0, tip + b.between(0.05, 0.15), 0), 0.85 * neck, neck, sides=16))
    elif cap == "pump":
        plastic = b.material("plastic")
        b.add("cap", plastic, rod((0, tip - 0.02, 0), (0, tip + 0.08, 0), 1.2 * cuff, sides=16), rod((0, tip, 0), (0, tip + 0.3, 0), 0.25 * neck, sides=8))
        b.add("cap", plastic, rod((0, tip + 0.3, -0.05), (0, tip + 0.25, 0.8 * radius), 0.3 * neck, 0.2 * neck, sides=8))
    if b.chance(0.55):
        low, high = b.between(0.08, 0.3) * shoulder, b.between(0.55, 0.9) * shoulder
        wide = 1.015 * max(radius, waist)
        profile_ = np.array([[0, low], [wide, low], [wide, high], [0, high]])
        b.add("label", b.material("linen", "petal", "plastic", "book"), lathe(profile_, sides=24, power=power))
    if b.chance(0.15):
        wall = np.array([[radius, 0.55 * shoulder], [radius, shoulder], [neck, shoulder + slope], [neck, tip]])
        b.add("handle", glass, _ear(b, wall[0], _at(wall, shoulder + slope), b.between(0.1, 0.25), 0.05))


def vase(b: Builder) -> None:
    """Free profiles, handles of an amphora, flowers or none: between a bottle, a mug and a bowl."""
    height, widest = b.between(0.9, 2.4), b.between(0.3, 0.62)
    base, neck, lip = b.between(0.4, 0.9), b.between(0.25, 0.9), b.between(0.35, 1.1)
    level, pinch = b.between(0.3, 0.65), b.between(0.75, 0.88)
    points = [(base, 0), ((base + 1) / 2 + 0.1, 0.5 * level), (1, level), ((1 + neck) / 2, (level + pinch) / 2), (neck, pinch), (lip, 1)]
    outer = smooth(np.array(points) * np.array([widest, height]), 18)
    outer[:, 1] = np.maximum.accumulate(outer[:, 1] + np.arange(18) * 1e-4)
    outer[:, 0] = np.maximum(outer[:, 0], 0.1 * widest)
    glaze, wall = b.material("ceramic", "glazed", "glass"), b.between(0.02, 0.05)
    sides = b.pick(24, 24, 24, 6, 8)
    cut = int(np.searchsorted(outer[:, 1], pinch * height)) - 1
    b.add("body", glaze, lathe(np.concatenate([[[0, 0]], outer[: cut + 1], [[0, outer[cut, 1]]]]), sides=sides))
    collar = outer[cut:]
    inner = collar[::-1] - np.array([wall, 0.0])
    inner[:, 0] = np.maximum(inner[:, 0], 0.02)
    top = np.concatenate([[[0, collar[0, 1]]], collar, inner[:-1], [[0, inner[-1, 1] + 0.01]]])
    b.add("neck", b.pick(glaze, glaze, b.material("glazed")), lathe(top, sides=sides))
    if b.chance(0.35):
        ring = base * widest
        b.add("foot", b.shade(glaze, 0.8), rod((0, -b.between(0.04, 0.15), 0), (0, 0.02, 0), ring * b.between(0.9, 1.25), ring, sides=20))
    handles = b.pick(0, 0, 0, 1, 2)
    if handles:
        ear = _ear(b, _at(outer, level * height), _at(outer, pinch * height), b.between(0.1, 0.25), b.between(0.025, 0.05))
        b.add("handle", glaze, *([ear] if handles == 1 else [ear, ear.mirrored()]))
    if b.chance(0.35):
        leaf, petal = b.material("leaf"), b.material("petal")
        for _ in range(b.count(1, 7)):
            lean, turn, long = b.between(0.05, 0.5), b.between(0, 2 * math.pi), b.between(0.35, 0.9) * height
            side = np.array([math.cos(turn), 0, math.sin(turn)])
            path = np.array([[0, 0.8 * height, 0], [0, height, 0], [0, height + 0.6 * long, 0], [0, height + long, 0]])
            path = path + side * (np.array([0, 0.2 * lip * lean, lean * 0.6, lean])[:, None] * widest * 1.6)
            b.add("stem", leaf, tube(path, 0.018, sides=5))
            tip = (float(path[-1, 0]), float(path[-1, 1]), float(path[-1, 2]))
            size = b.between(0.07, 0.14)
            b.add("flower", petal, ellipsoid((size, 0.7 * size, size), tip, sides=10, rings=5))
            if b.chance(0.5):
                out = path[2] + np.array([[0, 0, 0], [0.12, 0.1, 0], [0.22, 0.12, 0]]) * b.pick(-1, 1)
                b.add("stem", leaf, ribbon(out, np.array([0.02, 0.09, 0.01]), 0.015, (0, 0, 1)))
