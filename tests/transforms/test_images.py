from collections.abc import Callable

import pytest
import torch
from torch import Generator, Tensor

from crosspoint3d.transforms import images as transforms


def seeded(seed: int = 0) -> Generator:
    return torch.Generator().manual_seed(seed)


@pytest.fixture
def pictures() -> Tensor:
    """Six copies of one picture."""
    return torch.randint(0, 256, (1, 3, 24, 32), dtype=torch.uint8, generator=seeded(5)).repeat(6, 1, 1, 1)


@pytest.mark.parametrize("recipe", ["default", "paper"])
def test_each_sample_has_its_own_randomness_and_the_generator_decides(recipe: str, pictures: Tensor) -> None:
    before, state = pictures.clone(), torch.get_rng_state()

    def augment(seed: int) -> Tensor:
        return transforms.augment_images(pictures, 16, recipe, seeded(seed))  # type: ignore[arg-type]

    result = augment(1)
    assert result.shape == (6, 3, 16, 16) and result.dtype == torch.float32
    assert torch.equal(pictures, before) and torch.equal(torch.get_rng_state(), state)
    assert torch.equal(result, augment(1)) and not torch.equal(result, augment(2))
    for i in range(1, 6):
        assert not torch.equal(result[0], result[i])


def test_to_input_is_imagenet_normalisation(pictures: Tensor) -> None:
    result = transforms.to_input(pictures[:, :, :24, :24], 24)
    mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    expected = (pictures[:, :, :24, :24].permute(0, 2, 3, 1) / 255 - mean) / std
    torch.testing.assert_close(result, expected.permute(0, 3, 1, 2))


@pytest.mark.parametrize("size", [12, 24, 50])
def test_resize_keeps_a_flat_picture_flat(size: int) -> None:
    flat = torch.full((2, 3, 24, 24), 51, dtype=torch.uint8)
    torch.testing.assert_close(transforms.resize(flat, size), torch.full((2, 3, size, size), 0.2))


def test_shrinking_averages_instead_of_skipping() -> None:
    stripes = torch.zeros(1, 3, 64, 64, dtype=torch.uint8)
    stripes[..., ::2] = 255
    assert (transforms.resize(stripes, 8) - 0.5).abs().max() < 0.05


def test_colour_jitter_ranges() -> None:
    grey = torch.full((200, 3, 2, 2), 0.5)
    result = transforms.colour_jitter(grey, 0.4, seeded())
    # On a flat grey picture contrast and saturation change nothing: what is left is the brightness factor.
    factor = result / 0.5
    torch.testing.assert_close(factor, factor[:, :1, :1, :1].expand_as(factor))
    assert 0.6 - 1e-5 <= factor.min() < 0.65 and 1.35 < factor.max() <= 1.4 + 1e-5


def test_colour_jitter_of_zero_strength_changes_nothing() -> None:
    colours = torch.rand(4, 3, 5, 5, generator=seeded())
    torch.testing.assert_close(transforms.colour_jitter(colours, 0.0, seeded()), colours)


def test_flip_mirrors_about_half_of_the_samples() -> None:
    picture = torch.rand(1, 3, 4, 6, generator=seeded())
    result = transforms.flip(picture.repeat(400, 1, 1, 1), seeded())
    mirrored = (result == picture.flip(3)).all(3).all(2).all(1)
    assert (mirrored | (result == picture).all(3).all(2).all(1)).all()
    assert 160 < mirrored.sum() < 240


def test_crop_of_the_whole_is_the_picture_and_of_a_part_lies_inside() -> None:
    ramp = torch.linspace(0, 1, 33)[None, None, None].expand(50, 3, 33, 33).contiguous()
    torch.testing.assert_close(transforms.crop(ramp, 1.0, seeded()), ramp, atol=1e-5, rtol=0)
    zoomed = transforms.crop(ramp, 0.5, seeded())
    seen = zoomed[:, 0, 0, -1] - zoomed[:, 0, 0, 0]
    assert 0.45 < seen.min() < 0.6 and 0.9 < seen.max() <= 1.0


@pytest.mark.parametrize("call", [transforms.to_input, transforms.resize])
def test_sizes_that_cannot_be(call: Callable[[Tensor, int], Tensor], pictures: Tensor) -> None:
    with pytest.raises(ValueError, match="size=0 must be at least 1"):
        call(pictures, 0)


def test_unknown_recipe(pictures: Tensor) -> None:
    with pytest.raises(Exception, match="recipe"):
        transforms.augment_images(pictures, 8, "strong", seeded())  # type: ignore[arg-type]


def test_grey_takes_the_colour_of_about_half_and_leaves_the_others() -> None:
    pictures = torch.rand(400, 3, 4, 4, generator=seeded(1))
    result = transforms.grey(pictures, 0.5, seeded(2))
    colourless = (result[:, 0] == result[:, 1]).flatten(1).all(1) & (result[:, 1] == result[:, 2]).flatten(1).all(1)
    assert 150 < int(colourless.sum()) < 250
    assert torch.equal(result[~colourless], pictures[~colourless])
    luminance = torch.tensor(transforms.LUMINANCE)[:, None, None]
    expected = (pictures[colourless] * luminance).sum(1)
    torch.testing.assert_close(result[colourless, 0], expected)
