"""Trucks and buses; the front looks along +z."""

import numpy as np

from crosspoint3d.data.shapes.builder import Builder, Colour
from crosspoint3d.data.shapes.cars import wheels
from crosspoint3d.data.shapes.curves import ellipse
from crosspoint3d.data.shapes.primitives import Number, box, ellipsoid, extrude, loft, rod, rounded_box

TRUCK = ("cab", "cargo", "window", "wheel", "light", "chassis", "bumper")


def _windows(b: Builder, half: Number, low: Number, high: Number, back: Number, front: Number, count: int) -> None:
    """A row of panes on both sides."""
    step = (front - back) / count
    panes = [
        box((0.03, high - low, 0.82 * step), (half, (low + high) / 2, back + (pane + 0.5) * step))
        for pane in range(count)
    ]
    b.both_sides("window", b.material("window"), panes)


def _cab(
    b: Builder, paint: Colour, half: Number, low: Number, high: Number, back: Number, front: Number, hood: Number
) -> None:
    """Driver's cab from back to front; with a hood its engine stands before the windscreen."""
    screen = front - hood
    slope = b.between(0.02, 0.22)
    middle = low + 0.5 * (high - low)
    rings = [
        np.array([[half, y, f], [half, y, back], [-half, y, back], [-half, y, f]])
        for y, f in ((low, screen), (middle, screen), (high, screen - slope))
    ]
    b.add("cab", paint, loft(np.stack(rings)))
    glass = b.material("window")
    pane = box((1.7 * half, 0.72 * (high - middle), 0.05), (0, 0, 0)).turned(
        "x", -np.degrees(np.arctan2(slope, high - middle)).item()
    )
    b.add("window", glass, pane.moved(0, (middle + high) / 2, screen - slope / 2 + 0.005))
    b.both_sides(
        "window",
        glass,
        [
            box(
                (0.04, 0.6 * (high - middle), 0.5 * (screen - back)),
                (half, (middle + high) / 2, (0.45 * screen + 0.55 * back)),
            )
        ],
    )
    if hood > 0:
        b.add(
            "cab",
            paint,
            rounded_box(
                (1.7 * half, middle - low + 0.05, hood + 0.1), (0, (low + middle) / 2, front - hood / 2), radius=0.12
            ),
        )
    b.both_sides(
        "light",
        b.material("light"),
        [ellipsoid((0.13, 0.1, 0.06), (0.7 * half, low + 0.3 * (middle - low), front), sides=10, rings=5)],
    )
    b.add(
        "bumper", b.material("steel", "rubber"), rounded_box((2 * half, 0.22, 0.2), (0, low + 0.02, front), radius=0.06)
    )


def _bus(b: Builder, half: Number, clear: Number, length: Number) -> list[float]:
    """A long box with rows of windows, one deck or two; returns the axles' places."""
    nose, tail = length / 2, -length / 2
    double = b.chance(0.15)
    tall = b.between(1.7, 2.5) * (1.6 if double else 1.0)
    high = clear + tall
    body = rounded_box((2 * half, tall, length), (0, (clear + high) / 2, 0), radius=b.between(0.08, 0.3))
    b.add("cab", b.material("paint"), body)
    panes = b.count(4, 8)
    for low, up in ((0.2, 0.42), (0.64, 0.88)) if double else ((0.45, 0.83),):
        _windows(b, half, clear + low * tall, clear + up * tall, tail + 0.3, nose - 0.3, panes)
    screen = 0.3 if double else 0.65
    pane = box((1.7 * half, min(0.4 * tall, 1.1), 0.05), (0, clear + screen * tall, nose - 0.01))
    b.add("window", b.material("window"), pane)
    lamp = ellipsoid((0.14, 0.1, 0.06), (0.7 * half, clear + 0.25, nose), sides=10, rings=5)
    b.both_sides("light", b.material("light"), [lamp])
    trim = b.material("paint", "linen", "steel")
    b.add("bumper", trim, rounded_box((2.02 * half, 0.25, 0.3), (0, clear + 0.1, nose - 0.08), radius=0.08))
    unit = (0, high + 0.05, b.between(-0.1, 0.1) * length)
    b.add("cargo", trim, box((1.5 * half, 0.14, b.between(0.2, 0.6) * length), unit, bevel=0.03))
    b.add("chassis", b.material("rubber"), box((1.7 * half, 0.2, 0.9 * length), (0, clear, 0)))
    return [0.62 * nose, 0.55 * tail]


