"""Airplanes; the nose looks along +z."""

import numpy as np
from jaxtyping import Float

from crosspoint3d.data.shapes.builder import Builder
from crosspoint3d.data.shapes.curves import smooth
from crosspoint3d.data.shapes.primitives import Number, Solid, ellipsoid, lathe, ribbon, rod

AIRPLANE = ("fuselage", "wing", "tail", "engine", "propeller", "window", "wheel")


def _fin(
    root: tuple[Number, Number, Number],
    tip: tuple[Number, Number, Number],
    chords: tuple[Number, Number],
    thick: Number,
) -> Solid:
    """A flat wing from root to tip; chords run along z, points are their middles."""
    path = np.array([root, tip], dtype=np.float64)
    return ribbon(path, np.array(chords), thick, (0, 0, 1), sides=8)


def _spindle(points: list[tuple[Number, Number]], count: int = 14, sides: int = 16) -> Solid:
    """A body of revolution about z; points are (radius, z), tail to nose."""
    profile: Float[np.ndarray, "R 2"] = smooth(points, count)
    profile[:, 0] = np.maximum(profile[:, 0], 0.01)
    return lathe(profile, sides=sides).turned("x", 90)


def airplane(b: Builder) -> None:
    """Airliner, business jet, propeller plane, fighter, glider, biplane."""
    style = b.pick("airliner", "jet", "prop", "fighter", "glider", "biplane")
    slim = {
        "airliner": (0.075, 0.1),
        "jet": (0.07, 0.1),
        "prop": (0.09, 0.13),
        "fighter": (0.06, 0.09),
        "glider": (0.04, 0.06),
        "biplane": (0.09, 0.13),
    }[style]
    r = b.between(*slim)
    paint, second = b.material("paint", "linen", "steel"), b.material("paint", "steel")
    tail_r = r * b.between(0.15, 0.4)
    pointed = style == "fighter"
    body = [
        (tail_r, -0.5),
        (0.75 * r, -0.25),
        (r, 0.0),
        (r, 0.25),
        (0.8 * r if not pointed else 0.6 * r, 0.4),
        (0.25 * r if not pointed else 0.1 * r, 0.5),
    ]
    b.add("fuselage", paint, _spindle(body, 18))
    span = {
        "airliner": b.between(0.38, 0.52),
        "jet": b.between(0.3, 0.42),
        "prop": b.between(0.42, 0.58),
        "fighter": b.between(0.24, 0.36),
        "glider": b.between(0.65, 0.95),
        "biplane": b.between(0.4, 0.55),
    }[style]
    sweep = {"airliner": b.between(0.12, 0.3), "jet": b.between(0.1, 0.28), "fighter": b.between(0.18, 0.36)}.get(
        style, b.between(0, 0.04)
    )
    root = {"glider": b.between(0.07, 0.1), "fighter": b.between(0.25, 0.42)}.get(style, b.between(0.14, 0.22))
    tip = root * (b.between(0.12, 0.35) if style == "fighter" else b.between(0.3, 0.9))
    z, rise = b.between(0.0, 0.12), b.between(-0.02, 0.08)
    y = b.pick(-0.6, -0.4, 0.7) * r
    wing = _fin((0, y, z), (span, y + rise, z - sweep), (root, tip), 0.1 * root + 0.008)
    b.both_sides("wing", second if b.chance(0.4) else paint, [wing])
    if style == "biplane":
        y_top = 2.4 * r
        b.both_sides(
            "wing",
            second,
            [_fin((0, y_top, z + 0.02), (span, y_top + rise, z + 0.02 - sweep), (root, tip), 0.1 * root)],
        )
        b.both_sides(
            "wing", paint, [rod((f * span, y, z), (f * span, y_top, z + 0.02), 0.006, sides=6) for f in (0.12, 0.7)]
        )
    high_tail = b.chance(0.3)
    fin_h, fin_root = b.between(0.12, 0.2), b.between(0.1, 0.16)
    back = -0.5 + 0.55 * fin_root
    twin = style == "fighter" and b.chance(0.5)
    lean = 0.05 if twin else 0.0
    fins = [
        _fin(
            (side * 0.6 * r, 0.3 * r, back),
            (side * (0.6 * r + lean), 0.3 * r + fin_h, back - 0.06),
            (fin_root, 0.55 * fin_root),
            0.018,
        )
        for side in ((-1, 1) if twin else (0,))
    ]
    b.add("tail", second, *fins)
    plane_y = 0.3 * r + 0.92 * fin_h if high_tail and not twin else 0.3 * r
    plane_z = back - (0.05 if high_tail and not twin else 0.0)
    b.both_sides(
        "tail",
        second,
        [
            _fin(
                (0, plane_y, plane_z),
                (b.between(0.13, 0.22), plane_y, plane_z - 0.3 * sweep - 0.01),
                (0.8 * fin_root, 0.45 * fin_root),
                0.016,
            )
        ],
    )
    _engines(b, style, r, span, y, rise, z, sweep, root)
    glass = b.material("window")
    if style in ("airliner", "jet"):
        b.add("window", glass, ellipsoid((0.62 * r, 0.3 * r, 0.05), (0, 0.5 * r, 0.415), sides=12, rings=5))
        panes = np.linspace(-0.2, 0.34, b.count(6, 14)).tolist()
        b.both_sides(
            "window",
            glass,
            [ellipsoid((0.004, 0.13 * r, 0.012), (0.985 * r, 0.18 * r, p), sides=6, rings=3) for p in panes],
        )
    else:
        b.add(
            "window",
            glass,
            ellipsoid(
                (0.55 * r, 0.6 * r, b.between(0.07, 0.12)), (0, 0.8 * r, b.between(0.12, 0.24)), sides=12, rings=6
            ),
        )
    if b.chance(0.5) and style != "airliner":
        drop, rubber = 1.9 * r, b.material("rubber")
        struts = [(0.9 * r, z + 0.05), (0.0, -0.4 if b.chance(0.5) else 0.33)]
        for x, at in struts:
            for side in (-1, 1) if x else (1,):
                b.add("wheel", rubber, rod((side * x, -0.4 * r, at), (side * 1.2 * x, -drop, at), 0.007, sides=6))
                b.add(
                    "wheel",
                    rubber,
                    rod((side * 1.2 * x - 0.012, -drop, at), (side * 1.2 * x + 0.012, -drop, at), 0.032, sides=12),
                )


