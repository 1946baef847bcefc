"""Depth as 8-bit grey pictures: how far each visible place lies before or behind the middle of the shape.

Depth is measured along the view axis, in units of the frame (the cloud's radius is 1). A camera at the distance d has
the shape's centre at depth d; the level of a pixel is

    level = round(255 - 254 (depth - (d - 1)) / 2), between 1 and 255; 0 where nothing is seen

so 255 is one radius before the centre, 128 the centre's plane, 1 one radius behind it, and a step is 2 / 254 of the
radius, whatever the camera. What lies outside (thin tips that no sampled point hit) is cut to 1 and 255. A pixel of
several samples has the depth of the nearest one.

Axis letters: H and W pixels.
"""

import io

import numpy as np
from jaxtyping import Float, Float64, UInt8
from PIL import Image

LEVELS = 254
"""Steps between the farthest and the nearest level."""


def depth_levels(depth: Float[np.ndarray, "H W"], distance: float) -> UInt8[np.ndarray, "H W"]:
    """The levels of a depth map, as `render_views(mode="depth")` gives it: infinite where nothing is seen.

    Args:
        depth: along the view axis.
        distance: of the camera from the centre.
    """
    behind = np.where(np.isfinite(depth), depth, 0.0).astype(np.float64) - (distance - 1)
    levels = np.clip(np.round(255 - LEVELS * behind / 2), 1, 255)
    return np.where(np.isfinite(depth), levels, 0).astype(np.uint8)


def depth_of(levels: UInt8[np.ndarray, "H W"], distance: float) -> Float64[np.ndarray, "H W"]:
    """The depths that levels stand for, to half a step (1 / 254); infinite where nothing is seen."""
    depth = distance - 1 + 2 * (255 - levels.astype(np.float64)) / LEVELS
    return np.where(levels > 0, depth, np.inf)


def encode_levels(levels: UInt8[np.ndarray, "H W"]) -> bytes:
    """Levels as a PNG, which loses nothing."""
    buffer = io.BytesIO()
    Image.fromarray(levels).save(buffer, "PNG")
    return buffer.getvalue()
