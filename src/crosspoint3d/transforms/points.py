"""Augmentations of point clouds: a whole batch at once, with random parameters of its own for every sample.

No function edits its input. Axis letters: B samples, N points. y is up. Generators live on the points' device.
"""

import math
from collections.abc import Collection
from typing import Literal

import torch
from jaxtyping import Float, Int64
from torch import Generator, Tensor

STEPS = ("scale", "turn", "translate", "jitter", "drop")
"""The augmentations of `augment_points` that can be left out, in their order."""


def _uniform(shape: tuple[int, ...], low: float, high: float, like: Tensor, generator: Generator) -> Tensor:
    return torch.empty(shape, dtype=like.dtype, device=like.device).uniform_(low, high, generator=generator)


def _centre(points: Tensor) -> tuple[Tensor, Tensor]:
    """Clouds about their means, and their radii (B, 1), 1 where a cloud is one place."""
    centred = points - points.mean(1, keepdim=True)
    radius = torch.linalg.vector_norm(centred, dim=2).amax(1)[:, None]
    return centred, radius.masked_fill(radius == 0, 1)


def normalise(points: Float[Tensor, "B N 3"]) -> Float[Tensor, "B N 3"]:
    """Centre every cloud on its mean and divide it by its largest radius (a cloud of one place stays at 0)."""
    centred, radius = _centre(points)
    return centred / radius[:, :, None]


def scale(points: Float[Tensor, "B N 3"], low: float, high: float, generator: Generator) -> Float[Tensor, "B N 3"]:
    """Multiply every cloud by one factor from U(low, high)."""
    return points * _uniform((len(points), 1, 1), low, high, points, generator)


def rotate_y(points: Float[Tensor, "B N 3"], generator: Generator) -> Float[Tensor, "B N 3"]:
    """Turn every cloud about the y axis (up) by an angle from U(0, 2 pi)."""
    angle = _uniform((len(points), 1), 0.0, 2 * math.pi, points, generator)
    x, y, z = points.unbind(2)
    cos, sin = angle.cos(), angle.sin()
    return torch.stack([cos * x + sin * z, y, cos * z - sin * x], dim=2)


def translate(points: Float[Tensor, "B N 3"], fraction: float, generator: Generator) -> Float[Tensor, "B N 3"]:
    """Shift every cloud along each axis by U(-fraction, fraction) of its extent (largest less smallest) there."""
    extent = points.amax(1, keepdim=True) - points.amin(1, keepdim=True)
    return torch.addcmul(points, extent, _uniform((len(points), 1, 3), -fraction, fraction, points, generator))


def jitter(points: Float[Tensor, "B N 3"], sigma: float, clip: float, generator: Generator) -> Float[Tensor, "B N 3"]:
    """Move every point by normal noise of standard deviation `sigma`, each coordinate clipped at +-`clip`."""
    noise = torch.empty_like(points).normal_(0, sigma, generator=generator)
    return noise.clamp_(-clip, clip).add_(points)


def drop(points: Float[Tensor, "B N 3"], max_ratio: float, generator: Generator) -> Float[Tensor, "B N 3"]:
    """Drop each point with a probability drawn for the cloud from U(0, max_ratio).

    Dropped points become copies of the cloud's first, so that the shape of the batch stays (CrossPoint's way).
    """
    ratio = _uniform((len(points), 1), 0.0, max_ratio, points, generator)
    dropped = _uniform(tuple(points.shape[:2]), 0.0, 1.0, points, generator) < ratio
    return torch.where(dropped[:, :, None], points[:, :1], points)


def stretch(points: Float[Tensor, "B N 3"], low: float, high: float, generator: Generator) -> Float[Tensor, "B N 3"]:
    """Multiply every cloud by a factor from U(low, high) along each axis."""
    return points * _uniform((len(points), 1, 3), low, high, points, generator)


def shift(points: Float[Tensor, "B N 3"], reach: float, generator: Generator) -> Float[Tensor, "B N 3"]:
    """Move every cloud by U(-reach, reach) along each axis, in the cloud's own unit."""
    return points + _uniform((len(points), 1, 3), -reach, reach, points, generator)


def subsample(points: Float[Tensor, "B N 3"], count: int, generator: Generator) -> Float[Tensor, "B M 3"]:
    """`count` different points of every cloud, a random subset of its own for each, in random order.

    Raises:
        ValueError: a cloud has fewer than `count` points, or `count` is below 1.
    """
    chosen = random_subsets(points, count, generator)
    return points.gather(1, chosen[:, :, None].expand(-1, -1, 3))


