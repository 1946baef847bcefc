"""Encoders by one short text: a folder, published weights, an ONNX file, a Python callable, or random:NAME.

A run folder holds `encoder/` and `image_encoder/`.
"""

import warnings
from pathlib import Path

from crosspoint3d.config import UsageError
from crosspoint3d.models.callable_encoder import SPEC, CallableEncoder
from crosspoint3d.models.encoders import KINDS, WithEncoder
from crosspoint3d.models.folder import CONFIG, unfinished
from crosspoint3d.models.onnx_encoder import OnnxEncoder
from crosspoint3d.models.published import SUFFIXES, load_published
from crosspoint3d.models.tower import Tower, build_from, build_tower, load_tower

RANDOM_HEADS = {
    "dgcnn": {"in_dims": 2048, "hidden_dims": 1024, "out_dims": 256, "bias": True},
    "pointnet": {"in_dims": 1024, "hidden_dims": 512, "out_dims": 256, "bias": True},
    "dgcnn-partseg": {"in_dims": 1024, "hidden_dims": 1024, "out_dims": 256, "bias": True},
    "pointnet-partseg": {"in_dims": 2048, "hidden_dims": 1024, "out_dims": 256, "bias": True},
    "transformer": {"in_dims": 768, "hidden_dims": 384, "out_dims": 256, "bias": True},
}
FORMS = (
    "a run folder, an encoder folder, published weights (.pth, .pt, .ckpt, .t7, .safetensors), onnx:FILE, "
    "module:function, random:dgcnn, random:pointnet, random:dgcnn-partseg, random:pointnet-partseg or "
    "random:transformer"
)


def _random(spec: str, seed: int) -> Tower:
    kind = spec.removeprefix("random:")
    if kind not in RANDOM_HEADS:
        raise UsageError(f"encoder {spec!r}: known are {', '.join(f'random:{name}' for name in RANDOM_HEADS)}")
    return build_tower({"kind": kind, "encoder": {}, "head": RANDOM_HEADS[kind]}, seed).eval()


def is_published(spec: str | Path) -> bool:
    """Whether a spec names a file of weights rather than a folder."""
    path = Path(spec)
    return path.is_file() or (path.suffix in SUFFIXES and not path.is_dir())


def _is_callable(spec: str | Path) -> bool:
    return SPEC.fullmatch(str(spec)) is not None and not Path(spec).exists()


def has_twin(spec: str | Path) -> bool:
    """Whether an encoder can be built anew with fresh weights: all but ONNX files and Python callables."""
    text = str(spec)
    if text.startswith("random:"):
        return True
    return not (text.startswith("onnx:") or _is_callable(spec))


def _folder(spec: str | Path, inner: str) -> Path:
    path = Path(spec)
    if not path.is_dir():
        raise UsageError(f"encoder {path}: no such folder; use {FORMS}")
    if (path / inner).is_dir():
        return path / inner
    if (path / CONFIG).is_file():
        return path
    remedy = unfinished(path) or f"use {FORMS}"
    raise UsageError(f"encoder {path}: neither {inner}/ nor {CONFIG} is in this folder; {remedy}")


def _check(tower: Tower, path: str | Path, image: bool) -> Tower:
    if (KINDS[type(tower.encoder)] == "image") != image:
        wanted, other = ("pictures", "clouds") if image else ("clouds", "pictures")
        raise UsageError(f"encoder {path}: it encodes {other}, but an encoder of {wanted} is needed")
    return tower


def _own(spec: str | Path, inner: str) -> Tower:
    """The tower in published weights or in a folder: a network of this package."""
    if is_published(spec):
        return _check(load_published(Path(spec)), spec, image=inner == "image_encoder")
    folder = _folder(spec, inner)
    return _check(load_tower(folder), folder, image=inner == "image_encoder")


def load_encoder(spec: str | Path, k: int | None = None, seed: int = 0) -> Tower:
    """A point encoder in eval mode on the CPU: `load_encoder(spec)(points (B, N, 3)) -> features (B, D)`.

    Args:
        spec: a run folder, an encoder folder, a file of published weights (CrossPoint, STRL, DGCNN; see
            `load_published`), `onnx:FILE`, `module:function` (any Python callable; imports the module),
            `random:dgcnn`, `random:pointnet`, `random:dgcnn-partseg`, `random:pointnet-partseg`, `random:transformer`.
        k: neighbours in DGCNN's graphs instead of the recorded number. Published weights record none: without `k` the
            number that the network is known for is taken, with a warning.
        seed: of the weights of a random encoder.

    Raises:
        UsageError: the spec names nothing that can be loaded, or `k` does not apply.
    """
    text = str(spec)
    if text.startswith("random:"):
        tower = _random(text, seed)
    elif text.startswith("onnx:"):
        tower = Tower(OnnxEncoder(Path(text.removeprefix("onnx:"))), None).eval()
    elif _is_callable(spec):
        tower = Tower(CallableEncoder(text), None).eval()
    else:
        tower = _own(spec, "encoder")
    settle_k(tower, k)
    return tower


def settle_k(network: WithEncoder, k: int | None) -> None:
    """Set the neighbours of a network's graphs, or warn that nobody said how many published weights were trained with.

    Raises:
        UsageError: the encoder has no graphs, or `k` is below 1.
    """
    if k is not None:
        network.k = k
    if network.origin is not None and network.k is not None:
        network.origin["k"] = "assumed" if k is None else "given"
        if k is None:
            warnings.warn(
                f"{network.origin['file']}: published weights do not record k; k={network.k} is assumed, as usual for "
                f"the {network.origin['layout']}; if it was trained with another one, say so by k (--k)",
                stacklevel=3,
            )


def load_image_encoder(spec: str | Path) -> Tower:
    """An image encoder in eval mode on the CPU.

    `encoder(images)` takes ImageNet-normalised pictures (B, 3, H, W) to features (B, D), and
    `encoder.project(features)` takes these to the joint space.

    Args:
        spec: a run folder, an image encoder's folder, or the published weights of CrossPoint's image branch.

    Raises:
        UsageError: the spec names nothing that can be loaded.
    """
    return _own(spec, "image_encoder")


def untrained(spec: str | Path, seed: int, k: int | None = None) -> Tower:
    """A point encoder of the architecture of `spec` with fresh weights, in eval mode, to compare with.

    Args:
        spec: as for `load_encoder`, but no ONNX file and no callable (`has_twin`).
        seed: of the weights.
        k: neighbours in DGCNN's graphs instead of the recorded number.

    Raises:
        UsageError: as for `load_encoder`, or the architecture is not known.
    """
    if str(spec).startswith("random:"):
        return load_encoder(spec, k=k, seed=seed)
    if not has_twin(spec):
        raise UsageError(f"encoder {spec}: its architecture is not known, so there is no untrained twin")
    tower = _twin(spec, "encoder", seed)
    if k is not None:
        tower.k = k
    return tower


def untrained_image(spec: str | Path, seed: int) -> Tower:
    """An image encoder of the architecture of `spec` with fresh weights, in eval mode.

    Args:
        spec: as for `load_image_encoder`.
        seed: of the weights.

    Raises:
        UsageError: as for `load_image_encoder`.
    """
    return _twin(spec, "image_encoder", seed)


def _twin(spec: str | Path, inner: str, seed: int) -> Tower:
    if is_published(spec):
        return build_tower(_own(spec, inner).config(), seed).eval()
    folder = _folder(spec, inner)
    return _check(build_from(folder, seed), folder, image=inner == "image_encoder").eval()
