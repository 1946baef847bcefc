"""Ships and boats; the bow looks along +z."""

import numpy as np

from crosspoint3d.data.shapes.builder import Builder
from crosspoint3d.data.shapes.primitives import Number, Solid, box, loft, rod, rounded_box

SHIP = ("hull", "deck", "cabin", "window", "funnel", "mast", "sail", "cargo")


def _hull(half: Number, depth: Number, sheer: Number, form: tuple[Number, Number], low: Number, grow: Number) -> Solid:
    """Hull sections from stern to bow, from the share `low` of the depth upwards; `form`: width of keel and stern."""
    keel, stern = form
    rings = []
    for t in np.linspace(0, 1, 12).tolist():
        beam = half * (stern + (1 - stern) * min(1.0, t / 0.35)) * (1 - max(0.0, (t - 0.5) / 0.5) ** 2.2 * 0.97)
        top = depth + sheer * (2 * t - 0.8) ** 2
        share = np.linspace(low, 1, 4)
        width, rake = grow * beam * (keel + (1 - keel) * share**0.6), 0.16 * t**4
        side = np.column_stack([width, share * top, t - 0.5 + rake * share])
        rings.append(np.concatenate([side, side[::-1] * np.array([-1, 1, 1])]))
    return loft(np.stack(rings))


def ship(b: Builder) -> None:
    """Sailing boat, freighter, liner, tug, motor yacht."""
    style = b.pick("sail", "sail", "cargo", "liner", "tug", "yacht")
    half = {"sail": b.between(0.1, 0.17), "tug": b.between(0.15, 0.22)}.get(style, b.between(0.07, 0.14))
    depth, sheer = b.between(0.09, 0.18), b.between(0.01, 0.07)
    paint, second, white = b.material("paint", "wood"), b.material("paint"), b.material("linen")
    form = (b.between(0.35, 0.8), b.between(0.6, 0.95))
    b.add("hull", paint, _hull(half, depth, sheer, form, 0.0, 1.0))
    if b.chance(0.6):
        b.add("hull", second, _hull(half, 1.004 * depth, sheer, form, b.between(0.4, 0.75), 1.015))
    floor = 0.99 * depth
    b.add("deck", b.material("wood"), rounded_box((1.5 * half, 0.02, 0.66), (0, floor + 0.005, -0.08), radius=0.008))
    top = depth + 0.01
    glass = b.material("window")
    if style == "sail":
        b.add("cabin", white, rounded_box((0.9 * half, 0.06, 0.26), (0, top + 0.03, 0.02), radius=0.02))
        b.both_sides("window", glass, [box((0.01, 0.02, 0.05), (0.45 * half, top + 0.035, z)) for z in (-0.04, 0.05)])
        _sails(b, top, half)
        return
    if style == "cargo":
        rows, tiers = b.count(4, 8), b.count(1, 4)
        step = 0.58 / rows
        goods = [b.material("plastic", "paint") for _ in range(4)]
        across = b.count(2, 3)
        wide = 1.7 * half / across
        for row in range(rows):
            for column in range(across):
                for tier in range(max(0, tiers - b.pick(0, 0, 1, 2))):
                    spot = ((column + 0.5) * wide - 0.85 * half, top + 0.022 + 0.045 * tier, -0.22 + (row + 0.5) * step)
                    b.add("cargo", b.pick(*goods), box((0.94 * wide, 0.043, 0.9 * step), spot))
        base, long, z = b.count(2, 4), 0.12, -0.36
    else:
        base = {"liner": b.count(3, 5), "tug": b.count(2, 3), "yacht": b.count(1, 3)}[style]
        long = {"liner": b.between(0.55, 0.7), "tug": b.between(0.22, 0.32), "yacht": b.between(0.35, 0.55)}[style]
        z = {"liner": -0.06, "tug": b.between(-0.02, 0.1), "yacht": b.between(-0.12, 0.0)}[style]
    tall, shrink, y = b.between(0.045, 0.075), b.between(0.78, 0.93), top
    wide = b.between(1.3, 1.65) * half
    for _ in range(base):
        b.add("cabin", white, rounded_box((wide, tall, long), (0, y + tall / 2, z), radius=0.015))
        panes = max(2, int(long / 0.05))
        places = [z + ((pane + 0.5) / panes - 0.5) * 0.92 * long for pane in range(panes)]
        b.both_sides("window", glass, [box((0.008, 0.4 * tall, 0.028), (wide / 2, y + 0.58 * tall, p)) for p in places])
        b.add("window", glass, box((0.75 * wide, 0.36 * tall, 0.01), (0, y + 0.6 * tall, z + long / 2)))
        y += 0.95 * tall
        z -= 0.5 * (1 - shrink) * long * b.between(0, 1)
        wide, long = wide * (0.5 + 0.5 * shrink), long * shrink
    if style != "yacht":
        funnels, size, lean = b.pick(1, 1, 2, 3) if style == "liner" else 1, b.between(0.018, 0.04), b.between(0, 0.04)
        high = b.between(0.09, 0.17)
        for funnel in range(funnels):
            at = z + (0.0 if funnels == 1 else (funnel / (funnels - 1) - 0.5) * 0.55 * long)
            b.add("funnel", second, rod((0, y - 0.02, at), (0, y + high, at - lean), size, 0.9 * size, sides=14))
            b.add(
                "funnel",
                (44, 44, 48),
                rod((0, y + 0.82 * high, at - 0.85 * lean), (0, y + 1.03 * high, at - lean), 1.06 * size, sides=14),
            )
    if b.chance(0.7):
        at, metal = z + 0.3 * long, b.material("metal")
        b.add("mast", metal, rod((0, y - 0.02, at), (0, y + b.between(0.1, 0.22), at), 0.008, 0.005, sides=6))
        b.add("mast", metal, rod((-0.5 * half, y + 0.09, at), (0.5 * half, y + 0.09, at), 0.005, sides=6))
    if b.chance(0.4):
        b.add(
            "mast",
            b.material("metal"),
            rod((0, top - 0.02, 0.36), (0, top + b.between(0.12, 0.25), 0.36), 0.009, 0.005, sides=6),
        )


