"""Every weight learns at one rate: the head's, less by one factor a layer down to the encoder's first; or not."""

from pathlib import Path

import pytest
import torch
from torch import nn

from crosspoint3d.config import FinetuneSegmentConfig
from crosspoint3d.models import DGCNN, PointNet
from crosspoint3d.training.parameter_groups import build_optimizer, parameter_groups, set_rate


class Net(nn.Module):
    def __init__(self, encoder: nn.Module) -> None:
        super().__init__()
        self.encoder = encoder
        self.head = nn.Linear(2, 3)


def rates(model: nn.Module, layer_decay: float) -> dict[str, float]:
    """The factor of every parameter by its name, each in one group."""
    names = {parameter: name for name, parameter in model.named_parameters()}
    pairs = [(names[p], g["factor"]) for g in parameter_groups(model, layer_decay, frozen=False) for p in g["params"]]
    assert sorted(name for name, _ in pairs) == sorted(names.values())
    return dict(pairs)


def test_rates_fall_by_one_factor_a_layer_from_the_head_down() -> None:
    factors = rates(Net(DGCNN(k=2, emb_dims=4, width=0.125)), 0.5)
    for name, factor in factors.items():
        layer = name.split(".")[1]
        expected = 1.0 if name.startswith("head.") else 0.5 ** (6 - int(layer.removeprefix("conv")))
        assert factor == expected, name
    assert set(rates(Net(DGCNN(k=2, emb_dims=4, width=0.125)), 1.0).values()) == {1.0}


def test_sequences_are_taken_apart() -> None:
    factors = rates(Net(PointNet(emb_dims=4)), 0.1)
    layers = list(dict.fromkeys(name.rsplit(".", 2)[0] for name in factors if name.startswith("encoder.")))
    assert len(layers) == 5
    assert sorted({factor for name, factor in factors.items()}) == pytest.approx([0.1**d for d in (5, 4, 3, 2, 1, 0)])
    assert all(
        factor == pytest.approx(0.1**5) for name, factor in factors.items() if name.startswith("encoder.narrow.0")
    )


def test_weights_of_the_encoder_itself_count_as_its_first_layer() -> None:
    class Encoder(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.scale = nn.Parameter(torch.ones(2))
            self.activation = nn.ReLU()
            self.layer = nn.Linear(2, 2)

    factors = rates(Net(Encoder()), 0.5)
    assert factors["encoder.layer.weight"] == 0.5 and factors["encoder.scale"] == 0.25


@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
def test_a_step_moves_each_layer_at_its_own_rate(optimizer: str) -> None:
    model = Net(nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2)))
    config = FinetuneSegmentConfig("x", "y", Path("z"), optimizer=optimizer, layer_decay=0.5, weight_decay=0.0)
    built = build_optimizer(config, model)
    set_rate(built, 0.25)
    before = {name: value.detach().clone() for name, value in model.named_parameters()}
    for parameter in model.parameters():
        parameter.grad = torch.ones_like(parameter)
    built.step()
    moved = {name: float((before[name] - value.detach()).mean()) for name, value in model.named_parameters()}
    for name, factor in {"head": 1.0, "encoder.1": 0.5, "encoder.0": 0.25}.items():
        assert moved[f"{name}.weight"] == pytest.approx(0.25 * factor, rel=1e-5)


def test_a_frozen_encoder_has_no_group_and_wants_no_gradient() -> None:
    model = Net(nn.Linear(2, 2))
    groups = parameter_groups(model, 1.0, frozen=True)
    assert [p for group in groups for p in group["params"]] == list(model.head.parameters())
    assert not any(p.requires_grad for p in model.encoder.parameters())
    parameter_groups(model, 1.0, frozen=False)
    assert all(p.requires_grad for p in model.encoder.parameters())
