"""A tower, one encoder with its projection head, and the folder it is kept in: safetensors, config.json, README.md."""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from safetensors import SafetensorError
from safetensors.torch import load_file
from safetensors.torch import save as serialise
from torch import Tensor, nn

from crosspoint3d import __version__
from crosspoint3d.config import UsageError
from crosspoint3d.models.callable_encoder import CallableEncoder
from crosspoint3d.models.card import model_card
from crosspoint3d.models.dgcnn import DGCNN
from crosspoint3d.models.dgcnn_partseg import DGCNNPartSeg
from crosspoint3d.models.heads import ProjectionHead
from crosspoint3d.models.image import TimmEncoder, image_encoder
from crosspoint3d.models.onnx_encoder import OnnxEncoder
from crosspoint3d.models.pointnet import PointNet
from crosspoint3d.models.resnet import ResNet

WEIGHTS, CONFIG, CARD = "model.safetensors", "config.json", "README.md"
Encoder = DGCNN | DGCNNPartSeg | PointNet | ResNet | TimmEncoder | OnnxEncoder | CallableEncoder
KINDS = {
    DGCNN: "dgcnn",
    DGCNNPartSeg: "dgcnn-partseg",
    PointNet: "pointnet",
    ResNet: "image",
    TimmEncoder: "image",
    OnnxEncoder: "onnx",
    CallableEncoder: "callable",
}


class Tower(nn.Module):
    """An encoder and the head that projects its features into the joint space.

    Args:
        encoder: DGCNN, DGCNNPartSeg, PointNet, an image encoder, or somebody's own network.
        head: takes `encoder.features`; None for an encoder that came without one.

    Attributes:
        origin: what is known about the file that published weights came from; None for other weights.
    """

    def __init__(self, encoder: Encoder, head: ProjectionHead | None) -> None:
        super().__init__()
        self.encoder = encoder
        self.head = head
        self.origin: dict[str, Any] | None = None

    @property
    def features(self) -> int:
        """Width of the features."""
        return self.encoder.features

    @property
    def k(self) -> int | None:
        """Neighbours in the graphs of DGCNN and DGCNNPartSeg; None for other encoders."""
        return self.encoder.k if isinstance(self.encoder, DGCNN | DGCNNPartSeg) else None

    @k.setter
    def k(self, value: int) -> None:
        if not isinstance(self.encoder, DGCNN | DGCNNPartSeg):
            raise UsageError(f"k={value}: {type(self.encoder).__name__} has no neighbour graph; leave k out")
        if value < 1:
            raise UsageError(f"k={value} must be at least 1")
        self.encoder.k = value

    def config(self) -> dict[str, Any]:
        """What `build_tower` needs to build the same tower; a UsageError for an ONNX file or a Python callable."""
        return {
            "kind": KINDS[type(self.encoder)],
            "encoder": self.encoder.config(),
            "head": None if self.head is None else self.head.config(),
        }

    def forward(self, x: Float[Tensor, " B *axes"]) -> Float[Tensor, "B D"]:
        """Features of clouds (B, N, 3) or of ImageNet-normalised pictures (B, 3, H, W)."""
        features: Tensor = self.encoder(x)
        return features

    def project(self, features: Float[Tensor, "B D"]) -> Float[Tensor, "B E"]:
        """Projections into the joint space, not normalised.

        Raises:
            UsageError: the encoder came without a head.
        """
        if self.head is None:
            raise UsageError("this encoder has no projection head; pretrain one to search across clouds and pictures")
        projections: Tensor = self.head(features)
        return projections


@contextmanager
def seeded_weights(seed: int) -> Iterator[None]:
    """Modules built inside draw their weights from `seed`; the global generators are as before afterwards."""
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        yield


