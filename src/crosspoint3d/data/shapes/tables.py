"""Tables, desks and benches."""

import numpy as np

from crosspoint3d.data.shapes.builder import Builder, Colour
from crosspoint3d.data.shapes.curves import ellipse
from crosspoint3d.data.shapes.primitives import Number, box, extrude, rod, rounded_box
from crosspoint3d.data.shapes.supports import stand

TABLE = ("top", "leg", "apron", "shelf", "drawer")
DESK = ("top", "leg", "drawer", "panel", "shelf", "handle")
BENCH = ("seat", "leg", "back", "arm")


def table(b: Builder) -> None:
    """Dining, coffee and side tables; tops of five outlines, ten kinds of legs."""
    width = b.between(0.4, 1.5)
    shape = b.pick("rectangle", "rectangle", "round", "oval", "soft", "hexagon")
    depth = width if shape in ("round", "hexagon") else width * b.between(0.45, 1.0)
    height, thick = b.pick(b.between(0.3, 0.5), b.between(0.5, 0.8)), b.between(0.02, 0.06)
    frame = b.material("wood", "metal", "painted")
    top = b.pick(frame, b.material("wood"), b.material("ceramic"), b.material("glass"))
    if shape == "rectangle":
        b.add("top", top, box((width, thick, depth), (0, height + thick / 2, 0), bevel=0.15 * thick))
    else:
        outline = ellipse(width, depth, 6 if shape == "hexagon" else 28, b.between(3, 6) if shape == "soft" else 2)
        plate = extrude(outline, thick, bevel=0.15 * thick).turned("x", -90)
        b.add("top", top, plate.moved(0, height + thick / 2, 0))
    inside = {"round": 0.72, "oval": 0.72, "hexagon": 0.66}.get(shape, 0.94)
    kinds = ("square", "round", "splayed", "turned", "pedestal", "sled", "panel", "trestle")
    kind = b.pick(*kinds, "ring") if shape in ("round", "hexagon") else b.pick(*kinds)
    stand(b, "leg", frame, kind, inside * width, height, inside * depth)
    if kind in ("square", "round", "turned"):
        x, z, high = inside * width * 0.44, inside * depth * 0.44, b.between(0.04, 0.12)
        if b.chance(0.6):
            y = height - high / 2
            b.add("apron", frame, *(box((2 * x, high, 0.02), (0, y, side)) for side in (-z, z)))
            b.add("apron", frame, *(box((0.02, high, 2 * z), (side, y, 0)) for side in (-x, x)))
        if b.chance(0.3):
            b.add("shelf", top, box((2.1 * x, 0.02, 2.1 * z), (0, height * b.between(0.15, 0.5), 0)))
        elif b.chance(0.3):
            deep = b.between(0.08, 0.14)
            b.add("drawer", frame, box((1.4 * x, deep, 1.9 * z), (0, height - deep / 2, 0.02)))
            b.add("drawer", b.material("metal"), box((0.3 * x, 0.015, 0.02), (0, height - deep / 2, 0.95 * z + 0.03)))


def _drawers(b: Builder, colour: Colour, x: Number, y: Number, width: Number, height: Number, z: Number) -> None:
    """Drawer fronts with handles, one above the other, on a case whose front is at z."""
    count = b.count(1, 4)
    front, metal = b.shade(colour, b.between(0.85, 1.15)), b.material("metal")
    step = height / count
    for row in range(count):
        level = y + (row + 0.5) * step
        b.add("drawer", front, box((0.92 * width, 0.86 * step, 0.02), (x, level, z + 0.008), bevel=0.004))
        b.add("handle", metal, box((0.35 * width, 0.014, 0.018), (x, level, z + 0.026)))


