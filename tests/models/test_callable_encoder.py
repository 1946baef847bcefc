import sys
from pathlib import Path

import pytest
import torch

from crosspoint3d.config import UsageError
from crosspoint3d.models import has_twin, load_encoder, save_tower, untrained

MODULE = """
import numpy as np
import torch
from torch import nn

def means(points):
    return points.mean(1)

def arrays(points):
    return np.asarray(points).max(1)

def flat(points):
    return points.mean((1, 2))

def nothing(points):
    return None

def one_row(points):
    return points.mean(1)[:1]

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.drop = nn.Dropout(0.5)
        self.linear = nn.Linear(3, 5)
    def forward(self, points):
        return self.drop(self.linear(points.mean(1)))

net = Net()
depth = 3
"""


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    name = f"encoders_of_{tmp_path.name}"
    (tmp_path / f"{name}.py").write_text(MODULE)
    monkeypatch.chdir(tmp_path)
    return name


def points() -> torch.Tensor:
    return torch.randn(4, 10, 3, generator=torch.Generator().manual_seed(0))


def test_any_function_of_the_working_folder(module: str) -> None:
    path = list(sys.path)
    tower = load_encoder(f"{module}:means")
    assert sys.path == path and not tower.training and tower.head is None and tower.k is None
    assert torch.equal(tower(points()), points().mean(1)) and tower.features == 3
    assert torch.equal(load_encoder(f"{module}:arrays")(points()), points().amax(1))
    assert torch.equal(load_encoder("torch:Tensor.sum", None).encoder.function(points()), points().sum())


def test_a_module_is_put_into_eval_mode_and_has_weights(module: str) -> None:
    tower = load_encoder(f"{module}:net")
    assert torch.equal(tower(points()), tower(points())) and tower(points()).shape == (4, 5)
    assert list(tower.state_dict()) == ["encoder.function.linear.weight", "encoder.function.linear.bias"]


def test_what_it_cannot_do(module: str, tmp_path: Path) -> None:
    spec = f"{module}:means"
    tower = load_encoder(spec)
    with pytest.raises(UsageError, match="k=5: CallableEncoder has no neighbour graph"):
        load_encoder(spec, k=5)
    with pytest.raises(UsageError, match="no projection head"):
        tower.project(tower(points()))
    with pytest.raises(UsageError, match="cannot be kept in an encoder folder"):
        save_tower(tower, tmp_path / "encoder", {})
    assert not has_twin(spec)
    with pytest.raises(UsageError, match="no untrained twin"):
        untrained(spec, 0)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("mean", "has no attribute 'mean'"),
        ("depth", "is 3; expected a function"),
        ("Net", "expected a function or an instance"),
    ],
)
def test_names_that_are_no_encoders(name: str, message: str, module: str) -> None:
    with pytest.raises(UsageError, match=message):
        load_encoder(f"{module}:{name}")


def test_modules_that_cannot_be_imported(module: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="importing no_such_module failed: ModuleNotFoundError"):
        load_encoder("no_such_module:f")
    (tmp_path / f"broken_{module}.py").write_text("1 / 0")
    with pytest.raises(UsageError, match="ZeroDivisionError"):
        load_encoder(f"broken_{module}:f")


@pytest.mark.parametrize("name", ["flat", "nothing", "one_row"])
def test_what_comes_back_must_be_features(name: str, module: str) -> None:
    tower = load_encoder(f"{module}:{name}")
    with pytest.raises(UsageError, match=rf":{name} returned .* for clouds \(4, 10, 3\); expected .*\(4, D\)"):
        tower(points())
