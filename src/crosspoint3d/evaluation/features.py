"""Features of clouds and pictures: the one way in which every evaluation, the report and search get them.

Axis letters: N shapes, P points, D feature width, E projection width.
"""

import io
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch
from jaxtyping import Float32, UInt8
from PIL import Image
from torch import nn
from tqdm import tqdm

from crosspoint3d import models
from crosspoint3d.config import UsageError
from crosspoint3d.transforms.images import to_grey, to_input

SILENT_SECONDS = 5


def subsample(points: Float32[np.ndarray, "N P 3"], count: int, seed: int) -> Float32[np.ndarray, "N C 3"]:
    """A random subset of each cloud's points, drawn anew for each; all points, unchanged, when `count` is P.

    Raises:
        UsageError: `count` is below 1 or above P.
    """
    available = points.shape[1]
    if not 1 <= count <= available:
        raise UsageError(f"--points {count}: the clouds have {available} points, use 1 to {available}")
    if count == available:
        return points
    generator = np.random.default_rng(seed)
    picked = np.empty((len(points), count, 3), dtype=np.float32)
    for row, cloud in enumerate(points):
        picked[row] = cloud[generator.permutation(available)[:count]]
    return picked


def compute_features(
    tower: nn.Module, points: Float32[np.ndarray, "N P 3"], *, batch_size: int, device: str | torch.device
) -> Float32[np.ndarray, "N D"]:
    """Features of clouds, in eval mode and without gradients.

    Args:
        tower: maps (B, P, 3) to (B, D); is moved to `device` and put into eval mode.
        points: clouds.
        batch_size: clouds a forward pass.
        device: where to compute.

    Raises:
        UsageError: a feature is not finite.
    """
    batches = (torch.from_numpy(points[i : i + batch_size]) for i in range(0, len(points), batch_size))
    return _forward(tower, batches, len(points), torch.device(device), "shape")


def compute_image_features(
    tower: nn.Module,
    pictures: Sequence[bytes],
    *,
    image_size: int,
    batch_size: int,
    device: str | torch.device,
    grey: bool = False,
) -> Float32[np.ndarray, "N D"]:
    """Features of encoded pictures (JPEG, WebP, PNG), decoded in threads and resized to `image_size`.

    With `grey` the encoder sees their luminance alone.

    Raises:
        UsageError: a picture cannot be decoded, or a feature is not finite.
    """
    with ThreadPoolExecutor() as pool:

        def batches() -> Iterator[torch.Tensor]:
            for i in range(0, len(pictures), batch_size):
                decoded = list(pool.map(_decode, range(i, len(pictures)), pictures[i : i + batch_size]))
                shapes = {image.shape for image in decoded}
                together = [np.stack(decoded)] if len(shapes) == 1 else [image[None] for image in decoded]
                images = [torch.from_numpy(image).permute(0, 3, 1, 2) for image in together]
                yield torch.cat([to_input(to_grey(image) if grey else image, image_size) for image in images])

        return _forward(tower, batches(), len(pictures), torch.device(device), "picture")


def project(
    tower: models.Tower, features: Float32[np.ndarray, "N D"], *, device: str | torch.device
) -> Float32[np.ndarray, "N E"]:
    """The tower's projections of features that were computed before."""
    with torch.inference_mode():
        rows = torch.from_numpy(features).to(device)
        result: np.ndarray = tower.to(device).eval().project(rows).float().cpu().numpy()
    return result


def _decode(index: int, picture: bytes) -> UInt8[np.ndarray, "H W 3"]:
    try:
        with Image.open(io.BytesIO(picture)) as image:
            return np.array(image.convert("RGB"))
    except (OSError, ValueError, SyntaxError) as error:
        raise UsageError(f"picture {index} cannot be decoded ({len(picture)} bytes): {error}") from error


def _forward(
    tower: nn.Module, batches: Iterator[torch.Tensor], count: int, device: torch.device, what: str
) -> Float32[np.ndarray, "N D"]:
    tower.to(device).eval()
    rows = []
    bar = tqdm(total=count, unit=what, desc="features", delay=SILENT_SECONDS, leave=False, disable=None)
    with torch.inference_mode(), bar:
        for batch in batches:
            rows.append(tower(batch.to(device)).float().cpu().numpy())
            bar.update(len(batch))
    if not rows:
        raise UsageError(f"there is no {what} to compute features of")
    features = np.concatenate(rows)
    bad = np.flatnonzero(~np.isfinite(features).all(axis=1))
    if len(bad):
        raise UsageError(
            f"the encoder gives values that are not finite for {len(bad)} of {count} {what}s "
            f"(first: number {bad[0]}): its weights or its input are broken"
        )
    return features
