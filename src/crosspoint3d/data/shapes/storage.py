"""Bookshelves and cabinets (wardrobes, sideboards, chests of drawers): open and closed boxes that overlap."""

from itertools import pairwise

import numpy as np

from crosspoint3d.data.shapes.builder import Builder, Colour
from crosspoint3d.data.shapes.primitives import Number, box, ellipsoid, lathe, rod

BOOKSHELF = ("frame", "shelf", "book", "back", "door", "leg", "handle")
CABINET = ("body", "door", "drawer", "handle", "leg", "top", "shelf", "book")


def _books(b: Builder, left: Number, right: Number, level: Number, room: Number, depth: Number, full: Number) -> None:
    """A row of books from left to right on a shelf, with gaps; now and then a box, a ball or a vase instead."""
    x = left + b.between(0, 0.15) * (right - left)
    end = left + (right - left) * b.between(0.75, 1.0)
    while x < end - 0.05:
        if not b.chance(full):
            x += b.between(0.05, 0.2)
            continue
        thing = b.pick("books", "books", "books", "stack", "box", "vase")
        if thing == "books":
            tall, deep = b.between(0.6, 0.92) * room, b.between(0.55, 0.85) * depth
            for _ in range(b.count(2, 6)):
                wide, high = b.between(0.025, 0.06), tall * b.between(0.85, 1.0)
                if x + wide > end:
                    break
                b.add(
                    "book",
                    b.material("book"),
                    box((0.94 * wide, high, deep), (x + wide / 2, level + high / 2, 0.45 * (depth - deep))),
                )
                x += wide
        elif thing == "stack" and x + 0.24 < end:
            y = level
            for _ in range(b.count(2, 4)):
                high = min(b.between(0.025, 0.05), 0.2 * room)
                b.add(
                    "book",
                    b.material("book"),
                    box((b.between(0.18, 0.23), high, 0.6 * depth), (x + 0.12, y + high / 2, 0.05 * depth)),
                )
                y += high
            x += 0.26
        elif thing == "box" and x + 0.2 < end:
            high = b.between(0.35, 0.8) * room
            b.add(
                "book",
                b.material("fabric", "wood"),
                box((0.18, high, 0.75 * depth), (x + 0.1, level + high / 2, 0), bevel=0.01),
            )
            x += 0.21
        elif x + 0.14 < end:
            high = b.between(0.4, 0.8) * room
            profile = np.array([[0, 0], [0.03, 0], [0.06, 0.35], [0.055, 0.6], [0.025, 0.85], [0.035, 1]]) * np.array(
                [1, high]
            )
            b.add("book", b.material("ceramic"), lathe(profile, sides=12).moved(x + 0.07, level, 0))
            x += 0.15
        else:
            break


def bookshelf(b: Builder) -> None:
    """Case or open frame, one to three columns, shelves with books and gaps, sometimes doors below."""
    columns, rows = b.pick(1, 1, 2, 3), b.count(2, 6)
    width = columns * b.between(0.4, 0.95) if columns < 3 else 3 * b.between(0.35, 0.5)
    room, depth = b.between(0.24, 0.4), b.between(0.22, 0.4)
    thick, lift = b.between(0.015, 0.04), b.pick(0.0, b.between(0.04, 0.16))
    wood = b.material("wood", "wood", "painted")
    full = b.pick(0.0, b.between(0.3, 0.6), b.between(0.6, 0.95), b.between(0.8, 1.0))
    style = b.pick("case", "case", "case", "frame", "ladder", "stepped")
    height = rows * room
    posts = np.linspace(-width / 2 + thick / 2, width / 2 - thick / 2, columns + 1).tolist()
    if style == "frame":
        metal = b.material("metal")
        corners = [(x, z) for x in posts for z in (-depth / 2, depth / 2)]
        b.add("frame", metal, *(rod((x, 0, z), (x, lift + height, z), 0.8 * thick, sides=4) for x, z in corners))
    elif style == "ladder":
        for x in (posts[0], posts[-1]):
            b.add("frame", wood, rod((x, 0, 0.9 * depth), (x, lift + height, -0.4 * depth), thick, sides=4))
            b.add("frame", wood, rod((x, 0, -0.5 * depth), (x, lift + height, -0.5 * depth), thick, sides=4))
    else:
        for column, x in enumerate(posts):
            tall = height if style == "case" else room * max(1, rows - max(column - 1, 0) * b.count(1, 2))
            b.add("frame", wood, box((thick, tall + thick, depth), (x, lift + tall / 2, 0), bevel=0.15 * thick))
        if lift > 0:
            corners = [(x, z) for x in (0.95 * posts[0], 0.95 * posts[-1]) for z in (-0.4 * depth, 0.4 * depth)]
            b.add("leg", wood, *(rod((x, lift, z), (x, 0, z), 0.025, 0.018) for x, z in corners))
        if style == "case" and b.chance(0.7):
            b.add("back", b.shade(wood, 0.85), box((width, height, 0.01), (0, lift + height / 2, -depth / 2 + 0.005)))
    doors = style == "case" and b.chance(0.3)
    for row in range(rows + 1):
        y = lift + row * room
        deep = depth * (1.25 - 0.5 * row / rows) if style == "ladder" else depth
        z = (deep - depth) / 2
        for left, right in pairwise(posts):
            skip = style == "stepped" and left > 0 and row > rows / 2
            if skip:
                continue
            b.add("shelf", wood, box((right - left, thick, deep), ((left + right) / 2, y, z)))
            if row < rows and not (doors and row == 0):
                _books(b, left + thick, right - thick, y + thick / 2, room - thick, 0.9 * deep, full)
    if doors:
        for left, right in pairwise(posts):
            _door(
                b,
                "door",
                b.shade(wood, 1.08),
                (left + right) / 2,
                lift + room / 2,
                0.96 * (right - left),
                0.95 * room,
                depth / 2,
            )


