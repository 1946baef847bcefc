"""One update: a function of weights, batch, seed and step, whatever the chunks and the global random state."""

from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from crosspoint3d.config import PretrainConfig
from crosspoint3d.data.pairs import Pairs
from crosspoint3d.models.crosspoint import CrossPoint
from crosspoint3d.runtime import generator_for
from crosspoint3d.training import step as training_step
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
    images = torch.randint(0, 256, (count, 3, 40, 40), dtype=torch.uint8, generator=generator)
    return Pairs(torch.randn(count, 50, 3, generator=generator), images)


def one_step(config: PretrainConfig, model: CrossPoint | None = None, step: int = 2) -> tuple[Outcome, CrossPoint]:
    model = build_model(config, CPU) if model is None else deepcopy(model)
    return train_step(config, model, build_optimizer(config, model), batch(), step, 1e-3), model


def equal(one: nn.Module, two: nn.Module) -> bool:
    return all(torch.equal(a, b) for a, b in zip(one.state_dict().values(), two.state_dict().values(), strict=True))


def test_views_are_the_augmentations_of_both_copies_in_order() -> None:
    points, images = batch()
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
        seen.append(views(config, batch(6).points, batch(6).images, generator))  # type: ignore[arg-type]
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
