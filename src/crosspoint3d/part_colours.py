"""Colours of parts: the same in every picture, fixed by a part's place among the parts of its category.

Axis letters: Q parts of all categories.
"""

import numpy as np
from jaxtyping import UInt8

from crosspoint3d.parts_table import PartsTable

PALETTE = (
    "#2f80da", "#f7a200", "#74e6fa", "#98244f", "#40b4a2", "#e4e290", "#4a28d4", "#8f6408", "#ae9efc", "#ec7346",
    "#68488d", "#c1599b",
)  # fmt: skip
"""Blue, orange, sky, wine, teal, straw, indigo, brown, periwinkle, coral, plum, pink. A search found them: each is far
from those before it, for normal sight and the three kinds of colour blindness, and light enough to be shaded."""
SHADES = ((1.0, 0.0), (0.5, 0.5), (0.5, 0.0))
"""Share of the palette's colour and of white in its first, second (lighter) and third (darker) round."""


def part_colours(table: PartsTable) -> UInt8[np.ndarray, "Q 3"]:
    """The sRGB colour of each part by its global id; parts at the same place of two categories have the same one.

    A category's first twelve parts are told apart by hue, the next twelve are the same hues lighter, then darker; after
    36 parts colours repeat.
    """
    colours = np.zeros((len(table), 3), np.uint8)
    for own in table.parts:
        for place, part in enumerate(own):
            colours[part] = _colour(place)
    return colours


def css(colour: UInt8[np.ndarray, " 3"]) -> str:
    """A colour as a page writes it, such as #0072b2."""
    return "#" + bytes(colour.tolist()).hex()


def _colour(place: int) -> UInt8[np.ndarray, " 3"]:
    share, white = SHADES[place // len(PALETTE) % len(SHADES)]
    pure = np.frombuffer(bytes.fromhex(PALETTE[place % len(PALETTE)][1:]), np.uint8)
    mixed: np.ndarray = np.rint(share * pure + white * 255.0).astype(np.uint8)
    return mixed