def _propeller(b: Builder, x: Number, y: Number, z: Number, size: Number) -> None:
    blades, metal, start = b.count(2, 4), b.material("steel"), b.between(0, 360)
    b.add(
        "propeller",
        metal,
        _spindle([(0.18 * size, 0), (0.14 * size, 0.12 * size), (0.02 * size, 0.26 * size)], 6, 10).moved(x, y, z),
    )
    path, widths = np.array([[0, 0.05, 0], [0, 0.5, 0], [0, 1, 0]]) * size, np.array([0.1, 0.2, 0.08]) * size
    for blade in range(blades):
        solid = ribbon(path, widths, 0.04 * size, (0.9, 0, 0.4)).turned("z", start + 360 * blade / blades)
        b.add("propeller", metal, solid.moved(x, y, z + 0.1 * size))


def _engines(
    b: Builder, style: str, r: Number, span: Number, y: Number, rise: Number, z: Number, sweep: Number, root: Number
) -> None:
    metal = b.material("steel", "linen")
    size = b.between(0.4, 0.62) * r
    pod = [(0.5 * size, -0.09), (size, -0.02), (1.05 * size, 0.05), (0.85 * size, 0.08)]
    intake = rod((0, 0, 0.075), (0, 0, 0.083), 0.7 * size, sides=12)
    if style == "airliner":
        for place in [0.34] if b.chance(0.6) else [0.28, 0.58]:
            at = (place * span, y + rise * place - 1.1 * size, z - sweep * place + 0.35 * root)
            b.both_sides(
                "engine",
                metal,
                [_spindle(pod, 8, 14).moved(*at), rod(at, (at[0], at[1] + 1.1 * size, at[2] - 0.05), 0.012, sides=6)],
            )
            b.both_sides("engine", (50, 52, 58), [intake.moved(*at)])
    elif style == "jet":
        b.both_sides(
            "engine",
            metal,
            [
                _spindle(pod, 8, 14).moved(1.45 * r, 0.45 * r, -0.26),
                rod((0.5 * r, 0.4 * r, -0.26), (1.3 * r, 0.45 * r, -0.26), 0.02, sides=6),
            ],
        )
        b.both_sides("engine", (50, 52, 58), [intake.moved(1.45 * r, 0.45 * r, -0.26)])
    elif style == "fighter":
        for x in [0.0] if b.chance(0.5) else [-0.5 * r, 0.5 * r]:
            b.add("engine", metal, rod((x, 0, -0.55), (x, 0, -0.4), 0.4 * r, 0.5 * r, sides=14))
    elif style == "prop" and b.chance(0.5):
        for side in (-1, 1):
            at = (side * 0.35 * span, y + 0.35 * rise, z - 0.35 * sweep + 0.4 * root)
            b.add("engine", metal, _spindle([(0.3 * r, -0.1), (0.5 * r, 0), (0.4 * r, 0.06)], 7, 12).moved(*at))
            _propeller(b, at[0], at[1], at[2] + 0.05, b.between(0.08, 0.12))
    elif style != "glider":
        b.add("engine", metal, rod((0, 0, 0.4), (0, 0, 0.5), 0.85 * r, 0.6 * r, sides=14))
        _propeller(b, 0.0, 0.0, 0.49, b.between(0.13, 0.19))
