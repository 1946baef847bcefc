"""Image encoders by name: the own ResNets, and everything timm has through the extra `timm`.

Axis letters: B pictures, H and W pixels, D features.
"""

import hashlib
from collections.abc import Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from crosspoint3d.config import UsageError
from crosspoint3d.models.resnet import BLOCKS, ResNet
from crosspoint3d.transforms.images import IMAGENET_MEAN, IMAGENET_STD

_WHERE = ("hf_hub_id", "url", "file")


class TimmEncoder(nn.Module):
    """A network of the timm library, without its classifier.

    Args:
        name: as `timm.create_model` takes it.
        mean: of the channels of the pictures that its weights were trained with; None for ImageNet's.
        std: their standard deviations.

    Raises:
        UsageError: timm is not installed, or has no network of this name.
    """

    gain: Tensor
    offset: Tensor

    def __init__(self, name: str, mean: Sequence[float] | None = None, std: Sequence[float] | None = None) -> None:
        super().__init__()
        self.name = name
        self.model = self._created(pretrained=False)
        self.features: int = self.model.num_features
        self.register_buffer("gain", torch.ones(3, 1, 1), persistent=False)
        self.register_buffer("offset", torch.zeros(3, 1, 1), persistent=False)
        self.expect(mean or IMAGENET_MEAN, std or IMAGENET_STD)

    def _created(self, *, pretrained: bool) -> Any:
        try:
            import timm
        except ImportError as error:
            raise UsageError(
                f"image encoder timm:{self.name} needs the timm library: pip install 'crosspoint3d[timm]', "
                f"or choose one of {', '.join(BLOCKS)}"
            ) from error
        try:
            return timm.create_model(self.name, pretrained=pretrained, num_classes=0)
        except (RuntimeError, ValueError) as error:
            known = "timm.list_models(pretrained=True)" if pretrained else "timm.list_models()"
            raise UsageError(f"image encoder timm:{self.name}: {error}; {known} knows the names") from error

    def config(self) -> dict[str, Any]:
        """Constructor arguments of `image_encoder` that build the same network."""
        own = {"mean": list(self.mean), "std": list(self.std)} if self.renormalises else {}
        return {"name": f"timm:{self.name}"} | own

    @property
    def renormalises(self) -> bool:
        """Whether the network wants its pictures normalised otherwise than by ImageNet's numbers."""
        return (self.mean, self.std) != (IMAGENET_MEAN, IMAGENET_STD)

    def expect(self, mean: Sequence[float], std: Sequence[float]) -> None:
        """Give the network what `(picture - mean) / std` would; `forward` takes ImageNet-normalised pictures as before.

        Raises:
            UsageError: there are not three channels.
        """
        if len(mean) != 3 or len(std) != 3:
            raise UsageError(f"image encoder timm:{self.name}: it takes pictures of {len(mean)} channels, not of 3")
        self.mean, self.std = tuple(map(float, mean)), tuple(map(float, std))
        from_mean, from_std = (torch.tensor(v, dtype=torch.float64) for v in (IMAGENET_MEAN, IMAGENET_STD))
        to_mean, to_std = (torch.tensor(v, dtype=torch.float64) for v in (self.mean, self.std))
        gain, offset = from_std / to_std, (from_mean - to_mean) / to_std
        self.gain.copy_(gain[:, None, None])
        self.offset.copy_(offset[:, None, None])

    def take_pretrained(self) -> dict[str, Any]:
        """Take timm's pretrained weights of this network, and their normalisation of pictures.

        Returns:
            Where they came from: `weights` (timm's entry), `timm` (its version), `sha256` (of names and values).

        Raises:
            UsageError: timm has none, or they cannot be fetched.
        """
        import timm

        try:
            model = self._created(pretrained=True)
        except UsageError:
            raise
        except Exception as error:  # a hub that cannot be reached raises whatever its client raises
            reason = " ".join(str(error).split())[:200]
            raise UsageError(
                f"image encoder timm:{self.name}: its weights cannot be fetched ({type(error).__name__}: {reason}); "
                "connect once so that they are cached, or begin with --image-weights scratch"
            ) from error
        about = dict(getattr(model, "pretrained_cfg", None) or {})
        self.expect(about.get("mean", IMAGENET_MEAN), about.get("std", IMAGENET_STD))
        self.model.load_state_dict(model.state_dict())
        where = next((str(about[name]) for name in _WHERE if about.get(name)), self.name)
        return {"weights": where, "timm": str(getattr(timm, "__version__", "unknown")), "sha256": _digest(self.model)}

    def require_size(self, pixels: int) -> None:
        """Refuse pictures of another size than the one that the network is made for, where it is made for one.

        Raises:
            UsageError: names the right size.
        """
        about = dict(getattr(self.model, "pretrained_cfg", None) or {})
        if about.get("fixed_input_size") and about["input_size"][-1] != pixels:
            raise UsageError(
                f"--image-size {pixels}: timm:{self.name} takes pictures of {about['input_size'][-1]} pixels only"
            )

    def forward(self, images: Float[Tensor, "B 3 H W"]) -> Float[Tensor, "B D"]:
        """Pooled features (B, D) of ImageNet-normalised pictures."""
        if self.renormalises:
            images = images * self.gain + self.offset
        features: Tensor = self.model(images)
        return features


def _digest(network: nn.Module) -> str:
    """SHA-256 of the names and the bytes of all weights."""
    digest = hashlib.sha256()
    for name, value in network.state_dict().items():
        digest.update(name.encode())
        digest.update(value.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def image_encoder(
    name: str, mean: Sequence[float] | None = None, std: Sequence[float] | None = None
) -> ResNet | TimmEncoder:
    """An image encoder with fresh weights and an attribute `features`, its width.

    Args:
        name: resnet18, resnet34, resnet50 or timm:NAME.
        mean: what `TimmEncoder` takes; the own ResNets see ImageNet's.
        std: likewise.

    Raises:
        UsageError: the name is unknown, or the timm library is missing.
    """
    if name in BLOCKS:
        return ResNet(name)
    if name.startswith("timm:") and name != "timm:":
        return TimmEncoder(name.removeprefix("timm:"), mean, std)
    raise UsageError(f"image encoder {name!r}: known are {', '.join(BLOCKS)} and timm:NAME (extra timm)")
