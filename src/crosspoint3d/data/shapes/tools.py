"""Knives: kitchen, dagger, cleaver, butter, saw-toothed; upright, the tip above."""

import numpy as np

from crosspoint3d.data.shapes.builder import Builder
from crosspoint3d.data.shapes.curves import smooth
from crosspoint3d.data.shapes.primitives import ellipsoid, loft, rod

KNIFE = ("blade", "handle", "guard", "rivet", "pommel")


def knife(b: Builder) -> None:
    """Blade outlines of six styles over handles of three."""
    style = b.pick("chef", "dagger", "cleaver", "butter", "paring", "curved", "bread")
    long = {"cleaver": b.between(0.45, 0.7), "paring": b.between(0.3, 0.5)}.get(style, b.between(0.5, 1.1))
    wide = {"cleaver": b.between(0.22, 0.38), "dagger": b.between(0.07, 0.13), "chef": b.between(0.13, 0.24)}.get(
        style, b.between(0.07, 0.15)
    )
    thick = b.between(0.012, 0.03)
    steel = b.material("steel")
    t = np.linspace(0, 1, 15)
    spine = np.full(15, -0.35 * wide)
    edge = np.full(15, 0.65 * wide)
    if style == "chef":
        edge = 0.65 * wide - wide * np.clip((t - 0.25) / 0.75, 0, 1) ** 2 * 0.98
    elif style == "paring":
        spine = -0.35 * wide + 0.95 * wide * np.clip((t - 0.5) / 0.5, 0, 1) ** 1.6
    elif style == "dagger":
        spine = -0.5 * wide * np.clip(1 - t, 0.02, 1) ** 0.5
        edge = -spine
    elif style == "butter":
        spine = -0.35 * wide * np.sqrt(np.clip(1 - np.clip((t - 0.8) / 0.2, 0, 0.99) ** 2, 0, 1))
        edge = 0.65 * wide * (0.7 + 0.3 * t) * np.sqrt(np.clip(1 - np.clip((t - 0.7) / 0.3, 0, 0.99) ** 2, 0, 1))
    elif style == "curved":
        bend = wide * b.between(0.4, 1.2) * t**2
        spine = -0.35 * wide - bend
        edge = 0.65 * wide - bend - 0.95 * wide * np.clip((t - 0.55) / 0.45, 0, 1) ** 2
    elif style == "bread":
        edge = 0.65 * wide - 0.6 * wide * np.clip((t - 0.85) / 0.15, 0, 1) ** 2 - 0.08 * wide * (np.arange(15) % 2)
    double = style == "dagger"
    rings = []
    for y, s, e in zip((t * long).tolist(), spine.tolist(), edge.tolist(), strict=True):
        middle = (s + e) / 2 if double else s + 0.12 * (e - s)
        rings.append(
            np.array(
                [
                    [s, y, 0.0 if double else thick / 3],
                    [middle, y, thick / 2],
                    [e, y, 0.0015],
                    [e, y, -0.0015],
                    [middle, y, -thick / 2],
                    [s, y, -0.001 if double else -thick / 3],
                ]
            )
        )
    b.add("blade", steel, loft(np.stack(rings)))
    grip, size, deep = b.between(0.3, 0.5), b.between(0.035, 0.055), b.between(0.022, 0.035)
    if style == "cleaver":
        size *= 1.2
    wood = b.material("wood", "plastic", "rubber", "leather")
    shape = b.pick("straight", "swell", "hook")
    down = np.linspace(0.02, -grip, 10)
    share = np.linspace(0, 1, 10)
    swell = {
        "straight": 1.0 + 0 * share,
        "swell": 0.8 + 0.5 * np.sin(np.pi * share) ** 2,
        "hook": 0.85 + 0.45 * share**3,
    }[shape]
    drift = 0.25 * size * share**2 if shape == "hook" else 0 * share
    angle = (np.arange(12) + 0.5) * 2 * np.pi / 12
    rings = [
        np.stack([off + size * w * np.cos(angle), np.full(12, y), deep * (0.7 + 0.3 * w) * np.sin(angle)], 1)
        for y, w, off in zip(down, swell, drift, strict=True)
    ]
    b.add("handle", wood, loft(np.stack(rings)))
    if b.chance(0.85 if double else 0.45):
        reach = wide * b.between(0.6, 1.2) if double else 1.15 * size
        bar = smooth([(-reach, b.between(-0.02, 0.03)), (0, 0), (reach, b.between(-0.02, 0.03))], 7)
        tall = b.between(0.012, 0.03)
        rings = [
            np.array(
                [
                    [x, y - tall / 2, 1.25 * deep],
                    [x, y + tall / 2, 1.25 * deep],
                    [x, y + tall / 2, -1.25 * deep],
                    [x, y - tall / 2, -1.25 * deep],
                ]
            )
            for x, y in bar.tolist()
        ]
        b.add("guard", b.material("metal"), loft(np.stack(rings)))
    if b.chance(0.5):
        for place in np.linspace(0.2, 0.85, b.count(2, 4)).tolist():
            b.add(
                "rivet",
                b.material("metal"),
                rod((0, -place * grip, -1.06 * deep), (0, -place * grip, 1.06 * deep), 0.012, sides=10),
            )
    if b.chance(0.6 if double else 0.25):
        b.add(
            "pommel",
            b.material("metal"),
            ellipsoid((1.2 * size, 0.03, 1.2 * deep), (float(drift[-1]), -grip, 0), sides=12, rings=6),
        )
