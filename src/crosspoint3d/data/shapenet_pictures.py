"""Pictures that were rendered for 3D-R2N2, with the cameras that `rendering_metadata.txt` tells of.

Axis letters: V pictures.
"""

import io
import math
import struct
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float32
from PIL import Image

from crosspoint3d.data.assemble import MeshError

FARTHEST = 1.75  # distance of the camera where the metadata says 1; a model's bounding box has a diagonal of 1
_END = b"IEND\xaeB`\x82"
METADATA = "rendering_metadata.txt"
_UNREADABLE = (OSError, ValueError, SyntaxError, EOFError, IndexError, struct.error, Image.DecompressionBombError)


class Pictures(NamedTuple):
    """The pictures of one model.

    Attributes:
        views: RGB uint8 (size, size, 3) each, on white.
        poses: azimuth and elevation (rad) and distance in diagonals of the model's bounding box, of a camera that looks
            at the middle of that box; None where the metadata does not tell of every picture.
        refused: names of the files left out, each with the reason.
    """

    views: list[np.ndarray]
    poses: Float32[np.ndarray, "V 3"] | None
    refused: list[str]


def picture_settings(folders: Iterable[Path]) -> dict[str, Any]:
    """How many pictures the first folder with a readable one has, and of what size; nothing where there is none."""
    for folder in folders:
        for path in _files(folder):
            try:
                with Image.open(path) as image:
                    return {"views": len(_files(folder)), "image_size": image.width}
            except _UNREADABLE:
                continue
    return {}


def read_pictures(folder: Path, size: int) -> Pictures:
    """Read the PNG files of a folder in the order of their names, laid on white and scaled to `size` pixels a side.

    Raises:
        MeshError: the folder is missing or holds no PNG file, or none that can be read.
    """
    files = _files(folder)
    if not files:
        raise MeshError("no pictures")
    views, kept, refused = [], [], []
    for path in files:
        try:
            views.append(_on_white(path, size))
            kept.append(path)
        except _UNREADABLE as error:
            refused.append(f"{path.name}: {_reason(error)}")
    if not views:
        raise MeshError(f"no readable picture ({refused[0]}; {len(refused)} like it)")
    return Pictures(views, _poses(folder / METADATA, kept), refused)


def _files(folder: Path) -> list[Path]:
    if not folder.is_dir():
        return []
    return sorted(path for path in folder.iterdir() if path.suffix.lower() == ".png" and not path.name.startswith("."))


def _on_white(path: Path, size: int) -> np.ndarray:
    encoded = path.read_bytes()
    if encoded.startswith(b"\x89PNG") and _END not in encoded:  # cut after the last pixel, which decoders overlook
        raise OSError("truncated")
    with Image.open(io.BytesIO(encoded)) as image:
        if image.width != image.height:
            raise ValueError(f"{image.width} x {image.height} px, not square")
        picture = image.convert("RGBA")  # reads all of it: a truncated file raises here
    white = Image.new("RGBA", picture.size, "white")
    picture = Image.alpha_composite(white, picture).convert("RGB")
    if picture.width != size:
        picture = picture.resize((size, size), Image.Resampling.LANCZOS)
    return np.asarray(picture)


def _reason(error: Exception) -> str:
    text = str(error).splitlines()[0] if str(error) else type(error).__name__
    if isinstance(error, SyntaxError | struct.error) or "truncated" in text or "cannot identify" in text:
        return "truncated or no picture"
    return text[:80]


def _poses(metadata: Path, pictures: list[Path]) -> Float32[np.ndarray, "V 3"] | None:
    """Line n tells of picture n: azimuth, elevation and roll in degrees, distance, field of view.

    Azimuth 0 there stands on +x and walks towards +z; here it stands on +z and walks towards +x.
    """
    try:
        lines = [[float(word) for word in line.split()] for line in metadata.read_text(encoding="utf-8").splitlines()]
        told = [lines[int(path.stem)] for path in pictures]
        poses = [
            (math.radians(90 - row[0]) % (2 * math.pi), math.radians(row[1]), FARTHEST * row[3])
            for row in told
            if row[2] == 0
        ]
    except (OSError, ValueError, IndexError):
        return None
    return np.array(poses, dtype=np.float32) if len(poses) == len(pictures) else None
