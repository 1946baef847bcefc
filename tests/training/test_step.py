"""One update: a function of weights, batch, seed and step, whatever the chunks and the global random state."""

import math
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from crosspoint3d.config import PretrainConfig
from crosspoint3d.data.pairs import Pairs
from crosspoint3d.losses import crosspoint_loss
from crosspoint3d.models.crosspoint import CrossPoint
from crosspoint3d.runtime import generator_for
from crosspoint3d.training import step as training_step
from crosspoint3d.training.negative_queue import NegativeQueue
from crosspoint3d.training.setup import build_model, build_optimizer
from crosspoint3d.training.step import Outcome, train_step, views
from crosspoint3d.transforms import augment_images, augment_points, subsample

CONFIG = PretrainConfig(
    data=(Path("table"),),
    out=Path("run"),
    emb_dims=32,
    width=0.25,
    k=5,
    points=24,
    image_encoder="resnet18",
    image_size=32,
    projection_dims=16,
    batch_size=12,
)
CPU = torch.device("cpu")


def batch(count: int = 12) -> Pairs:
    generator = torch.Generator().manual_seed(3)
    images = torch.randint(0, 256, (count, 1, 3, 40, 40), dtype=torch.uint8, generator=generator)
    return Pairs(torch.randn(count, 50, 3, generator=generator), images)


def one_step(config: PretrainConfig, model: CrossPoint | None = None, step: int = 2) -> tuple[Outcome, CrossPoint]:
    model = build_model(config, CPU) if model is None else deepcopy(model)
    return train_step(config, model, build_optimizer(config, model), batch(), step, 1e-3), model


def equal(one: nn.Module, two: nn.Module) -> bool:
    return all(torch.equal(a, b) for a, b in zip(one.state_dict().values(), two.state_dict().values(), strict=True))


def test_views_are_the_augmentations_of_both_copies_in_order() -> None:
    points, images = batch()
    assert images is not None
    images = images[:, 0]
    generator = generator_for(1)
    clouds = augment_points(subsample(torch.cat([points, points]), 24, generator), "default", generator)
    pictures = augment_images(images, 32, "default", generator)
    seen = views(CONFIG, points, images, generator_for(1))
    assert torch.equal(seen[0], clouds) and seen[1] is not None and torch.equal(seen[1], pictures)
    assert views(CONFIG, points, None, generator_for(1))[1] is None


@pytest.mark.parametrize("chunk", [0, 4])
def test_seed_and_step_decide_and_the_global_state_neither_decides_nor_moves(chunk: int) -> None:
    config = replace(CONFIG, chunk=chunk)
    start = build_model(config, CPU)
    start.image_tower.encoder = nn.Sequential(start.image_tower.encoder, nn.Dropout(0.5))
    state = torch.get_rng_state()
    first, one = one_step(config, start)
    assert torch.equal(torch.get_rng_state(), state)
    torch.rand(3)
    second, two = one_step(config, start)
    assert torch.equal(first.loss.total, second.loss.total) and equal(one, two)
    other, three = one_step(config, start, step=3)
    assert not torch.equal(first.loss.total, other.loss.total) and not equal(one, three)


def test_an_outcome_holds_no_graph_and_every_weight_moves() -> None:
    start = build_model(CONFIG, CPU)
    outcome, model = one_step(CONFIG, start)
    assert not outcome.gradient_norm.requires_grad and not any(term.requires_grad for term in outcome.loss)
    for (name, before), after in zip(start.named_parameters(), model.parameters(), strict=True):
        assert not torch.equal(before, after), name
    counts = [value for name, value in model.state_dict().items() if name.endswith("num_batches_tracked")]
    assert all(count == 1 for count in counts)


@pytest.mark.parametrize("chunk", [4, 5])
def test_a_chunked_step_moves_running_statistics_once(chunk: int) -> None:
    outcome, model = one_step(replace(CONFIG, chunk=chunk))
    counts = [value for name, value in model.state_dict().items() if name.endswith("num_batches_tracked")]
    assert counts and all(count == 1 for count in counts) and outcome.gradient_norm > 0


