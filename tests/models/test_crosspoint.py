from dataclasses import replace
from pathlib import Path

import pytest
import torch

from crosspoint3d.config import PretrainConfig, UsageError
from crosspoint3d.losses import crosspoint_loss
from crosspoint3d.models import DGCNN, CrossPoint, PointNet, build_crosspoint

CONFIG = PretrainConfig(
    data=(Path("table"),), out=Path("run"), emb_dims=32, width=0.25, k=4, image_encoder="resnet18", projection_dims=16
)


@pytest.fixture(scope="module")
def model() -> CrossPoint:
    return build_crosspoint(CONFIG)


def batch(shapes: int) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    return torch.randn(2 * shapes, 30, 3, generator=generator), torch.randn(shapes, 3, 32, 32, generator=generator)


def test_widths_follow_the_config(model: CrossPoint) -> None:
    assert isinstance(model.point_tower.encoder, DGCNN) and model.point_tower.k == 4
    assert model.point_tower.head is not None and model.image_tower.head is not None
    assert model.point_tower.head.config() == {"in_dims": 64, "hidden_dims": 32, "out_dims": 16, "bias": True}
    assert model.image_tower.head.config() == {"in_dims": 512, "hidden_dims": 128, "out_dims": 16, "bias": False}
    pointnet = build_crosspoint(replace(CONFIG, encoder="pointnet")).point_tower
    assert isinstance(pointnet.encoder, PointNet) and pointnet.features == 32


def test_seed_decides_the_weights_and_the_global_state_does_not() -> None:
    state = torch.get_rng_state()
    one, two, other = (build_crosspoint(replace(CONFIG, seed=seed)).state_dict() for seed in (3, 3, 4))
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(one[name], two[name]) for name in one)
    assert any(not torch.equal(one[name], other[name]) for name in one)


def test_clouds_are_halves_of_one_batch(model: CrossPoint) -> None:
    points, images = batch(3)
    model.eval()
    together = model(points, images)
    tower = model.point_tower
    torch.testing.assert_close(together.cloud_1, tower.project(tower(points[:3])), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(together.cloud_2, tower.project(tower(points[3:])), rtol=1e-4, atol=1e-5)
    assert together.image is not None and together.image.shape == (3, 16)
    assert model(points, None).image is None


def test_every_parameter_learns(model: CrossPoint) -> None:
    model.train()
    crosspoint_loss(*model(*batch(4))).total.backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None and parameter.grad.isfinite().all(), name
    model.zero_grad()


def test_numbers_that_do_not_match(model: CrossPoint) -> None:
    points, images = batch(3)
    with pytest.raises(ValueError, match="6 clouds and 2 pictures"):
        model(points, images[:2])
    with pytest.raises(ValueError, match="5 clouds;"):
        model(points[:5], None)


def test_unknown_image_encoder() -> None:
    with pytest.raises(UsageError, match="'vgg'"):
        build_crosspoint(replace(CONFIG, image_encoder="vgg"))
