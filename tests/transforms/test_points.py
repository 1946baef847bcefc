from collections.abc import Callable

import pytest
import torch
from torch import Generator, Tensor

from crosspoint3d.transforms import points as transforms


def seeded(seed: int = 0) -> Generator:
    return torch.Generator().manual_seed(seed)


@pytest.fixture
def clouds() -> Tensor:
    """Six copies of one cloud, so that samples differ only by their random parameters."""
    return torch.randn(1, 200, 3, generator=seeded(5)).mul(torch.tensor([1.0, 2.0, 0.5])).add(3).repeat(6, 1, 1)


RANDOM: dict[str, Callable[[Tensor, Generator], Tensor]] = {
    "scale": lambda p, g: transforms.scale(p, 0.5, 2.0, g),
    "rotate_y": transforms.rotate_y,
    "translate": lambda p, g: transforms.translate(p, 0.5, g),
    "jitter": lambda p, g: transforms.jitter(p, 0.01, 0.05, g),
    "drop": lambda p, g: transforms.drop(p, 0.875, g),
    "stretch": lambda p, g: transforms.stretch(p, 0.5, 2.0, g),
    "shift": lambda p, g: transforms.shift(p, 0.5, g),
    "labelled shift": lambda p, g: transforms.augment_labelled(p, "shift", g),
    "labelled turn": lambda p, g: transforms.augment_labelled(p, "turn", g),
    "subsample": lambda p, g: transforms.subsample(p, 50, g),
    "default": lambda p, g: transforms.augment_points(p, "default", g),
    "paper": lambda p, g: transforms.augment_points(p, "paper", g),
}


@pytest.mark.parametrize("name", RANDOM)
def test_each_sample_has_its_own_randomness_and_the_generator_decides(name: str, clouds: Tensor) -> None:
    before = clouds.clone()
    state = torch.get_rng_state()
    result = RANDOM[name](clouds, seeded(1))
    assert torch.equal(clouds, before) and torch.equal(torch.get_rng_state(), state)
    assert torch.equal(result, RANDOM[name](clouds, seeded(1)))
    assert not torch.equal(result, RANDOM[name](clouds, seeded(2)))
    for i in range(1, 6):
        assert not torch.equal(result[0], result[i])


def test_normalise_centres_and_bounds(clouds: Tensor) -> None:
    result = transforms.normalise(clouds)
    torch.testing.assert_close(result.mean(1), torch.zeros(6, 3), atol=1e-6, rtol=0)
    torch.testing.assert_close(result.norm(dim=2).amax(1), torch.ones(6))
    torch.testing.assert_close(transforms.normalise(7 * result + 4), result, atol=1e-5, rtol=0)
    assert torch.equal(transforms.normalise(torch.full((1, 4, 3), 2.0)), torch.zeros(1, 4, 3))


def test_scale_is_one_factor_a_cloud_within_its_range(clouds: Tensor) -> None:
    factor = transforms.scale(clouds, 0.5, 2.0, seeded()) / clouds
    assert (factor - factor[:, :1, :1]).abs().max() < 1e-5
    assert factor.min() >= 0.5 - 1e-6 and factor.max() <= 2 + 1e-6


def test_stretch_is_one_factor_an_axis_within_its_range(clouds: Tensor) -> None:
    factor = transforms.stretch(clouds, 0.5, 2.0, seeded()) / clouds
    assert (factor - factor[:, :1]).abs().max() < 1e-5
    assert factor.min() >= 0.5 - 1e-6 and factor.max() <= 2 + 1e-6
    assert (factor[:, 0].amax(1) - factor[:, 0].amin(1)).min() > 0.01, "each axis has its own"


def test_shift_moves_all_points_of_a_cloud_alike_whatever_its_size(clouds: Tensor) -> None:
    moved = transforms.shift(clouds, 0.2, seeded()) - clouds
    assert (moved - moved[:, :1]).abs().max() < 1e-5
    assert moved.abs().max() <= 0.2 + 1e-5 and (moved > 0.02).any() and (moved < -0.02).any()
    larger = transforms.shift(10 * clouds, 0.2, seeded()) - 10 * clouds
    torch.testing.assert_close(larger, moved, atol=1e-5, rtol=0)


def test_rotation_keeps_norms_heights_and_handedness(clouds: Tensor) -> None:
    turned = transforms.rotate_y(clouds, seeded())
    torch.testing.assert_close(turned.norm(dim=2), clouds.norm(dim=2))
    assert torch.equal(turned[:, :, 1], clouds[:, :, 1])
    axes = transforms.rotate_y(torch.eye(3)[None], seeded())[0]
    torch.testing.assert_close(torch.linalg.det(axes), torch.tensor(1.0))


def test_rotation_reaches_every_quarter() -> None:
    turned = transforms.rotate_y(torch.tensor([[[1.0, 0.0, 0.0]]]).repeat(400, 1, 1), seeded())[:, 0]
    quarters = (turned[:, 0] > 0).int() * 2 + (turned[:, 2] > 0).int()
    assert quarters.bincount(minlength=4).min() > 60


def test_translation_is_a_fraction_of_the_extent(clouds: Tensor) -> None:
    shift = transforms.translate(clouds, 0.5, seeded()) - clouds
    assert (shift - shift[:, :1]).abs().max() < 1e-5
    fraction = shift[:, 0] / (clouds.amax(1) - clouds.amin(1))
    assert fraction.abs().max() <= 0.5 and (fraction > 0).any() and (fraction < 0).any()


