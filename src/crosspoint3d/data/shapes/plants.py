"""Plants in pots: leafy, cactus, palm, little tree, succulent."""

import math

import numpy as np

from crosspoint3d.data.shapes.builder import Builder
from crosspoint3d.data.shapes.curves import hollow
from crosspoint3d.data.shapes.primitives import Number, Point, ellipsoid, lathe, ribbon, rod, tube

PLANT = ("pot", "soil", "trunk", "leaf", "flower")


def _leaf_path(turn: Number, base: Point, rise: Number, out: Number, droop: Number) -> tuple[np.ndarray, Point]:
    """The middle line of a leaf that leaves `base` in direction `turn`, and the direction across it."""
    t = np.linspace(0, 1, 6)
    away, up = out * t, rise * t - droop * t**2.2
    path = np.stack([base[0] + away * math.cos(turn), base[1] + up, base[2] + away * math.sin(turn)], 1)
    return path, (-math.sin(turn), 0, math.cos(turn))


def plant(b: Builder) -> None:
    """A pot (round, square, tall, bowl-like) and what grows in it; small plants look like vases and bowls."""
    top, height = b.between(0.16, 0.32), b.between(0.18, 0.5)
    base, power = top * b.between(0.55, 1.0), b.pick(2.0, 2.0, 2.0, 7.0)
    clay = b.material("ceramic", "glazed", "painted")
    level = np.linspace(0, 1, 6)
    outer = np.stack([base + (top - base) * level ** b.between(0.5, 1.4), height * level], 1)
    if b.chance(0.5):
        lip = 1.1 * top
        outer = np.concatenate([outer[:-1], [[outer[-2, 0], 0.82 * height], [lip, 0.83 * height], [lip, height]]])
    b.add("pot", clay, lathe(hollow(outer, 0.025), sides=24, power=power))
    soil = 0.85 * height
    r = 0.97 * float(np.interp(soil, outer[:, 1], outer[:, 0])) - 0.02
    b.add(
        "soil",
        b.material("soil"),
        lathe(np.array([[0, soil - 0.03], [r, soil - 0.03], [r, soil], [0, soil + 0.02]]), sides=24, power=power),
    )
    if b.chance(0.25):
        b.add("pot", clay, rod((0, -0.03, 0), (0, 0.01, 0), 1.1 * base, 1.3 * base, sides=24))
    kind = b.pick("leafy", "leafy", "cactus", "palm", "tree", "succulent", "grass")
    green = b.material("leaf")
    if kind in ("leafy", "succulent", "grass"):
        count = {"leafy": b.count(9, 18), "succulent": b.count(12, 22), "grass": b.count(16, 30)}[kind]
        wide = {"leafy": b.between(0.1, 0.2), "succulent": b.between(0.07, 0.11), "grass": b.between(0.02, 0.035)}[kind]
        tall = {"leafy": b.between(0.4, 0.9), "succulent": b.between(0.12, 0.28), "grass": b.between(0.35, 0.8)}[kind]
        shape = np.array([0.15, 0.6, 1.0, 0.9, 0.55, 0.05] if kind != "grass" else [0.8, 1.0, 0.9, 0.7, 0.4, 0.05])
        for leaf in range(count):
            turn, steep = leaf * 2.399963, b.between(0.35, 1.0)
            out = tall * (1.05 - steep) * b.between(0.7, 1.1) + 0.04
            start: Point = (0.15 * r * math.cos(turn), soil, 0.15 * r * math.sin(turn))
            path, across = _leaf_path(turn, start, tall * steep, out, tall * b.between(0.0, 0.35))
            thick = 0.04 if kind == "succulent" else 0.012
            b.add("leaf", b.shade(green, b.between(0.85, 1.15)), ribbon(path, wide * shape, thick, across))
    elif kind == "cactus":
        tall, thick = b.between(0.25, 0.9), b.between(0.06, 0.15)
        profile = np.array([[0, 0], [0.85, 0], [1, 0.3], [1, 0.75], [0.7, 0.93], [0, 1]]) * np.array([thick, tall])
        b.add("trunk", green, lathe(profile, sides=b.pick(8, 10, 12)).moved(0, soil, 0))
        for _ in range(b.pick(0, 1, 2, 3)):
            turn, joint, out = b.between(0, 2 * math.pi), b.between(0.3, 0.6) * tall, thick + b.between(0.08, 0.14)
            c, s, y = math.cos(turn), math.sin(turn), soil + joint
            end = y + b.between(0.12, 0.3) * tall + 0.05
            path = np.array(
                [
                    [0.5 * thick * c, y, 0.5 * thick * s],
                    [0.8 * out * c, y, 0.8 * out * s],
                    [out * c, y + 0.05, out * s],
                    [out * c, end, out * s],
                ]
            )
            b.add("trunk", green, tube(path, 0.45 * thick, sides=9))
            b.add(
                "trunk",
                green,
                ellipsoid((0.45 * thick, 0.4 * thick, 0.45 * thick), (out * c, end, out * s), sides=9, rings=5),
            )
    else:
        conifer = b.chance(0.35)
        tall, bend = b.between(0.35, 1.1), 0.0 if conifer else b.between(-0.15, 0.15)
        bark = b.material("wood")
        path = np.array(
            [
                [bend * t**2, soil - 0.02 + tall * t, 0.4 * abs(bend) * math.sin(3 * t)]
                for t in np.linspace(0, 1, 6).tolist()
            ]
        )
        b.add("trunk", bark, tube(path, b.between(0.018, 0.04), sides=9))
        crown: Point = (float(path[-1, 0]), float(path[-1, 1]), float(path[-1, 2]))
        if kind == "palm":
            fronds, long = b.count(6, 12), b.between(0.3, 0.6)
            for frond in range(fronds):
                turn = frond * 2 * math.pi / fronds + b.between(-0.2, 0.2)
                path, across = _leaf_path(
                    turn, crown, long * b.between(0.4, 0.9), long * b.between(0.7, 1.0), long * b.between(0.6, 1.0)
                )
                b.add(
                    "leaf",
                    b.shade(green, b.between(0.85, 1.15)),
                    ribbon(path, np.array([0.3, 0.9, 1, 0.9, 0.6, 0.05]) * 0.12, 0.015, across),
                )
        elif conifer:
            tiers, size = b.count(2, 4), b.between(0.18, 0.34)
            for tier in range(tiers):
                low = crown[1] - 0.5 * tall + tier * 0.7 * size
                cone = rod(
                    (crown[0], low, crown[2]),
                    (crown[0], low + 1.1 * size, crown[2]),
                    size * (1 - 0.2 * tier),
                    0.02,
                    sides=14,
                )
                b.add("leaf", b.shade(green, b.between(0.92, 1.08)), cone)
        else:
            for _ in range(b.pick(1, 1, 3, 5)):
                size = b.between(0.15, 0.27)
                spot = (
                    crown[0] + b.between(-0.13, 0.13),
                    crown[1] + b.between(-0.05, 0.16),
                    crown[2] + b.between(-0.13, 0.13),
                )
                b.add(
                    "leaf",
                    b.shade(green, b.between(0.88, 1.12)),
                    ellipsoid((size, size * b.between(0.8, 1.1), size), spot, sides=12, rings=7),
                )
    if b.chance(0.3) and kind in ("leafy", "cactus", "succulent", "grass"):
        petal = b.material("petal")
        for _ in range(b.count(1, 5)):
            turn, out = b.between(0, 2 * math.pi), b.between(0, 0.12)
            stem = soil + b.between(0.25, 0.75)
            x, z = out * math.cos(turn), out * math.sin(turn)
            b.add("trunk", green, rod((0.3 * x, soil, 0.3 * z), (x, stem, z), 0.01, sides=6))
            b.add("flower", petal, ellipsoid((0.045, 0.035, 0.045), (x, stem, z), sides=10, rings=5))