def _load(b: Builder, style: str, half: Number, floor: Number, back: Number, front: Number) -> None:
    """What a truck carries between back and front: a box, a tank, loose goods or a tipping tub."""
    middle, long = (back + front) / 2, front - back
    trim = b.material("paint", "linen", "steel")
    if style == "box":
        tall = b.between(1.5, 2.7)
        b.add("cargo", trim, box((2 * half, tall, long), (0, floor + tall / 2, middle), bevel=0.04))
        if b.chance(0.4):
            stripe = box((0.02, 0.3 * tall, 0.98 * long), (half, floor + 0.4 * tall, middle))
            b.both_sides("cargo", b.material("paint"), [stripe])
    elif style == "tanker":
        tall = b.between(1.4, 2.0) * half
        drum = extrude(ellipse(1.9 * half, tall, 22, b.between(2, 3)), long, bevel=0.15)
        b.add("cargo", trim, drum.moved(0, floor + tall / 2, middle))
        hatches = np.linspace(back, front, b.count(4, 6))[1:-1].tolist()
        top = floor + tall
        b.add(
            "cargo",
            b.material("steel"),
            *(rod((0, top - 0.05, z), (0, top + 0.12, z), 0.22, sides=12) for z in hatches),
        )
    elif style == "flat":
        b.add("chassis", b.material("wood"), box((2 * half, 0.14, long), (0, floor + 0.05, middle)))
        goods, place = b.material("wood", "plastic"), back + 0.15
        while place < front - 0.5:
            deep = min(b.between(0.5, 1.6), front - place - 0.1)
            wide, tall = b.between(1.0, 1.9) * half, b.between(0.3, 1.4)
            crate = box((wide, tall, 0.94 * deep), (0, floor + 0.12 + tall / 2, place + deep / 2), bevel=0.03)
            b.add("cargo", b.shade(goods, b.between(0.8, 1.1)), crate)
            place += deep + 0.05
    else:
        deep, flare, reach = b.between(0.7, 1.3), b.between(1.0, 1.15), 0.47 * long
        ground = np.array([[1, 1], [1, -1], [-1, -1], [-1, 1]])
        rims = [ground * [0.92 * half, 0.92 * reach], ground * [half * flare, reach]]
        walls = [
            np.column_stack([flat[:, 0], np.full(4, y), flat[:, 1]]) for flat, y in zip(rims, (0.0, deep), strict=True)
        ]
        tilt = b.pick(0.0, 0.0, b.between(10, 35))
        heap = ellipsoid((0.85 * half, 0.45, 0.4 * long), (0, deep, 0), sides=12, rings=5)
        for colour, solid in ((trim, loft(np.stack(walls))), (b.material("soil"), heap)):
            b.add("cargo", colour, solid.moved(0, 0, reach).turned("x", -tilt).moved(0, floor, back + 0.03 * long))


def truck(b: Builder) -> None:
    """Box truck, tanker, flat bed, tipper and bus, with two to four axles."""
    style = b.pick("box", "box", "tanker", "flat", "tipper", "bus", "bus")
    half, clear, radius = b.between(0.95, 1.25), b.between(0.4, 0.65), b.between(0.36, 0.52)
    length = b.between(4.5, 10.0)
    nose, tail = length / 2, -length / 2
    if style == "bus":
        axles = _bus(b, half, clear, length)
    else:
        hood = b.pick(0.0, 0.0, b.between(0.6, 1.1))
        cab = b.between(1.2, 1.9) + hood
        top, front = clear + b.between(1.5, 2.3), nose - cab - b.between(0.08, 0.3)
        _cab(b, b.material("paint"), 0.96 * half, clear - 0.05, top, nose - cab, nose, hood)
        b.add("chassis", b.material("rubber"), box((1.1 * half, 0.2, length), (0, clear, -0.02 * length)))
        _load(b, style, half, clear + 0.1, tail, front)
        if b.chance(0.3):
            pipe = rod((0.8 * half, clear, front + 0.05), (0.8 * half, top + 0.5, front + 0.05), 0.07)
            b.add("chassis", b.material("steel"), pipe)
        rear = [tail + 0.8 + 2.2 * radius * axle for axle in range(b.count(1, 3) if length > 6.5 else 1)]
        axles = [nose - max(0.75, 0.6 * hood), *rear]
    wheels(b, axles, half, radius, 0.32)