def _sails(b: Builder, top: Number, half: Number) -> None:
    """One to three masts with triangular or square sails, bellied by the wind."""
    wood, cloth = b.material("wood", "metal"), b.material("linen", "linen", "petal", "fabric")
    masts, square = b.pick(1, 1, 1, 2, 3), b.chance(0.35)
    places = [0.1] if masts == 1 else np.linspace(-0.28, 0.26, masts).tolist()
    boom = 0.42 if masts == 1 else 0.5 / masts
    for place in places:
        high = b.between(0.6, 1.05) * (1.0 if masts == 1 else 0.75)
        b.add("mast", wood, rod((0, top - 0.02, place), (0, top + high, place), 0.012, 0.006, sides=8))
        belly, low = b.between(0.02, 0.09) * b.pick(-1, 1), top + 0.1
        if square:
            tiers = b.count(1, 3)
            step = (0.95 * high - 0.1) / tiers
            for tier in range(tiers):
                wide, y = (0.34 - 0.05 * tier) * (0.7 + half), low + tier * step
                b.add(
                    "sail",
                    cloth,
                    _cloth(
                        [(-wide, y), (wide, y)],
                        [(-0.85 * wide, y + 0.86 * step), (0.85 * wide, y + 0.86 * step)],
                        abs(belly),
                        place + 0.02,
                    ),
                )
                b.add(
                    "mast",
                    wood,
                    rod((-wide, y + 0.88 * step, place + 0.01), (wide, y + 0.88 * step, place + 0.01), 0.007, sides=6),
                )
        else:
            b.add("mast", wood, rod((0, low - 0.02, place), (0, low - 0.02, place - boom), 0.008, sides=6))
            main = _cloth(
                [(0.012 - place, low), (boom - place, low)],
                [(0.012 - place, top + 0.97 * high), (0.03 - place, top + 0.97 * high)],
                belly,
                0.0,
            )
            b.add("sail", cloth, main.turned("y", 90))
            if b.chance(0.75) and place == places[-1]:
                jib = _cloth(
                    [(-0.02 - place, low), (-0.42, low - 0.04)],
                    [(-0.015 - place, top + 0.8 * high), (-0.03 - place, top + 0.8 * high)],
                    belly,
                    0.0,
                )
                b.add("sail", b.pick(cloth, b.material("petal")), jib.turned("y", 90))


def _cloth(bottom: list[tuple[Number, Number]], top: list[tuple[Number, Number]], belly: Number, z: Number) -> Solid:
    """A thin sail between two edges of (x, y), its middle pushed along z by `belly`."""
    rings = []
    for t in np.linspace(0, 1, 7).tolist():
        left, right = (np.array(bottom[i]) * (1 - t) + np.array(top[i]) * t for i in (0, 1))
        along = np.linspace(0, 1, 6)
        flat = left + (right - left) * along[:, None]
        push = z + belly * 4 * along * (1 - along) * (0.35 + 1.3 * t * (1 - t) * 2)
        front = np.column_stack([flat, push + 0.003])
        back = np.column_stack([flat, push - 0.003])[::-1]
        rings.append(np.concatenate([front, back]))
    return loft(np.stack(rings))
