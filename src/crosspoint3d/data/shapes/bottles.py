"""Bottles and vases: closed and open profiles that blend into one another."""

import math

import numpy as np

from crosspoint3d.data.shapes.builder import Builder
from crosspoint3d.data.shapes.curves import smooth
from crosspoint3d.data.shapes.primitives import ellipsoid, lathe, ribbon, rod, tube
from crosspoint3d.data.shapes.vessels import ear, wall_at

BOTTLE = ("body", "neck", "cap", "label", "handle")
VASE = ("body", "neck", "foot", "handle", "stem", "flower")


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
        b.add(
            "cap",
            b.material("metal", "plastic"),
            rod((0, tip - 0.02, 0), (0, tip + high, 0), wide, 0.95 * wide, sides=20),
        )
    elif cap == "cork":
        b.add(
            "cap",
            b.material("wood"),
            rod((0, tip - 0.03, 0), (0, tip + b.between(0.05, 0.15), 0), 0.85 * neck, neck, sides=16),
        )
    elif cap == "pump":
        plastic = b.material("plastic")
        b.add(
            "cap",
            plastic,
            rod((0, tip - 0.02, 0), (0, tip + 0.08, 0), 1.2 * cuff, sides=16),
            rod((0, tip, 0), (0, tip + 0.3, 0), 0.25 * neck, sides=8),
        )
        b.add(
            "cap", plastic, rod((0, tip + 0.3, -0.05), (0, tip + 0.25, 0.8 * radius), 0.3 * neck, 0.2 * neck, sides=8)
        )
    if b.chance(0.55):
        low, high = b.between(0.08, 0.3) * shoulder, b.between(0.55, 0.9) * shoulder
        wall = np.array(body, dtype=np.float64)
        levels = np.linspace(low, high, 6)
        skin = np.stack([1.02 * np.interp(levels, wall[:, 1], wall[:, 0]), levels], 1)
        sleeve = np.concatenate([[[0, low]], skin, [[0, high]]])
        b.add("label", b.material("linen", "petal", "plastic", "book"), lathe(sleeve, sides=24, power=power))
    if b.chance(0.15):
        side = np.array([[0.95 * waist, 0.55 * shoulder], [neck, shoulder + slope + 0.02]])
        b.add("handle", glass, ear(b, side[0], side[1], b.between(0.1, 0.25), 0.05))


def vase(b: Builder) -> None:
    """Free profiles, handles of an amphora, flowers or none: between a bottle, a mug and a bowl."""
    height, widest = b.between(0.9, 2.4), b.between(0.3, 0.62)
    base, neck, lip = b.between(0.4, 0.9), b.between(0.25, 0.9), b.between(0.35, 1.1)
    level, pinch = b.between(0.3, 0.65), b.between(0.75, 0.88)
    points = [
        (base, 0),
        ((base + 1) / 2 + 0.1, 0.5 * level),
        (1, level),
        ((1 + neck) / 2, (level + pinch) / 2),
        (neck, pinch),
        (lip, 1),
    ]
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
        b.add(
            "foot",
            b.shade(glaze, 0.8),
            rod((0, -b.between(0.04, 0.15), 0), (0, 0.02, 0), ring * b.between(0.9, 1.25), ring, sides=20),
        )
    handles = b.pick(0, 0, 0, 1, 2)
    if handles:
        loop = ear(
            b,
            wall_at(outer, level * height),
            wall_at(outer, pinch * height),
            b.between(0.1, 0.25),
            b.between(0.025, 0.05),
        )
        b.add("handle", glaze, *([loop] if handles == 1 else [loop, loop.mirrored()]))
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
