"""Sofas (armchairs among them) and beds."""

import numpy as np

from crosspoint3d.data.shapes.builder import Builder
from crosspoint3d.data.shapes.curves import ellipse
from crosspoint3d.data.shapes.primitives import box, extrude, rod, rounded_box

SOFA = ("base", "cushion", "back", "arm", "leg", "pillow")
BED = ("mattress", "frame", "headboard", "footboard", "pillow", "leg", "blanket", "post")


def sofa(b: Builder) -> None:
    """One to four seats, arms of three styles or none, a chaise at one end, scatter pillows."""
    seats = b.pick(1, 1, 2, 2, 3, 4)
    seat = b.between(0.48, 0.72)
    width, depth = seats * seat, b.between(0.6, 0.95)
    base, lift = b.between(0.12, 0.3), b.pick(0.0, b.between(0.05, 0.2))
    rise, plump = b.between(0.25, 0.6), b.between(0.1, 0.2)
    fabric = b.material("fabric", "fabric", "leather")
    second = b.pick(fabric, b.shade(fabric, 1.1), b.material("fabric"))
    thick = b.between(0.12, 0.24)
    b.add("base", fabric, rounded_box((width, base, depth), (0, lift + base / 2, 0), radius=0.03))
    top = lift + base
    back_z = -depth / 2 + thick / 2
    tilt = b.between(0, 12)
    style = b.pick("cushions", "cushions", "whole", "tufted")
    soft = b.between(0.25, 0.48)
    for place in range(seats):
        x = (place + 0.5) * seat - width / 2
        b.add(
            "cushion",
            second,
            rounded_box((0.97 * seat, plump, depth - thick), (x, top + plump / 2, thick / 2), radius=soft * plump),
        )
        if style == "cushions":
            pad = rounded_box((0.95 * seat, rise, 0.8 * thick), (0, rise / 2, 0.5 * thick), radius=soft * thick)
            b.add("back", second, pad.turned("x", -tilt).moved(x, top + 0.5 * plump, back_z))
        elif style == "tufted":
            for column in (-0.25, 0.25):
                tuft = rounded_box((0.49 * seat, rise, thick), (0, rise / 2, 0.2 * thick), radius=0.45 * thick)
                b.add("back", fabric, tuft.turned("x", -tilt).moved(x + column * seat, top, back_z))
    slab = rounded_box((width, rise + 0.5 * base, thick), (0, rise / 2, 0), radius=0.3 * thick)
    b.add("back", fabric, slab.turned("x", -tilt).moved(0, top, back_z))
    arms = b.pick("block", "block", "round", "wing", "none", "one")
    wide, up = b.between(0.08, 0.24), b.between(0.3, 0.8) * rise
    for side in (-1, 1):
        x = side * (width / 2 + 0.46 * wide)
        if arms == "none" or (arms == "one" and side < 0):
            continue
        if arms == "round":
            stem = rounded_box((0.8 * wide, base + up, 0.98 * depth), (x, lift + (base + up) / 2, 0), radius=0.02)
            roll = extrude(ellipse(1.3 * wide, 1.2 * wide, 16), depth, bevel=0.02).moved(x, top + up, 0)
            b.add("arm", fabric, stem, roll)
        else:
            long = depth if arms != "wing" else 0.8 * depth
            arm = rounded_box(
                (wide, base + up, long), (x, lift + (base + up) / 2, (long - depth) / 2), radius=0.4 * wide
            )
            b.add("arm", fabric, arm)
    if seats >= 2 and b.chance(0.25):
        side, out = b.pick(-1, 1), b.between(0.35, 0.75)
        x = side * (width - seat) / 2
        b.add(
            "base",
            fabric,
            rounded_box((seat, base, out + 0.05), (x, lift + base / 2, depth / 2 + out / 2 - 0.02), radius=0.03),
        )
        b.add(
            "cushion",
            second,
            rounded_box((0.97 * seat, plump, out), (x, top + plump / 2, depth / 2 + out / 2), radius=soft * plump),
        )
    if lift > 0:
        wood, inset = b.material("wood", "metal"), b.between(0.03, 0.1)
        corners = [(sx * (width / 2 - inset), sz * (depth / 2 - inset)) for sx in (-1, 1) for sz in (-1, 1)]
        b.add("leg", wood, *(rod((x, lift + 0.02, z), (x, 0, z), 0.03, 0.02) for x, z in corners))
    for lean in b.pick((), (), (-1.0,), (1.0,), (-1.0, 1.0), (-1.0, 1.0, 0.4))[: 3 if seats > 1 else 1]:
        size = min(b.between(0.32, 0.44), 0.75 * seat)
        x = lean * max(0.0, width / 2 - 0.55 * size) * (0.4 if seats == 1 else 1)
        pillow = (
            extrude(ellipse(size, size, 20, 4), 0.14, bevel=0.06)
            .turned("z", b.between(-14, 14))
            .turned("x", -tilt - 14)
        )
        b.add("pillow", b.material("fabric", "petal"), pillow.moved(x, top + plump + 0.4 * size, back_z + 1.35 * thick))