def desk(b: Builder) -> None:
    """A work table: drawer pedestals, modesty panel, L shape, hutch."""
    width, depth = b.between(0.95, 1.7), b.between(0.5, 0.8)
    height, thick = b.between(0.6, 0.8), b.between(0.02, 0.045)
    frame = b.material("wood", "painted", "wood")
    top = b.pick(frame, b.material("wood"))
    b.add("top", top, box((width, thick, depth), (0, height + thick / 2, 0), bevel=0.15 * thick))
    layout = b.pick("both", "left", "right", "legs", "left", "right")
    case = b.between(0.22, 0.34) * width
    floor = b.pick(0.0, b.between(0.03, 0.12), height * b.between(0.35, 0.6))
    for side, used in ((-1, layout in ("both", "left")), (1, layout in ("both", "right"))):
        x = side * (width / 2 - case / 2 - 0.02)
        if used:
            z = 0.9 * depth
            b.add("drawer", frame, box((case, height - floor, z), (x, (height + floor) / 2, 0)))
            _drawers(b, frame, x, floor + 0.02, case, height - floor - 0.03, z / 2)
            if floor > 0:
                feet = [(x + sx * 0.42 * case, sz * 0.42 * z) for sx in (-1, 1) for sz in (-1, 1)]
                b.add("leg", frame, *(rod((fx, floor, fz), (fx, 0, fz), 0.025, 0.018, sides=4) for fx, fz in feet))
        elif layout != "legs":
            edge = side * (width / 2 - 0.03)
            if b.chance(0.5):
                b.add("leg", frame, box((0.03, height, 0.9 * depth), (edge, height / 2, 0)))
            else:
                rods = [
                    rod((edge, height, z), (edge, 0, z), 0.03, 0.022, sides=4) for z in (-0.42 * depth, 0.42 * depth)
                ]
                b.add("leg", frame, *rods)
    if layout == "legs":
        stand(b, "leg", frame, b.pick("square", "round", "splayed", "sled", "panel", "trestle"), width, height, depth)
        b.add("drawer", frame, box((0.5 * width, 0.09, 0.8 * depth), (0, height - 0.045, 0)))
        _drawers(b, frame, 0.0, height - 0.085, 0.5 * width, 0.08, 0.4 * depth)
    if b.chance(0.45):
        low = b.between(0.3, 0.7) * height
        b.add("panel", frame, box((0.92 * width, height - low, 0.02), (0, (height + low) / 2, -0.4 * depth)))
    extra = b.pick("none", "none", "hutch", "riser", "wing")
    if extra == "hutch":
        rise, deep = b.between(0.25, 0.6), 0.3 * depth
        z, base = -depth / 2 + deep / 2, height + thick
        for y in (base + 0.5 * rise, base + rise):
            b.add("shelf", top, box((width, 0.02, deep), (0, y, z)))
        for x in np.linspace(-width / 2 + 0.01, width / 2 - 0.01, b.count(2, 4)):
            b.add("shelf", top, box((0.02, rise, deep), (float(x), base + rise / 2, z)))
    elif extra == "riser":
        wide, up = b.between(0.35, 0.7) * width, b.between(0.08, 0.16)
        b.add("shelf", top, box((wide, 0.02, 0.3 * depth), (0, height + thick + up, -0.3 * depth)))
        b.add(
            "shelf",
            top,
            *(
                box((0.02, up, 0.28 * depth), (x, height + thick + up / 2, -0.3 * depth))
                for x in (-0.45 * wide, 0.45 * wide)
            ),
        )
    elif extra == "wing":
        side, out = b.pick(-1, 1), b.between(0.4, 0.8)
        x = side * (width / 2 - 0.22)
        b.add("top", top, box((0.44, thick, out), (x, height + thick / 2, depth / 2 + out / 2)))
        feet = [(x + sx * 0.18, depth / 2 + out - 0.05) for sx in (-1, 1)]
        b.add("leg", frame, *(rod((fx, height, fz), (fx, 0, fz), 0.03, sides=4) for fx, fz in feet))


def bench(b: Builder) -> None:
    """A long seat of planks or one slab, with or without back and arms: between a table and a sofa."""
    width, depth = b.between(0.9, 1.9), b.between(0.3, 0.55)
    height, thick = b.between(0.3, 0.52), b.between(0.025, 0.06)
    frame = b.material("wood", "metal", "painted")
    seat = b.pick(frame, b.material("wood"), b.material("fabric"))
    planks = b.count(1, 5)
    wide = depth / planks
    if planks == 1 and b.chance(0.5):
        b.add("seat", seat, rounded_box((width, 1.6 * thick, depth), (0, height + 0.8 * thick, 0), radius=0.6 * thick))
    else:
        for plank in range(planks):
            z = (plank + 0.5) * wide - depth / 2
            b.add(
                "seat",
                seat,
                box((width, thick, (0.82 if planks > 1 else 1) * wide), (0, height + thick / 2, z), bevel=0.15 * thick),
            )
    kind = b.pick("square", "splayed", "turned", "sled", "panel", "trestle", "panel")
    stand(b, "leg", frame, kind, 0.92 * width, height, 0.92 * depth)
    backed = b.chance(0.5)
    if backed:
        rise, rails, tilt = b.between(0.25, 0.5), b.count(1, 4), b.between(4, 14)
        posts = np.linspace(-0.45 * width, 0.45 * width, b.count(2, 4))
        step = 0.8 * rise / rails
        solids = [box((0.05, rise, 0.03), (float(x), rise / 2, -0.02)) for x in posts]
        solids += [
            box((width, 0.8 * step, 0.025), (0, 0.2 * rise + (rail + 0.5) * step, 0.005)) for rail in range(rails)
        ]
        b.add("back", seat, *(s.turned("x", -tilt).moved(0, height + 0.5 * thick, -0.44 * depth) for s in solids))
    if b.chance(0.5 if backed else 0.15):
        x, up = 0.47 * width, b.between(0.15, 0.24)
        rest = box((0.05, 0.03, 0.95 * depth), (x, height + up, 0))
        posts_z = (0.4 * depth, -0.4 * depth)
        b.both_sides("arm", frame, [rest, *(rod((x, height, z), (x, height + up, z), 0.02, sides=4) for z in posts_z)])