def test_both_passes_see_the_same_views_and_every_chunk_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[Tensor, Tensor]] = []

    def noted(config: PretrainConfig, points: Tensor, images: Tensor, generator: Any) -> Any:
        # The same shapes in every chunk, so that only the random numbers differ.
        shapes = batch(6)
        assert shapes.images is not None
        seen.append(views(config, shapes.points, shapes.images[:, 0], generator))  # type: ignore[arg-type]
        return seen[-1]

    monkeypatch.setattr(training_step, "views", noted)
    one_step(replace(CONFIG, chunk=6))
    first, second, first_again, second_again = seen
    for kind in (0, 1):
        assert torch.equal(first[kind], first_again[kind]) and torch.equal(second[kind], second_again[kind])
        assert not torch.equal(first[kind], second[kind])


@pytest.mark.parametrize("encoder", ["dgcnn", "pointnet"])
@pytest.mark.parametrize("chunk", [0, 6])
def test_bfloat16_is_near_float32(encoder: Any, chunk: int) -> None:
    config = replace(CONFIG, encoder=encoder, chunk=chunk)
    exact, _ = one_step(config)
    rough, model = one_step(replace(config, precision="bfloat16"))
    assert rough.loss.total.dtype == torch.float32
    torch.testing.assert_close(rough.loss, exact.loss, rtol=0.05, atol=0.05)
    torch.testing.assert_close(rough.gradient_norm, exact.gradient_norm, rtol=0.2, atol=0)
    assert not torch.equal(rough.loss.total, exact.loss.total)
    assert all(value.isfinite().all() for value in model.state_dict().values())


def test_clipping_bounds_what_the_optimizer_sees() -> None:
    seen: list[Tensor] = []
    config = replace(CONFIG, grad_clip=0.01)
    model = build_model(config, CPU)
    optimizer = build_optimizer(config, model)
    optimizer.register_step_pre_hook(
        lambda *_: seen.append(torch.stack([p.grad.norm() for p in model.parameters() if p.grad is not None]).norm())
    )
    outcome = train_step(config, model, optimizer, batch(), 0, 5e-4)
    assert outcome.gradient_norm > 0.01 and seen[0].item() == pytest.approx(0.01, rel=1e-3)
    assert all(group["lr"] == 5e-4 for group in optimizer.param_groups)


def several(count: int = 12, pictures: int = 3) -> Pairs:
    images = torch.randint(0, 256, (count, pictures, 3, 40, 40), dtype=torch.uint8, generator=generator_for(5))
    return Pairs(batch(count).points, images)


def test_every_picture_of_a_shape_is_augmented_by_itself() -> None:
    points, images = several()
    assert images is not None
    generator = generator_for(1)
    augment_points(subsample(torch.cat([points, points]), 24, generator), "default", generator)
    pictures = augment_images(images.flatten(0, 1), 32, "default", generator)
    seen = views(CONFIG, points, images, generator_for(1))[1]
    assert seen is not None and seen.shape == (12, 3, 3, 32, 32) and torch.equal(seen.flatten(0, 1), pictures)
    alike = views(CONFIG, points, images[:, :1].expand(-1, 2, -1, -1, -1), generator_for(1))[1]
    assert alike is not None and not torch.equal(alike[:, 0], alike[:, 1])


OPTIONS: dict[str, dict[str, Any]] = {
    "mean": {"views": 3},
    "multi-positive": {"views": 3, "view_loss": "multi-positive"},
    "queue": {"queue": 20},
    "temperature": {"learn_temperature": True},
    "all": {"views": 3, "view_loss": "multi-positive", "queue": 20, "learn_temperature": True},
    "clouds alone": {"views": 3, "queue": 20, "learn_temperature": True, "cross_weight": 0.0},
    "pictures alone": {"views": 3, "queue": 20, "learn_temperature": True, "intra_weight": 0.0},
}


