"""Rockets."""

import math

import numpy as np

from crosspoint3d.data.shapes.builder import Builder
from crosspoint3d.data.shapes.curves import smooth
from crosspoint3d.data.shapes.primitives import ellipsoid, lathe, ribbon, rod

ROCKET = ("body", "nose", "fin", "nozzle", "booster", "window")


def rocket(b: Builder) -> None:
    """One or two stages, three to five fins, side boosters, portholes."""
    r, height = b.between(0.1, 0.26), b.between(1.0, 1.8)
    paint, second = b.material("linen", "steel", "paint"), b.material("paint", "plastic")
    belly, waist = r * b.pick(1.0, 1.0, b.between(1.15, 1.7)), b.between(0.3, 0.7)
    top = r * b.between(0.6, 1.0)
    wall = smooth([(r, 0), (belly, 0.3 * height), (0.5 * (belly + top), waist * height), (top, 0.72 * height)], 12)
    b.add("body", paint, lathe(np.concatenate([[[0, 0]], wall, [[0, 0.72 * height]]]), sides=20))
    tip = b.between(0.85, 1.1) * height
    blunt = b.between(0.45, 0.9)
    nose = [(top, 0.72 * height), (top * blunt, 0.72 * height + 0.55 * (tip - 0.72 * height)), (0.02, tip)]
    b.add("nose", second, lathe(np.concatenate([[[0, 0.72 * height]], smooth(nose, 8), [[0, tip + 0.01]]]), sides=20))
    if b.chance(0.3):
        b.add("nose", second, rod((0, tip - 0.02, 0), (0, tip + b.between(0.08, 0.2), 0), 0.012, 0.006, sides=6))
    stripes = b.count(0, 3)
    for _ in range(stripes):
        level = b.between(0.08, 0.66) * height
        at = float(np.interp(level, wall[:, 1], wall[:, 0]))
        b.add(
            "body",
            second,
            rod(
                (0, level, 0),
                (0, level + 0.04, 0),
                1.02 * at,
                1.02 * float(np.interp(level + 0.04, wall[:, 1], wall[:, 0])),
                sides=20,
            ),
        )
    fins, out, tall = b.count(3, 5), b.between(0.5, 1.6) * r, b.between(0.15, 0.4) * height
    drop, swept = b.between(-0.02, 0.14) * height, b.between(0.2, 0.9)
    start = b.between(0, 90)
    for fin in range(fins):
        path = np.array([[0.7 * r, 0.55 * tall, 0], [r + out, 0.5 * tall * (1 - swept) - drop + 0.1 * tall, 0]])
        solid = ribbon(path, np.array([tall, tall * b.pick(0.35, 0.35)]), 0.03, (0, 1, 0), sides=8)
        b.add("fin", second, solid.turned("y", start + 360 * fin / fins))
    dark, count = b.material("steel"), b.pick(1, 1, 3, 4)
    for jet in range(count):
        angle = 2 * math.pi * jet / count
        off = 0.0 if count == 1 else 0.5 * r
        x, z = off * math.cos(angle), off * math.sin(angle)
        size = (0.75 if count == 1 else 0.35) * r
        b.add("nozzle", dark, rod((x, 0.02, z), (x, -0.1 * height, z), 0.5 * size, size, sides=14))
    boosters = b.pick(0, 0, 0, 2, 3, 4)
    if boosters:
        size, long = b.between(0.35, 0.6) * r, b.between(0.35, 0.65) * height
        profile = np.array(
            [
                [0, -0.04],
                [0.8 * size, -0.04],
                [0.6 * size, 0],
                [size, 0.01],
                [size, 0.8 * long],
                [0.5 * size, 0.93 * long],
                [0, long],
            ]
        )
        beside = float(wall[wall[:, 1] < long, 0].max())
        for booster in range(boosters):
            solid = lathe(profile, sides=12).moved(beside + 0.85 * size, -0.02, 0)
            b.add("booster", b.pick(paint, paint, second), solid.turned("y", start + 30 + 360 * booster / boosters))
    for pane in range(b.pick(0, 1, 1, 2, 3)):
        level = (0.62 - 0.11 * pane) * height
        at = float(np.interp(level, wall[:, 1], wall[:, 0]))
        size = b.between(0.2, 0.3) * top
        b.add(
            "window",
            b.material("steel"),
            ellipsoid((1.25 * size, 1.25 * size, 0.03), (0, level, at - 0.012), sides=14, rings=4),
        )
        b.add("window", b.material("window"), ellipsoid((size, size, 0.04), (0, level, at - 0.012), sides=14, rings=4))