def build_tower(config: dict[str, Any], seed: int) -> Tower:
    """A tower with fresh weights from the `kind`, `encoder` and `head` of a config.json.

    Raises:
        KeyError, TypeError, ValueError: the config lacks a key or has one that no constructor takes.
    """
    with seeded_weights(seed):
        kind, arguments = config["kind"], config["encoder"]
        encoder: Encoder
        if kind == "dgcnn":
            encoder = DGCNN(**arguments)
        elif kind == "dgcnn-partseg":
            encoder = DGCNNPartSeg(**arguments)
        elif kind == "pointnet":
            encoder = PointNet(**arguments)
        elif kind == "image":
            encoder = image_encoder(**arguments)
        else:
            raise ValueError(f"kind {kind!r} is none of dgcnn, dgcnn-partseg, pointnet, image")
        head = None if config["head"] is None else ProjectionHead(**config["head"])
    return Tower(encoder, head)


def save_tower(tower: Tower, folder: Path, extra: dict[str, Any]) -> None:
    """Write a tower's weights, config and model card; what was there before survives a failure.

    Args:
        tower: on any device.
        folder: created when missing.
        extra: more entries for config.json, as JSON values; `data` (str) appears in the model card.

    Raises:
        OSError: the files cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    config = {**extra, **tower.config(), "package": __version__}
    weights = {name: value.detach().cpu().contiguous() for name, value in tower.state_dict().items()}
    temporary = {name: folder / f".{name}.{os.getpid()}.tmp" for name in (WEIGHTS, CONFIG, CARD)}
    try:
        temporary[WEIGHTS].write_bytes(serialise(weights))
        temporary[CONFIG].write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
        temporary[CARD].write_text(model_card(config), encoding="utf-8")
        for name, path in temporary.items():
            path.replace(folder / name)
    finally:
        for path in temporary.values():
            path.unlink(missing_ok=True)


def read_config(folder: Path) -> dict[str, Any]:
    """The config.json of an encoder folder.

    Raises:
        UsageError: the folder or the file is missing, or the file is no JSON object.
    """
    path = folder / CONFIG
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        expected = f"expected an encoder folder with {WEIGHTS} and {CONFIG}, as pretrain writes it"
        raise UsageError(f"{path}: {error.strerror}; {expected}") from error
    except ValueError as error:
        raise UsageError(f"{path} is not JSON: {error}; expected the file that pretrain wrote") from error
    if not isinstance(config, dict):
        raise UsageError(f"{path}: expected a JSON object, got {type(config).__name__}")
    return config


def build_from(folder: Path, seed: int) -> Tower:
    """A tower of the architecture that a folder's config.json describes, with fresh weights.

    Raises:
        UsageError: config.json is missing, broken or describes nothing that this version can build.
    """
    config = read_config(folder)
    try:
        return build_tower(config, seed)
    except (KeyError, TypeError, ValueError) as error:
        raise UsageError(
            f"{folder / CONFIG}: {error!r}; expected the keys kind, encoder and head as crosspoint3d {__version__} "
            f"writes them (the file says {config.get('package', 'no version')})"
        ) from error


def load_tower(folder: Path) -> Tower:
    """The tower that `save_tower` wrote, on the CPU and in eval mode.

    Raises:
        UsageError: a file is missing or broken, or the weights do not fit the config (the keys are listed).
    """
    tower = build_from(folder, seed=0)
    path = folder / WEIGHTS
    try:
        weights = load_file(path)
    except (OSError, SafetensorError) as error:
        reason = "No such file" if not path.exists() else str(error)
        raise UsageError(f"{path}: {reason}; expected the safetensors file that pretrain wrote") from error
    own = tower.state_dict()
    problems = {
        "missing": sorted(own.keys() - weights.keys()),
        "unknown": sorted(weights.keys() - own.keys()),
        "of another shape": sorted(n for n in own.keys() & weights.keys() if own[n].shape != weights[n].shape),
    }
    if any(problems.values()):
        listed = "; ".join(f"{what}: {', '.join(names)}" for what, names in problems.items() if names)
        raise UsageError(f"{path} does not fit {folder / CONFIG}; {listed}")
    tower.load_state_dict(weights)
    return tower.eval()
