"""Monitors (televisions among them) and laptops; the screen looks along +z."""

import math

import numpy as np

from crosspoint3d.data.shapes.builder import Builder
from crosspoint3d.data.shapes.primitives import Number, Solid, box, ellipsoid, loft, rod, rounded_box

MONITOR = ("screen", "frame", "stand", "base", "button")
LAPTOP = ("base", "key", "trackpad", "screen", "lid", "hinge")


def _panel(width: Number, height: Number, thick: Number, bow: Number) -> Solid:
    """An upright panel about the origin, its left and right edges bent forwards by `bow`."""
    x = np.linspace(-width / 2, width / 2, 11)
    section = np.array([[-0.5, -1], [-0.5, 1], [0.5, 1], [0.5, -1]]) * np.array([height, thick / 2])
    rings = np.empty((11, 4, 3))
    rings[..., 0] = x[:, None]
    rings[..., 1] = section[:, 0]
    rings[..., 2] = (bow * (2 * x / width) ** 2)[:, None] + section[:, 1]
    return loft(rings)


def _picture(b: Builder, width: Number, height: Number, tilt: Number, spot: tuple[Number, Number, Number]) -> None:
    """A few bright windows on a screen, so that it reads as one."""
    for _ in range(b.count(0, 3)):
        w, h = b.between(0.2, 0.5) * width, b.between(0.15, 0.5) * height
        x, y = b.between(-0.5, 0.5) * (width - w) * 0.9, b.between(-0.5, 0.5) * (height - h) * 0.9
        pane = box((w, h, 0.006), (x, y, b.between(0.001, 0.003))).turned("x", tilt)
        b.add("screen", b.material("petal", "light", "leaf", "linen", "screen"), pane.moved(*spot))


def monitor(b: Builder) -> None:
    """Flat, curved, portrait, television on two feet, tube set."""
    style = b.pick("flat", "flat", "curved", "television", "tube", "portrait", "tilted")
    width = b.between(0.45, 0.75)
    height = width * {
        "flat": b.between(0.52, 0.72),
        "curved": b.between(0.38, 0.5),
        "portrait": b.between(1.3, 1.7),
        "tube": b.between(0.72, 0.9),
    }.get(style, b.between(0.52, 0.65))
    if style == "television":
        width, height = 1.7 * width, 1.7 * height
    if style == "portrait":
        width, height = 0.65 * width, 0.65 * height
    casing, glass = (
        b.pick((44, 46, 50), b.material("plastic"), b.material("steel"), (226, 226, 224)),
        b.material("screen"),
    )
    edge, thick = b.between(0.008, 0.04), b.between(0.018, 0.06)
    chin = b.pick(0.0, b.between(0.02, 0.08)) * height
    gap = b.between(0.08, 0.25)
    middle = gap + (height + chin) / 2
    tilt = -b.between(0, 14) if style in ("flat", "tilted") else 0.0
    if style == "tube":
        gap, middle = 0.06, 0.06 + height / 2
        b.add("frame", casing, rounded_box((width, height, 0.12), (0, middle, 0), radius=0.03))
        deep = b.between(0.25, 0.45)
        rings = [
            np.array([[x, y, z], [-x, y, z], [-x, -y, z], [x, -y, z]])
            for x, y, z in (
                (0.48 * width, 0.48 * height, -0.05),
                (0.42 * width, 0.4 * height, -0.1 - 0.3 * deep),
                (0.25 * width, 0.26 * height, -deep),
            )
        ]
        b.add("frame", b.shade(casing, 0.92), loft(np.stack(rings)).moved(0, middle, 0))
        wide, tall, lift = 0.82 * width, 0.76 * height, 0.05 * height
        b.add("screen", glass, rounded_box((wide, tall, 0.05), (0, middle + lift, 0.045), radius=0.025))
        _picture(b, 0.8 * wide, 0.8 * tall, 0.0, (0, middle + lift, 0.071))
        b.add("base", casing, rounded_box((0.6 * width, 0.05, 0.3), (0, 0.025, -0.05), radius=0.02))
        b.add("stand", casing, rod((0, 0.03, -0.05), (0, 0.08, -0.05), 0.2 * width, 0.16 * width, sides=18))
        b.add(
            "button",
            b.material("plastic"),
            *(
                rod((x, middle - 0.43 * height, 0.05), (x, middle - 0.43 * height, 0.07), 0.012)
                for x in np.linspace(0.15, 0.4, b.count(2, 5)).tolist()
                if x < 0.45 * width
            ),
        )
        return
    bow = b.between(0.04, 0.1) * width if style == "curved" else 0.0
    spot = (0.0, middle, 0.0)
    if bow:
        b.add("frame", casing, _panel(width, height, thick, bow).moved(*spot))
        b.add("screen", glass, _panel(width - 2 * edge, height - 2 * edge, 0.006, bow).moved(0, middle, thick / 2))
    else:
        b.add("frame", casing, box((width, height + chin, thick), bevel=0.008).turned("x", tilt).moved(*spot))
        b.add(
            "screen",
            glass,
            box((width - 2 * edge, height - 2 * edge, 0.008), (0, chin / 2, thick / 2)).turned("x", tilt).moved(*spot),
        )
        lean = math.radians(tilt)
        front = (
            0.0,
            middle + math.cos(lean) * chin / 2 - math.sin(lean) * (thick / 2 + 0.004),
            math.cos(lean) * (thick / 2 + 0.004) + math.sin(lean) * chin / 2,
        )
        _picture(b, width - 2 * edge, height - 2 * edge, tilt, front)
    metal = b.pick(casing, b.material("steel"))
    foot = b.pick("plate", "disc", "vee") if style != "television" else b.pick("feet", "feet", "plate")
    deep = b.between(0.14, 0.26)
    if foot == "feet":
        for x in (-0.34 * width, 0.34 * width):
            b.add(
                "stand",
                metal,
                rod((x, gap + 0.02, 0), (x, 0.012, 0.5 * deep), 0.014, sides=4),
                rod((x, gap + 0.02, 0), (x, 0.012, -0.5 * deep), 0.014, sides=4),
            )
            b.add("base", metal, box((0.03, 0.015, 1.1 * deep), (x, 0.008, 0)))
    else:
        wide = b.between(0.03, 0.12)
        z = -thick / 2 - 0.02
        b.add("stand", metal, box((wide, middle - 0.01, 0.03), (0, middle / 2, z), bevel=0.006))
        if foot == "plate":
            b.add("base", metal, box((b.between(0.3, 0.6) * width, 0.018, deep), (0, 0.009, 0), bevel=0.005))
        elif foot == "disc":
            b.add("base", metal, rod((0, 0, 0), (0, 0.02, 0), b.between(0.1, 0.16), sides=24))
        else:
            b.add(
                "base", metal, *(rod((0, 0.012, z), (s * 0.24 * width, 0.012, deep), 0.014, sides=6) for s in (-1, 1))
            )
    if b.chance(0.3):
        b.add(
            "button",
            b.material("plastic"),
            ellipsoid((0.008, 0.008, 0.006), (0.4 * width, gap + 0.02, thick / 2), sides=8, rings=4),
        )


