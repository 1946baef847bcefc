"""What a run is built from: the fused optimizer, the precision of products, a compiled image encoder or a message."""

from collections.abc import Callable
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from crosspoint3d.config import PretrainConfig, UsageError
from crosspoint3d.models.crosspoint import CrossPoint, build_crosspoint
from crosspoint3d.models.tower import seeded_weights
from crosspoint3d.training import setup
from crosspoint3d.training.setup import build_model, build_optimizer

CONFIG = PretrainConfig(
    data=(Path("table"),), out=Path("run"), emb_dims=16, width=0.125, image_encoder="resnet18", image_size=32
)


@pytest.mark.parametrize("name", ["adam", "adamw"])
def test_the_fused_optimizer_is_the_plain_one_and_goes_on_from_its_state(name: Any) -> None:
    config = replace(CONFIG, optimizer=name, weight_decay=0.1)
    generator = torch.Generator().manual_seed(0)
    plain = nn.Linear(7, 5)
    fused = deepcopy(plain)
    kind = torch.optim.Adam if name == "adam" else torch.optim.AdamW
    expected = kind(plain.parameters(), lr=config.lr, weight_decay=0.1, fused=False, foreach=False)
    optimizer = build_optimizer(config, fused)
    assert optimizer.defaults["fused"] is True
    for _ in range(3):
        for mine, theirs in zip(fused.parameters(), plain.parameters(), strict=True):
            theirs.grad = torch.randn(theirs.shape, generator=generator)
            mine.grad = theirs.grad.clone()
        restored = build_optimizer(config, fused)
        restored.load_state_dict(deepcopy(optimizer.state_dict()))
        optimizer = restored
        expected.step()
        optimizer.step()
    for mine, theirs in zip(fused.parameters(), plain.parameters(), strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-6, atol=1e-7)


def test_a_device_without_a_fused_kernel_gets_torchs_choice() -> None:
    assert build_optimizer(CONFIG, nn.Linear(2, 2, device="meta")).defaults["fused"] is None


class Small(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm, self.drop = nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.Dropout(0.1)

    def forward(self, images: Tensor) -> Tensor:
        return self.drop(self.norm(self.conv(images))).mean((2, 3))


@pytest.fixture
def build_with(monkeypatch: pytest.MonkeyPatch) -> Callable[[Any], CrossPoint]:
    """`build_model` with --compile, for an image encoder without type checks (which no tracer follows)."""

    def build(backend: Any) -> CrossPoint:
        compiled = nn.Module.compile
        monkeypatch.setattr(nn.Module, "compile", lambda module: compiled(module, backend=backend))

        def small(config: PretrainConfig) -> CrossPoint:
            model = build_crosspoint(config)
            with seeded_weights(config.seed):
                model.image_tower.encoder = Small()
            return model

        monkeypatch.setattr(setup, "build_crosspoint", small)
        return build_model(replace(CONFIG, compile=True), torch.device("cpu"))

    return build


def test_compiling_leaves_keys_weights_statistics_and_random_state_alone(
    build_with: Callable[[Any], CrossPoint],
) -> None:
    graphs: list[Any] = []

    def backend(graph: Any, _: Any) -> Any:
        graphs.append(graph)
        return graph

    state = torch.get_rng_state()
    model = build_with(backend)
    assert torch.equal(torch.get_rng_state(), state)
    plain = setup.build_crosspoint(CONFIG)
    assert graphs and list(model.state_dict()) == list(plain.state_dict())
    for name, value in plain.state_dict().items():
        if not name.startswith("image_tower.encoder") or "running" in name or "tracked" in name:
            assert torch.equal(model.state_dict()[name], value), name
    assert all(parameter.grad is None for parameter in model.parameters())


def test_without_a_compiler_the_message_names_the_option(build_with: Callable[[Any], CrossPoint]) -> None:
    def broken(*_: Any) -> Any:
        raise RuntimeError("Failed to find\n C compiler")

    with pytest.raises(
        UsageError, match=r"--compile: torch.compile failed on resnet18 .*find C compiler.*leave --comp"
    ):
        build_with(broken)


def test_too_little_memory_is_not_the_compilers_fault(build_with: Callable[[Any], CrossPoint]) -> None:
    def full(*_: Any) -> Any:
        def run(*_: Any) -> Any:
            raise torch.OutOfMemoryError("full")

        return run

    with pytest.raises(torch.OutOfMemoryError):
        build_with(full)


def test_clouds_alone_need_no_compiler(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nn.Module, "compile", None)
    build_model(replace(CONFIG, compile=True, cross_weight=0.0), torch.device("cpu"))
