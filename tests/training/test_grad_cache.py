"""GradCache against one graph that holds all chunks, each by its own batch statistics, under one loss."""

from collections.abc import Callable
from copy import deepcopy
from dataclasses import replace
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from crosspoint3d.config import PretrainConfig
from crosspoint3d.losses import CrossPointLoss, crosspoint_loss
from crosspoint3d.models.crosspoint import CrossPoint, Projections, build_crosspoint
from crosspoint3d.ops import knn
from crosspoint3d.ops.reference import edge_features
from crosspoint3d.training.grad_cache import cached_backward, chunk_sizes

CONFIG = PretrainConfig(
    data=(Path("table"),), out=Path("run"), emb_dims=16, width=0.125, k=4, image_encoder="resnet18", projection_dims=8
)
SIZES = (3, 2, 2)


def inputs(kind: torch.dtype, sizes: tuple[int, ...] = SIZES) -> list[tuple[Tensor, Tensor]]:
    generator = torch.Generator().manual_seed(1)
    return [
        (
            torch.randn(2 * size, 12, 3, dtype=kind, generator=generator),
            torch.randn(size, 3, 64, 64, dtype=kind, generator=generator),
        )
        for size in sizes
    ]


def objective(projections: Projections) -> CrossPointLoss:
    return crosspoint_loss(*projections, intra_weight=0.7, cross_weight=1.3)


def together(parts: list[Projections]) -> Projections:
    return Projections(*(torch.cat(column) for column in zip(*parts, strict=True)))  # type: ignore[arg-type]


def cached(network: nn.Module, chunks: list[tuple[Tensor, Tensor]]) -> CrossPointLoss:
    return cached_backward(network, lambda number: network(*chunks[number]), len(chunks), objective)


def assert_same_gradients(network: nn.Module, expected: nn.Module, tolerance: float) -> None:
    # A bias before a BatchNorm has a gradient of rounding errors only: no tensor counts as smaller than this.
    least = 1e-4 * torch.stack([parameter.grad.norm() for parameter in expected.parameters()]).max()  # type: ignore[union-attr]
    for (name, mine), theirs in zip(network.named_parameters(), expected.parameters(), strict=True):
        assert mine.grad is not None and theirs.grad is not None, name
        error = (mine.grad - theirs.grad).norm() / theirs.grad.norm().clamp_min(least)
        assert error < tolerance, f"{name}: {error}"


class Plain(nn.Module):
    """Two towers whose samples do not see each other, with dropout."""

    def __init__(self, dropout: float = 0.0) -> None:
        super().__init__()
        self.cloud = nn.Sequential(nn.Linear(3, 16), nn.LayerNorm(16), nn.ReLU(), nn.Dropout(dropout), nn.Linear(16, 8))
        self.picture = nn.Sequential(nn.Conv2d(3, 8, 5, 4), nn.Flatten(), nn.Dropout(dropout), nn.LazyLinear(8))

    def forward(self, clouds: Tensor, pictures: Tensor) -> Projections:
        return Projections(*self.cloud(clouds).amax(1).chunk(2), self.picture(pictures))


def plain_network(dropout: float = 0.0) -> Plain:
    torch.manual_seed(0)
    network = Plain(dropout).double()
    network(*inputs(torch.float64)[0])
    return network


