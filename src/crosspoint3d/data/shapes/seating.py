"""Chairs and stools."""

import math

import numpy as np

from crosspoint3d.data.shapes.builder import Builder, Colour
from crosspoint3d.data.shapes.curves import ellipse, fillet
from crosspoint3d.data.shapes.primitives import Number, Solid, box, extrude, loft, rod, rounded_box, tube
from crosspoint3d.data.shapes.supports import stand

CHAIR = ("seat", "back", "leg", "arm")
STOOL = ("seat", "leg", "back")
SEATS = ("plank", "cushion", "round", "squarish")


def curved_panel(width: Number, height: Number, thickness: Number, bow: Number) -> Solid:
    """A panel standing on y = 0, its left and right edges bent forwards by `bow`."""
    x = np.linspace(-width / 2, width / 2, 9)
    z = bow * (2 * x / width) ** 2
    section = np.array([[0, -1], [0, 1], [1, 1], [1, -1]]) * np.array([height, thickness / 2])
    rings = np.empty((9, 4, 3))
    rings[..., 0] = x[:, None]
    rings[..., 1] = section[:, 0]
    rings[..., 2] = z[:, None] + section[:, 1]
    return loft(rings)


def seat_plate(
    b: Builder, kind: str, colour: Colour, width: Number, depth: Number, thick: Number, level: Number
) -> None:
    """A seat of one of the `SEATS` whose lower side is at `level`."""
    if kind == "plank":
        b.add("seat", colour, box((width, thick, depth), (0, level + thick / 2, 0), bevel=0.2 * thick))
    elif kind == "cushion":
        b.add("seat", colour, rounded_box((width, 1.6 * thick, depth), (0, level + 0.8 * thick, 0), radius=0.7 * thick))
    else:
        outline = ellipse(width, depth, 24, 2 if kind == "round" else b.between(3, 5))
        b.add(
            "seat", colour, extrude(outline, thick, bevel=0.2 * thick).turned("x", -90).moved(0, level + thick / 2, 0)
        )


def chair(b: Builder) -> None:
    """Back of seven styles, ten kinds of legs, with or without arms."""
    width, depth = b.between(0.38, 0.64), b.between(0.38, 0.6)
    height, rise = b.pick(b.between(0.3, 0.5), b.between(0.4, 0.5), b.between(0.5, 0.75)), b.between(0.25, 0.8)
    thick = b.between(0.025, 0.07)
    frame = b.material("wood", "wood", "metal", "painted")
    soft = b.pick(frame, b.material("fabric"), b.material("leather"), b.material("plastic"))
    kinds = ("square", "square", "round", "splayed", "turned", "ring", "pedestal", "star", "sled")
    form = b.pick(*SEATS)
    inside = 0.78 if form == "round" else 1.0
    stand(b, "leg", frame, b.pick(*kinds), inside * width, height, inside * depth)
    seat_plate(b, form, soft, width, depth, thick, height)
    reach, back_z = (0.62 * width, -0.39 * depth) if form == "round" else (0.94 * width, -0.45 * depth)
    tilt = b.between(3, 13)
    for solid in _back(b, reach, rise, 0.5 * b.between(0.025, 0.05)):
        colour = soft if len(solid.vertices) > 60 else frame
        b.add("back", colour, solid.turned("x", -tilt).moved(0, height + 0.5 * thick, back_z))
    if form != "round" and b.chance(0.4):
        _arms(b, frame, soft, 0.5 * width, height + thick, depth, b.between(0.16, 0.26))


