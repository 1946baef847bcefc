"""Profiles, paths and outlines for the primitives: smooth curves, rounded corners, arcs, hollow vessels."""

import math
from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

from crosspoint3d.data.shapes.primitives import Number


def smooth(
    points: Sequence[Sequence[Number]] | Float[np.ndarray, "P D"], count: int, *, loop: bool = False
) -> Float[np.ndarray, "count D"]:
    """A Catmull-Rom curve through the points, `count` samples, closed without repeating the first with `loop`."""
    p = np.asarray(points, dtype=np.float64)
    spans = len(p) if loop else len(p) - 1
    position = np.linspace(0, spans, count, endpoint=not loop)
    index = np.minimum(position.astype(np.int64), spans - 1)
    t = (position - index)[:, None]
    if loop:
        a, b, c, d = (p[(index + shift) % len(p)] for shift in (-1, 0, 1, 2))
    else:
        ends = np.concatenate([2 * p[:1] - p[1:2], p, 2 * p[-1:] - p[-2:-1]])
        a, b, c, d = (ends[index + shift] for shift in range(4))
    return np.asarray(
        b + 0.5 * t * (c - a + t * (2 * a - 5 * b + 4 * c - d + t * (3 * (b - c) + d - a))), dtype=np.float64
    )


def fillet(points: Sequence[Sequence[Number]], radius: Number, steps: int = 3) -> Float[np.ndarray, "R 3"]:
    """A polyline with its inner corners rounded, so that a tube keeps its width around them."""
    p = np.asarray(points, dtype=np.float64)
    path = [p[0]]
    for before, corner, after in zip(p[:-2], p[1:-1], p[2:], strict=True):
        back, ahead = before - corner, after - corner
        cut_back = back * min(0.45, radius / max(float(np.linalg.norm(back)), 1e-9))
        cut_ahead = ahead * min(0.45, radius / max(float(np.linalg.norm(ahead)), 1e-9))
        for t in np.linspace(0, 1, steps + 1):
            path.append(corner + (1 - t) ** 2 * cut_back + t**2 * cut_ahead)
    return np.stack([*path, p[-1]])


def ellipse(width: Number, height: Number, count: int = 24, power: Number = 2) -> Float[np.ndarray, "count 2"]:
    """An ellipse (a superellipse with `power` above 2) as a counter-clockwise outline of full width and height."""
    angles = (np.arange(count) + 0.5) * (2 * math.pi / count)
    flat = np.stack([np.cos(angles), np.sin(angles)], 1)
    flat = flat / (np.abs(flat) ** power).sum(1, keepdims=True) ** (1 / power)
    return np.asarray(flat * np.array([width / 2, height / 2]))


def arc(radius: Number, start: Number, end: Number, count: int) -> Float[np.ndarray, "count 2"]:
    """Points on a circle about the origin between two angles in degrees."""
    angles = np.radians(np.linspace(start, end, count))
    return np.asarray(radius * np.stack([np.cos(angles), np.sin(angles)], 1))


def hollow(outer: Float[np.ndarray, "R 2"], wall: Number) -> Float[np.ndarray, "S 2"]:
    """The lathe profile of a vessel open at the top, from the (radius, height) of its outer wall, upwards."""
    bottom, floor = float(outer[0, 1]), float(outer[0, 1]) + 1.5 * wall
    inner = outer[::-1][outer[::-1, 1] > floor] - np.array([wall, 0.0])
    inner[:, 0] = np.maximum(inner[:, 0], 0.3 * wall)
    foot = float(inner[-1, 0])
    return np.concatenate([[[0.0, bottom]], outer, inner, [[0.8 * foot, floor], [0.0, floor]]])