def random_subsets(points: Float[Tensor, "B N 3"], count: int, generator: Generator) -> Int64[Tensor, "B M"]:
    """The places of the points that `subsample` takes, for what belongs to them; errors as of it."""
    available = points.shape[1]
    if not 1 <= count <= available:
        raise ValueError(f"subsample: count={count} must be between 1 and the clouds' {available} points")
    rank = _uniform((len(points), available), 0.0, 1.0, points.new_empty(0, dtype=torch.float32), generator)
    chosen: Tensor = rank.topk(count, dim=1).indices
    return chosen


def augment_points(
    points: Float[Tensor, "B N 3"],
    recipe: Literal["default", "paper", "none"],
    generator: Generator,
    without: Collection[str] = (),
) -> Float[Tensor, "B N 3"]:
    """One random view of every cloud.

    Both recipes normalise, scale, rotate about y, translate, jitter and drop points, in this order:

    - `paper` (arXiv 2203.00680 and its code): scale U(0.5, 2), full turn, translation up to 0.5 of the extent, jitter
      of sigma 0.01 clipped at 0.05, drop ratio U(0, 0.875);
    - `default`: scale U(0.8, 1.25), full turn, translation up to 0.2, the same jitter, drop ratio U(0, 0.5). Evaluated
      clouds are normalised, so large scales and shifts only ask the encoder to undo them;
    - `none` normalises and draws nothing.

    Args:
        points: clouds (B, N, 3), y up, any scale.
        recipe: `default`, `paper` or `none`.
        generator: on the device of `points`.
        without: steps to leave out, of `STEPS`; the others draw the same numbers as ever. Other names are ignored.

    Raises:
        ValueError: the recipe has another name.
    """
    if recipe == "none":
        return normalise(points)
    if recipe == "paper":
        factors, shift, ratio = (0.5, 2.0), 0.5, 0.875
    elif recipe == "default":
        factors, shift, ratio = (0.8, 1.25), 0.2, 0.5
    else:
        raise ValueError(f"augment_points: recipe={recipe!r} must be 'default', 'paper' or 'none'")
    low, high = (1.0, 1.0) if "scale" in without else factors
    turned = _upright(points, low, high, 0.0 if "turn" in without else 2 * math.pi, generator)
    placed = translate(turned, 0.0 if "translate" in without else shift, generator)
    noisy = jitter(placed, 0.0 if "jitter" in without else 0.01, 0.05, generator)
    return drop(noisy, 0.0 if "drop" in without else ratio, generator)


def augment_labelled(
    points: Float[Tensor, "B N 3"], recipe: Literal["none", "shift", "turn"], generator: Generator
) -> Float[Tensor, "B N 3"]:
    """One random view of every labelled cloud: no point is dropped and their order stays, so labels stay aligned.

    - `none`: the clouds as they are;
    - `shift` (DGCNN, arXiv 1801.07829, and its code): stretch U(2/3, 3/2) an axis, then shift U(-0.2, 0.2) an axis;
    - `turn`: full turn about y, then `shift`, then jitter of sigma 0.01 clipped at 0.05.

    Args:
        points: clouds (B, N, 3), y up, normalised.
        recipe: `none`, `shift` or `turn`.
        generator: on the device of `points`.

    Raises:
        ValueError: the recipe has another name.
    """
    if recipe == "none":
        return points
    if recipe == "shift":
        return shift(stretch(points, 2 / 3, 3 / 2, generator), 0.2, generator)
    if recipe == "turn":
        turned = rotate_y(points, generator)
        return jitter(augment_labelled(turned, "shift", generator), 0.01, 0.05, generator)
    raise ValueError(f"augment_labelled: recipe={recipe!r} must be 'none', 'shift' or 'turn'")


def _upright(points: Tensor, low: float, high: float, turn: float, generator: Generator) -> Tensor:
    """`scale(normalise(points), low, high)`, then turned about y by U(0, turn), as one matrix a cloud."""
    centred, radius = _centre(points)
    gain = _uniform((len(points), 1), low, high, points, generator) / radius
    angle = _uniform((len(points), 1), 0.0, turn, points, generator)
    cos, sin, zero = gain * angle.cos(), gain * angle.sin(), torch.zeros_like(gain)
    matrix = torch.cat([cos, zero, -sin, zero, gain, zero, sin, zero, cos], dim=1).reshape(-1, 3, 3)
    return centred @ matrix