def laptop(b: Builder) -> None:
    """Open between 60 and 160 degrees; keys, trackpad, thin or bulky; far ones look like tablets."""
    width = b.between(0.28, 0.42)
    depth, opening = width * b.between(0.58, 0.82), b.between(65, 160)
    thick, lid = b.between(0.012, 0.04), b.between(0.008, 0.02)
    casing = b.material("steel", "steel", "plastic")
    b.add("base", casing, rounded_box((width, thick, depth), (0, thick / 2, 0), radius=0.3 * thick))
    rows, columns = b.count(3, 6), b.count(8, 13)
    wide, deep = 0.88 * width, b.between(0.42, 0.52) * depth
    key = b.pick((40, 42, 46), (226, 226, 228), b.shade(casing, 0.75))
    back = -0.42 * depth
    for row in range(rows):
        z = back + (row + 0.5) * deep / rows
        shift = b.between(0, 0.2) if row else 0.0
        for column in range(columns):
            x = ((column + 0.5 + 0.3 * shift) / (columns + 0.3) - 0.5) * wide
            if row == rows - 1 and abs(x) < 0.22 * wide:
                continue
            b.add("key", key, box((0.8 * wide / columns, 0.004, 0.78 * deep / rows), (x, thick + 0.001, z)))
    b.add(
        "key", key, box((0.4 * wide, 0.004, 0.78 * deep / rows), (0, thick + 0.001, back + (rows - 0.5) * deep / rows))
    )
    pad = b.between(0.2, 0.4) * width
    b.add(
        "trackpad",
        b.shade(casing, 0.85),
        box((pad, 0.003, 0.26 * depth), (b.pick(0.0, -0.05) * width, thick, 0.28 * depth)),
    )
    tall = depth * b.between(0.92, 1.02)
    tilt = 90.0 - opening
    hinge = (0.0, thick, -depth / 2 + 0.004)
    plate = box((width, tall, lid), (0, tall / 2, -lid / 2), bevel=0.3 * lid).turned("x", tilt)
    b.add("lid", casing, plate.moved(*hinge))
    edge = b.between(0.02, 0.07) * width
    glass = b.material("screen")
    b.add(
        "lid",
        (36, 36, 40),
        box((0.98 * width, 0.97 * tall, 0.002), (0, tall / 2, 0.0005)).turned("x", tilt).moved(*hinge),
    )
    b.add(
        "screen",
        glass,
        box((width - 2 * edge, tall - 2 * edge, 0.003), (0, tall / 2, 0.001)).turned("x", tilt).moved(*hinge),
    )
    lean = math.radians(tilt)
    centre = (0.0, hinge[1] + math.cos(lean) * tall / 2, hinge[2] + math.sin(lean) * tall / 2)
    _picture(b, width - 2 * edge, tall - 2 * edge, tilt, centre)
    x = b.between(0.25, 0.4) * width
    b.add(
        "hinge",
        b.shade(casing, 0.6),
        *(
            rod((s * x - 0.03, hinge[1], hinge[2]), (s * x + 0.03, hinge[1], hinge[2]), 0.35 * thick + 0.003)
            for s in (-1, 1)
        ),
    )
