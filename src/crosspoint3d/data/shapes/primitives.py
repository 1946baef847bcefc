"""Closed solids with outward faces: box, rod, lathe, tube, ribbon, extrusion, ellipsoid, rounded box.

All but the plain box are lofts: rings of equally many points joined one to the next, the ends closed by fans.
Axis letters: V vertices, F faces, R rings, K points of a ring. The y axis points up.
"""

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal, TypeAlias

import numpy as np
from jaxtyping import Float, Int32

Number: TypeAlias = float | int
Point: TypeAlias = tuple[Number, Number, Number]

_BOX_CORNERS = np.array([[x, y, z] for x in (-0.5, 0.5) for y in (-0.5, 0.5) for z in (-0.5, 0.5)])
_BOX_QUADS = np.array([[0, 1, 3, 2], [4, 6, 7, 5], [0, 4, 5, 1], [2, 3, 7, 6], [0, 2, 6, 4], [1, 5, 7, 3]])
_BOX_FACES = _BOX_QUADS[:, [0, 1, 2, 0, 2, 3]].reshape(12, 3).astype(np.int32)


@dataclass(frozen=True)
class Solid:
    """A closed surface whose faces are wound counter-clockwise seen from outside."""

    vertices: Float[np.ndarray, "V 3"]
    faces: Int32[np.ndarray, "F 3"]

    def moved(self, x: Number = 0, y: Number = 0, z: Number = 0) -> "Solid":
        """Translated."""
        return Solid(self.vertices + np.array([x, y, z], dtype=np.float64), self.faces)

    def turned(self, axis: Literal["x", "y", "z"], degrees: Number) -> "Solid":
        """Rotated about an axis through the origin, right-handed."""
        c, s = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
        matrix = {
            "x": np.array([[1, 0, 0], [0, c, -s], [0, s, c]]),
            "y": np.array([[c, 0, s], [0, 1, 0], [-s, 0, c]]),
            "z": np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]]),
        }[axis]
        return Solid(self.vertices @ matrix.T, self.faces)

    def mirrored(self) -> "Solid":
        """Reflected in the plane x = 0."""
        return Solid(self.vertices * np.array([-1.0, 1.0, 1.0]), self.faces[:, ::-1])


def signed_volume(solid: Solid) -> float:
    """Enclosed volume; negative when the faces are wound inwards."""
    a, b, c = (solid.vertices[solid.faces[:, corner]] for corner in range(3))
    return float(np.einsum("fi,fi->", a, np.cross(b, c)) / 6)


@lru_cache(maxsize=512)
def _loft_faces(rings: int, sides: int, loop: bool) -> Int32[np.ndarray, "F 3"]:
    here = np.arange(sides)
    there = (here + 1) % sides
    faces = []
    for ring in range(rings if loop else rings - 1):
        low, high = ring * sides, (ring + 1) % rings * sides
        faces += [np.stack([low + here, low + there, high + there], 1)]
        faces += [np.stack([low + here, high + there, high + here], 1)]
    if not loop:
        last = (rings - 1) * sides
        faces += [np.stack([there, here, np.full(sides, rings * sides)], 1)]
        faces += [np.stack([last + here, last + there, np.full(sides, rings * sides + 1)], 1)]
    return np.concatenate(faces).astype(np.int32)


def loft(
    rings: Float[np.ndarray, "R K 3"],
    start: Float[np.ndarray, " 3"] | None = None,
    end: Float[np.ndarray, " 3"] | None = None,
    *,
    loop: bool = False,
) -> Solid:
    """Join rings of points; the ends are fans around `start` and `end` (the rings' centres), or joined in a loop."""
    count, sides = rings.shape[:2]
    vertices = rings.reshape(-1, 3)
    if not loop:
        tips = [rings[0].mean(0) if start is None else start, rings[-1].mean(0) if end is None else end]
        vertices = np.concatenate([vertices, np.stack(tips)])
    solid = Solid(vertices, _loft_faces(count, sides, loop))
    return solid if signed_volume(solid) >= 0 else Solid(vertices, solid.faces[:, ::-1])


