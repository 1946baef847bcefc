"""Cars and trucks (buses and vans among them); the front looks along +z."""

import numpy as np

from crosspoint3d.data.shapes.builder import Builder, Colour
from crosspoint3d.data.shapes.curves import ellipse, smooth
from crosspoint3d.data.shapes.primitives import Solid, box, ellipsoid, extrude, loft, rod, rounded_box

CAR = ("body", "window", "roof", "wheel", "light", "bumper", "mirror", "spoiler")
TRUCK = ("cab", "cargo", "window", "wheel", "light", "chassis", "bumper")


def wheels(b: Builder, axles: list[float], half: float, radius: float, wide: float) -> None:
    """A pair of wheels an axle; the hub shows a rim."""
    tyre, rim = b.material("rubber"), b.material("metal")
    for z in axles:
        disc = rod((half - wide, radius, z), (half, radius, z), radius, sides=18)
        hub = rod((half - 0.01, radius, z), (half + 0.012, radius, z), 0.58 * radius, 0.5 * radius, sides=12)
        b.both_sides("wheel", tyre, [disc])
        b.both_sides("wheel", rim, [hub])


def _hull(stations: list[tuple[float, float, float, float]]) -> Solid:
    """A body lofted along z through stations (z, half width, lower edge, upper edge)."""
    section = ellipse(2, 1, 16, 5)
    rings = []
    for z, half, low, high in stations:
        rings.append(np.column_stack([section[:, 0] * half, low + (section[:, 1] + 0.5) * (high - low), np.full(16, z)]))
    return loft(np.stack(rings))


def _cabin(front: float, back: float, half: float, low: float, high: float, lean: float, rear: float, inset: float) -> Solid:
    """Glass house: front and rear leaning inwards, sides by `inset`."""
    outline = np.array([[half, front], [half, back], [-half, back], [-half, front]])
    top = np.array([[half - inset, front - lean], [half - inset, back + rear], [inset - half, back + rear], [inset - half, front - lean]])
    rings = [np.column_stack([flat[:, 0], np.full(4, y), flat[:, 1]]) for flat, y in ((outline, low), (top, high))]
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
    stations = [(tail, 0.86 * half, clear + 0.12, 0.9 * boot), (tail + 0.12, 0.96 * half, clear + 0.03, boot), (tail * 0.5, half, clear, waist)]
    stations += [(nose * 0.4, half, clear, waist), (nose * 0.85, 0.96 * half, clear, hood), (nose, 0.8 * half, clear + 0.1, 0.82 * hood)]
    b.add("body", paint, _hull(stations))
    spans = {"saloon": (0.42, -0.62), "hatch": (0.45, -0.93), "suv": (0.45, -0.95), "van": (0.72, -0.97), "coupe": (0.3, -0.75), "pickup": (0.45, -0.1), "open": (0.3, -0.35)}
    front, back = spans[style][0] * nose, -spans[style][1] * tail
    lean = b.between(0.35, 0.75) * (1.3 if style == "coupe" else 1.0)
    rear = {"saloon": b.between(0.3, 0.6), "coupe": b.between(0.6, 1.0), "hatch": b.between(0.15, 0.5)}.get(style, b.between(0.05, 0.2))
    inset = b.between(0.1, 0.22)
    if style == "open":
        b.add("window", glass, loft_windscreen(front, 0.9 * half, waist - 0.05, roof - 0.1, 0.5 * lean))
        seat = b.material("leather")
        rows = [front - 0.75, front - 1.45] if length > 4 else [front - 0.8]
        b.add("roof", seat, *(rounded_box((0.5 * half, 0.5, 0.18), (x, waist + 0.1, z), radius=0.06) for z in rows for x in (-0.42 * half, 0.42 * half)))
    else:
        b.add("window", glass, _cabin(front, back, 0.95 * half, waist - 0.08, roof - 0.04, lean, rear, inset))
        top_front, top_back = front - lean, back + rear
        middle = (top_front + top_back) / 2
        b.add("roof", paint, rounded_box((2 * (0.97 * half - inset), 0.09, top_front - top_back + 0.1), (0, roof - 0.02, middle), radius=0.04))
        x0, x1 = 0.95 * half, 0.95 * half - inset
        pillars = [rod((x0, waist - 0.08, z0), (x1, roof - 0.04, z1), 0.05, sides=4) for z0, z1 in ((front, top_front), (back, top_back))]
        pillars.append(rod((x0, waist - 0.08, (front + back) / 2), (x1, roof - 0.04, middle), 0.04, sides=4))
        b.both_sides("body", paint, pillars)
    if style == "pickup":
        b.both_sides("body", paint, [box((0.08, 0.3, back - tail - 0.05), (0.93 * half, waist + 0.08, (back + tail) / 2))])
        b.add("body", paint, box((1.86 * half, 0.3, 0.08), (0, waist + 0.08, tail + 0.08)))
    wheels(b, [b.between(0.56, 0.68) * nose, b.between(0.56, 0.68) * tail], half + 0.02, radius, 0.24)
    lamp, rear_lamp = b.material("light"), (190, 36, 36)
    b.both_sides("light", lamp, [ellipsoid((0.16, 0.09, 0.08), (0.58 * half, 0.72 * hood, nose - 0.03), sides=10, rings=5)])
    b.both_sides("light", rear_lamp, [box((0.22, 0.12, 0.06), (0.62 * half, 0.78 * boot, tail + 0.01))])
    if b.chance(0.7):
        trim = b.pick(paint, b.material("rubber"), b.material("metal"))
        b.add("bumper", trim, *(rounded_box((1.7 * half, 0.16, 0.16), (0, clear + 0.14, z), radius=0.06) for z in (nose, tail)))
    if b.chance(0.7):
        b.both_sides("mirror", paint, [rounded_box((0.18, 0.12, 0.1), (half + 0.06, waist + 0.05, front - 0.25), radius=0.03)])
    if b.chance(0.25) and style in ("coupe", "saloon", "hatch"):
        y, z = (boot + 0.22, tail + 0.15) if style != "hatch" else (roof + 0.02, back + rear)
        b.add("spoiler", paint, box((1.7 * half, 0.05, 0.26), (0, y, z)))
        b.both_sides("spoiler", paint, [box((0.05, 0.26, 0.12), (0.6 * half, y - 0.12, z))])
    elif b.chance(0.2) and style in ("suv", "van", "hatch"):
        b.both_sides("spoiler", b.material("metal"), [rod((half - inset - 0.1, roof + 0.08, top_front - 0.2), (half - inset - 0.1, roof + 0.08, top_back + 0.1), 0.025)])


