import json
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from crosspoint3d.config import LinearConfig
from crosspoint3d.evaluation.linear_probe import linear
from crosspoint3d.evaluation.metrics import summary
from crosspoint3d.evaluation.protocol import protocol_record, weights_sha256
from crosspoint3d.evaluation.result import Result, format_table
from crosspoint3d.evaluation.result_files import read_result, result_folder, write_result
from tests.evaluation.fakes import Radii, cluster_clouds, use_encoders


def result(**changes: object) -> Result:
    config = LinearConfig("run", "table", seeds=2, points=16, device="cpu")
    data = {"name": "table", "train_shapes": 1977, "notes": ["from the data"], "points_picked": "all"}
    entry = {"sha256": "ab", "k": 20}
    record = protocol_record(
        config,
        data=data,
        encoders=[{"trained": entry, "untrained": entry}],
        seconds=1.23456,
        notes=["from here"],
        C=0.5,
    )
    values = {
        "evaluation": "linear",
        "scores": {"overall_accuracy": summary([0.5, 0.6]), "mean_rank": summary([3.0])},
        "untrained": {"overall_accuracy": summary([0.4, 0.4]), "mean_rank": summary([6.0])},
        "chance": {"mean_rank": 7.0},
        "protocol": record,
        "details": {},
    }
    return Result(**(values | changes))  # type: ignore[arg-type]


def test_the_record_says_what_decides_the_numbers() -> None:
    record = result().protocol
    assert record["mode"] == "clean"
    assert record["seeds"] == [0, 1]
    assert record["k"] == 20
    assert record["C"] == 0.5
    assert record["notes"] == ["from the data", "from here"]
    assert record["encoder_sha256"] == ["ab"]
    assert record["device"] == "cpu"
    assert record["seconds"] == 1.235
    assert record["config"]["points"] == 16
    assert {"torch", "scikit-learn", "crosspoint3d"} <= record["environment"]["packages"].keys()
    assert {"command", "date", "version"} <= record.keys()


def test_results_round_trip_and_survive_a_failed_write(tmp_path: Path) -> None:
    config = LinearConfig("run", "table", out=tmp_path / "a" / "b")
    path = write_result(config, "linear", result())
    assert path == tmp_path / "a" / "b" / "result.json"
    assert read_result(path) == result(protocol=read_result(path).protocol)
    before = path.read_text()
    with pytest.raises(ValueError, match="JSON"):
        write_result(config, "linear", result(chance={"mean_rank": float("nan")}))
    assert path.read_text() == before
    assert [file.name for file in path.parent.iterdir()] == ["result.json"]
    assert set(json.loads(before)) == {"evaluation", "scores", "untrained", "chance", "protocol", "details"}


def test_a_result_goes_beside_its_run_or_nowhere(tmp_path: Path) -> None:
    run = tmp_path / "run"
    (run / "encoder").mkdir(parents=True)
    assert result_folder(LinearConfig(str(run), "table"), "linear") is None
    (run / "config.yaml").touch()
    assert result_folder(LinearConfig(str(run), "table"), "linear") == run / "evaluation" / "linear"
    assert write_result(LinearConfig(str(run / "encoder"), "table"), "linear", result()) is None
    assert write_result(LinearConfig("random:dgcnn", "table"), "linear", result()) is None


def test_the_hash_follows_the_weights() -> None:
    first, second = nn.Linear(2, 2), nn.Linear(2, 2)
    second.load_state_dict(first.state_dict())
    assert weights_sha256(first) == weights_sha256(second)
    with torch.no_grad():
        second.bias[0] += 1e-6
    assert weights_sha256(first) != weights_sha256(second)
    assert len(weights_sha256(nn.BatchNorm1d(3))) == 64


def test_the_table_shows_all_three_columns() -> None:
    lines = format_table(result()).splitlines()
    accuracy = next(line for line in lines if line.startswith("overall_accuracy"))
    assert "55.0 ± 63.5 %" in accuracy
    assert "40.0 ± 0.0 %" in accuracy
    rank = next(line for line in lines if line.startswith("mean_rank"))
    assert rank.split() == ["mean_rank", "3.0", "6.0", "7.0"]
    assert "note: from the data" in lines
    assert "1,977 train shapes" in lines[0]


def test_scores_under_conditions_stand_in_groups() -> None:
    values = {name: summary([0.5, 0.6]) for name in ("overall_accuracy", "a@drop=5%", "b@drop=5%", "a@drop=90%", "r@1")}
    lines = format_table(result(scores=values, untrained={}, chance={"a@drop=5%": 0.25})).splitlines()
    start = next(number for number, line in enumerate(lines) if line.startswith("overall_accuracy"))
    shown = [line[:12].rstrip() for line in lines[start : start + 6]]
    assert shown == ["overall_accu", "a@drop", "  =5%", "  =90%", "b@drop=5%", "r@1"]
    assert lines[start + 2].endswith("25.0 %") and lines[start + 1] == "a@drop"
    assert len({line.index("±") for line in lines[start : start + 6] if "±" in line}) == 1


def test_categories_are_told_and_written_and_those_of_an_older_result_removed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    matrix = [[53, 33], [2, 84]]
    details = {"categories": ["night_stand", "dresser"], "trained": {"confusion_over_seeds": matrix}}
    with_classes = result(details=details)
    text = format_table(with_classes)
    assert "hardest of 2 categories (means over 2 seeds)" in text
    assert "night_stand   61.6 % of 43, taken for dresser 16.5x" in text
    config = LinearConfig("run", "table", out=tmp_path)
    write_result(config, "linear", with_classes)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["confusion.csv", "per_class.csv", "result.json"]
    assert (tmp_path / "confusion.csv").read_text() == "truth,night_stand,dresser\nnight_stand,53,33\ndresser,2,84\n"
    write_result(config, "linear", result())
    assert [file.name for file in tmp_path.iterdir()] == ["result.json"]
    assert "written:" in capsys.readouterr().err


def test_no_result_of_other_options_is_overwritten(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    use_encoders(monkeypatch, trained=Radii(1.0), untrained=Radii(0.0))
    monkeypatch.setattr("crosspoint3d.evaluation.seeds.load_clouds", cluster_clouds(0.3))
    (tmp_path / "encoder").mkdir()
    (tmp_path / "config.yaml").touch()
    options: dict[str, Any] = {"encoder": str(tmp_path), "data": "somewhere", "points": 16, "device": "cpu", "seeds": 1}
    for changes in ({}, {"protocol": "paper"}, {"cache": False}, {"seeds": 2}, {"protocol": "paper"}):
        linear(LinearConfig(**(options | changes)))
    found = {
        path.parent.name: read_result(path).protocol["config"] for path in tmp_path.glob("evaluation/*/result.json")
    }
    assert sorted(found) == ["linear", "linear-2", "linear-3"]
    assert not found["linear"]["cache"] and found["linear-2"]["protocol"] == "paper" and found["linear-3"]["seeds"] == 2
    here = tmp_path / "evaluation" / "linear-2"
    linear(LinearConfig(**(options | {"out": here, "seeds": 3})))
    linear(LinearConfig(**(options | {"protocol": "paper", "seeds": 3})))
    assert read_result(here / "result.json").protocol["seeds"] == [0, 1, 2]
    (tmp_path / "evaluation" / "linear" / "result.json").write_text("broken")
    linear(LinearConfig(**options))
    assert read_result(tmp_path / "evaluation" / "linear" / "result.json").protocol["config"]["cache"]