@settings(deadline=None)
@given(batch=st.integers(2, 300), chunk=st.integers(2, 300))
def test_chunks_are_as_equal_as_can_be_and_never_of_one(batch: int, chunk: int) -> None:
    sizes = chunk_sizes(batch, chunk)
    assert sum(sizes) == batch and min(sizes) >= 2 and max(sizes) - min(sizes) <= 1
    assert max(sizes) <= chunk or (chunk == 2 and batch % 2 == 1 and max(sizes) == 3)
    assert len(sizes) == -(-batch // chunk) or chunk == 2


def test_no_chunk_is_the_whole_batch() -> None:
    assert chunk_sizes(7, 0) == chunk_sizes(7, 7) == [7]
    assert chunk_sizes(7, 4) == [4, 3] and chunk_sizes(3, 2) == [3]


@pytest.mark.parametrize(("kind", "tolerance"), [(torch.float32, 1e-5), (torch.float64, 1e-12)])
def test_gradients_are_those_of_one_graph_of_all_chunks(kind: torch.dtype, tolerance: float) -> None:
    model = build_crosspoint(CONFIG).to(kind)
    expected, chunks = deepcopy(model), inputs(kind)
    whole = objective(together([expected(*chunk) for chunk in chunks]))
    whole.total.backward()
    loss = cached(model, chunks)
    torch.testing.assert_close(loss, CrossPointLoss(*(term.detach() for term in whole)))
    assert not any(term.requires_grad for term in loss)
    assert_same_gradients(model, expected, tolerance)


def test_without_batch_statistics_it_is_the_whole_batch() -> None:
    network = plain_network()
    expected, chunks = deepcopy(network), inputs(torch.float64)
    firsts, seconds = zip(*(clouds.chunk(2) for clouds, _ in chunks), strict=True)
    clouds, pictures = torch.cat([*firsts, *seconds]), torch.cat([images for _, images in chunks])
    whole = objective(expected(clouds, pictures))
    whole.total.backward()
    torch.testing.assert_close(cached(network, chunks).total, whole.total.detach())
    assert_same_gradients(network, expected, 1e-12)


@pytest.mark.parametrize("mean", [True, False])
def test_several_pictures_a_queue_and_a_learned_temperature_are_those_of_one_graph(mean: bool) -> None:
    generator = torch.Generator().manual_seed(2)
    model = build_crosspoint(replace(CONFIG, learn_temperature=True)).double()
    expected = deepcopy(model)
    chunks = [(clouds, torch.stack([images, images.flip(3)], dim=1)) for clouds, images in inputs(torch.float64)]
    past = tuple(torch.randn(size, 8, dtype=torch.float64, generator=generator) for size in (5, 5, 5 * (2 - mean)))

    def forward(network: CrossPoint, number: int) -> Projections:
        projections: Projections = network(*chunks[number])
        assert projections.image is not None and projections.image.shape == (SIZES[number], 2, 8)
        return projections.of_mean_picture() if mean else projections

    def loss_of(network: CrossPoint) -> Callable[[Projections], CrossPointLoss]:
        heat = network.temperature()
        assert heat is not None
        old = (past[0], past[1], past[2] if mean else past[2].unflatten(0, (5, 2)))
        return lambda projections: crosspoint_loss(*projections, temperature=heat, cross_weight=1.3, past=old)

    whole = loss_of(expected)(together([forward(expected, number) for number in range(3)]))
    whole.total.backward()
    loss = cached_backward(model, lambda number: forward(model, number), 3, loss_of(model))
    torch.testing.assert_close(loss, CrossPointLoss(*(term.detach() for term in whole)))
    assert_same_gradients(model, expected, 1e-12)
    assert model.log_scale is not None and model.log_scale.grad is not None and model.log_scale.grad != 0


def test_with_batch_statistics_it_is_not() -> None:
    model, chunks = build_crosspoint(CONFIG), inputs(torch.float32, (4, 4))
    firsts, seconds = zip(*(clouds.chunk(2) for clouds, _ in chunks), strict=True)
    whole = objective(model(torch.cat([*firsts, *seconds]), torch.cat([images for _, images in chunks])))
    assert abs(cached(model, chunks).total - whole.total.detach()) > 1e-3


def test_random_state_is_replayed_and_moves_on_once() -> None:
    network = plain_network(dropout=0.4)
    expected, chunks = deepcopy(network), inputs(torch.float64)
    torch.manual_seed(7)
    whole = objective(together([expected(*chunk) for chunk in chunks]))
    whole.total.backward()
    after = torch.get_rng_state()
    torch.manual_seed(7)
    torch.testing.assert_close(cached(network, chunks).total, whole.total.detach())
    assert_same_gradients(network, expected, 1e-12)
    assert torch.equal(torch.get_rng_state(), after)
    network.zero_grad()
    torch.manual_seed(8)
    assert cached(network, chunks).total != whole.total.detach()


def moments(values: Tensor) -> tuple[Tensor, Tensor]:
    return values.mean(0), values.var(0)


def picture_moments(model: CrossPoint, chunk: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
    weight = model.image_tower.get_parameter("encoder.conv1.weight")
    return moments(F.conv2d(chunk[1], weight, stride=2, padding=3).movedim(1, -1).flatten(0, -2))


def edge_moments(model: CrossPoint, chunk: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
    weight = model.point_tower.get_parameter("encoder.conv1.weight")
    return moments((edge_features(chunk[0], knn(chunk[0], CONFIG.k)) @ weight.T).flatten(0, -2))


@pytest.mark.parametrize(
    ("name", "of"),
    [("image_tower.encoder.bn1", picture_moments), ("point_tower.encoder.conv1.norm", edge_moments)],
)
def test_running_statistics_move_once_by_the_mean_of_the_chunks(
    name: str, of: Callable[[CrossPoint, tuple[Tensor, Tensor]], tuple[Tensor, Tensor]]
) -> None:
    model, chunks = build_crosspoint(CONFIG).double(), inputs(torch.float64)
    norm = model.get_submodule(name)
    with torch.no_grad():
        means, variances = (torch.stack(column).mean(0) for column in zip(*(of(model, c) for c in chunks), strict=True))
    momentum, before = norm.momentum, deepcopy(norm)
    cached(model, chunks)
    torch.testing.assert_close(norm.running_mean, (1 - momentum) * before.running_mean + momentum * means)
    torch.testing.assert_close(norm.running_var, (1 - momentum) * before.running_var + momentum * variances)
    assert norm.num_batches_tracked == before.num_batches_tracked + 1


def test_every_buffer_is_the_mean_over_chunks_that_start_alike() -> None:
    model, chunks = build_crosspoint(CONFIG), inputs(torch.float32)
    model.register_buffer("mask", torch.tensor([-torch.inf, 0.1]))
    copies = [deepcopy(model) for _ in chunks]
    for copy, chunk in zip(copies, chunks, strict=True):
        copy(*chunk)
    cached(model, chunks)
    for name, buffer in model.named_buffers():
        after = torch.stack([copy.get_buffer(name) for copy in copies])
        expected = after[0] if not buffer.is_floating_point() else after.double().mean(0).to(buffer.dtype)
        torch.testing.assert_close(buffer, expected, rtol=1e-5, atol=1e-6)
    assert torch.equal(model.get_buffer("mask"), torch.tensor([-torch.inf, 0.1]))


def test_clouds_alone_leave_the_image_tower_without_gradient() -> None:
    model, chunks = build_crosspoint(CONFIG), inputs(torch.float32)
    loss = cached_backward(
        model, lambda number: model(chunks[number][0], None), 3, lambda p: crosspoint_loss(*p, cross_weight=0.0)
    )
    assert loss.cross_modal.isnan() and loss.total.isfinite()
    assert all(parameter.grad is None for parameter in model.image_tower.parameters())
    assert all(parameter.grad is not None for parameter in model.point_tower.parameters())
