"""An image encoder that is given its weights, and one that does not learn: steps, runs, resumed and compiled ones."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from crosspoint3d.config import PretrainConfig, RunError, UsageError
from crosspoint3d.data.pairs import Pairs
from crosspoint3d.models.crosspoint import CrossPoint
from crosspoint3d.models.resnet import ResNet
from crosspoint3d.ops import synchronised
from crosspoint3d.training import loop, setup
from crosspoint3d.training.image_start import FILE, read_note
from crosspoint3d.training.pretrain import pretrain
from crosspoint3d.training.setup import build_model, build_optimizer
from crosspoint3d.training.step import train_step
from tests.data.tables import example_table
from tests.training.small_runs import POINTNET, interrupt_at

CPU = torch.device("cpu")
TINY = POINTNET | {"projection_dims": 8}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("data") / "table"
    example_table(path, 20)
    return path


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A plain ResNet's weights."""
    path = tmp_path_factory.mktemp("weights") / "resnet18.safetensors"
    with torch.random.fork_rng():
        torch.manual_seed(5)
        save_file(ResNet("resnet18").state_dict(), path)
    return path


def config_for(data: Path = Path("table"), out: Path = Path("run"), **changes: Any) -> PretrainConfig:
    return PretrainConfig(data=(data,), out=out, **(TINY | changes))


def batch(count: int = 8) -> Pairs:
    generator = torch.Generator().manual_seed(3)
    images = torch.randint(0, 256, (count, 1, 3, 40, 40), dtype=torch.uint8, generator=generator)
    return Pairs(torch.randn(count, 30, 3, generator=generator), images)


def stepped(config: PretrainConfig, model: CrossPoint) -> tuple[dict[str, torch.Tensor], Any]:
    """One update; the state before it."""
    before = {name: value.clone() for name, value in model.state_dict().items()}
    return before, train_step(config, model, build_optimizer(config, model), batch(), 0, 1e-2)


@pytest.mark.parametrize("chunk", [0, 4])
def test_a_step_leaves_the_encoder_and_moves_the_rest(chunk: int) -> None:
    config = config_for(freeze_images=True, batch_size=8, chunk=chunk)
    model = build_model(config, CPU)
    before, outcome = stepped(config, model)
    for name, value in model.state_dict().items():
        if not name.endswith("num_batches_tracked"):
            assert torch.equal(value, before[name]) == name.startswith("image_tower.encoder."), name
    assert outcome.gradient_norm > 0 and model.image_tower.training and not model.image_tower.encoder.training


def test_gradients_are_those_of_fixed_features_and_the_norm_is_of_what_learns() -> None:
    config = config_for(freeze_images=True, batch_size=8, grad_clip=0.0)
    plain = build_model(replace(config, freeze_images=False), CPU)
    plain.image_tower.encoder.eval()  # its statistics fixed, its gradients there and not used
    frozen = build_model(config, CPU)
    _, theirs = stepped(config, plain)
    _, ours = stepped(config, frozen)
    torch.testing.assert_close(ours.loss.total, theirs.loss.total)
    squares = 0.0
    for (name, mine), other in zip(frozen.named_parameters(), plain.parameters(), strict=True):
        if name.startswith("image_tower.encoder."):
            assert mine.grad is None and other.grad is not None
        elif mine.grad is not None and other.grad is not None:
            torch.testing.assert_close(mine.grad, other.grad, rtol=1e-4, atol=1e-5)
            squares += mine.grad.double().square().sum().item()
    assert ours.gradient_norm.item() == pytest.approx(squares**0.5, rel=1e-4) and ours.gradient_norm < theirs[1]


def test_the_optimizer_holds_nothing_of_it() -> None:
    config = config_for(freeze_images=True)
    model = build_model(config, CPU)
    held = {id(p) for group in build_optimizer(config, model).param_groups for p in group["params"]}
    expected = {id(p) for name, p in model.named_parameters() if not name.startswith("image_tower.encoder.")}
    assert held == expected


def test_no_activation_of_the_encoder_is_kept() -> None:
    model = build_model(config_for(freeze_images=True), CPU)
    saved: list[int] = []
    with torch.autograd.graph.saved_tensors_hooks(lambda x: saved.append(x.dim()) or x, lambda x: x):  # type: ignore[func-returns-value]
        model.image_tower.project(model.image_tower(torch.randn(4, 3, 32, 32)))
    assert saved and max(saved) <= 2  # the head's matrices; the encoder's would have four axes


def test_processes_do_not_synchronise_it() -> None:
    model = build_model(config_for(freeze_images=True), CPU)
    synchronised.synchronise(model, leave=model.image_tower.encoder)
    kinds = {name: isinstance(m, synchronised._Synchronised) for name, m in model.named_modules()}
    norms = [name for name, m in model.named_modules() if isinstance(m, nn.BatchNorm1d | nn.BatchNorm2d)]
    inside = [name for name in norms if name.startswith("image_tower.encoder.")]
    assert inside and not any(kinds[name] for name in inside) and kinds["image_tower.head.norm"]