def loft_windscreen(front: float, half: float, low: float, high: float, lean: float) -> Solid:
    """A thin leaning pane."""
    rings = [np.array([[half, y, z], [-half, y, z], [-half, y, z - 0.05], [half, y, z - 0.05]]) for y, z in ((low, front), (high, front - lean))]
    return loft(np.stack(rings))


def _windows(b: Builder, half: float, low: float, high: float, back: float, front: float, count: int) -> None:
    """A row of panes on both sides."""
    step = (front - back) / count
    panes = [box((0.03, high - low, 0.82 * step), (half, (low + high) / 2, back + (pane + 0.5) * step)) for pane in range(count)]
    b.both_sides("window", b.material("window"), panes)


def _cab(b: Builder, paint: Colour, half: float, low: float, high: float, back: float, front: float, hood: float) -> None:
    """Driver's cab from back to front; with a hood its engine stands before the windscreen."""
    screen = front - hood
    slope = b.between(0.02, 0.22)
    middle = low + 0.5 * (high - low)
    rings = [np.array([[half, y, f], [half, y, back], [-half, y, back], [-half, y, f]]) for y, f in ((low, screen), (middle, screen), (high, screen - slope))]
    b.add("cab", paint, loft(np.stack(rings)))
    glass = b.material("window")
    pane = box((1.7 * half, 0.72 * (high - middle), 0.05), (0, 0, 0)).turned("x", -np.degrees(np.arctan2(slope, high - middle)).item())
    b.add("window", glass, pane.moved(0, (middle + high) / 2, screen - slope / 2 + 0.005))
    b.both_sides("window", glass, [box((0.04, 0.6 * (high - middle), 0.5 * (screen - back)), (half, (middle + high) / 2, (0.45 * screen + 0.55 * back)))])
    if hood > 0:
        b.add("cab", paint, rounded_box((1.7 * half, middle - low + 0.05, hood + 0.1), (0, (low + middle) / 2, front - hood / 2), radius=0.12))
    b.both_sides("light", b.material("light"), [ellipsoid((0.13, 0.1, 0.06), (0.7 * half, low + 0.3 * (middle - low), front), sides=10, rings=5)])
    b.add("bumper", b.material("metal", "rubber"), rounded_box((2 * half, 0.22, 0.2), (0, low + 0.02, front), radius=0.06))


