"""Damages of clouds for robustness evaluations: whole sets at once, parameters drawn anew for every shape.

Clouds come centred on their mean with largest radius 1, y up. What changes where a shape's points lie, or which of them
there are, gives clouds that are normalised anew, as the encoder would get a real scan; rotations, uniform scales and
outliers are left as they fall. No function edits its input, and all randomness is the generator's.

Axis letters: N clouds, P points, Q points that are left.
"""

import math

import numpy as np
from jaxtyping import Float32, Float64, Int64

HALVINGS = 60
"""Halvings of the interval that an angle lies in: more than a double has bits."""


def normalise(points: Float32[np.ndarray, "N P 3"]) -> Float32[np.ndarray, "N P 3"]:
    """Centre every cloud on its mean, largest radius 1; a cloud of one place stays at 0."""
    wide = points.astype(np.float64)
    wide -= wide.mean(axis=1, keepdims=True)
    radius = np.linalg.norm(wide, axis=2).max(axis=1)[:, None, None]
    result: np.ndarray = (wide / np.where(radius > 0, radius, 1.0)).astype(np.float32)
    return result


def rotate_z(
    points: Float32[np.ndarray, "N P 3"], generator: np.random.Generator, *, degrees: float = 180.0
) -> Float32[np.ndarray, "N P 3"]:
    """Turn every cloud about the vertical by an angle from U(-degrees, degrees).

    The vertical is y here; the literature, whose shapes stand on the xy plane, calls this rotation z.
    """
    bound = math.radians(degrees)
    angle = generator.uniform(-bound, bound, len(points))
    cos, sin = np.cos(angle)[:, None], np.sin(angle)[:, None]
    x, z = points[:, :, 0], points[:, :, 2]
    turned: np.ndarray = np.stack([cos * x + sin * z, points[:, :, 1], cos * z - sin * x], axis=2)
    return turned.astype(np.float32)


def so3(
    points: Float32[np.ndarray, "N P 3"], generator: np.random.Generator, *, degrees: float = 180.0
) -> Float32[np.ndarray, "N P 3"]:
    """Turn every cloud by a rotation drawn uniformly from all that turn by at most `degrees`; 180 is all of SO(3)."""
    matrices = rotations(len(points), generator, degrees=degrees)
    turned: np.ndarray = points @ matrices.transpose(0, 2, 1)
    return turned.astype(np.float32)


def rotations(count: int, generator: np.random.Generator, *, degrees: float = 180.0) -> Float64[np.ndarray, "N 3 3"]:
    """Rotation matrices, uniform (Haar) among those of an angle up to `degrees`, for column vectors.

    The axis is uniform on the sphere, and the angle t has the density 1 - cos t (Miles 1965), so that
    `(t - sin t) / (m - sin m)` is uniform up to the bound m; it is inverted by halving.
    """
    axis = directions(count, generator)
    bound = math.radians(degrees)
    wanted = generator.random(count) * (bound - math.sin(bound))
    low, high = np.zeros(count), np.full(count, bound)
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        below = middle - np.sin(middle) < wanted
        low, high = np.where(below, middle, low), np.where(below, high, middle)
    cos, sin = np.cos(high)[:, None, None], np.sin(high)[:, None, None]
    x, y, z = axis.T
    zero = np.zeros(count)
    cross = np.stack([zero, -z, y, z, zero, -x, -y, x, zero], axis=1).reshape(count, 3, 3)
    outer = axis[:, :, None] * axis[:, None, :]
    result: np.ndarray = cos * np.eye(3) + sin * cross + (1 - cos) * outer
    return result


def directions(count: int, generator: np.random.Generator) -> Float64[np.ndarray, "N 3"]:
    """Unit vectors, uniform on the sphere."""
    vectors = generator.normal(size=(count, 3))
    result: np.ndarray = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    return result


def jitter(
    points: Float32[np.ndarray, "N P 3"], generator: np.random.Generator, *, sigma: float
) -> Float32[np.ndarray, "N P 3"]:
    """Move every coordinate by normal noise of standard deviation `sigma`, unclipped, then normalise."""
    noise = generator.normal(0.0, sigma, points.shape)
    return normalise((points + noise).astype(np.float32))