def _door(
    b: Builder, part: str, colour: Colour, x: Number, y: Number, width: Number, height: Number, z: Number
) -> None:
    """A door or drawer front with a frame, its handle in the middle of a drawer or at a door's edge."""
    b.add(part, colour, box((width, height, 0.02), (x, y, z + 0.008), bevel=0.005))
    metal = b.material("metal")
    if part == "drawer":
        b.add("handle", metal, box((0.3 * width, 0.015, 0.025), (x, y, z + 0.03)))
    else:
        grip = x + b.pick(-1, 1) * 0.4 * width
        if b.chance(0.5):
            b.add("handle", metal, ellipsoid((0.018, 0.018, 0.018), (grip, y, z + 0.03), sides=8, rings=4))
        else:
            b.add("handle", metal, box((0.015, min(0.25, 0.4 * height), 0.025), (grip, y, z + 0.03)))


def cabinet(b: Builder) -> None:
    """Wardrobe, sideboard, chest of drawers or glass-topped cupboard; a grid of doors, drawers and open cells."""
    kind = b.pick("wardrobe", "sideboard", "chest", "cupboard", "night")
    width, height = {
        "wardrobe": (b.between(0.7, 1.8), b.between(1.6, 2.2)),
        "sideboard": (b.between(1.1, 2.0), b.between(0.5, 0.85)),
        "chest": (b.between(0.5, 1.2), b.between(0.7, 1.25)),
        "cupboard": (b.between(0.5, 1.1), b.between(0.9, 1.8)),
        "night": (b.between(0.35, 0.6), b.between(0.4, 0.75)),
    }[kind]
    depth, lift = b.between(0.3, 0.6), b.pick(0.0, b.between(0.05, 0.25))
    wood = b.material("wood", "wood", "painted")
    front = b.pick(wood, b.shade(wood, 1.12), b.material("painted"), b.shade(wood, 0.88))
    columns = max(1, round(width / b.between(0.4, 0.65)))
    rows = {
        "wardrobe": b.count(1, 2),
        "sideboard": b.count(1, 2),
        "chest": b.count(3, 5),
        "cupboard": b.count(2, 4),
        "night": b.count(1, 3),
    }[kind]
    shares = np.array([b.between(0.7, 1.3) for _ in range(rows)])
    if kind == "wardrobe" and rows == 2:
        shares[0] = 0.35
    edges = lift + height * np.concatenate([[0.0], np.cumsum(shares / shares.sum())])
    wall = 0.025
    z = depth / 2
    b.add(
        "body",
        wood,
        *(
            box((wall, height, depth), (side, lift + height / 2, 0), bevel=0.15 * wall)
            for side in (wall / 2 - width / 2, width / 2 - wall / 2)
        ),
    )
    b.add("body", wood, *(box((width, wall, depth), (0, y, 0)) for y in (lift + wall / 2, lift + height - wall / 2)))
    b.add("body", b.shade(wood, 0.85), box((width, height, wall), (0, lift + height / 2, wall / 2 - z)))
    opening = b.pick(0.0, 0.0, 0.2, 0.45)
    for row in range(rows):
        low, high = float(edges[row]), float(edges[row + 1])
        drawers = (
            kind == "chest" or (kind != "wardrobe" and b.chance(0.4)) or (kind == "wardrobe" and rows == 2 and row == 0)
        )
        spans = 1 if kind == "chest" and b.chance(0.6) else columns
        wide = width / spans
        for column in range(spans):
            x = (column + 0.5) * wide - width / 2
            if b.chance(opening) and kind != "wardrobe":
                b.add(
                    "shelf",
                    wood,
                    box((wide, 0.02, 0.95 * depth), (x, low + 0.01, 0)),
                    box((wide, 0.02, 0.95 * depth), (x, high - 0.01, 0)),
                )
                b.add(
                    "shelf",
                    wood,
                    *(
                        box((0.02, high - low, 0.95 * depth), (x + side * (wide / 2 - 0.01), (low + high) / 2, 0))
                        for side in (-1, 1)
                    ),
                )
                if b.chance(0.6):
                    _books(b, x - wide / 2 + 0.03, x + wide / 2 - 0.03, low + 0.02, high - low - 0.03, 0.8 * depth, 0.7)
            else:
                part = "drawer" if drawers else "door"
                _door(b, part, front, x, (low + high) / 2, 0.97 * wide, 0.97 * (high - low), z)
    if lift > 0:
        inset, style = b.between(0.03, 0.1), b.pick("legs", "legs", "plinth")
        if style == "plinth":
            b.add("leg", b.shade(wood, 0.7), box((width - inset, lift, depth - inset), (0, lift / 2, -inset / 2)))
        else:
            corners = [(sx * (width / 2 - inset), sz * (z - inset)) for sx in (-1, 1) for sz in (-1, 1)]
            b.add(
                "leg",
                b.pick(wood, b.material("metal")),
                *(rod((x, lift, zz), (x, 0, zz), 0.03, 0.018) for x, zz in corners),
            )
    if b.chance(0.6):
        over, slab = b.between(0.01, 0.05), b.between(0.02, 0.05)
        plate = box((width + 2 * over, slab, depth + 2 * over), (0, lift + height + slab / 2, 0), bevel=0.2 * slab)
        b.add("top", b.pick(wood, b.material("wood", "ceramic")), plate)
