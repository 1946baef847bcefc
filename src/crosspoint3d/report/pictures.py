"""Pictures for a page: data URIs, thumbnails, one sheet of many thumbnails, and clouds drawn as balls.

Axis letters: N points, H and W pixels.
"""

import base64
import io
from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, Float32, UInt8
from PIL import Image

from crosspoint3d.data.mesh import Mesh
from crosspoint3d.data.render import render_views

LOW, HIGH = np.array([44.0, 82.0, 130.0]), np.array([132.0, 197.0, 190.0])
QUALITY = 88


def data_uri(picture: UInt8[np.ndarray, "H W 3"]) -> str:
    """A picture as a JPEG data URI."""
    return _uri(Image.fromarray(picture))


def thumbnail(encoded: bytes, size: int) -> str:
    """An encoded picture as a data URI of at most `size` pixels a side."""
    return _uri(_opened(encoded, size))


def contact_sheet(encoded: Sequence[bytes], size: int) -> tuple[str, int]:
    """Many encoded pictures as one, in tiles of `size` pixels, row by row.

    Returns:
        A data URI, and the number of tiles in a row.
    """
    columns = max(1, int(np.ceil(np.sqrt(len(encoded)))))
    rows = -(-len(encoded) // columns)
    sheet = Image.new("RGB", (columns * size, max(rows, 1) * size), "white")
    for index, picture in enumerate(encoded):
        tile = _opened(picture, size)
        sheet.paste(tile.resize((size, size)), (index % columns * size, index // columns * size))
    return _uri(sheet), columns


def draw_cloud(
    points: Float32[np.ndarray, "N 3"], pose: Float[np.ndarray, " 3"], *, size: int, radius: float = 1.0
) -> UInt8[np.ndarray, "H W 3"]:
    """A cloud as balls coloured by their height.

    Args:
        points: a cloud around the origin; repeated points are drawn once.
        pose: azimuth and elevation (rad) and distance of the camera.
        size: pixels a side.
        radius: of the sphere around the origin that just fits the picture.
    """
    different = np.unique(points, axis=0)
    height = different[:, 1:2]
    share = (height - height.min()) / max(float(np.ptp(height)), 1e-6)
    colors = np.rint(LOW + (HIGH - LOW) * share).astype(np.uint8)
    mesh = Mesh(different, np.zeros((0, 3), np.int32), vertex_colors=colors)
    frame = (np.zeros(3), float(radius))
    poses = np.asarray(pose, dtype=np.float32)[None]
    picture: np.ndarray = render_views(mesh, poses=poses, image_size=size, frame=frame)[0]
    return picture


def cloud_picture(points: Float32[np.ndarray, "N 3"], pose: Float[np.ndarray, " 3"], size: int) -> bytes:
    """An encoded drawing of a cloud, for shapes without pictures of their own."""
    buffer = io.BytesIO()
    Image.fromarray(draw_cloud(points, pose, size=size)).save(buffer, "JPEG", quality=QUALITY)
    return buffer.getvalue()


def _opened(encoded: bytes, size: int) -> Image.Image:
    with Image.open(io.BytesIO(encoded)) as image:
        picture: Image.Image = image.convert("RGB")
    picture.thumbnail((size, size))
    return picture


def _uri(picture: Image.Image) -> str:
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=QUALITY)
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")
