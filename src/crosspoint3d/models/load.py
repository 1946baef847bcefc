"""Encoders by one short text: a run folder, an encoder folder, or random:NAME.

A run folder holds `encoder/` and `image_encoder/`.
"""

from pathlib import Path

from crosspoint3d.config import UsageError
from crosspoint3d.models.tower import CONFIG, Tower, build_from, build_tower, load_tower

RANDOM_HEADS = {
    "dgcnn": {"in_dims": 2048, "hidden_dims": 1024, "out_dims": 256, "bias": True},
    "pointnet": {"in_dims": 1024, "hidden_dims": 512, "out_dims": 256, "bias": True},
    "dgcnn-partseg": {"in_dims": 1024, "hidden_dims": 1024, "out_dims": 256, "bias": True},
}
PUBLISHED_SUFFIXES = (".pth", ".pt", ".ckpt", ".t7")
FORMS = "a run folder, an encoder folder, random:dgcnn, random:pointnet or random:dgcnn-partseg"


def _random(spec: str, seed: int) -> Tower:
    kind = spec.removeprefix("random:")
    if kind not in RANDOM_HEADS:
        raise UsageError(f"encoder {spec!r}: known are {', '.join(f'random:{name}' for name in RANDOM_HEADS)}")
    return build_tower({"kind": kind, "encoder": {}, "head": RANDOM_HEADS[kind]}, seed).eval()


def _folder(spec: str | Path, inner: str) -> Path:
    path = Path(spec)
    if path.suffix in PUBLISHED_SUFFIXES:
        raise UsageError(f"encoder {path}: published weights are not supported yet; use {FORMS}")
    if not path.is_dir():
        raise UsageError(f"encoder {path}: no such folder; use {FORMS}")
    if (path / inner).is_dir():
        return path / inner
    if (path / CONFIG).is_file():
        return path
    raise UsageError(f"encoder {path}: neither {inner}/ nor {CONFIG} is in this folder; use {FORMS}")


def _check(tower: Tower, folder: Path, image: bool) -> Tower:
    if (tower.config()["kind"] == "image") != image:
        wanted, other = ("pictures", "clouds") if image else ("clouds", "pictures")
        raise UsageError(f"encoder {folder}: it encodes {other}, but an encoder of {wanted} is needed")
    return tower


def load_encoder(spec: str | Path, k: int | None = None, seed: int = 0) -> Tower:
    """A point encoder in eval mode on the CPU: `load_encoder(spec)(points (B, N, 3)) -> features (B, D)`.

    Args:
        spec: a run folder, an encoder folder, `random:dgcnn`, `random:pointnet` or `random:dgcnn-partseg`.
        k: neighbours in DGCNN's graphs instead of the recorded number.
        seed: of the weights of a random encoder.

    Raises:
        UsageError: the spec names nothing that can be loaded, or `k` does not apply.
    """
    text = str(spec)
    if text.startswith("random:"):
        tower = _random(text, seed)
    else:
        folder = _folder(spec, "encoder")
        tower = _check(load_tower(folder), folder, image=False)
    if k is not None:
        tower.k = k
    return tower


def load_image_encoder(spec: str | Path) -> Tower:
    """An image encoder in eval mode on the CPU.

    `encoder(images)` takes ImageNet-normalised pictures (B, 3, H, W) to features (B, D), and
    `encoder.project(features)` takes these to the joint space.

    Args:
        spec: a run folder or an image encoder's folder.

    Raises:
        UsageError: the spec names nothing that can be loaded.
    """
    folder = _folder(spec, "image_encoder")
    return _check(load_tower(folder), folder, image=True)


def untrained(spec: str | Path, seed: int, k: int | None = None) -> Tower:
    """A point encoder of the architecture of `spec` with fresh weights, in eval mode, to compare with.

    Args:
        spec: as for `load_encoder`.
        seed: of the weights.
        k: neighbours in DGCNN's graphs instead of the recorded number.

    Raises:
        UsageError: as for `load_encoder`.
    """
    if str(spec).startswith("random:"):
        return load_encoder(spec, k=k, seed=seed)
    folder = _folder(spec, "encoder")
    tower = _check(build_from(folder, seed), folder, image=False).eval()
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
    folder = _folder(spec, "image_encoder")
    return _check(build_from(folder, seed), folder, image=True).eval()
