"""Finding and decoding the pictures and companion files that a shape file names."""

import io
import urllib.parse
import warnings
from pathlib import Path

import numpy as np
from PIL import Image

from crosspoint3d.data.assemble import Array

LARGEST_SIDE = 1024  # pixels; larger textures are shrunk, views show less than that
_UNREADABLE = (OSError, ValueError, SyntaxError, Image.DecompressionBombError)
_FOLDERS = ("", "texture", "textures", "../texture", "../textures")


def find_companion(folder: Path, name: str) -> Path | None:
    """The file that a shape file calls `name`, or None.

    Looked for as written, then beside the shape, then in `texture` or `textures` there or one level up.
    """
    plain = urllib.parse.unquote(name.strip().strip('"').replace("\\", "/"))
    candidates = [folder / name.strip(), folder / plain]
    candidates += [folder / place / Path(plain).name for place in _FOLDERS]
    for candidate in candidates:
        try:
            if candidate.is_file():
                return candidate
        except (OSError, ValueError):  # names too long or with a null byte
            continue
    return None


def decode_texture(data: bytes) -> Array | None:
    """Image bytes as RGB (H, W, 3) uint8, or None where they are no readable image."""
    try:
        with Image.open(io.BytesIO(data)) as image:
            image.draft("RGB", (LARGEST_SIDE, LARGEST_SIDE))
            return as_rgb(image)
    except _UNREADABLE:
        return None


def as_rgb(image: Image.Image) -> Array | None:
    """A picture as RGB (H, W, 3) uint8, shrunk to LARGEST_SIDE, or None where its data are broken."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            rgb = image.convert("RGBA").convert("RGB") if image.mode == "P" else image.convert("RGB")
            rgb.thumbnail((LARGEST_SIDE, LARGEST_SIDE))
            return np.array(rgb)
    except _UNREADABLE:
        return None


class Textures:
    """The textures of one shape, each taken once.

    Attributes:
        images: what was found so far, `(H, W, 3)` each.
    """

    def __init__(self) -> None:
        self.images: list[Array] = []
        self._known: dict[object, int] = {}

    def add(self, key: object, image: Array | None) -> int:
        """The place of a picture in `images`, or -1 where it is missing."""
        if key not in self._known:
            self._known[key] = -1 if image is None else len(self.images)
            if image is not None:
                self.images.append(image)
        return self._known[key]