def _back(b: Builder, width: Number, rise: Number, t: Number) -> list[Solid]:
    """A back that stands on y = 0 at z = 0, `t` the half thickness."""
    style = b.pick("slats", "ladder", "panel", "rounded", "hoop", "pad", "curved")
    x, bar = width / 2 - t, b.between(0.05, 0.14)
    posts = [box((2 * t, rise, 2 * t), (side, rise / 2, 0)) for side in (-x, x)]
    if style == "slats":
        count = b.count(2, 7)
        slat = min(0.6 * width / count, b.between(0.015, 0.07))
        places = np.linspace(-x, x, count + 2)[1:-1]
        rails = [box((width, bar, 1.6 * t), (0, rise - bar / 2, 0)), box((width, 0.03, 1.4 * t), (0, 0.2 * rise, 0))]
        return posts + rails + [box((slat, 0.8 * rise, t), (float(p), 0.58 * rise, 0)) for p in places]
    if style == "ladder":
        count = b.count(2, 5)
        bow = -b.between(0, 0.05)
        levels = np.linspace(0.2 * rise, rise - 0.02, count)
        high = min(bar, 0.6 * rise / count)
        return posts + [curved_panel(width - t, high, 1.2 * t, bow).moved(0, float(y) - high, -bow) for y in levels]
    if style == "panel":
        gap = b.pick(0.0, b.between(0.1, 0.4)) * rise
        return [*posts, box((width, rise - gap, 1.6 * t), (0, (rise + gap) / 2, 0), bevel=0.3 * t)]
    if style == "rounded":
        outline = ellipse(width, 1.1 * rise, 24, b.between(2, 4)) + np.array([0, 0.5 * rise])
        return [extrude(outline, 2.4 * t, bevel=0.6 * t)]
    if style == "hoop":
        path = np.array([[width / 2 * math.cos(a), rise * math.sin(a) ** 0.7, 0] for a in np.linspace(0, math.pi, 15)])
        places = np.linspace(-0.72 * x, 0.72 * x, b.count(3, 7))
        tops = [rise * (1 - (float(p) / (width / 2)) ** 2) ** 0.35 for p in places]
        spindles = [
            rod((0.8 * float(p), 0, 0), (float(p), y, 0), 0.5 * t, sides=6) for p, y in zip(places, tops, strict=True)
        ]
        return [tube(path, 0.8 * t), *spindles]
    if style == "pad":
        pad = rounded_box((width, 0.75 * rise, 5 * t), (0, 0.62 * rise, 0), radius=2 * t)
        return [pad, *(box((2 * t, 0.5 * rise, t), (side, 0.25 * rise, 0)) for side in (-0.5 * x, 0.5 * x))]
    bow = b.between(0.05, 0.2) * width * 1.5
    return [curved_panel(1.05 * width, rise, 2 * t, bow)]


def _arms(b: Builder, frame: Colour, soft: Colour, x: Number, level: Number, depth: Number, rise: Number) -> None:
    thick = b.between(0.025, 0.05)
    style = b.pick("post", "loop", "block")
    if style == "post":
        post = rod((x, level - 0.03, 0.3 * depth), (x, level + rise, 0.3 * depth), 0.4 * thick, sides=8)
        rest = rounded_box((1.8 * thick, thick, 0.85 * depth), (x, level + rise, -0.08 * depth), radius=0.4 * thick)
        b.both_sides("arm", frame, [post, rest])
    elif style == "loop":
        corners = [(x, level - 0.03, 0.35 * depth), (x, level + rise, 0.4 * depth), (x, level + rise, -0.5 * depth)]
        b.both_sides("arm", frame, [tube(fillet(corners, 0.08), 0.5 * thick)])
    else:
        block = rounded_box((2 * thick, rise + 0.04, 0.95 * depth), (x, level + rise / 2 - 0.02, 0), radius=0.5 * thick)
        b.both_sides("arm", soft, [block])


def stool(b: Builder) -> None:
    """A seat without a back, sometimes with a very low one: close to a side table."""
    width = b.between(0.28, 0.5)
    depth = width * b.pick(1.0, 1.0, b.between(0.6, 1.0))
    height, thick = b.pick(b.between(0.2, 0.45), b.between(0.4, 0.8)), b.between(0.025, 0.08)
    frame = b.material("wood", "metal", "painted")
    seat = b.pick(frame, b.material("wood"), b.material("fabric"), b.material("leather"), b.material("plastic"))
    kinds = ("square", "round", "splayed", "turned", "ring", "ring", "pedestal", "star", "sled", "panel")
    form = b.pick(*SEATS, "round")
    inside = 0.8 if form == "round" else 1.0
    stand(b, "leg", frame, b.pick(*kinds), inside * width, height, inside * depth)
    seat_plate(b, form, seat, width, depth, thick, height)
    if b.chance(0.12):
        low = b.between(0.12, 0.2)
        back = curved_panel(0.9 * width, low, 0.025, b.between(0.02, 0.1))
        b.add("back", frame, back.moved(0, height + thick * 0.6, -0.45 * depth))