def test_compiling_needs_no_backward_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    graphs: list[bool] = []

    def backend(graph: Any, _: Any) -> Any:
        graphs.append(torch.is_grad_enabled())
        return graph

    class Small(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.norm = nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8)

        def forward(self, images: torch.Tensor) -> torch.Tensor:
            return self.norm(self.conv(images)).mean((2, 3))

    def small(config: PretrainConfig) -> CrossPoint:
        model = build(config)
        model.image_tower.encoder = Small()
        model.image_tower.freeze()
        return model

    build, compiled = setup.build_crosspoint, nn.Module.compile
    monkeypatch.setattr(nn.Module, "compile", lambda module: compiled(module, backend=backend))
    monkeypatch.setattr(setup, "build_crosspoint", small)
    model = build_model(config_for(freeze_images=True, compile=True), CPU)
    assert graphs == [False]
    assert not model.image_tower(torch.randn(4, 3, 32, 32)).requires_grad and graphs == [False]


def image_weights(run: Path) -> dict[str, torch.Tensor]:
    return load_file(run / "image_encoder" / "model.safetensors")


def test_a_run_says_what_it_began_with_and_leaves_it(data: Path, file: Path, tmp_path: Path) -> None:
    config = config_for(data, tmp_path / "run", max_steps=2, image_weights=str(file), freeze_images=True)
    pretrain(config)
    found, given = image_weights(config.out), load_file(file)
    for name, value in given.items():
        assert torch.equal(found[f"encoder.{name}"], value), name
    noted = read_note(config.out)
    assert noted is not None and noted["source"] == str(file) and len(noted["sha256"]) == 64
    assert json.loads((config.out / "summary.json").read_text())["image_weights"] == noted
    saved = json.loads((config.out / "image_encoder" / "config.json").read_text())
    assert (saved["began_with"], saved["frozen"], saved["pictures"]) == (noted, True, "colour")
    card = (config.out / "image_encoder" / "README.md").read_text()
    assert noted["sha256"] in card and "It did not learn itself" in card
    pretrain(replace(config, out=tmp_path / "learns", freeze_images=False, max_steps=1))
    moved = image_weights(tmp_path / "learns")
    assert not torch.equal(moved["encoder.conv1.weight"], given["conv1.weight"])


def test_a_resumed_run_needs_the_file_no_more(
    data: Path, file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = tmp_path / "own.safetensors"
    own.write_bytes(file.read_bytes())
    whole = config_for(data, tmp_path / "whole", max_steps=4, image_weights=str(own), freeze_images=True)
    pretrain(whole)
    part = replace(whole, out=tmp_path / "part")
    with monkeypatch.context() as patch:
        interrupt_at(2, patch)
        assert pretrain(part).stopped
    own.unlink()
    pretrain(replace(part, resume=True))
    for folder in ("encoder", "image_encoder"):
        one, two = ((run / folder / "model.safetensors").read_bytes() for run in (whole.out, part.out))
        assert one == two
    assert read_note(part.out) == read_note(whole.out)
    with monkeypatch.context() as patch:
        interrupt_at(0, patch)
        fresh = replace(whole, out=tmp_path / "fresh", image_weights="scratch")
        pretrain(fresh)
    with pytest.raises(UsageError, match="image_weights was 'scratch', now"):
        pretrain(replace(fresh, image_weights=str(own), resume=True))
    with pytest.raises(UsageError, match="no such file or folder"):
        pretrain(replace(whole, out=tmp_path / "new"))
    assert not (tmp_path / "new").exists()


def test_a_run_that_begins_anew_takes_the_same_weights_only(
    data: Path, file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = tmp_path / "own.safetensors"
    own.write_bytes(file.read_bytes())
    config = config_for(data, tmp_path / "run", max_steps=2, image_weights=str(own))

    def fail(*_: Any, **__: Any) -> Any:
        raise RunError("the disk is full")

    with monkeypatch.context() as patch:
        patch.setattr(loop, "train_step", fail)
        with pytest.raises(RunError, match="full"):
            pretrain(config)
    save_file({name: value + 1 for name, value in load_file(file).items()}, own)
    with pytest.raises(UsageError, match=r"other weights than those that .* began with .SHA-256"):
        pretrain(replace(config, resume=True))
    own.write_bytes(file.read_bytes())
    assert pretrain(replace(config, resume=True)).steps == 2


def test_a_resumed_run_may_not_thaw(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = config_for(data, tmp_path / "run", max_steps=1, freeze_images=True)
    pretrain(config)
    assert "warning: --freeze-images with --image-weights scratch" in capsys.readouterr().err
    assert not (config.out / FILE).exists()
    with pytest.raises(UsageError, match="freeze_images was True, now False"):
        pretrain(replace(config, freeze_images=False, resume=True))


def test_clouds_alone_load_nothing_and_go_on(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    missing = str(tmp_path / "none.pth")
    config = config_for(data, tmp_path / "run", max_steps=2, cross_weight=0.0, image_weights=missing)
    with monkeypatch.context() as patch:
        interrupt_at(0, patch)
        assert pretrain(config).steps == 1
    assert pretrain(replace(config, resume=True)).steps == 2
