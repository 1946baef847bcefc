"""Pure maths on numpy arrays: normalisation, surface sampling, cameras, rotations, farthest points.

Axis letters: N points, V vertices (or views), F faces, P samples. World axes are right-handed with y up.
"""

import math
from typing import Literal

import numpy as np
from jaxtyping import Float, Float32, Float64, Int, Int64

FIELD_OF_VIEW = math.radians(40.0)
"""Full opening angle of every camera in radians, across and up."""
HALF_ANGLE_TANGENT = math.tan(FIELD_OF_VIEW / 2)
"""Half the height of what a camera sees at distance 1."""
CAMERA_DISTANCE = 1.04 / math.sin(FIELD_OF_VIEW / 2)
"""Distance from the origin at which a sphere of radius 1.04 just fills the picture: the unit sphere and a margin."""


def normalise(points: Float[np.ndarray, "N 3"]) -> tuple[Float32[np.ndarray, "N 3"], Float64[np.ndarray, " 3"], float]:
    """Centre a cloud on its mean and scale its largest radius to 1.

    Args:
        points: positions, any unit.

    Returns:
        The normalised points, the centre and the radius that were taken away: `(points - centre) / scale`.

    Raises:
        ValueError: no points, a value that is not finite, or points that all coincide (nothing to scale).
    """
    if len(points) == 0:
        raise ValueError("points is empty: nothing to normalise")
    wide = points.astype(np.float64)
    if not np.isfinite(wide).all():
        raise ValueError("points holds a value that is not finite")
    centre = wide.mean(axis=0)
    wide = wide - centre
    scale = float(np.sqrt((wide**2).sum(axis=1).max()))
    if scale <= 1e-12 * float(np.abs(centre).max()) or scale == 0.0:
        raise ValueError(f"all {len(points)} points coincide at {centre.tolist()}: a shape needs extent")
    return (wide / scale).astype(np.float32), centre, scale


def _face_crosses(vertices: Float[np.ndarray, "V 3"], faces: Int[np.ndarray, "F 3"]) -> Float64[np.ndarray, "F 3"]:
    corners = vertices.astype(np.float64)[faces]
    crosses: np.ndarray = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    return crosses


def face_areas(vertices: Float[np.ndarray, "V 3"], faces: Int[np.ndarray, "F 3"]) -> Float64[np.ndarray, " F"]:
    """Area of every triangle, in squared units of the vertices."""
    areas: np.ndarray = 0.5 * np.linalg.norm(_face_crosses(vertices, faces), axis=1)
    return areas


def face_normals(vertices: Float[np.ndarray, "V 3"], faces: Int[np.ndarray, "F 3"]) -> Float32[np.ndarray, "F 3"]:
    """Unit normal of every triangle by the right-hand rule; zero where the triangle has no area."""
    crosses = _face_crosses(vertices, faces)
    lengths = np.linalg.norm(crosses, axis=1, keepdims=True)
    normals: np.ndarray = (crosses / np.where(lengths > 0, lengths, 1.0)).astype(np.float32)
    return normals


def sample_surface(
    vertices: Float[np.ndarray, "V 3"],
    faces: Int[np.ndarray, "F 3"],
    count: int,
    generator: np.random.Generator,
) -> tuple[Float32[np.ndarray, "P 3"], Int64[np.ndarray, " P"], Float32[np.ndarray, "P 3"]]:
    """Draw points uniformly from a surface: a face by its area, then a place within it (Osada et al. 2002).

    Args:
        vertices: positions.
        faces: vertex indices.
        count: points to draw, independent of each other.
        generator: source of randomness; each call draws `3 * count` numbers from it.

    Returns:
        Points, the face each lies on, and its barycentric weights there (rows sum to 1).

    Raises:
        ValueError: the surface has no area, or its area is not finite.
    """
    cumulative = np.cumsum(face_areas(vertices, faces))
    if len(cumulative) == 0 or not cumulative[-1] > 0 or not np.isfinite(cumulative[-1]):
        total = cumulative[-1] if len(cumulative) else 0.0
        raise ValueError(f"the {len(faces)} faces have a total area of {total:g}: no surface to sample")
    draws = generator.random((3, count))
    picked = np.searchsorted(cumulative, draws[0] * cumulative[-1], side="right")
    last = np.searchsorted(cumulative, cumulative[-1], side="left")
    face_index = np.minimum(picked, last).astype(np.int64)
    root = np.sqrt(draws[1])
    weights = np.stack([1.0 - root, root * (1.0 - draws[2]), root * draws[2]], axis=1)
    corners = vertices.astype(np.float64)[faces[face_index]]
    points = np.einsum("pc,pcx->px", weights, corners)
    return points.astype(np.float32), face_index, weights.astype(np.float32)


