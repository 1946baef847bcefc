"""Runs with several views, a queue, a learned temperature: they resume to the same bytes and refuse what cannot be."""

import dataclasses
from pathlib import Path
from typing import Any

import pytest
import torch

from crosspoint3d.config import PretrainConfig, UsageError
from crosspoint3d.data.table import ShapeTable
from crosspoint3d.training import metrics
from crosspoint3d.training.checkpoint_files import newest_first
from crosspoint3d.training.pretrain import pretrain
from tests.data.tables import example_row, example_table
from tests.training.small_runs import POINTNET, interrupt_at
from tests.training.test_distributed_runs import run_in_two

TINY = POINTNET | {"lr": 1e-2}
ALL: dict[str, Any] = {"views": 2, "view_loss": "multi-positive", "queue": 10, "learn_temperature": True}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Sixteen shapes to train on and none to test on."""
    path = tmp_path_factory.mktemp("data") / "table"
    table = ShapeTable.create(path, points=32, settings={"seed": 0, "views": 2, "image_size": 32})
    table.append([example_row(i) | {"split": "train"} for i in range(16)])
    return path


def config_for(data: Path, out: Path, **changes: Any) -> PretrainConfig:
    return PretrainConfig(data=(data,), out=out, **(TINY | changes))


def states(run: Path) -> list[dict[str, Any]]:
    return [torch.load(path, weights_only=True) for path in newest_first(run / "checkpoint")]


def column(run: Path, name: str) -> list[Any]:
    return [row.get(name) for row in metrics.read(run)]


@pytest.mark.parametrize("options", [ALL | {"chunk": 2}, {"views": 2, "queue": 12}, {"learn_temperature": True}])
def test_an_interrupted_run_resumes_to_the_same_bytes(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: dict[str, Any]
) -> None:
    whole = config_for(data, tmp_path / "whole", max_steps=7, **options)
    pretrain(whole)
    broken = dataclasses.replace(whole, out=tmp_path / "broken")
    interrupt_at(3, monkeypatch)
    assert pretrain(broken).steps == 4
    monkeypatch.undo()
    pretrain(dataclasses.replace(broken, resume=True))
    assert column(broken.out, "loss") == column(whole.out, "loss")
    assert column(broken.out, "temperature") == column(whole.out, "temperature")
    one, two = states(broken.out)[0], states(whole.out)[0]
    assert one["step"] == two["step"] == 7
    for part in ("model", "queue"):
        assert one[part].keys() == two[part].keys()
        assert all(torch.equal(one[part][name], two[part][name]) for name in one[part])
    assert len(one["queue"].get("cloud_1", ())) == options.get("queue", 0)
    learns = "learn_temperature" in options
    assert ("log_scale" in one["model"]) == learns
    temperatures = column(whole.out, "temperature")
    if learns:
        assert temperatures[0] == pytest.approx(0.1) and len(set(temperatures)) == 7
    else:
        assert temperatures == [None] * 7


@pytest.mark.slow
def test_two_processes_resume_to_the_same_bytes(data: Path, tmp_path: Path) -> None:
    pictures = ["--views", "2", "--view-loss", "multi-positive"]
    given = ["--encoder", "pointnet", "--queue", "6", "--learn-temperature", "--lr", "0.01", *pictures]
    for name, fault in (("whole", "none"), ("broken", "interrupt:1:2")):
        ended = run_in_two(data, tmp_path / name, fault, *given)
        assert [code for code, _ in ended] == [0 if fault == "none" else 130] * 2, ended
    ended = run_in_two(data, tmp_path / "broken", "none", *given, "--resume")
    assert [code for code, _ in ended] == [0, 0], ended
    one, two = states(tmp_path / "whole")[0], states(tmp_path / "broken")[0]
    assert one["queue"]["image"].shape == (6, 2, 256)
    for part in ("model", "queue"):
        assert all(torch.equal(one[part][key], two[part][key]) for key in one[part])
    assert column(tmp_path / "whole", "loss") == column(tmp_path / "broken", "loss")


def test_each_option_changes_the_numbers_and_the_plain_run_holds_no_trace(data: Path, tmp_path: Path) -> None:
    options = [{}, {"views": 2}, {"views": 2, "view_loss": "multi-positive"}, {"queue": 8}, {"learn_temperature": True}]
    losses = []
    for number, changes in enumerate(options):
        pretrain(config_for(data, tmp_path / f"{number}", max_steps=3, **changes))
        losses.append(tuple(column(tmp_path / f"{number}", "loss")))
    assert len(set(losses)) == len(options)
    assert losses[3][0] == losses[0][0] and losses[3][1] > losses[0][1]  # the queue is empty at first
    state = states(tmp_path / "0")[0]
    assert state["queue"] == {} and "log_scale" not in state["model"]


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_probes_similarities_and_held_out_shapes_are_measured_as_ever(precision: Any, tmp_path: Path) -> None:
    data = tmp_path / "table"
    example_table(data, 20)
    config = config_for(data, tmp_path / "run", max_steps=4, probe_every=1, precision=precision, **(ALL | {"queue": 4}))
    result = pretrain(config)
    assert result.held_out is not None and result.held_out["shapes"] == 4
    last = metrics.read(config.out)[-1]
    assert {"probe_recall@1", "cross_positive_cosine", "image_effective_rank", "temperature"} <= last.keys()
    plain = config_for(data, tmp_path / "plain", max_steps=1)
    pretrain(plain)
    assert set(metrics.read(plain.out)[0]) == set(metrics.read(config.out)[0]) - {"temperature"}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"views": 0}, "--views 0"),
        ({"views": 3}, r"--views 3: the table .* holds 2 pictures a shape"),
        ({"queue": -1}, "--queue -1"),
        ({"queue": 13}, "--queue 13: with 16 shapes to train on and --batch-size 4 give at most 12"),
        ({"learn_temperature": True, "temperature": 0.009}, r"--temperature 0.009: with --learn-temperature .* 0.01"),
    ],
)
def test_impossible_options_are_refused_before_anything_is_written(
    change: dict[str, Any], message: str, data: Path, tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match=message):
        pretrain(config_for(data, tmp_path / "run", **change))
    assert not (tmp_path / "run").exists()


def test_what_is_not_looked_at_needs_no_pictures(data: Path, tmp_path: Path) -> None:
    pretrain(config_for(data, tmp_path / "run", max_steps=1, views=9, cross_weight=0.0, queue=4))
    assert len(states(tmp_path / "run")[0]["queue"]) == 2


def test_a_resumed_run_keeps_its_objective(data: Path, tmp_path: Path) -> None:
    config = config_for(data, tmp_path / "run", max_steps=1, **ALL)
    pretrain(config)
    others = {"views": 1, "view_loss": "mean", "queue": 9, "learn_temperature": False}
    for name, value in others.items():
        with pytest.raises(UsageError, match=f"{name} was {ALL[name]!r}, now {value!r}"):
            pretrain(dataclasses.replace(config, resume=True, **{name: value}))  # type: ignore[arg-type]
