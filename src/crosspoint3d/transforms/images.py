"""Augmentations of pictures: uint8 batches on the device in, normalised float batches out.

No function edits its input. Axis letters: B samples, H and W pixels. Generators live on the pictures' device.
"""

from collections.abc import Collection
from typing import Literal

import torch
import torch.nn.functional as F
from jaxtyping import Float, UInt8
from torch import Generator, Tensor

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
LUMINANCE = (0.299, 0.587, 0.114)
STEPS = ("crop", "colour", "grey", "flip")
"""The augmentations of `augment_images` that can be left out, in their order; `paper` has neither crop nor grey."""


def resize(images: UInt8[Tensor, "B 3 H W"], size: int) -> Float[Tensor, "B 3 S S"]:
    """Pictures as floats in [0, 1] of `size` x `size` pixels, bilinear, antialiased where they shrink.

    Raises:
        ValueError: `size` is below 1.
    """
    if size < 1:
        raise ValueError(f"resize: size={size} must be at least 1 pixel")
    floats = images.float() / 255
    if images.shape[2:] == (size, size):
        return floats
    shrinks = size < max(images.shape[2:])
    return F.interpolate(floats, (size, size), mode="bilinear", align_corners=False, antialias=shrinks)


def normalise(images: Float[Tensor, "B 3 H W"]) -> Float[Tensor, "B 3 H W"]:
    """Subtract ImageNet's channel means and divide by its standard deviations."""
    # By numbers, not tensors: a constant that is copied to a GPU makes the host wait for everything before it.
    channels = zip(images.unbind(1), IMAGENET_MEAN, IMAGENET_STD, strict=True)
    return torch.stack([(channel - mean).div_(std) for channel, mean, std in channels], dim=1)


def to_input(images: UInt8[Tensor, "B 3 H W"], size: int) -> Float[Tensor, "B 3 S S"]:
    """What an image encoder sees in an evaluation: resized and normalised, nothing random."""
    return normalise(resize(images, size))


def to_grey(images: UInt8[Tensor, "B 3 H W"]) -> UInt8[Tensor, "B 3 H W"]:
    """Every picture by its luminance alone, rounded, in three equal channels."""
    return _luminance(images.float()).round_().to(torch.uint8).expand(-1, 3, -1, -1)


def _luminance(images: Tensor) -> Tensor:
    """Brightness (B, 1, H, W) as the eye weighs the colours."""
    red, green, blue = images.chunk(3, dim=1)
    return (red * LUMINANCE[0]).add_(green, alpha=LUMINANCE[1]).add_(blue, alpha=LUMINANCE[2])


def colour_jitter(images: Float[Tensor, "B 3 H W"], strength: float, generator: Generator) -> Float[Tensor, "B 3 H W"]:
    """Change brightness, then contrast, then saturation of every picture by factors of its own.

    Factors come from U(1 - strength, 1 + strength). Brightness multiplies; contrast blends with the picture's mean
    luminance, saturation with the luminance of each pixel. Values stay in [0, 1]. (The published code draws the order
    anew for every picture; here it is fixed.)
    """
    factors = torch.empty((3, len(images), 1, 1, 1), dtype=images.dtype, device=images.device)
    brightness, contrast, saturation = factors.uniform_(1 - strength, 1 + strength, generator=generator).unbind(0)
    images = (images * brightness).clamp_(0, 1)
    images = torch.lerp(_luminance(images).mean((2, 3), keepdim=True), images, contrast).clamp_(0, 1)
    return torch.lerp(_luminance(images), images, saturation).clamp_(0, 1)


def flip(images: Float[Tensor, "B 3 H W"], generator: Generator, probability: float = 0.5) -> Float[Tensor, "B 3 H W"]:
    """Mirror every picture left to right with a given probability."""
    mirrored = torch.rand((len(images), 1, 1, 1), device=images.device, generator=generator) < probability
    return torch.where(mirrored, images.flip(3), images)


def grey(images: Float[Tensor, "B 3 H W"], probability: float, generator: Generator) -> Float[Tensor, "B 3 H W"]:
    """Take the colour out of each picture with a given probability (a cloud has none to agree with)."""
    chosen = torch.rand((len(images), 1, 1, 1), device=images.device, generator=generator) < probability
    return torch.where(chosen, _luminance(images), images)


def crop(images: Float[Tensor, "B 3 S S"], smallest: float, generator: Generator) -> Float[Tensor, "B 3 S S"]:
    """Zoom every picture onto a random window with sides of U(smallest, 1) of its own, bilinear; 1 is no zoom."""
    unit = torch.rand((3, len(images)), device=images.device, generator=generator)
    if smallest == 1:
        return images
    side = smallest + (1 - smallest) * unit[0]
    shift = (1 - side) * (2 * unit[1:] - 1)
    zero = torch.zeros_like(side)
    window = torch.stack([side, zero, shift[0], zero, side, shift[1]], dim=1).reshape(-1, 2, 3)
    grid = F.affine_grid(window.to(images.dtype), list(images.shape), align_corners=False)
    edge = 1 - 1 / images.shape[3]  # the outermost pixels' centres; MPS knows no padding_mode="border"
    return F.grid_sample(images, grid.clamp_(-edge, edge), align_corners=False)


def augment_images(
    images: UInt8[Tensor, "B 3 H W"],
    size: int,
    recipe: Literal["default", "paper", "none"],
    generator: Generator,
    without: Collection[str] = (),
) -> Float[Tensor, "B 3 S S"]:
    """One random view of every picture, normalised for an image encoder.

    - `paper` (arXiv 2203.00680 and its code): resize, colour jitter of 0.4, horizontal flip;
    - `default`: the same after a zoom onto a window with sides of at least 0.8, and half of the pictures in grey;
    - `none` resizes and draws nothing.

    Args:
        images: pictures (B, 3, H, W), uint8.
        size: pixels a side of the result.
        recipe: `default`, `paper` or `none`.
        generator: on the device of `images`.
        without: steps to leave out, of `STEPS`; the others draw the same numbers as ever. Other names are ignored.

    Raises:
        ValueError: the recipe has another name, or `size` is below 1.
    """
    if recipe not in ("default", "paper", "none"):
        raise ValueError(f"augment_images: recipe={recipe!r} must be 'default', 'paper' or 'none'")
    floats = resize(images, size)
    if recipe == "none":
        return normalise(floats)
    if recipe == "default":
        floats = crop(floats, 1.0 if "crop" in without else 0.8, generator)
    floats = colour_jitter(floats, 0.0 if "colour" in without else 0.4, generator)
    if recipe == "default":
        floats = grey(floats, 0.0 if "grey" in without else 0.5, generator)
    return normalise(flip(floats, generator, 0.0 if "flip" in without else 0.5))
