"""Cars; the front looks along +z."""

import numpy as np

from crosspoint3d.data.shapes.builder import Builder
from crosspoint3d.data.shapes.curves import ellipse
from crosspoint3d.data.shapes.primitives import Number, Solid, box, ellipsoid, loft, rod, rounded_box

CAR = ("body", "window", "roof", "wheel", "light", "bumper", "mirror", "spoiler")


def wheels(b: Builder, axles: list[Number], half: Number, radius: Number, wide: Number) -> None:
    """A pair of wheels an axle; the hub shows a rim."""
    tyre, rim = b.material("rubber"), b.material("steel")
    for z in axles:
        disc = rod((half - wide, radius, z), (half, radius, z), radius, sides=18)
        hub = rod((half - 0.01, radius, z), (half + 0.012, radius, z), 0.58 * radius, 0.5 * radius, sides=12)
        b.both_sides("wheel", tyre, [disc])
        b.both_sides("wheel", rim, [hub])


def _hull(stations: list[tuple[Number, Number, Number, Number]]) -> Solid:
    """A body lofted along z through stations (z, half width, lower edge, upper edge)."""
    section = ellipse(2, 1, 16, 5)
    rings = []
    for z, half, low, high in stations:
        rings.append(
            np.column_stack([section[:, 0] * half, low + (section[:, 1] + 0.5) * (high - low), np.full(16, z)])
        )
    return loft(np.stack(rings))


def _cabin(
    front: Number, back: Number, half: Number, low: Number, high: Number, lean: Number, rear: Number, inset: Number
) -> Solid:
    """Glass house: front and rear leaning inwards, sides by `inset`."""
    outline = np.array([[half, front], [half, back], [-half, back], [-half, front]])
    top = np.array(
        [
            [half - inset, front - lean],
            [half - inset, back + rear],
            [inset - half, back + rear],
            [inset - half, front - lean],
        ]
    )
    rings = [np.column_stack([flat[:, 0], np.full(4, y), flat[:, 1]]) for flat, y in ((outline, low), (top, high))]
    return loft(np.stack(rings))


def _windscreen(front: Number, half: Number, low: Number, high: Number, lean: Number) -> Solid:
    """A thin leaning pane."""
    rings = [
        np.array([[half, y, z], [-half, y, z], [-half, y, z - 0.05], [half, y, z - 0.05]])
        for y, z in ((low, front), (high, front - lean))
    ]
    return loft(np.stack(rings))


