"""Features kept on disk, so that a second evaluation of the same encoder on the same clouds computes none.

A file is named by a hash over all that decides its values: weights and architecture, clouds, k, device, and the
versions of this package and of torch. The folder is `$CROSSPOINT3D_CACHE`, or `~/.cache/crosspoint3d/features`; it may
be deleted at any time.
"""

import hashlib
import json
import os
import warnings
import zipfile
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float32
from torch import nn

import crosspoint3d
from crosspoint3d import __version__
from crosspoint3d.evaluation.features import compute_features
from crosspoint3d.models import Tower
from crosspoint3d.models.callable_encoder import CallableEncoder
from crosspoint3d.models.onnx_encoder import OnnxEncoder
from crosspoint3d.runtime import atomic

FOLDER = "CROSSPOINT3D_CACHE"
"""The environment variable that names the folder."""


def cache_folder() -> Path:
    """Where features are kept; it need not exist."""
    if given := os.environ.get(FOLDER):
        return Path(given)
    return Path.home() / ".cache" / "crosspoint3d" / "features"


def cached_features(
    tower: nn.Module,
    weights: str | None,
    points: Float32[np.ndarray, "N P 3"],
    *,
    batch_size: int,
    device: torch.device,
    enabled: bool = True,
) -> tuple[Float32[np.ndarray, "N D"], bool]:
    """Features of clouds, read from the cache where it has them, and kept there otherwise.

    A file that is damaged is computed anew, with a warning; a folder that cannot be written to is warned of, too.

    Args:
        tower: the encoder; somebody's own code, of which weights say too little, is always computed.
        weights: SHA-256 of its weights.
        points: clouds.
        batch_size: clouds a forward pass; in eval mode it decides no feature.
        device: where to compute.
        enabled: False computes them, reads nothing and keeps nothing.

    Returns:
        The features, and whether they were read.

    Raises:
        UsageError: a feature is not finite; nothing is kept then.
    """
    key = features_key(tower, weights, points, device) if enabled else None
    if key is None:
        return compute_features(tower, points, batch_size=batch_size, device=device), False
    path = cache_folder() / f"{key}.npz"
    if path.is_file():
        try:
            return _read(path, len(points)), True
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
            warnings.warn(f"{path} is damaged ({error}): its features are computed anew", stacklevel=2)
    features = compute_features(tower, points, batch_size=batch_size, device=device)
    try:
        with atomic(path) as temporary, temporary.open("wb") as file:
            np.savez(file, features=features)
    except OSError as error:
        warnings.warn(f"features are not kept: {path.parent} cannot be written to ({error})", stacklevel=2)
    return features, False


def features_key(
    tower: nn.Module, weights: str | None, points: Float32[np.ndarray, "N P 3"], device: torch.device
) -> str | None:
    """A hash over all that decides the features; None where not all of it is known.

    Args:
        tower: an encoder.
        weights: SHA-256 of its weights.
        points: clouds.
        device: where features are computed.
    """
    architecture = _architecture(tower)
    if architecture is None or weights is None:
        return None
    clouds = hashlib.sha256(np.ascontiguousarray(points).data).hexdigest()
    decisive = {
        "weights": weights,
        "architecture": architecture,
        "k": getattr(tower, "k", None),
        "clouds": clouds,
        "shape": points.shape,
        "device": device.type,
        "package": __version__,
        "torch": torch.__version__,
        "code": _code(),
    }
    return hashlib.sha256(json.dumps(decisive, sort_keys=True).encode()).hexdigest()


def _architecture(tower: nn.Module) -> object:
    """Plain values; the weights of an ONNX file are the hash of the whole file."""
    if not isinstance(tower, Tower) or isinstance(tower.encoder, CallableEncoder):
        return None
    return "onnx" if isinstance(tower.encoder, OnnxEncoder) else tower.config()


def _read(path: Path, shapes: int) -> Float32[np.ndarray, "N D"]:
    with path.open("rb") as handle, np.lib.npyio.NpzFile(handle, allow_pickle=False) as file:
        features: np.ndarray = file["features"]
    if features.dtype != np.float32 or features.ndim != 2 or len(features) != shapes:
        raise ValueError(f"{features.dtype} {features.shape} for {shapes} shapes")
    if not np.isfinite(features).all():
        raise ValueError("values that are not finite")
    return features


@lru_cache(maxsize=1)
def _code() -> str:
    """SHA-256 of the source that turns clouds into features: what is being worked on keeps its version."""
    digest = hashlib.sha256()
    root = Path(crosspoint3d.__file__).parent
    files = sorted(file for folder in ("models", "ops") for file in (root / folder).glob("*.py"))
    for path in [*files, root / "evaluation" / "features.py"]:
        digest.update(path.read_bytes())
    return digest.hexdigest()
