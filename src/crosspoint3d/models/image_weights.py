"""Weights that an image encoder begins with: timm's own, those of another run, or a ResNet's file (torchvision's keys).

The projection head always begins anew: it belongs to the joint space of one run.
"""

from pathlib import Path
from typing import Any

from torch import Tensor

from crosspoint3d.config import UsageError
from crosspoint3d.models.folder import WEIGHTS, key_problems
from crosspoint3d.models.image import TimmEncoder
from crosspoint3d.models.load import is_published, load_image_encoder
from crosspoint3d.models.resnet import BLOCKS, ResNet
from crosspoint3d.models.tower import Tower
from crosspoint3d.models.weights_file import read_weights
from crosspoint3d.runtime import file_sha256

SCRATCH, PRETRAINED = "scratch", "pretrained"
FORMS = (
    "scratch, pretrained (of timm:NAME), a run folder, an image encoder's folder, or a ResNet's file (.pth, "
    ".safetensors)"
)
_CLASSIFIER = frozenset({"fc.weight", "fc.bias"})
_COUNT = "num_batches_tracked"
_BRANCH = ("resnet.", "inv_head.")


def check_image_weights(image_encoder: str, source: str) -> None:
    """Refuse a source of weights that cannot be, without reading it.

    Args:
        image_encoder: name of the network.
        source: as of `load_image_weights`.

    Raises:
        UsageError: nothing is there, or timm's weights are asked of a network that is not timm's.
    """
    if source == SCRATCH:
        return
    if source == PRETRAINED:
        if not image_encoder.startswith("timm:"):
            raise UsageError(
                f"--image-weights pretrained: {image_encoder} is this package's own network, which comes without "
                f"weights: give a file with torchvision's keys (--image-weights {image_encoder}.pth), or "
                f"--image-encoder timm:{image_encoder} (pip install 'crosspoint3d[timm]')"
            )
    elif not Path(source).exists():
        raise UsageError(f"--image-weights {source}: no such file or folder; give {FORMS}")


def load_image_weights(tower: Tower, source: str) -> None:
    """Fill the encoder of an image tower and note in `tower.began_with` where the weights came from.

    - `scratch` leaves the tower as it is;
    - `pretrained` takes what timm has for the network, and makes it see pictures normalised as those were;
    - a run folder or an `image_encoder` folder of this package, or the published weights of CrossPoint's image branch;
    - a file of a plain ResNet with torchvision's keys; its last layer `fc` is left out.

    Args:
        tower: with an image encoder, on the CPU.
        source: one of the above.

    Raises:
        UsageError: the source is missing or broken, or it is of another network; all keys that do not fit are listed.
    """
    if source == SCRATCH:
        return
    encoder, path = tower.encoder, Path(source)
    assert isinstance(encoder, ResNet | TimmEncoder)
    check_image_weights(name_of(encoder), source)
    if source == PRETRAINED:
        assert isinstance(encoder, TimmEncoder)
        tower.began_with = {"source": PRETRAINED} | encoder.take_pretrained()
    elif is_published(path) and not _is_branch(path):
        tower.began_with = _from_file(encoder, path)
    else:
        tower.began_with = _from_tower(encoder, path)
    if isinstance(encoder, TimmEncoder):
        tower.began_with |= {"mean": list(encoder.mean), "std": list(encoder.std)}


def name_of(encoder: ResNet | TimmEncoder) -> str:
    """The name by which `image_encoder` builds such a network."""
    return str(encoder.config()["name"])


def _is_branch(path: Path) -> bool:
    try:
        return all(name.startswith(_BRANCH) for name in read_weights(path)[0])
    except UsageError as error:
        raise UsageError(f"--image-weights {error}") from error


def _from_tower(encoder: ResNet | TimmEncoder, path: Path) -> dict[str, Any]:
    """The encoder of a run, of a folder, or of CrossPoint's published image branch."""
    try:
        other = load_image_encoder(path)
    except UsageError as error:
        raise UsageError(f"--image-weights {path}: {error}") from error
    assert isinstance(other.encoder, ResNet | TimmEncoder)
    if name_of(other.encoder) != name_of(encoder):
        raise UsageError(
            f"--image-weights {path}: it holds a {name_of(other.encoder)}, but the image encoder is "
            f"{name_of(encoder)}: give --image-encoder {name_of(other.encoder)}"
        )
    encoder.load_state_dict(other.encoder.state_dict())
    if isinstance(encoder, TimmEncoder) and isinstance(other.encoder, TimmEncoder):
        encoder.expect(other.encoder.mean, other.encoder.std)
    files = [path / "image_encoder" / WEIGHTS, path / WEIGHTS, path]
    return {"source": str(path), "sha256": file_sha256(next(file for file in files if file.is_file()))}


def _from_file(encoder: ResNet | TimmEncoder, path: Path) -> dict[str, Any]:
    """A state dict with torchvision's keys; files from before BatchNorm counted its batches lack the counts."""
    if isinstance(encoder, TimmEncoder):
        raise UsageError(
            f"--image-weights {path}: a file is read for {', '.join(BLOCKS)} only; for {name_of(encoder)} give "
            "pretrained, or the folder of a run with this network"
        )
    weights, beside = read_weights(path)
    left_out = sorted(_CLASSIFIER & weights.keys())
    given = {name: value for name, value in weights.items() if name not in _CLASSIFIER}
    own = encoder.state_dict()
    if not any(name.endswith(_COUNT) for name in given):
        given |= {name: value for name, value in own.items() if name.endswith(_COUNT)}
    if problems := key_problems(own, given):
        raise UsageError(f"--image-weights {path} is not a {encoder.name} with torchvision's keys; {problems}")
    encoder.load_state_dict({name: _as(value, own[name]) for name, value in given.items()})
    return {"source": str(path), "sha256": file_sha256(path), "keys_left_out": left_out + beside}


def _as(value: Tensor, like: Tensor) -> Tensor:
    return value.to(like.dtype)
