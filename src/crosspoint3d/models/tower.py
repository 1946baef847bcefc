"""A tower, one encoder with its projection head, and the folder it is kept in: safetensors, config.json, README.md."""

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from crosspoint3d.config import UsageError
from crosspoint3d.models.card import LABELLED
from crosspoint3d.models.encoders import (
    KINDS,
    Encoder,
    PointEncoder,
    WithEncoder,
    build_encoder,
    build_point_encoder,
)
from crosspoint3d.models.folder import fill, read_config, read_folder_weights, undescribed, write_folder
from crosspoint3d.models.heads import ProjectionHead


class Tower(WithEncoder):
    """An encoder and the head that projects its features into the joint space.

    Args:
        encoder: a point encoder (`PointEncoder`), an image encoder, or somebody's own network.
        head: takes `encoder.features`; None for an encoder that came without one.

    Attributes:
        k, origin: see `WithEncoder`.
        frozen: whether the encoder does not learn; see `freeze`.
        began_with: where the weights came from that a training began with (`load_image_weights`); None for fresh ones.
    """

    def __init__(self, encoder: Encoder, head: ProjectionHead | None) -> None:
        super().__init__(encoder)
        self.head = head
        self.frozen = False
        self.began_with: dict[str, Any] | None = None

    def freeze(self) -> None:
        """Leave the encoder as it is from now on: no gradients, evaluation mode in training too; the head learns."""
        self.frozen = True
        self.encoder.requires_grad_(False).eval()

    def train(self, mode: bool = True) -> "Tower":
        """As of every module, but a frozen encoder stays in evaluation mode."""
        super().train(mode)
        if self.frozen:
            self.encoder.eval()
        return self

    @property
    def features(self) -> int:
        """Width of the features."""
        return self.encoder.features

    def config(self) -> dict[str, Any]:
        """What `build_tower` needs to build the same tower; a UsageError for an ONNX file or a Python callable."""
        return {
            "kind": KINDS[type(self.encoder)],
            "encoder": self.encoder.config(),
            "head": None if self.head is None else self.head.config(),
        }

    def forward(self, x: Float[Tensor, " B *axes"], per_point: bool = False) -> Float[Tensor, "B ..."]:
        """Features (B, D) of clouds (B, N, 3) or of ImageNet-normalised pictures (B, 3, H, W).

        Args:
            x: clouds or pictures.
            per_point: return the features (B, N, L) of the clouds' points instead.

        Raises:
            UsageError: features of points are asked of another encoder than this package's point encoders.
        """
        with torch.no_grad() if self.frozen else nullcontext():
            features: Tensor = self._of_points("per_point")(x, per_point=True) if per_point else self.encoder(x)
        return features

    def local(self, points: Float[Tensor, "B N 3"]) -> tuple[Float[Tensor, "B N L"], Float[Tensor, "B D"]]:
        """The features of points and of clouds, both that `forward` gives.

        Raises:
            UsageError: as of `forward`.
        """
        return self._of_points("local").local(points)

    def _of_points(self, asked: str) -> PointEncoder:
        if not isinstance(self.encoder, PointEncoder):
            raise UsageError(f"{asked}: {type(self.encoder).__name__} has no features of points")
        return self.encoder

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
        encoder = build_encoder(config["kind"], config["encoder"])
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
    write_folder(tower, {**extra, **tower.config()}, folder)


def build_from(folder: Path, seed: int) -> Tower:
    """A tower of the architecture that a folder's config.json describes, with fresh weights.

    The folder of a segmenter or classifier describes that of its encoder, without projection head.

    Raises:
        UsageError: config.json is missing, broken or describes nothing that this version can build.
    """
    config = read_config(folder)
    try:
        if config["kind"] in LABELLED:
            with seeded_weights(seed):
                return Tower(build_point_encoder(config["encoder"]), None)
        return build_tower(config, seed)
    except (KeyError, TypeError, ValueError) as error:
        raise undescribed(folder, config, error, "the keys kind, encoder and head") from error


def load_tower(folder: Path) -> Tower:
    """The tower that `save_tower` wrote, on the CPU and in eval mode; of a segmenter or classifier, its encoder.

    Raises:
        UsageError: a file is missing or broken, or the weights do not fit the config (the keys are listed).
    """
    tower = build_from(folder, seed=0)
    weights = read_folder_weights(folder)
    if read_config(folder)["kind"] in LABELLED:
        weights = {name: value for name, value in weights.items() if name.startswith("encoder.")}
    fill(tower, weights, folder)
    return tower.eval()
