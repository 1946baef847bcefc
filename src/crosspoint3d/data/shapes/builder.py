"""`Builder`: collects coloured, labelled solids and the random choices of one procedural shape."""

from collections.abc import Sequence
from typing import TypeAlias, TypeVar

import numpy as np

from crosspoint3d.data.mesh import Mesh
from crosspoint3d.data.shapes.primitives import Number, Solid

Colour: TypeAlias = tuple[int, int, int]
Option = TypeVar("Option")

MATERIALS: dict[str, tuple[Colour, ...]] = {
    "wood": ((196, 150, 100), (142, 96, 62), (222, 188, 142), (170, 104, 70), (108, 78, 60), (206, 168, 122)),
    "painted": ((238, 236, 230), (92, 120, 144), (158, 180, 158), (86, 88, 94), (204, 104, 86), (216, 200, 170)),
    "metal": ((186, 190, 196), (96, 98, 106), (206, 172, 104), (196, 130, 96), (66, 68, 74), (220, 222, 226)),
    "steel": ((192, 196, 202), (146, 150, 158), (112, 116, 124), (224, 226, 230)),
    "fabric": ((124, 136, 152), (82, 116, 156), (108, 146, 122), (218, 180, 92), (192, 92, 84), (214, 202, 182)),
    "leather": ((122, 82, 60), (72, 66, 66), (172, 114, 76), (202, 182, 160), (146, 66, 60)),
    "linen": ((240, 238, 232), (226, 220, 208), (214, 226, 236), (240, 226, 222), (200, 208, 200)),
    "ceramic": ((238, 236, 230), (222, 208, 180), (140, 176, 166), (74, 112, 168), (204, 120, 90), (96, 98, 106)),
    "glazed": ((84, 138, 180), (216, 104, 84), (240, 204, 104), (122, 168, 130), (150, 112, 160), (234, 234, 230)),
    "glass": ((88, 146, 104), (152, 106, 64), (176, 210, 220), (84, 124, 166), (204, 220, 212)),
    "plastic": ((222, 82, 72), (70, 134, 198), (244, 194, 76), (84, 168, 124), (238, 238, 240), (84, 86, 94)),
    "paint": (
        (206, 56, 56),
        (58, 104, 172),
        (234, 236, 240),
        (92, 98, 106),
        (184, 190, 198),
        (236, 180, 60),
        (72, 144, 114),
    ),
    "window": ((80, 98, 120), (110, 138, 160), (66, 76, 90)),
    "rubber": ((58, 58, 62), (72, 72, 76)),
    "leaf": ((84, 148, 78), (118, 172, 86), (66, 128, 88), (150, 178, 100), (104, 150, 122)),
    "petal": ((226, 92, 110), (240, 190, 74), (246, 240, 232), (170, 104, 180), (222, 106, 62)),
    "soil": ((104, 78, 62), (122, 96, 78)),
    "book": ((158, 52, 48), (44, 78, 116), (62, 102, 76), (206, 164, 84), (92, 70, 100), (220, 212, 196), (54, 54, 60)),
    "screen": ((58, 66, 82), (70, 108, 152), (50, 52, 60), (92, 136, 146)),
    "light": ((255, 244, 206), (255, 250, 232)),
    "drink": ((70, 42, 28), (150, 88, 40), (222, 200, 170), (168, 46, 40)),
}

YAW = np.radians(12.0)
STRETCH = 0.08


class Builder:
    """One shape under construction.

    Args:
        parts: part name to global part id.
        generator: source of every random choice.
    """

    def __init__(self, parts: dict[str, int], generator: np.random.Generator) -> None:
        self._ids = parts
        self._generator = generator
        self._solids: list[Solid] = []
        self._part_ids: list[int] = []
        self._colours: list[Colour] = []

    def between(self, low: Number, high: Number) -> float:
        """A uniform number."""
        return float(self._generator.uniform(low, high))

    def count(self, low: int, high: int) -> int:
        """A uniform integer, both ends included."""
        return int(self._generator.integers(low, high + 1))

    def chance(self, probability: Number) -> bool:
        """True with this probability."""
        return float(self._generator.random()) < probability

    def pick(self, *options: Option) -> Option:
        """One of the options, all equally likely."""
        return options[int(self._generator.integers(len(options)))]

    def material(self, *names: str) -> Colour:
        """A colour of one of the materials, a little lighter, darker or tinted."""
        red, green, blue = self.pick(*MATERIALS[self.pick(*names)])
        gain = self.between(0.85, 1.12)
        tint = self._generator.uniform(-8, 8, 3)
        values = [min(255, max(0, int(c * gain + t))) for c, t in zip((red, green, blue), tint, strict=True)]
        return (values[0], values[1], values[2])

    def shade(self, colour: Colour, factor: Number) -> Colour:
        """The colour made lighter or darker."""
        red, green, blue = (min(255, int(c * factor)) for c in colour)
        return (red, green, blue)

    def add(self, part: str, colour: Colour, *solids: Solid) -> None:
        """Put solids into the shape as one part; raises KeyError for a part that the category lacks."""
        for solid in solids:
            self._solids.append(solid)
            self._part_ids.append(self._ids[part])
            self._colours.append(colour)

    def both_sides(self, part: str, colour: Colour, solids: Sequence[Solid]) -> None:
        """Add solids and their mirror images in x = 0."""
        self.add(part, colour, *solids, *(solid.mirrored() for solid in solids))

    def mesh(self) -> Mesh:
        """The shape stretched by up to 8 % an axis, yawed by up to 12 degrees, centred, its longest side 1."""
        sizes = [len(solid.vertices) for solid in self._solids]
        offsets = np.concatenate([[0], np.cumsum(sizes)[:-1]])
        faces = np.concatenate([s.faces + int(o) for s, o in zip(self._solids, offsets, strict=True)])
        vertices = np.concatenate([solid.vertices for solid in self._solids])
        vertices = vertices * self._generator.uniform(1 - STRETCH, 1 + STRETCH, 3)
        low, high = vertices.min(0), vertices.max(0)
        vertices = (vertices - (low + high) / 2) / (high - low).max()
        yaw = self._generator.uniform(-YAW, YAW)
        c, s = np.cos(yaw), np.sin(yaw)
        vertices = vertices @ np.array([[c, 0, -s], [0, 1, 0], [s, 0, c]])
        counts = [len(solid.faces) for solid in self._solids]
        colours = np.array(self._colours, dtype=np.uint8).repeat(counts, axis=0)
        return Mesh(
            vertices=vertices.astype(np.float32),
            faces=faces.astype(np.int32),
            corner_colors=colours[:, None].repeat(3, axis=1),
            parts=np.array(self._part_ids, dtype=np.uint8).repeat(counts),
        )
