"""A frozen encoder: the same function for every batch, without gradients; its head learns."""

import pytest
import torch
from torch import nn

from crosspoint3d.models.heads import ProjectionHead
from crosspoint3d.models.resnet import ResNet
from crosspoint3d.models.tower import Tower


@pytest.fixture
def tower() -> Tower:
    encoder = ResNet("resnet18")
    tower = Tower(encoder, ProjectionHead.for_images(encoder.features, 8))
    tower.freeze()
    return tower


def test_training_mode_reaches_the_head_alone(tower: Tower) -> None:
    nn.ModuleList([tower]).train()
    assert tower.training and tower.head is not None and tower.head.training and tower.head.norm.training
    assert not any(module.training for module in tower.encoder.modules())
    tower.eval()
    assert not any(module.training for module in tower.modules())
    assert tower.train() is tower


def test_features_hold_no_graph_and_projections_do(tower: Tower) -> None:
    tower.train()
    pictures = torch.randn(4, 3, 32, 32)
    features = tower(pictures)
    assert not features.requires_grad and features.grad_fn is None and tower.frozen
    torch.autograd.backward(tower.project(features).sum())
    assert all(parameter.grad is None for parameter in tower.encoder.parameters())
    assert tower.head is not None and all(parameter.grad is not None for parameter in tower.head.parameters())


def test_a_batch_changes_neither_statistics_nor_the_features_of_others(tower: Tower) -> None:
    tower.train()
    pictures = torch.randn(6, 3, 32, 32)
    before = [buffer.clone() for buffer in tower.encoder.buffers()]
    together = tower(pictures)
    torch.testing.assert_close(together[:2], tower(pictures[:2]), rtol=1e-4, atol=1e-5)
    assert all(torch.equal(buffer, value) for buffer, value in zip(tower.encoder.buffers(), before, strict=True))


def test_a_tower_that_is_not_frozen_learns_as_ever() -> None:
    encoder = ResNet("resnet18")
    tower = Tower(encoder, None).train()
    assert not tower.frozen and all(module.training for module in tower.modules())
    assert tower(torch.randn(2, 3, 32, 32)).requires_grad
