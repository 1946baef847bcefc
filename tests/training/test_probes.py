"""Probes: shapes held out by id and seed, scores that tell a trained encoder, and a run they do not touch."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from crosspoint3d.config import PretrainConfig, UsageError
from crosspoint3d.data.table import ShapeTable
from crosspoint3d.models.crosspoint import build_crosspoint
from crosspoint3d.training.excluded import training_rows
from crosspoint3d.training.probe_shapes import split_rows
from crosspoint3d.training.probes import FILE, Probe, undisturbed
from tests.data.tables import example_row, example_table


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("data") / "table"
    example_table(path, 60)
    return path


def config_for(data: Path, out: Path, **changes: Any) -> PretrainConfig:
    out.mkdir(exist_ok=True)
    tiny: dict[str, Any] = {
        "encoder": "pointnet",
        "emb_dims": 16,
        "points": 16,
        "image_encoder": "resnet18",
        "image_size": 32,
        "batch_size": 4,
        "device": "cpu",
        "probe_every": 2,
    }
    return PretrainConfig(data=(data,), out=out, **(tiny | changes))


def table_of(path: Path, rows: list[dict[str, Any]]) -> ShapeTable:
    table = ShapeTable.create(path, points=32, settings={})
    table.append(rows)
    return table


def test_it_measures_every_so_many_epochs_and_at_the_end(data: Path, tmp_path: Path) -> None:
    probe = Probe(config_for(data, tmp_path / "run"), [ShapeTable(data)], steps=5, total=33)
    assert [step for step in range(1, 34) if probe.due(step)] == [10, 20, 30, 33]
    held_out = (tmp_path / "run" / FILE).read_text().split()
    tables = [ShapeTable(data)]
    (rest,) = training_rows(tables, tmp_path / "run" / FILE)  # the list is one that --exclude takes
    ((train,), _) = split_rows(tables, training_rows(tables, None), 0)
    assert len(held_out) == 5 and np.array_equal(*(rows[np.arange(len(rows))] for rows in (rest, train)))


def test_scores_repeat_and_leave_the_model_and_the_generators_alone(data: Path, tmp_path: Path) -> None:
    config = config_for(data, tmp_path / "run")
    model = build_crosspoint(config).train()
    model.image_tower.eval()  # a frozen tower stays in its own mode
    before = {name: value.clone() for name, value in model.state_dict().items()}
    modes = [module.training for module in model.modules()]
    random = torch.get_rng_state(), np.random.get_state()[1].tobytes()  # noqa: NPY002
    probe = Probe(config, [ShapeTable(data)], steps=5, total=10)
    first, second = probe.measure(model), probe.measure(model)
    assert first == second and set(first) == {"probe_linear_accuracy", "probe_recall@1"}
    assert all(0 <= value <= 1 for value in first.values())
    assert modes == [module.training for module in model.modules()] and True in modes and False in modes
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert torch.equal(random[0], torch.get_rng_state())
    assert random[1] == np.random.get_state()[1].tobytes()  # noqa: NPY002


def test_the_linear_probe_finds_what_the_features_tell(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = config_for(data, tmp_path / "run", cross_weight=0.0, points=32)
    probe = Probe(config, [ShapeTable(data)], steps=5, total=10)
    model = build_crosspoint(config)
    monkeypatch.setattr(model.point_tower, "forward", lambda points: points.std(dim=1))  # one category is long
    assert probe.measure(model) == {"probe_linear_accuracy": 1.0}


def test_without_categories_retrieval_is_left_and_without_pictures_nothing(tmp_path: Path) -> None:
    table = table_of(tmp_path / "table", [example_row(i) | {"category": None, "split": None} for i in range(20)])
    config = config_for(tmp_path / "table", tmp_path / "run")
    probe = Probe(config, [table], steps=5, total=10)
    assert set(probe.measure(build_crosspoint(config))) == {"probe_recall@1"}
    with pytest.raises(UsageError, match=r"--probe-every 2: nothing to measure without categories.*--cross-weight 0"):
        Probe(config_for(tmp_path / "table", tmp_path / "other", cross_weight=0.0), [table], steps=5, total=10)


def test_broken_features_are_a_message(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = config_for(data, tmp_path / "run")
    model = build_crosspoint(config)
    with torch.no_grad():
        next(model.point_tower.parameters()).fill_(torch.nan)
    assert Probe(config, [ShapeTable(data)], steps=5, total=10).measure(model) == {}
    assert "probe: the encoder gives values that are not finite" in capsys.readouterr().err


def test_modes_are_put_back_after_an_error() -> None:
    model = torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.Dropout())
    model[1].eval()
    with pytest.raises(ZeroDivisionError), undisturbed(model):
        model.eval()
        raise ZeroDivisionError
    assert [module.training for module in model.modules()] == [True, True, False]
