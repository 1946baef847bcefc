"""`Builder`: collects coloured, labelled solids and the random choices of one procedural shape."""

from collections.abc import Sequence
from typing import TypeAlias, TypeVar

import numpy as np

from crosspoint3d.data.mesh import Mesh
from crosspoint3d.data.shapes.primitives import Number, Solid

Colour: TypeAlias = tuple[int, int, int]
Option = TypeVar("Option")

MATERIALS: dict[str, tuple[Colour, ...]] = {
    "wood": ((186, 140, 92), (122, 78, 48), (214, 178, 130), (150, 84, 54), (84, 58, 44), (198, 158, 112)),
    "painted": ((236, 234, 228), (70, 92, 112), (150, 168, 150), (60, 62, 66), (190, 90, 74), (206, 190, 160)),
    "metal": ((176, 180, 186), (70, 72, 78), (196, 160, 92), (186, 118, 84), (44, 46, 50), (214, 216, 220)),
    "fabric": ((96, 108, 124), (58, 86, 122), (84, 116, 96), (206, 166, 74), (168, 72, 66), (204, 192, 172)),
    "leather": ((92, 58, 40), (40, 36, 36), (150, 96, 60), (190, 170, 148), (116, 44, 40)),
    "linen": ((240, 238, 232), (226, 220, 208), (214, 226, 236), (240, 226, 222), (200, 208, 200)),
    "ceramic": ((238, 236, 230), (222, 208, 180), (140, 176, 166), (50, 84, 140), (190, 104, 74), (54, 56, 62)),
    "glazed": ((62, 110, 150), (206, 90, 70), (236, 196, 90), (96, 140, 104), (120, 84, 130), (232, 232, 228)),
    "glass": ((70, 120, 84), (126, 82, 46), (168, 204, 214), (60, 92, 130), (196, 214, 206)),
    "plastic": ((214, 66, 58), (48, 110, 176), (240, 186, 60), (64, 146, 102), (236, 236, 238), (46, 48, 54)),
    "paint": ((190, 40, 42), (36, 76, 140), (230, 232, 236), (52, 56, 62), (176, 182, 190), (226, 168, 44), (50, 116, 90)),
    "window": ((58, 72, 90), (86, 110, 130), (40, 48, 58)),
    "rubber": ((38, 38, 42), (54, 54, 58)),
    "leaf": ((66, 122, 62), (98, 150, 70), (44, 96, 66), (132, 160, 84), (86, 128, 104)),
    "petal": ((226, 92, 110), (240, 190, 74), (246, 240, 232), (170, 104, 180), (222, 106, 62)),
    "soil": ((78, 56, 44), (96, 72, 56)),
    "book": ((158, 52, 48), (44, 78, 116), (62, 102, 76), (206, 164, 84), (92, 70, 100), (220, 212, 196), (54, 54, 60)),
    "screen": ((36, 42, 54), (52, 84, 124), (28, 30, 34), (74, 112, 120)),
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