def truck(b: Builder) -> None:
    """Box truck, tanker, flat bed, tipper and bus, with two to five axles."""
    style = b.pick("box", "box", "tanker", "flat", "tipper", "bus", "bus")
    half, clear, radius = b.between(0.95, 1.25), b.between(0.4, 0.65), b.between(0.36, 0.52)
    paint, trim = b.material("paint"), b.material("paint", "linen", "metal")
    length = b.between(4.5, 10.0)
    nose, tail = length / 2, -length / 2
    if style == "bus":
        high = clear + b.between(1.7, 2.5) * (1.6 if b.chance(0.15) else 1.0)
        body = rounded_box((2 * half, high - clear, length), (0, (clear + high) / 2, 0), radius=b.between(0.08, 0.3))
        b.add("cab", paint, body)
        decks = 2 if high - clear > 3 else 1
        for deck in range(decks):
            low = clear + (0.45 if decks == 1 else 0.2 + 0.5 * deck) * (high - clear)
            _windows(b, half, low, low + (0.38 if decks == 1 else 0.24) * (high - clear), tail + 0.3, nose - 0.3, b.count(4, 8))
        b.add("window", b.material("window"), box((1.7 * half, 0.4 * (high - clear), 0.05), (0, clear + 0.65 * (high - clear), nose - 0.01)))
        b.both_sides("light", b.material("light"), [ellipsoid((0.14, 0.1, 0.06), (0.7 * half, clear + 0.3, nose), sides=10, rings=5)])
        b.add("bumper", trim, rounded_box((2.02 * half, 0.25, 0.3), (0, clear + 0.1, nose - 0.08), radius=0.08))
        b.add("cargo", trim, box((1.5 * half, 0.14, 0.5 * length), (0, high + 0.05, b.between(-0.1, 0.1) * length), bevel=0.03))
        axles = [0.62 * nose, 0.55 * tail]
    else:
        hood = b.pick(0.0, 0.0, b.between(0.6, 1.1))
        cab = b.between(1.2, 1.9) + hood
        top = clear + b.between(1.5, 2.3)
        _cab(b, paint, 0.96 * half, clear - 0.05, top, nose - cab, nose, hood)
        b.add("chassis", b.material("rubber"), box((1.1 * half, 0.2, length), (0, clear, -0.02 * length)))
        back, front = tail, nose - cab - b.between(0.08, 0.3)
        middle, long = (back + front) / 2, front - back
        if style == "box":
            high = clear + b.between(1.6, 2.8)
            b.add("cargo", trim, box((2 * half, high - clear - 0.1, long), (0, (high + clear + 0.1) / 2, middle), bevel=0.04))
            if b.chance(0.4):
                b.both_sides("cargo", paint, [box((0.02, 0.3 * (high - clear), 0.98 * long), (half, clear + 0.4 * (high - clear), middle))])
        elif style == "tanker":
            wide, tall = 0.95 * half, b.between(0.7, 1.0) * half
            drum = extrude(ellipse(2 * wide, 2 * tall, 22, b.between(2, 3)), long, bevel=0.15)
            b.add("cargo", trim, drum.moved(0, clear + 0.1 + tall, middle))
            hatch = clear + 0.1 + 2 * tall
            b.add("cargo", b.material("metal"), *(rod((0, hatch - 0.05, z), (0, hatch + 0.12, z), 0.22, sides=12) for z in np.linspace(back, front, b.count(3, 5) + 1)[1:-1].tolist()))
        elif style == "flat":
            b.add("chassis", b.material("wood"), box((2 * half, 0.14, long), (0, clear + 0.15, middle)))
            goods, place = b.material("wood", "plastic"), back + 0.15
            while place < front - 0.5:
                deep = min(b.between(0.5, 1.6), front - place - 0.1)
                size = (b.between(1.0, 1.9) * half, b.between(0.3, 1.4), 0.94 * deep)
                b.add("cargo", b.shade(goods, b.between(0.8, 1.1)), box(size, (0, clear + 0.22 + size[1] / 2, place + deep / 2), bevel=0.03))
                place += deep + 0.05
        else:
            deep, flare = b.between(0.7, 1.3), b.between(1.0, 1.15)
            rise = [(0, 0.0, 0.92), (1, deep, 1.0)]
            rings = [np.array([[half * w * flare**t, y, 0.47 * long * w], [half * w * flare**t, y, -0.47 * long * w], [-half * w * flare**t, y, -0.47 * long * w], [-half * w * flare**t, y, 0.47 * long * w]]) for t, y, w in rise]
            tilt = b.pick(0.0, 0.0, b.between(10, 35))
            tub = loft(np.stack(rings)).moved(0, 0, 0.47 * long).turned("x", -tilt)
            b.add("cargo", trim, tub.moved(0, clear + 0.12, back + 0.03 * long))
            load = ellipsoid((0.85 * half, 0.45, 0.4 * long), (0, deep, 0.47 * long), sides=12, rings=5).turned("x", -tilt)
            b.add("cargo", b.material("soil"), load.moved(0, clear + 0.12, back + 0.03 * long))
        rear = [tail + 0.8, tail + 0.8 + 2.2 * radius, tail + 0.8 + 4.4 * radius][: b.count(1, 3) if length > 6.5 else 1]
        axles = [nose - max(0.75, hood * 0.6), *rear]
    wheels(b, axles, half, radius, 0.32)
    if style == "bus":
        b.add("chassis", b.material("rubber"), box((1.7 * half, 0.2, 0.9 * length), (0, clear, 0)))
    smooth_stack = b.chance(0.25) and style != "bus"
    if smooth_stack:
        path = smooth([(0.8 * half, clear, front + 0.05), (0.8 * half, top + 0.5, front + 0.05)], 3)
        b.add("chassis", b.material("metal"), rod(tuple(path[0].tolist()), tuple(path[-1].tolist()), 0.07))