def test_jitter_is_clipped_normal_noise() -> None:
    noise = transforms.jitter(torch.zeros(8, 2000, 3), 0.01, 0.02, seeded())
    assert noise.abs().max() == pytest.approx(0.02)
    assert 0.009 < noise.std() < 0.01 and abs(noise.mean()) < 1e-4


def test_drop_keeps_a_subset_with_copies_of_the_first() -> None:
    clouds = torch.randn(1, 500, 3, generator=seeded(5)).repeat(300, 1, 1)
    dropped = transforms.drop(clouds, 0.875, seeded())
    kept = (dropped == clouds).all(2)
    assert (kept | (dropped == clouds[:, :1]).all(2)).all()
    ratio = 1 - kept.double().mean(1)
    assert ratio.max() < 0.95 and ratio.min() < 0.05 and ratio.mean() == pytest.approx(0.4375, abs=0.05)


def test_subsample_takes_different_points_of_the_cloud(clouds: Tensor) -> None:
    chosen = transforms.subsample(clouds, 50, seeded())
    assert chosen.shape == (6, 50, 3)
    for sample, cloud in zip(chosen, clouds, strict=True):
        same = (sample[:, None] == cloud[None]).all(2)
        assert (same.sum(1) == 1).all() and (same.sum(0) <= 1).all()
    places = transforms.random_subsets(clouds, 50, seeded())
    assert torch.equal(chosen, clouds.gather(1, places[:, :, None].expand(-1, -1, 3)))
    everything = transforms.subsample(clouds, 200, seeded())
    assert torch.equal(everything.sort(dim=1).values, clouds.sort(dim=1).values)


@pytest.mark.parametrize("count", [0, 201])
def test_subsample_refuses_what_a_cloud_does_not_have(count: int, clouds: Tensor) -> None:
    with pytest.raises(ValueError, match=f"count={count} must be between 1 and the clouds' 200"):
        transforms.subsample(clouds, count, seeded())


RECIPES: dict[str, tuple[tuple[float, float], float, float]] = {
    "default": ((0.8, 1.25), 0.2, 0.5),
    "paper": ((0.5, 2.0), 0.5, 0.875),
}


@pytest.mark.parametrize("recipe", RECIPES)
@pytest.mark.parametrize("kind", [torch.float32, torch.float64])
def test_a_recipe_is_its_published_steps_in_order(recipe: str, kind: torch.dtype) -> None:
    clouds = torch.randn(7, 90, 3, dtype=kind, generator=seeded(5)).mul(torch.tensor([1, 2, 0.5], dtype=kind)).add(3)
    factors, shift, ratio = RECIPES[recipe]
    generator = seeded(3)
    steps = transforms.scale(transforms.normalise(clouds), *factors, generator)
    steps = transforms.translate(transforms.rotate_y(steps, generator), shift, generator)
    steps = transforms.drop(transforms.jitter(steps, 0.01, 0.05, generator), ratio, generator)
    together = transforms.augment_points(clouds, recipe, seeded(3))  # type: ignore[arg-type]
    torch.testing.assert_close(together, steps, rtol=0, atol=3e-6 if kind == torch.float32 else 1e-14)
    assert together.dtype == kind


def test_the_shift_of_labelled_clouds_is_the_published_one() -> None:
    clouds = torch.randn(1, 30, 3, generator=seeded(5)).repeat(2000, 1, 1)
    view = transforms.augment_labelled(clouds, "shift", seeded())
    factor = (view[:, 1] - view[:, 0]) / (clouds[:, 1] - clouds[:, 0])
    moved = view[:, 0] - factor * clouds[:, 0]
    torch.testing.assert_close(factor[:, None] * clouds + moved[:, None], view, atol=1e-4, rtol=0)
    for values, low, high in ((factor, 2 / 3, 3 / 2), (moved, -0.2, 0.2)):
        width = high - low
        assert low - 1e-4 <= values.min() < low + 0.01 * width and high - 0.01 * width < values.max() <= high + 1e-4
        assert values.mean() == pytest.approx((low + high) / 2, abs=0.02 * width)


def test_the_turn_of_labelled_clouds_is_a_turn_a_shift_and_noise() -> None:
    clouds = torch.randn(4, 50, 3, generator=seeded(5))
    generator = seeded(3)
    steps = transforms.stretch(transforms.rotate_y(clouds, generator), 2 / 3, 3 / 2, generator)
    steps = transforms.shift(steps, 0.2, generator)
    view = transforms.augment_labelled(clouds, "turn", seeded(3))
    assert torch.equal(view, transforms.jitter(steps, 0.01, 0.05, generator))
    assert 0.005 < (view - steps).std() < 0.02 and (view - steps).abs().max() <= 0.0501


def test_labelled_clouds_may_stay_as_they_are(clouds: Tensor) -> None:
    assert torch.equal(transforms.augment_labelled(clouds, "none", seeded()), clouds)
    with pytest.raises(Exception, match="recipe"):
        transforms.augment_labelled(clouds, "paper", seeded())  # type: ignore[arg-type]


def test_a_cloud_of_one_place_stays_finite() -> None:
    assert transforms.augment_points(torch.full((3, 8, 3), 2.0), "default", seeded()).isfinite().all()


def test_unknown_recipe(clouds: Tensor) -> None:
    with pytest.raises(Exception, match="recipe"):
        transforms.augment_points(clouds, "strong", seeded())  # type: ignore[arg-type]
