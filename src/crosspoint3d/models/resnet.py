"""ResNet 18, 34 and 50 whose state-dict keys and outputs equal torchvision's, without its last layer `fc`.

Axis letters: B pictures, H and W pixels, C channels, D features.
"""

from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

BLOCKS = {"resnet18": (2, 2, 2, 2), "resnet34": (3, 4, 6, 3), "resnet50": (3, 4, 6, 3)}


def _conv(in_dims: int, out_dims: int, size: int, stride: int = 1) -> nn.Conv2d:
    return nn.Conv2d(in_dims, out_dims, size, stride, padding=size // 2, bias=False)


class _Shortcut(nn.Sequential):
    def __init__(self, in_dims: int, out_dims: int, stride: int) -> None:
        super().__init__(_conv(in_dims, out_dims, 1, stride), nn.BatchNorm2d(out_dims))


class BasicBlock(nn.Module):
    """Two 3x3 convolutions beside a shortcut (ResNet 18 and 34)."""

    def __init__(self, in_dims: int, dims: int, stride: int) -> None:
        super().__init__()
        self.conv1 = _conv(in_dims, dims, 3, stride)
        self.bn1 = nn.BatchNorm2d(dims)
        self.conv2 = _conv(dims, dims, 3)
        self.bn2 = nn.BatchNorm2d(dims)
        self.downsample = _Shortcut(in_dims, dims, stride) if stride > 1 or in_dims != dims else None

    def forward(self, x: Float[Tensor, "B C H W"]) -> Float[Tensor, "B C2 H2 W2"]:
        """(B, in_dims, H, W) -> (B, dims, H / stride, W / stride)."""
        shortcut = x if self.downsample is None else self.downsample(x)
        x = F.relu(self.bn1(self.conv1(x)))
        return F.relu(self.bn2(self.conv2(x)) + shortcut)


class Bottleneck(nn.Module):
    """1x1, 3x3 and 1x1 convolutions beside a shortcut (ResNet 50); the stride sits in the 3x3 one, as in v1.5."""

    def __init__(self, in_dims: int, dims: int, stride: int) -> None:
        super().__init__()
        self.conv1 = _conv(in_dims, dims, 1)
        self.bn1 = nn.BatchNorm2d(dims)
        self.conv2 = _conv(dims, dims, 3, stride)
        self.bn2 = nn.BatchNorm2d(dims)
        self.conv3 = _conv(dims, 4 * dims, 1)
        self.bn3 = nn.BatchNorm2d(4 * dims)
        self.downsample = _Shortcut(in_dims, 4 * dims, stride) if stride > 1 or in_dims != 4 * dims else None

    def forward(self, x: Float[Tensor, "B C H W"]) -> Float[Tensor, "B C2 H2 W2"]:
        """(B, in_dims, H, W) -> (B, 4 * dims, H / stride, W / stride)."""
        shortcut = x if self.downsample is None else self.downsample(x)
        x = F.relu(self.bn1(self.conv1(x)))
        x = F.relu(self.bn2(self.conv2(x)))
        return F.relu(self.bn3(self.conv3(x)) + shortcut)


class ResNet(nn.Module):
    """Residual network (He et al., arXiv 1512.03385; v1.5 strides), features after global average pooling.

    Args:
        name: resnet18, resnet34 (512 features) or resnet50 (2048 features).

    Raises:
        ValueError: another name.
    """

    def __init__(self, name: str = "resnet50") -> None:
        super().__init__()
        if name not in BLOCKS:
            raise ValueError(f"ResNet: name={name!r} must be one of {', '.join(BLOCKS)}")
        self.name = name
        block, expansion = (Bottleneck, 4) if name == "resnet50" else (BasicBlock, 1)
        self.conv1 = nn.Conv2d(3, 64, 7, 2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        width = 64
        for stage, depth in enumerate(BLOCKS[name]):
            dims, stride = 64 * 2**stage, 1 if stage == 0 else 2
            blocks = [block(width, dims, stride)]
            width = expansion * dims
            blocks += [block(width, dims, 1) for _ in range(depth - 1)]
            self.add_module(f"layer{stage + 1}", nn.Sequential(*blocks))
        self.features = width
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def config(self) -> dict[str, Any]:
        """Constructor arguments that build the same network."""
        return {"name": self.name}

    def forward(self, images: Float[Tensor, "B 3 H W"]) -> Float[Tensor, "B D"]:
        """Features (B, D) of ImageNet-normalised pictures."""
        x = F.relu(self.bn1(self.conv1(images)))
        x = F.max_pool2d(x, 3, 2, padding=1)
        for stage in range(1, 5):
            x = self.get_submodule(f"layer{stage}")(x)
        return torch.flatten(F.adaptive_avg_pool2d(x, 1), 1)