def fewer(
    points: Float32[np.ndarray, "N P 3"], generator: np.random.Generator, *, count: int
) -> Float32[np.ndarray, "N Q 3"]:
    """`count` of every cloud's points, a random subset in the order of the cloud, normalised.

    Raises:
        ValueError: `count` is below 1 or above the number of points.
    """
    rows = _subsets(len(points), points.shape[1], count, generator)
    return normalise(np.take_along_axis(points, rows[:, :, None], axis=1))


def drop(
    points: Float32[np.ndarray, "N P 3"], generator: np.random.Generator, *, share: float
) -> Float32[np.ndarray, "N P 3"]:
    """Replace a share of every cloud's points by copies of the first one kept, as CrossPoint's augmentation does.

    Exactly `round(share * P)` points go, but one stays; the others keep their places in the order. Mean and radius are
    those of the points that stay: copies give them no more weight, so this is `fewer` filled up to the old count.
    """
    available = points.shape[1]
    kept = max(1, available - round(share * available))
    rows = _subsets(len(points), available, kept, generator)
    left = normalise(np.take_along_axis(points, rows[:, :, None], axis=1))
    result = np.repeat(left[:, :1], available, axis=1)
    np.put_along_axis(result, rows[:, :, None], left, axis=1)
    return result


def partial(
    points: Float32[np.ndarray, "N P 3"], generator: np.random.Generator, *, share: float
) -> Float32[np.ndarray, "N Q 3"]:
    """The share of every cloud's points that is nearest to a camera, in the order of the cloud, normalised.

    The camera stands far away in a direction drawn uniformly from the sphere, so depth is all that decides: no point
    hides another. Of P points the `round(share * P)` nearest stay, but at least one.
    """
    towards = directions(len(points), generator)
    depth = np.einsum("npc,nc->np", points.astype(np.float64), towards)
    kept = seen(points.shape[1], share)
    rows = np.sort(np.argsort(-depth, axis=1, kind="stable")[:, :kept], axis=1)
    return normalise(np.take_along_axis(points, rows[:, :, None], axis=1))


def seen(available: int, share: float) -> int:
    """How many of a cloud's points `partial` keeps."""
    return max(1, round(share * available))


def scale(
    points: Float32[np.ndarray, "N P 3"], generator: np.random.Generator, *, factor: float
) -> Float32[np.ndarray, "N P 3"]:
    """Multiply all clouds by one factor and leave them so: what an encoder makes of a size it was not trained on.

    Nothing is drawn.
    """
    result: np.ndarray = points * np.float32(factor)
    return result


def stretch(
    points: Float32[np.ndarray, "N P 3"], generator: np.random.Generator, *, low: float = 2 / 3, high: float = 3 / 2
) -> Float32[np.ndarray, "N P 3"]:
    """Multiply each axis of every cloud by a factor of its own from U(low, high), then normalise."""
    factors = generator.uniform(low, high, (len(points), 1, 3))
    return normalise((points * factors).astype(np.float32))


def outliers(
    points: Float32[np.ndarray, "N P 3"], generator: np.random.Generator, *, share: float
) -> Float32[np.ndarray, "N P 3"]:
    """Replace a share of every cloud's points by uniform ones in the unit ball; the others stay where they are.

    Exactly `round(share * P)` points, at least one.
    """
    clouds, available = points.shape[:2]
    count = max(1, round(share * available))
    rows = _subsets(clouds, available, count, generator)
    radius = np.cbrt(generator.random((clouds, count, 1)))
    places = radius * directions(clouds * count, generator).reshape(clouds, count, 3)
    result = points.astype(np.float32, copy=True)
    np.put_along_axis(result, rows[:, :, None], places.astype(np.float32), axis=1)
    return result


def _subsets(clouds: int, available: int, count: int, generator: np.random.Generator) -> Int64[np.ndarray, "N Q"]:
    """Rows of random points of every cloud, ascending."""
    if not 1 <= count <= available:
        raise ValueError(f"count={count}: pick between 1 and the {available} points there are")
    order = generator.permuted(np.tile(np.arange(available), (clouds, 1)), axis=1)
    result: np.ndarray = np.sort(order[:, :count], axis=1)
    return result