def bed(b: Builder) -> None:
    """Single and double, head and foot boards, canopy, bunk."""
    width, length = b.pick(b.between(0.8, 1.1), b.between(1.4, 1.9)), b.between(1.85, 2.15)
    lift, rail, plump = b.between(0.08, 0.35), b.between(0.1, 0.25), b.between(0.14, 0.32)
    frame = b.material("wood", "wood", "painted", "metal", "fabric")
    sheet, cover = b.material("linen"), b.material("fabric", "linen", "petal")
    kind = b.pick("plain", "plain", "plain", "canopy", "bunk") if width < 1.2 else b.pick("plain", "plain", "canopy")
    x, z = width / 2 + 0.02, length / 2 + 0.02
    top = lift + rail
    gap = b.between(0.7, 0.95)
    for level in [0.0, top + plump + gap] if kind == "bunk" else [0.0]:
        b.add(
            "frame",
            frame,
            rounded_box((width + 0.06, rail, length + 0.06), (0, level + lift + rail / 2, 0), radius=0.02),
        )
        b.add(
            "mattress",
            sheet,
            rounded_box((width, plump, length), (0, level + top + 0.4 * plump, 0), radius=0.3 * plump),
        )
        long = b.between(0.5, 0.78) * length
        b.add(
            "blanket",
            cover,
            rounded_box(
                (width + 0.05, 0.8 * plump, long),
                (0, level + top + 0.57 * plump, (length - long) / 2),
                radius=0.25 * plump,
            ),
        )
        pillows = b.count(1, 2) if width < 1.2 else b.count(2, 4)
        across = min(pillows, 2)
        for pillow in range(pillows):
            place = ((pillow % across) + 0.5) / across - 0.5
            back = -length / 2 + 0.24 + 0.2 * (pillow // across)
            wide = min(0.62, 0.86 * width / across)
            cushion = rounded_box((wide, 0.13, 0.38), radius=0.06).turned("x", -b.between(5, 25))
            b.add(
                "pillow",
                b.pick(sheet, b.material("linen")),
                cushion.moved(place * width, level + top + plump + 0.03, back),
            )
    tall = b.between(0.5, 1.15) + top
    if kind in ("canopy", "bunk"):
        tall = top + plump + gap + rail + 0.6 if kind == "bunk" else b.between(1.7, 2.1)
        posts = [(sx * x, sz * z) for sx in (-1, 1) for sz in (-1, 1)]
        b.add("post", frame, *(rod((px, 0, pz), (px, tall, pz), 0.045, sides=4) for px, pz in posts))
        if kind == "canopy":
            b.add("post", frame, *(rod((-x, tall, pz), (x, tall, pz), 0.035, sides=4) for pz in (-z, z)))
            b.add("post", frame, *(rod((px, tall, -z), (px, tall, z), 0.035, sides=4) for px in (-x, x)))
        else:
            rails = [(tall - 0.15, -z), (tall - 0.35, -z), (tall - 0.15, z), (tall - 0.35, z)]
            b.add("post", frame, *(box((2 * x, 0.06, 0.03), (0, y, pz)) for y, pz in rails))
            b.add(
                "post",
                frame,
                *(box((0.03, 0.03, 0.4), (x + 0.03, y, z - 0.3)) for y in np.linspace(0.3, tall - 0.4, 6).tolist()),
            )
            b.add(
                "post", frame, *(rod((x + 0.04, 0, pz), (x + 0.04, tall - 0.2, pz), 0.022) for pz in (z - 0.5, z - 0.1))
            )
    else:
        corners = [(sx * 0.93 * x, sz * 0.95 * z) for sx in (-1, 1) for sz in (-1, 1)]
        b.add("leg", frame, *(rod((px, lift + 0.01, pz), (px, 0, pz), 0.05, 0.035, sides=4) for px, pz in corners))
    head = b.pick("panel", "round", "padded", "slats", "none") if kind != "bunk" else "none"
    low = 0.6 * lift
    high = min(tall, top + plump + b.between(0.25, 0.75)) - low
    if head == "panel":
        b.add("headboard", frame, box((2 * x + 0.04, high, 0.05), (0, low + high / 2, -z), bevel=0.01))
    elif head == "round":
        outline = ellipse(2 * x + 0.04, 1.6 * high, 28, b.between(2.5, 4)) + np.array([0, 0.2 * high + low])
        outline[:, 1] = np.maximum(outline[:, 1], low)
        b.add("headboard", frame, extrude(outline, 0.06, bevel=0.012).moved(0, 0, -z))
    elif head == "padded":
        count, soft = b.count(1, 5), b.material("fabric", "leather")
        wide = (2 * x + 0.04) / count
        pads = [((pad + 0.5) / count - 0.5) * count * wide for pad in range(count)]
        b.add(
            "headboard",
            soft,
            *(rounded_box((0.98 * wide, high, 0.1), (px, low + high / 2, -z), radius=0.04) for px in pads),
        )
    elif head == "slats":
        places = np.linspace(-x, x, b.count(5, 11)).tolist()
        b.add("headboard", frame, *(rod((px, low, -z), (px, low + high, -z), 0.02, sides=6) for px in places))
        b.add("headboard", frame, rod((-x, low + high, -z), (x, low + high, -z), 0.035, sides=8))
    if kind == "plain" and b.chance(0.45):
        foot = b.between(0.3, 0.7) * high
        b.add("footboard", frame, box((2 * x + 0.04, foot, 0.05), (0, low + foot / 2, z + 0.02), bevel=0.01))
