"""Image encoders by name: the own ResNets, and everything timm has through the extra `timm`.

Axis letters: B pictures, H and W pixels, D features.
"""

from typing import Any

from jaxtyping import Float
from torch import Tensor, nn

from crosspoint3d.config import UsageError
from crosspoint3d.models.resnet import BLOCKS, ResNet


class TimmEncoder(nn.Module):
    """A network of the timm library, from scratch and without its classifier.

    Args:
        name: as `timm.create_model` takes it.

    Raises:
        UsageError: timm is not installed, or has no network of this name.
    """

    def __init__(self, name: str) -> None:
        super().__init__()
        try:
            import timm
        except ImportError as error:
            raise UsageError(
                f"image encoder timm:{name} needs the timm library: pip install 'crosspoint3d[timm]', "
                f"or choose one of {', '.join(BLOCKS)}"
            ) from error
        try:
            self.model = timm.create_model(name, pretrained=False, num_classes=0)
        except (RuntimeError, ValueError) as error:
            raise UsageError(f"image encoder timm:{name}: {error}; timm.list_models() knows the names") from error
        self.name = name
        self.features: int = self.model.num_features

    def config(self) -> dict[str, Any]:
        """Constructor arguments of `image_encoder` that build the same network."""
        return {"name": f"timm:{self.name}"}

    def forward(self, images: Float[Tensor, "B 3 H W"]) -> Float[Tensor, "B D"]:
        """Pooled features (B, D) of ImageNet-normalised pictures."""
        features: Tensor = self.model(images)
        return features


def image_encoder(name: str) -> ResNet | TimmEncoder:
    """An image encoder with fresh weights and an attribute `features`, its width.

    Args:
        name: resnet18, resnet34, resnet50 or timm:NAME.

    Raises:
        UsageError: the name is unknown, or the timm library is missing.
    """
    if name in BLOCKS:
        return ResNet(name)
    if name.startswith("timm:") and name != "timm:":
        return TimmEncoder(name.removeprefix("timm:"))
    raise UsageError(f"image encoder {name!r}: known are {', '.join(BLOCKS)} and timm:NAME (extra timm)")
