"""Augmentations left out one by one: the others draw the numbers they always draw."""

import pytest
import torch
from torch import Generator, Tensor

from crosspoint3d.transforms import augment_images, augment_points, images, points, to_grey, to_input
from crosspoint3d.transforms.images import LUMINANCE

RECIPES = {"default": ((0.8, 1.25), 0.2, 0.5), "paper": ((0.5, 2.0), 0.5, 0.875)}


def seeded(seed: int = 3) -> Generator:
    return torch.Generator().manual_seed(seed)


@pytest.fixture
def clouds() -> Tensor:
    stretch = torch.tensor([1, 2, 0.5], dtype=torch.float64)
    return torch.randn(7, 90, 3, dtype=torch.float64, generator=seeded(5)) * stretch + 3


@pytest.fixture
def pictures() -> Tensor:
    return torch.randint(0, 256, (5, 3, 20, 20), dtype=torch.uint8, generator=seeded(6))


def step_by_step(clouds: Tensor, recipe: str, without: tuple[str, ...], generator: Generator) -> Tensor:
    """Every step is drawn and done; the result of one that is left out is thrown away."""
    factors, shift, ratio = RECIPES[recipe]
    found = points.normalise(clouds)
    for name, step in {
        "scale": lambda x: points.scale(x, *factors, generator),
        "turn": lambda x: points.rotate_y(x, generator),
        "translate": lambda x: points.translate(x, shift, generator),
        "jitter": lambda x: points.jitter(x, 0.01, 0.05, generator),
        "drop": lambda x: points.drop(x, ratio, generator),
    }.items():
        done = step(found)
        found = found if name in without else done
    return found


@pytest.mark.parametrize("recipe", RECIPES)
@pytest.mark.parametrize("without", [(), *((name,) for name in points.STEPS), ("turn", "drop"), points.STEPS], ids=str)
def test_of_clouds(clouds: Tensor, recipe: str, without: tuple[str, ...]) -> None:
    state = torch.get_rng_state()
    view = augment_points(clouds, recipe, seeded(), (*without, "flip"))  # type: ignore[arg-type]
    torch.testing.assert_close(view, step_by_step(clouds, recipe, without, seeded()), rtol=0, atol=1e-12)
    assert torch.equal(torch.get_rng_state(), state)
    whole = augment_points(clouds, recipe, seeded())  # type: ignore[arg-type]
    assert torch.equal(view, whole) == (not without)


def picture_steps(pictures: Tensor, recipe: str, without: tuple[str, ...], generator: Generator) -> Tensor:
    found = images.resize(pictures, 16)
    steps = {
        "crop": lambda x: images.crop(x, 0.8, generator),
        "colour": lambda x: images.colour_jitter(x, 0.4, generator),
        "grey": lambda x: images.grey(x, 0.5, generator),
        "flip": lambda x: images.flip(x, generator),
    }
    for name, step in steps.items():
        if recipe == "default" or name in ("colour", "flip"):
            done = step(found)
            found = found if name in without else done
    return images.normalise(found)


@pytest.mark.parametrize("recipe", RECIPES)
@pytest.mark.parametrize("without", [(), *((name,) for name in images.STEPS), images.STEPS], ids=str)
def test_of_pictures_bit_for_bit(pictures: Tensor, recipe: str, without: tuple[str, ...]) -> None:
    view = augment_images(pictures, 16, recipe, seeded(), (*without, "drop"))  # type: ignore[arg-type]
    assert torch.equal(view, picture_steps(pictures, recipe, without, seeded()))
    used = set(without) & ({"colour", "flip"} if recipe == "paper" else set(images.STEPS))
    assert torch.equal(view, augment_images(pictures, 16, recipe, seeded())) == (not used)  # type: ignore[arg-type]


def test_none_draws_nothing(clouds: Tensor, pictures: Tensor) -> None:
    generator = seeded()
    state = generator.get_state()
    assert torch.equal(augment_points(clouds, "none", generator), points.normalise(clouds))
    assert torch.equal(augment_images(pictures, 12, "none", generator), to_input(pictures, 12))
    assert torch.equal(generator.get_state(), state)


def test_all_left_out_is_none(clouds: Tensor, pictures: Tensor) -> None:
    view = augment_points(clouds, "paper", seeded(), points.STEPS)
    torch.testing.assert_close(view, points.normalise(clouds), rtol=0, atol=1e-12)
    assert torch.equal(augment_images(pictures, 12, "default", seeded(), images.STEPS), to_input(pictures, 12))


def test_grey_is_the_luminance_in_three_equal_channels(pictures: Tensor) -> None:
    before = pictures.clone()
    result = to_grey(pictures)
    weights = torch.tensor(LUMINANCE, dtype=torch.float64)[:, None, None]
    exact = (pictures.double() * weights).sum(1)
    assert result.dtype == torch.uint8 and result.shape == pictures.shape and torch.equal(pictures, before)
    assert torch.equal(result[:, 0], result[:, 1]) and torch.equal(result[:, 0], result[:, 2])
    assert (result[:, 0].double() - exact).abs().max() <= 0.5 + 1e-4
    assert torch.equal(to_grey(result), result)
