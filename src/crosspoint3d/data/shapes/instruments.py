"""Guitars: acoustic, electric, bass, ukulele; upright, the strings looking along +z."""

import numpy as np

from crosspoint3d.data.shapes.builder import Builder
from crosspoint3d.data.shapes.curves import smooth
from crosspoint3d.data.shapes.primitives import box, ellipsoid, extrude, loft, rod

GUITAR = ("body", "neck", "head", "peg", "bridge", "hole", "string")


def guitar(b: Builder) -> None:
    """A waisted body, hollow or solid with horns, a neck with frets, a head with pegs."""
    electric = b.chance(0.45)
    wide, tall = b.between(0.28, 0.42), b.between(0.38, 0.56)
    deep = b.between(0.035, 0.06) if electric else b.between(0.07, 0.13)
    finish = b.material("wood", "wood", "paint") if not electric else b.material("paint", "paint", "wood", "plastic")
    lower, waist, upper = wide / 2, wide / 2 * b.between(0.58, 0.8), wide / 2 * b.between(0.7, 0.9)
    style = b.pick("double", "single", "wedge", "offset") if electric else b.pick("plain", "plain", "cutaway", "pear")
    side = [
        (lower * 0.6, -0.47 * tall),
        (lower, -0.24 * tall),
        (waist if style != "pear" else 0.85 * lower, 0.1 * tall),
    ]
    right, left = [*side, (upper, 0.3 * tall)], [*side, (upper, 0.3 * tall)]
    horn, notch = (0.9 * upper, 0.56 * tall), (0.2 * upper, 0.36 * tall)
    plain = (0.55 * upper if style != "pear" else 0.3 * upper, 0.48 * tall)
    right += (
        [horn, notch]
        if style in ("double", "single", "offset")
        else [(0.75 * upper, 0.4 * tall), notch]
        if style == "cutaway"
        else [plain]
    )
    left += (
        [(0.85 * horn[0], horn[1] * (1.12 if style == "offset" else 0.95)), notch]
        if style in ("double", "offset")
        else [plain]
    )
    if style == "wedge":
        right = left = [
            (0.9 * lower, -0.5 * tall),
            (1.05 * lower, -0.34 * tall),
            (0.5 * lower, 0.05 * tall),
            (0.3 * lower, 0.4 * tall),
        ]
    outline = smooth([*right, *[(-x, y) for x, y in reversed(left)]], 44, loop=True)
    b.add("body", finish, extrude(outline, deep, bevel=0.15 * deep))
    front, neck_w = deep / 2, b.between(0.045, 0.07)
    scale = b.between(0.5, 0.85) * (1.25 if electric and b.chance(0.25) else 1.0)
    start, nut = 0.1 * tall, 0.36 * tall + scale * 0.75
    wood, dark = b.material("wood"), b.shade(b.material("wood"), 0.5)
    low, high = 0.3 * tall, nut
    rings = [
        np.array([[w, y, front - 0.03], [w, y, front + 0.008], [-w, y, front + 0.008], [-w, y, front - 0.03]])
        for w, y in ((0.6 * neck_w, low), (0.42 * neck_w, high))
    ]
    b.add("neck", wood, loft(np.stack(rings)))
    board = [
        np.array([[w, y, front], [w, y, front + 0.014], [-w, y, front + 0.014], [-w, y, front]])
        for w, y in ((0.6 * neck_w, start + 0.08 * tall), (0.44 * neck_w, high))
    ]
    b.add("neck", dark, loft(np.stack(board)))
    frets = b.count(7, 14)
    places = [
        high - (high - start - 0.1 * tall) * (1 - 0.9**fret) / (1 - 0.9 ** (frets + 1)) for fret in range(1, frets + 1)
    ]
    b.add("neck", (200, 202, 206), *(box((0.9 * neck_w, 0.004, 0.004), (0, y, front + 0.015)) for y in places))
    head_h, flare = b.between(0.1, 0.18), b.between(0.65, 1.05) * neck_w
    shape = [
        (0.45 * neck_w, 0),
        (flare, 0.3 * head_h),
        (flare * b.between(0.7, 1.1), head_h),
        (0, head_h * b.between(0.95, 1.12)),
    ]
    lean = b.between(0, 0.4) * neck_w if electric else 0.0
    plate = np.array([*shape, *[(-x - lean * (y > 0), y) for x, y in reversed(shape[:-1])]])
    tilted = extrude(plate, 0.022, bevel=0.004).turned("x", -b.between(4, 14)).moved(0, high - 0.005, front - 0.008)
    b.add("head", b.pick(wood, finish, dark), tilted)
    strings = b.pick(4, 4, 6, 6, 6)
    pegs, metal = strings // 2, b.material("steel", "linen")
    one_sided = electric and b.chance(0.5)
    for peg in range(strings if one_sided else pegs):
        y = high + head_h * (0.25 + 0.65 * peg / max(1, (strings if one_sided else pegs) - 1))
        for way in (-1,) if one_sided else (-1, 1):
            b.add(
                "peg",
                metal,
                rod((way * 0.5 * flare, y, front - 0.02), (way * (flare + 0.022), y, front - 0.02), 0.005, sides=6),
            )
            b.add(
                "peg",
                metal,
                ellipsoid((0.013, 0.01, 0.007), (way * (flare + 0.026), y, front - 0.02), sides=8, rings=4),
            )
    saddle = -b.between(0.16, 0.28) * tall
    b.add(
        "bridge",
        dark if not electric else metal,
        box(
            (b.between(0.3, 0.5) * wide if not electric else 0.09, 0.03, 0.016), (0, saddle, front + 0.006), bevel=0.004
        ),
    )
    if electric:
        plastic = b.material("plastic")
        for pickup in range(b.count(1, 3)):
            b.add(
                "hole",
                plastic,
                box((0.085, 0.026, 0.014), (0, saddle + 0.06 + 0.065 * pickup, front + 0.005), bevel=0.004),
            )
        for knob in range(b.count(1, 4)):
            spot = (0.55 * lower, saddle + 0.03 - 0.04 * knob, front)
            b.add("bridge", metal, rod(spot, (spot[0], spot[1], front + 0.02), 0.011, sides=10))
        if b.chance(0.5):
            guard = smooth(
                [
                    (0.1 * lower, -0.3 * tall),
                    (0.62 * lower, -0.2 * tall),
                    (0.6 * waist, 0.1 * tall),
                    (0.05 * lower, 0.2 * tall),
                ],
                16,
                loop=True,
            )
            b.add("hole", b.material("linen", "plastic"), extrude(guard, 0.006).moved(0, 0, front + 0.002))
    else:
        ring = b.between(0.13, 0.19) * wide
        y = b.between(0.02, 0.1) * tall
        b.add("hole", b.shade(finish, 0.6), rod((0, y, front - 0.01), (0, y, front + 0.003), 1.2 * ring, sides=24))
        b.add("hole", (36, 28, 24), rod((0, y, front - 0.01), (0, y, front + 0.005), ring, sides=24))
    bottom, top = np.linspace(-0.3, 0.3, strings) * neck_w * 1.3, np.linspace(-0.3, 0.3, strings) * neck_w
    lines = [
        rod((x0, saddle, front + 0.018), (x1, high + 0.01, front + 0.018), 0.0016, sides=4)
        for x0, x1 in zip(bottom.tolist(), top.tolist(), strict=True)
    ]
    b.add("string", (214, 210, 200), *lines)