def box(size: Point, centre: Point = (0, 0, 0), *, bevel: Number = 0) -> Solid:
    """A cuboid, its twelve edges cut off by `bevel`."""
    if bevel <= 0:
        return Solid(_BOX_CORNERS * np.array(size) + np.array(centre), _BOX_FACES)
    cut = min(bevel, 0.45 * min(size))
    x, y, z = size[0] / 2, size[1] / 2, size[2] / 2
    signs = np.array([[1, 1], [-1, 1], [-1, -1], [1, -1]])
    inset = np.array([[0, 1], [1, 0], [1, 0], [0, 1], [0, 1], [1, 0], [1, 0], [0, 1]])
    edge = (np.array([x, z]) - cut * inset) * signs.repeat(2, axis=0)
    lid = (np.array([x, z]) - cut * (1 + 0.1 * inset)) * signs.repeat(2, axis=0)
    heights = np.array([-y, -y + cut, y - cut, y])
    flat = np.stack([lid, edge, edge, lid])
    rings = np.stack([flat[..., 0], np.broadcast_to(heights[:, None], flat.shape[:2]), flat[..., 1]], -1)
    return loft(rings + np.array(centre))


def _circle(sides: int, phase: float = 0.5) -> Float[np.ndarray, "K 2"]:
    angles = (np.arange(sides) + phase) * (2 * math.pi / sides)
    return np.stack([np.cos(angles), np.sin(angles)], 1)


def _unit(vectors: Float[np.ndarray, "... 3"]) -> Float[np.ndarray, "... 3"]:
    return np.asarray(vectors / np.maximum(np.sqrt((vectors**2).sum(-1, keepdims=True)), 1e-12))


def _tangents(path: Float[np.ndarray, "R 3"], loop: bool) -> Float[np.ndarray, "R 3"]:
    if loop:
        return _unit(np.roll(path, -1, 0) - np.roll(path, 1, 0))
    steps = _unit(path[1:] - path[:-1])
    return _unit(np.concatenate([steps[:1], steps[1:] + steps[:-1], steps[-1:]]))


def _sweep(
    path: Float[np.ndarray, "R 3"],
    across: Float[np.ndarray, " 3"],
    radii: Float[np.ndarray, " R"],
    sides: int,
    loop: bool,
) -> Solid:
    tangents = _tangents(path, loop)
    first = _unit(across - (tangents @ across)[:, None] * tangents)
    second = np.cross(tangents, first)
    circle = _circle(sides)[None] * radii[:, None, None]
    return loft(path[:, None] + circle[..., :1] * first[:, None] + circle[..., 1:] * second[:, None], loop=loop)


def tube(path: Float[np.ndarray, "R 3"], radius: Number, *, sides: int = 8, loop: bool = False) -> Solid:
    """A round tube along a polyline, closed to a ring with `loop`; the path must not bend back by 180 degrees."""
    steps = path[1:] - path[:-1]
    normals = np.cross(steps[:-1], steps[1:])
    across = np.zeros(3)
    if len(normals):
        across = normals[np.argmax((normals**2).sum(-1))]
    if (across**2).sum() < 1e-6 * (steps**2).sum() ** 2:
        across = np.array([0.0, 0.0, 1.0] if abs(steps[0, 2]) < 0.9 * np.abs(steps[0]).sum() else [1.0, 0.0, 0.0])
    return _sweep(path, across, np.full(len(path), float(radius)), sides, loop)


def rod(start: Point, end: Point, radius: Number, end_radius: Number | None = None, *, sides: int = 10) -> Solid:
    """A cylinder, cone or frustum between two points; four sides make a square bar `radius * sqrt(2)` wide."""
    path = np.array([start, end], dtype=np.float64)
    step = np.abs(path[1] - path[0])
    across = np.array([1.0, 0.0, 0.0] if step[0] < 0.9 * step.sum() else [0.0, 1.0, 0.0])
    radii = np.array([radius, radius if end_radius is None else max(end_radius, 1e-4)], dtype=np.float64)
    return _sweep(path, across, radii, sides, False)