@pytest.mark.parametrize(("chunk", "precision"), [(0, "float32"), (5, "bfloat16")])
@pytest.mark.parametrize("name", OPTIONS)
def test_the_loss_is_that_of_the_projections_the_queue_and_the_temperature(
    name: str, chunk: int, precision: Any
) -> None:
    config = replace(CONFIG, encoder="pointnet", chunk=chunk, precision=precision, **OPTIONS[name])
    model = build_model(config, CPU)
    optimizer, queue = build_optimizer(config, model), NegativeQueue(config.queue, CPU)
    for step in range(3):
        past, log_scale = queue.past(), deepcopy(model.log_scale)
        outcome = train_step(config, model, optimizer, several(), step, 1e-2, None, queue)
        assert (past is None) == (config.queue == 0 or step == 0)
        temperature = config.temperature if log_scale is None else (-log_scale.detach()).exp()
        weights = {"intra_weight": config.intra_weight, "cross_weight": config.cross_weight}
        loss = crosspoint_loss(*outcome.projections, temperature=temperature, past=past, **weights)
        torch.testing.assert_close(outcome.loss, loss, equal_nan=True)
        if config.queue and step:
            assert outcome.loss.total > crosspoint_loss(*outcome.projections, temperature=temperature, **weights).total
        image = outcome.projections.image
        assert image is None if not config.cross_weight else image is not None
        if image is not None:
            assert image.shape == ((12, 3, 16) if config.view_loss == "multi-positive" else (12, 16))
        if log_scale is None:
            assert outcome.temperature is None and model.log_scale is None
        else:
            assert outcome.temperature is not None and torch.equal(outcome.temperature, temperature)
            assert model.log_scale is not None and model.log_scale != log_scale
    held = queue.past()
    assert held is None if not config.queue else held is not None and len(held.cloud_1) == 20


def test_the_mean_picture_is_that_of_the_unnormalised_projections() -> None:
    model = build_model(CONFIG, CPU)
    clouds, pictures = views(CONFIG, *several(), generator_for(1))
    each = model(clouds, pictures)
    mean = each.of_mean_picture().image
    assert mean is not None
    torch.testing.assert_close(mean, sum(each.image.unbind(1)) / 3)
    alone = model(clouds, None)
    assert alone.of_mean_picture() is alone and each.of_mean_picture().of_mean_picture().image is not None


def test_one_view_is_the_same_to_the_bit_in_both_losses_and_nothing_else_is_added() -> None:
    (plain, one), (other, two) = one_step(CONFIG), one_step(replace(CONFIG, view_loss="multi-positive"))
    assert all(torch.equal(a, b) for a, b in zip(plain.loss, other.loss, strict=True)) and equal(one, two)
    assert not any(name.startswith("log_scale") for name in one.state_dict())


def test_a_learned_temperature_does_not_decay_and_stops_at_its_bound() -> None:
    config = replace(CONFIG, learn_temperature=True, weight_decay=0.5, temperature=0.0101)
    model = build_model(config, CPU)
    optimizer = build_optimizer(config, model)
    assert model.log_scale is not None
    decay = {id(p): group["weight_decay"] for group in optimizer.param_groups for p in group["params"]}
    assert decay == {id(p): 0.0 if p is model.log_scale else 0.5 for p in model.parameters()}
    model.log_scale.register_hook(torch.ones_like)  # whatever the loss says: up, up, up, then down
    for step in range(3):
        with torch.no_grad():
            model.log_scale.add_(1.0)
        train_step(config, model, optimizer, batch(), step, 1e-6)
        assert model.log_scale.item() == pytest.approx(math.log(100), rel=1e-6)
    outcome = train_step(config, model, optimizer, batch(), 3, 0.1)
    assert outcome.temperature is not None and float(outcome.temperature) == pytest.approx(0.01, rel=1e-5)
    assert model.log_scale.item() < math.log(100) - 0.05