def car(b: Builder) -> None:
    """Saloon, hatchback, off-roader, van, coupe, pick-up, convertible."""
    style = b.pick("saloon", "hatch", "suv", "van", "coupe", "pickup", "open")
    length, half = b.between(3.2, 4.9), b.between(0.75, 1.0)
    tall = {"suv": 1.25, "van": 1.35, "coupe": 0.85}.get(style, 1.0)
    clear = b.between(0.16, 0.26) * tall
    waist, roof = clear + b.between(0.5, 0.68) * tall**0.5, 0.0
    roof = waist + b.between(0.42, 0.6) * tall
    radius = b.between(0.28, 0.36) * tall**0.6
    paint, glass = b.material("paint"), b.material("window")
    nose, tail = length / 2, -length / 2
    hood = b.between(0.78, 0.95) * waist
    boot = waist * (b.between(0.9, 1.0) if style in ("saloon", "coupe", "open") else 1.0)
    stations = [
        (tail, 0.86 * half, clear + 0.12, 0.9 * boot),
        (tail + 0.12, 0.96 * half, clear + 0.03, boot),
        (tail * 0.5, half, clear, waist),
    ]
    stations += [
        (nose * 0.4, half, clear, waist),
        (nose * 0.85, 0.96 * half, clear, hood),
        (nose, 0.8 * half, clear + 0.1, 0.82 * hood),
    ]
    b.add("body", paint, _hull(stations))
    spans = {
        "saloon": (0.42, -0.62),
        "hatch": (0.45, -0.93),
        "suv": (0.45, -0.95),
        "van": (0.72, -0.97),
        "coupe": (0.3, -0.75),
        "pickup": (0.45, -0.1),
        "open": (0.3, -0.35),
    }
    front, back = spans[style][0] * nose, -spans[style][1] * tail
    lean = b.between(0.35, 0.75) * (1.3 if style == "coupe" else 1.0)
    rear = {"saloon": b.between(0.3, 0.6), "coupe": b.between(0.6, 1.0), "hatch": b.between(0.15, 0.5)}.get(
        style, b.between(0.05, 0.2)
    )
    inset = b.between(0.1, 0.22)
    if style == "open":
        b.add("window", glass, _windscreen(front, 0.9 * half, waist - 0.05, roof - 0.1, 0.5 * lean))
        seat = b.material("leather")
        rows = [front - 0.75, front - 1.45] if length > 4 else [front - 0.8]
        b.add(
            "roof",
            seat,
            *(
                rounded_box((0.5 * half, 0.5, 0.18), (x, waist + 0.1, z), radius=0.06)
                for z in rows
                for x in (-0.42 * half, 0.42 * half)
            ),
        )
    else:
        b.add("window", glass, _cabin(front, back, 0.95 * half, waist - 0.08, roof - 0.04, lean, rear, inset))
        top_front, top_back = front - lean, back + rear
        middle = (top_front + top_back) / 2
        b.add(
            "roof",
            paint,
            rounded_box(
                (2 * (0.97 * half - inset), 0.09, top_front - top_back + 0.1), (0, roof - 0.02, middle), radius=0.04
            ),
        )
        x0, x1 = 0.95 * half, 0.95 * half - inset
        pillars = [
            rod((x0, waist - 0.08, z0), (x1, roof - 0.04, z1), 0.05, sides=4)
            for z0, z1 in ((front, top_front), (back, top_back))
        ]
        pillars.append(rod((x0, waist - 0.08, (front + back) / 2), (x1, roof - 0.04, middle), 0.04, sides=4))
        b.both_sides("body", paint, pillars)
    if style == "pickup":
        b.both_sides(
            "body", paint, [box((0.08, 0.3, back - tail - 0.05), (0.93 * half, waist + 0.08, (back + tail) / 2))]
        )
        b.add("body", paint, box((1.86 * half, 0.3, 0.08), (0, waist + 0.08, tail + 0.08)))
    wheels(b, [b.between(0.56, 0.68) * nose, b.between(0.56, 0.68) * tail], half + 0.02, radius, 0.24)
    lamp, rear_lamp = b.material("light"), (190, 36, 36)
    b.both_sides(
        "light", lamp, [ellipsoid((0.16, 0.09, 0.08), (0.58 * half, 0.72 * hood, nose - 0.03), sides=10, rings=5)]
    )
    b.both_sides("light", rear_lamp, [box((0.22, 0.12, 0.06), (0.62 * half, 0.78 * boot, tail + 0.01))])
    if b.chance(0.7):
        trim = b.pick(paint, b.material("rubber"), b.material("steel"))
        b.add(
            "bumper",
            trim,
            *(rounded_box((1.7 * half, 0.16, 0.16), (0, clear + 0.14, z), radius=0.06) for z in (nose, tail)),
        )
    if b.chance(0.7):
        b.both_sides(
            "mirror", paint, [rounded_box((0.18, 0.12, 0.1), (half + 0.06, waist + 0.05, front - 0.25), radius=0.03)]
        )
    if b.chance(0.25) and style in ("coupe", "saloon", "hatch"):
        y, z = (boot + 0.22, tail + 0.15) if style != "hatch" else (roof + 0.02, back + rear)
        b.add("spoiler", paint, box((1.7 * half, 0.05, 0.26), (0, y, z)))
        b.both_sides("spoiler", paint, [box((0.05, 0.26, 0.12), (0.6 * half, y - 0.12, z))])
    elif b.chance(0.2) and style in ("suv", "van", "hatch"):
        b.both_sides(
            "spoiler",
            b.material("steel"),
            [
                rod(
                    (half - inset - 0.1, roof + 0.08, top_front - 0.2),
                    (half - inset - 0.1, roof + 0.08, top_back + 0.1),
                    0.025,
                )
            ],
        )
