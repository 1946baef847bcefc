"""Whole runs with their logs: more in every row, mirrors, probes that change nothing, the collapse alarm."""

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest
import torch

from crosspoint3d import cli
from crosspoint3d.config import PretrainConfig, UsageError
from crosspoint3d.data.table import ShapeTable
from crosspoint3d.models.crosspoint import CrossPoint
from crosspoint3d.training import metrics
from crosspoint3d.training import pretrain as recipe
from crosspoint3d.training.collapse import LEAST_STEPS, PATIENCE
from crosspoint3d.training.pretrain import pretrain
from crosspoint3d.training.probes import FILE
from tests.data.tables import example_row
from tests.training.small_runs import POINTNET, interrupt_at

LONG_ENOUGH = LEAST_STEPS + PATIENCE + 3


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("data") / "table"
    table = ShapeTable.create(path, points=32, settings={})
    table.append([example_row(i) | {"split": "train"} for i in range(24)])
    return path


def config_for(data: Path, out: Path, **changes: Any) -> PretrainConfig:
    return PretrainConfig(data=(data,), out=out, **(POINTNET | changes))


def weights(run: Path) -> list[bytes]:
    return [path.read_bytes() for path in sorted(run.glob("*encoder/model.safetensors"))]


def test_every_row_tells_gradients_memory_waiting_and_similarities(data: Path, tmp_path: Path) -> None:
    pretrain(config_for(data, tmp_path / "run", max_steps=4))
    rows = metrics.read(tmp_path / "run")
    assert [row["step"] for row in rows] == [1, 2, 3, 4]
    for row in rows:
        assert row["gradient_norm"] > 0 and row["rss_mib"] > 50 and 0 <= row["data_wait"] <= 1
        assert 1 <= row["cloud_effective_rank"] <= 4 and 1 <= row["image_effective_rank"] <= 4
        for pair in ("intra", "cross"):
            assert row[f"{pair}_alignment"] == pytest.approx(2 - 2 * row[f"{pair}_positive_cosine"], abs=1e-4)
        assert max(row["cloud_uniformity"], row["image_uniformity"]) <= 0
    assert json.loads((tmp_path / "run" / "summary.json").read_text())["collapse"] == ""


def test_chunks_are_judged_as_one_batch(data: Path, tmp_path: Path) -> None:
    pretrain(config_for(data, tmp_path / "run", max_steps=1, batch_size=8, chunk=2))
    assert metrics.read(tmp_path / "run")[0]["cloud_effective_rank"] > 2  # more than a chunk of two can have


def test_probes_change_nothing_but_the_rows_trained_on(data: Path, tmp_path: Path) -> None:
    probed = config_for(data, tmp_path / "probed", max_steps=12, probe_every=1, log_every=5)
    pretrain(probed)
    rows = metrics.read(probed.out)
    measured = [row["step"] for row in rows if "probe_recall@1" in row and "probe_linear_accuracy" in row]
    assert [row["step"] for row in rows] == [5, 10, 12] and measured == [5, 10, 12]
    plain = config_for(data, tmp_path / "plain", max_steps=12, exclude=probed.out / FILE)
    pretrain(plain)
    assert weights(probed.out) == weights(plain.out) and len(weights(plain.out)) == 2


def test_a_resumed_run_probes_and_mirrors_on(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("tensorboard", reason="the extra tensorboard is not installed")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    whole = config_for(data, tmp_path / "whole", max_steps=12, probe_every=1)
    pretrain(whole)
    broken = dataclasses.replace(whole, out=tmp_path / "broken", tensorboard=True)
    interrupt_at(7, monkeypatch)
    assert pretrain(broken).steps == 8
    monkeypatch.undo()
    pretrain(dataclasses.replace(broken, resume=True))
    assert weights(broken.out) == weights(whole.out)
    rows = metrics.read(broken.out)
    clocks = ("pairs_per_s", "rss_mib", "data_wait")
    plain = [
        [{name: row[name] for name in row if name not in clocks} for row in metrics.read(run.out)]
        for run in (whole, broken)
    ]
    assert plain[0] == plain[1]
    events = EventAccumulator(str(broken.out / "tensorboard")).Reload()
    for name in ("loss", "cloud_effective_rank", "probe_recall@1"):
        found = [(event.step, event.value) for event in events.Scalars(name)]
        assert found == [(row["step"], pytest.approx(row[name])) for row in rows if name in row]


def test_a_collapsed_model_is_told_once_and_noted(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    build = recipe.build_model

    def collapsed(config: PretrainConfig, device: torch.device) -> CrossPoint:
        model = build(config, device)
        head = model.point_tower.head
        assert head is not None
        with torch.no_grad():
            head.linear2.weight.mul_(1e-4)
            head.linear2.bias.fill_(1)
        return model

    monkeypatch.setattr(recipe, "build_model", collapsed)
    changes = {"cross_weight": 0.0, "lr": 1e-9, "weight_decay": 0.0}
    pretrain(config_for(data, tmp_path / "run", max_steps=LONG_ENOUGH, **changes))
    assert capsys.readouterr().err.count("warning: collapse: at step") == 1
    note = json.loads((tmp_path / "run" / "summary.json").read_text())["collapse"]
    assert "projections of clouds no longer tell shapes apart" in note and "--temperature" in note


def test_a_healthy_run_gives_no_alarm(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    result = pretrain(config_for(data, tmp_path / "run", max_steps=LONG_ENOUGH))
    assert result.collapse == "" and "collapse" not in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--probe-every", "-1"], "--probe-every -1: must be at least 0"),
        (["--probe-every", "1", "--batch-size", "23"], "--batch-size 23 is more than the 22 shapes"),
    ],
)
def test_wrong_values_are_usage_errors(
    arguments: list[str], message: str, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert (
        cli.run(["pretrain", "--data", str(data), "--out", str(tmp_path / "run"), "--device", "cpu", *arguments]) == 2
    )
    assert message in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_resume_takes_trackers_over_but_not_probes(data: Path, tmp_path: Path) -> None:
    config = config_for(data, tmp_path / "run", max_steps=2)
    pretrain(config)
    with pytest.raises(UsageError, match="probe_every was 0, now 1"):
        pretrain(dataclasses.replace(config, resume=True, probe_every=1))
    assert "finished" in str(pretrain(dataclasses.replace(config, resume=True, wandb="later")))