def ribbon(
    path: Float[np.ndarray, "R 3"], widths: Float[np.ndarray, " R"], thickness: Number, across: Point, *, sides: int = 6
) -> Solid:
    """A flat blade along a polyline (wing, leaf, fin): `widths` along `across`, thinner where it is narrower."""
    first = _unit(np.array(across, dtype=np.float64))
    second = _unit(np.cross(_tangents(path, False), first))
    circle = _circle(sides, 0.0)
    chord = circle[:, :1] * first * (widths / 2)[:, None, None]
    rise = circle[:, 1:] * second[:, None] * (widths * (thickness / 2 / float(widths.max())))[:, None, None]
    return loft(path[:, None] + chord + rise)


def lathe(profile: Float[np.ndarray, "R 2"], *, sides: int = 24, power: Number = 2) -> Solid:
    """Turn a profile of (radius, height) about the y axis.

    Radius 0 at an end is a tip. `power` above 2 squares the round section (a superellipse).
    """
    circle = _circle(sides)
    circle = circle / (np.abs(circle) ** power).sum(1, keepdims=True) ** (1 / power)
    tips = [np.array([0.0, height, 0.0]) for height in (profile[0, 1], profile[-1, 1])]
    body = profile[int(profile[0, 0] <= 0) : len(profile) - int(profile[-1, 0] <= 0)]
    rings = np.empty((len(body), sides, 3))
    rings[..., 0] = body[:, :1] * circle[:, 0]
    rings[..., 1] = body[:, 1:]
    rings[..., 2] = body[:, :1] * circle[:, 1]
    return loft(rings, tips[0], tips[1])


def extrude(outline: Float[np.ndarray, "K 2"], depth: Number, *, bevel: Number = 0) -> Solid:
    """Pull an outline in the x-y plane along z, centred; every part of it must be seen from its centre."""
    centre = outline.mean(0)
    inset = 1 - bevel / float(np.abs(outline - centre).max())
    small = centre + (outline - centre) * inset
    layers = [(small, -depth / 2), (outline, bevel - depth / 2), (outline, depth / 2 - bevel), (small, depth / 2)]
    if bevel <= 0:
        layers = layers[1:3]
    return loft(np.stack([np.column_stack([flat, np.full(len(flat), float(z))]) for flat, z in layers]))


def ellipsoid(radii: Point, centre: Point = (0, 0, 0), *, sides: int = 14, rings: int = 7) -> Solid:
    """A sphere stretched to three radii."""
    angles = np.linspace(-math.pi / 2, math.pi / 2, rings + 2)
    profile = np.stack([np.cos(angles), np.sin(angles)], 1)
    profile[[0, -1], 0] = 0
    ball = lathe(profile, sides=sides)
    return Solid(ball.vertices * np.array(radii) + np.array(centre), ball.faces)


def rounded_box(size: Point, centre: Point = (0, 0, 0), *, radius: Number, steps: int = 2) -> Solid:
    """A cuboid with round edges, for cushions and casings."""
    r = min(radius, 0.49 * min(size))
    turn = np.linspace(0, math.pi / 2, steps + 1)
    corner = np.concatenate([turn + quarter * math.pi / 2 for quarter in range(4)])
    signs = np.array([[1, 1], [-1, 1], [-1, -1], [1, -1]]).repeat(steps + 1, axis=0)
    core = (np.array([size[0], size[2]]) / 2 - r) * signs
    rise = np.linspace(-0.44 * math.pi, 0.44 * math.pi, 2 * steps + 2)
    flat = core + r * np.cos(rise)[:, None, None] * np.stack([np.cos(corner), np.sin(corner)], 1)
    height = np.sign(rise) * (size[1] / 2 - r) + r * np.sin(rise) / math.sin(0.44 * math.pi)
    rings = np.stack([flat[..., 0], np.broadcast_to(height[:, None], flat.shape[:2]), flat[..., 1]], -1)
    return loft(rings + np.array(centre))
