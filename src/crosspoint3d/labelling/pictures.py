"""A picture of a labelled shape: two sides of it in part colours, and below them what each colour means.

Axis letters: M faces of a mesh or points of a cloud.
"""

from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import matplotlib
import numpy as np
from jaxtyping import UInt8
from PIL import Image, ImageDraw, ImageFont

from crosspoint3d.data.mesh import Mesh
from crosspoint3d.data.render import render_views
from crosspoint3d.geometry import fitting_distance

SIDE = 400
VIEWS = np.radians([[35.0, 22.0], [215.0, 22.0]])
"""Azimuth and elevation: from the front and the right, and from the other side."""
FILL = 0.92
INK, MUTED = (28, 39, 51), (102, 115, 131)
TEXT, LINE, EDGE, CHIP, GAP = 15, 26, 16, 13, 20


class LegendEntry(NamedTuple):
    """A part, its colour, and the share of the shape that has it."""

    name: str
    colour: UInt8[np.ndarray, " 3"]
    share: float


def labelled_picture(
    mesh: Mesh, colours: UInt8[np.ndarray, "M 3"], title: str, legend: Sequence[LegendEntry]
) -> Image.Image:
    """Two views side by side over a line of text: the title and the parts.

    Args:
        mesh: a shape, y up; its own colours are not used.
        colours: sRGB of each face, or of each point of a cloud.
        title: begins the line of text.
        legend: parts, in the order in which they are named; those without a share are left out.
    """
    views = _trimmed(np.concatenate(list(_views(mesh, colours)), axis=1))
    words = _words(title, legend, views.shape[1])
    picture = Image.new("RGB", (views.shape[1], views.shape[0] + LINE * (1 + words[-1].row) + EDGE), "white")
    picture.paste(Image.fromarray(views))
    draw = ImageDraw.Draw(picture)
    for word in words:
        top = views.shape[0] + LINE * word.row
        if word.entry is None:
            draw.text((word.left, top), word.text, INK, _font("DejaVuSans-Bold"))
            continue
        box = (word.left, top + 3, word.left + CHIP, top + 3 + CHIP)
        draw.rounded_rectangle(box, 3, tuple(word.entry.colour.tolist()))
        draw.text((word.left + CHIP + 6, top), word.entry.name, INK, _font("DejaVuSans"))
        width = _font("DejaVuSans").getlength(word.entry.name + " ")
        draw.text((word.left + CHIP + 6 + width, top), _percent(word.entry.share), MUTED, _font("DejaVuSans"))
    return picture


def _trimmed(views: UInt8[np.ndarray, "H W 3"]) -> UInt8[np.ndarray, "h W 3"]:
    """Without the empty rows above and below."""
    drawn = np.flatnonzero((views != 255).any(axis=(1, 2)))
    return views[max(drawn[0] - EDGE, 0) : drawn[-1] + 1 + EDGE] if len(drawn) else views


def _views(mesh: Mesh, colours: UInt8[np.ndarray, "M 3"]) -> UInt8[np.ndarray, "V H H 3"]:
    if mesh.is_cloud:
        painted = replace(mesh, vertex_colors=colours)
    else:
        corners = np.repeat(colours[:, None], 3, axis=1)
        painted = replace(mesh, corner_colors=corners, vertex_colors=None, uv=None, texture_index=None, textures=())
    used = mesh.vertices if mesh.is_cloud else mesh.vertices[np.unique(mesh.faces)]
    low, high = used.min(axis=0).astype(np.float64), used.max(axis=0).astype(np.float64)
    centre, scale = (low + high) / 2, float((high - low).max()) or 1.0
    placed = (used - centre) / scale
    poses = np.array([[*angles, fitting_distance(placed, angles[0], angles[1], FILL)] for angles in VIEWS], np.float32)
    return render_views(painted, poses=poses, image_size=SIDE, frame=(centre, scale), supersample=3)


class _Word(NamedTuple):
    left: float
    row: int
    text: str
    entry: LegendEntry | None


def _words(title: str, legend: Sequence[LegendEntry], width: int) -> list[_Word]:
    """Where the title and each part go; a part that the line has no room for begins the next one."""
    words, left, row = [_Word(float(EDGE), 0, title, None)], EDGE + _font("DejaVuSans-Bold").getlength(title) + GAP, 0
    for entry in legend:
        if not entry.share:
            continue
        text = f"{entry.name} {_percent(entry.share)}"
        size = CHIP + 6 + _font("DejaVuSans").getlength(text)
        if left + size > width - EDGE:
            left, row = float(EDGE), row + 1
        words.append(_Word(left, row, text, entry))
        left += size + GAP
    return words


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %" if share >= 0.01 else "<1 %"


@lru_cache(maxsize=2)
def _font(name: str) -> ImageFont.FreeTypeFont:
    return ImageFont.truetype(str(Path(matplotlib.get_data_path()) / "fonts" / "ttf" / f"{name}.ttf"), TEXT)