def ring_poses(views: int, generator: np.random.Generator) -> Float32[np.ndarray, "V 3"]:
    """Camera poses around a shape, rows of azimuth (rad), elevation (rad) and distance from the origin.

    The first half (rounded up) stands evenly on a ring at 30 degrees elevation that starts at a random azimuth; the
    others have a random azimuth and an elevation between -20 and 70 degrees, uniform in both angles.
    """
    ring = (views + 1) // 2
    start = generator.uniform(0.0, 2 * math.pi)
    free = generator.uniform((0.0, math.radians(-20.0)), (2 * math.pi, math.radians(70.0)), (views - ring, 2))
    poses = np.full((views, 3), CAMERA_DISTANCE)
    poses[:ring, 0] = (start + 2 * math.pi * np.arange(ring) / max(ring, 1)) % (2 * math.pi)
    poses[:ring, 1] = math.radians(30.0)
    poses[ring:, :2] = free
    return poses.astype(np.float32)


def camera_matrix(pose: Float[np.ndarray, " 3"]) -> Float32[np.ndarray, "4 4"]:
    """World-to-camera matrix of a camera that looks at the origin.

    Azimuth 0, elevation 0 stands on the +z axis and sees +x to the right; a positive azimuth walks towards +x, a
    positive elevation climbs towards +y. Camera axes: x right, y up, looking along -z, so depth is `-z`. Defined
    straight above and below too, where the azimuth decides what is up.

    Args:
        pose: azimuth (rad), elevation (rad), distance.
    """
    azimuth, elevation, distance = (float(value) for value in pose)
    sin_a, cos_a, sin_e, cos_e = math.sin(azimuth), math.cos(azimuth), math.sin(elevation), math.cos(elevation)
    return np.array(
        [
            [cos_a, 0.0, -sin_a, 0.0],
            [-sin_e * sin_a, cos_e, -sin_e * cos_a, 0.0],
            [cos_e * sin_a, sin_e, cos_e * cos_a, -distance],
            [0.0, 0.0, 0.0, 1.0],
        ],
        dtype=np.float32,
    )


def fitting_distance(points: Float[np.ndarray, "N 3"], azimuth: float, elevation: float, fill: float) -> float:
    """The least distance of a camera from the origin at which all points lie in the middle of its picture.

    Args:
        points: in the space of the poses.
        azimuth: rad.
        elevation: rad.
        fill: share of half the picture that they may reach.
    """
    turned = points @ camera_matrix(np.array([azimuth, elevation, 0.0]))[:3, :3].astype(np.float64).T
    reach = np.abs(turned[:, :2]).max(axis=1) / (HALF_ANGLE_TANGENT * fill)
    return float((turned[:, 2] + reach).max())


def rotation_about(axis: Literal["x", "y", "z"], angle: float) -> Float32[np.ndarray, "3 3"]:
    """Matrix R that turns column vectors by `angle` radians about an axis (rows: `points @ R.T`)."""
    first, second = {"x": (1, 2), "y": (2, 0), "z": (0, 1)}[axis]
    matrix = np.eye(3, dtype=np.float32)
    matrix[first, first] = matrix[second, second] = math.cos(angle)
    matrix[second, first] = math.sin(angle)
    matrix[first, second] = -math.sin(angle)
    return matrix


def up_rotation(up: Literal["x", "y", "z"]) -> Float32[np.ndarray, "3 3"]:
    """Rotation R that makes the named axis point along +y: z-up files become y-up by `vertices @ R.T`.

    An exact signed permutation; z up maps (x, y, z) to (x, z, -y), x up maps it to (-y, x, z).
    """
    rows = {
        "x": [[0, -1, 0], [1, 0, 0], [0, 0, 1]],
        "y": [[1, 0, 0], [0, 1, 0], [0, 0, 1]],
        "z": [[1, 0, 0], [0, 0, 1], [0, -1, 0]],
    }
    return np.array(rows[up], dtype=np.float32)


def random_rotation(generator: np.random.Generator) -> Float32[np.ndarray, "3 3"]:
    """A rotation drawn uniformly from SO(3), from a normalised Gaussian quaternion (Shoemake 1992)."""
    w, x, y, z = generator.normal(size=4)
    s = 2.0 / (w * w + x * x + y * y + z * z)
    return np.array(
        [
            [1 - s * (y * y + z * z), s * (x * y - w * z), s * (x * z + w * y)],
            [s * (x * y + w * z), 1 - s * (x * x + z * z), s * (y * z - w * x)],
            [s * (x * z - w * y), s * (y * z + w * x), 1 - s * (x * x + y * y)],
        ],
        dtype=np.float32,
    )


def farthest_points(
    points: Float[np.ndarray, "N 3"], count: int, generator: np.random.Generator
) -> Int64[np.ndarray, " P"]:
    """Indices of a well-spread subset: each next point is the one farthest from those already taken.

    Starts at a random point; ties go to the lower index (Gonzalez 1985).

    Raises:
        ValueError: `count` is below 1 or above the number of points.
    """
    if not 1 <= count <= len(points):
        raise ValueError(f"count={count}: pick between 1 and the {len(points)} points there are")
    wide = points.astype(np.float64)
    chosen = np.empty(count, dtype=np.int64)
    chosen[0] = generator.integers(len(points))
    distance = np.full(len(points), np.inf)
    for step in range(1, count):
        np.minimum(distance, ((wide - wide[chosen[step - 1]]) ** 2).sum(axis=1), out=distance)
        distance[chosen[step - 1]] = -1.0
        chosen[step] = int(distance.argmax())
    return chosen
