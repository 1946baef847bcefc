"""The pre-training recipe: repeats bit for bit, resumes to the same weights, stops cleanly, keeps what was good."""

import dataclasses
import json
import shutil
import signal
from pathlib import Path
from typing import Any

import pytest
import torch

from crosspoint3d import cli
from crosspoint3d.config import PretrainConfig, RunError, UsageError
from crosspoint3d.config_file import load_yaml
from crosspoint3d.models import load_encoder, load_image_encoder
from crosspoint3d.training import checkpoint, metrics
from crosspoint3d.training import pretrain as recipe
from crosspoint3d.training import step as training_step
from crosspoint3d.training.pretrain import pretrain
from crosspoint3d.transforms import augment_points
from tests.data.tables import example_row, example_table
from tests.training.small_runs import interrupt_at

TINY: dict[str, Any] = {
    "width": 0.125,
    "emb_dims": 16,
    "k": 4,
    "points": 16,
    "image_encoder": "resnet18",
    "image_size": 32,
    "batch_size": 4,
    "device": "cpu",
    "lr": 1e-3,
}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("data") / "table"
    example_table(path, 20)
    return path


def config_for(data: Path, out: Path, **changes: Any) -> PretrainConfig:
    return PretrainConfig(data=(data,), out=out, **(TINY | changes))


def losses(run: Path) -> list[float]:
    return [row["loss"] for row in metrics.read(run)]


def weights(run: Path) -> list[bytes]:
    return [(run / folder / "model.safetensors").read_bytes() for folder in ("encoder", "image_encoder")]


def test_a_run_leaves_everything_behind(data: Path, tmp_path: Path) -> None:
    result = pretrain(config_for(data, tmp_path / "run", max_steps=6))
    assert (result.steps, result.total, result.stopped, result.exit_code) == (6, 6, False, 0)
    rows = metrics.read(tmp_path / "run")
    assert [row["step"] for row in rows] == [1, 2, 3, 4, 5, 6]
    assert [row["epoch"] for row in rows] == [0, 0, 0, 0, 1, 1]
    for row in rows:
        assert set(row) >= {"step", "epoch", "loss", "intra_modal", "cross_modal", "lr", "pairs_per_s"}
        assert row["loss"] == pytest.approx(row["intra_modal"] + row["cross_modal"], rel=1e-5)
        assert row["pairs_per_s"] > 0
    summary = json.loads((tmp_path / "run" / "summary.json").read_text())
    assert summary["held_out"]["shapes"] == 4 and summary["held_out"]["chance"] == 0.25
    assert (tmp_path / "run" / "evaluation" / "retrieval" / "result.json").exists()
    assert summary["steps"] == 6 and "torch" in summary["environment"]["packages"]
    assert load_encoder(str(tmp_path / "run"))(torch.rand(2, 16, 3)).shape == (2, 32)
    assert load_image_encoder(str(tmp_path / "run"))(torch.rand(2, 3, 32, 32)).shape == (2, 512)


def test_the_saved_config_repeats_the_run_bit_for_bit(data: Path, tmp_path: Path) -> None:
    pretrain(config_for(data, tmp_path / "a", max_steps=5))
    assert cli.run(["pretrain", "--config", str(tmp_path / "a" / "config.yaml"), "--out", str(tmp_path / "b")]) == 0
    assert losses(tmp_path / "a") == losses(tmp_path / "b")
    assert weights(tmp_path / "a") == weights(tmp_path / "b")
    pretrain(config_for(data, tmp_path / "c", max_steps=5, seed=1))
    assert losses(tmp_path / "a") != losses(tmp_path / "c")


def test_the_chunk_decides_the_result_so_a_resumed_run_keeps_it(data: Path, tmp_path: Path) -> None:
    for chunk in (0, 2):
        pretrain(config_for(data, tmp_path / f"{chunk}", max_steps=1, chunk=chunk))
    assert losses(tmp_path / "0") != losses(tmp_path / "2")
    with pytest.raises(UsageError, match="chunk was 2, now 4"):
        pretrain(config_for(data, tmp_path / "2", max_steps=1, chunk=4, resume=True))


def test_it_learns(data: Path, tmp_path: Path) -> None:
    pretrain(config_for(data, tmp_path / "run", max_steps=60))
    values = losses(tmp_path / "run")
    assert sum(values[-8:]) < 0.85 * sum(values[:8])


@pytest.mark.parametrize("chunk", [0, 3])
def test_an_interrupted_run_resumes_to_the_same_weights(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, chunk: int
) -> None:
    whole = config_for(data, tmp_path / "whole", max_steps=9, chunk=chunk)
    pretrain(whole)
    broken = dataclasses.replace(whole, out=tmp_path / "broken")
    interrupt_at(3, monkeypatch)
    stopped = pretrain(broken)
    monkeypatch.undo()
    assert (stopped.stopped, stopped.steps, stopped.exit_code) == (True, 4, 130)
    assert "--resume" in str(stopped)
    assert not (tmp_path / "broken" / "encoder").exists()
    with (tmp_path / "broken" / "metrics.jsonl").open("a") as file:
        file.write(json.dumps({"step": 5, "loss": 0.0}) + '\n{"step": 6, "lo')
    pretrain(dataclasses.replace(broken, resume=True))
    assert losses(tmp_path / "broken") == losses(tmp_path / "whole")
    assert weights(tmp_path / "broken") == weights(tmp_path / "whole")


def test_resume_of_a_new_and_of_a_finished_run(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = config_for(data, tmp_path / "run", max_steps=2, resume=True)
    pretrain(config)
    assert "starting at step 0" in capsys.readouterr().err
    before = {path: path.read_bytes() for path in (tmp_path / "run").rglob("*") if path.is_file()}
    again = pretrain(config)
    assert "finished" in str(again) and again.exit_code == 0
    assert {path: path.read_bytes() for path in (tmp_path / "run").rglob("*") if path.is_file()} == before


def test_an_existing_run_folder_is_refused(data: Path, tmp_path: Path) -> None:
    config = config_for(data, tmp_path / "run", max_steps=1)
    pretrain(config)
    with pytest.raises(UsageError, match="exists: give another folder, or --resume"):
        pretrain(config)
    with pytest.raises(UsageError, match=r"lr was 0\.001, now 0\.5"):
        pretrain(dataclasses.replace(config, resume=True, lr=0.5))
    (tmp_path / "file").write_text("x")
    with pytest.raises(UsageError, match="is a file"):
        pretrain(config_for(data, tmp_path / "file"))


def test_a_loss_that_is_not_finite_stops_the_run_and_keeps_the_last_good_state(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = iter(range(100))

    def poisoned(points: Any, *rest: Any) -> Any:
        return augment_points(points, *rest) * (float("nan") if next(calls) >= 3 else 1.0)

    monkeypatch.setattr(training_step, "augment_points", poisoned)
    config = config_for(data, tmp_path / "run", max_steps=8, checkpoint_every=2)
    with pytest.raises(RunError, match=r"step 4: loss nan.*state of step 2 is kept"):
        pretrain(config)
    assert checkpoint.checkpoint_step(tmp_path / "run") == 2
    monkeypatch.undo()
    pretrain(dataclasses.replace(config, resume=True))
    assert len(losses(tmp_path / "run")) == 8


def test_a_full_disk_keeps_the_checkpoint_before(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save = torch.save

    def full(state: dict[str, Any], path: Path) -> None:
        if state["step"] == 4:
            path.write_bytes(b"half")
            raise OSError(28, "No space left on device")
        save(state, path)

    monkeypatch.setattr(torch, "save", full)
    with pytest.raises(RunError, match=r"step 4 could not be written.*No space left.*before it is kept"):
        pretrain(config_for(data, tmp_path / "run", max_steps=8, checkpoint_every=2))
    assert checkpoint.checkpoint_step(tmp_path / "run") == 2
    names = sorted(path.name for path in (tmp_path / "run" / "checkpoint").iterdir())
    assert names == ["step-00000000.pt", "step-00000002.pt"]


def test_a_broken_checkpoint_is_a_message(data: Path, tmp_path: Path) -> None:
    config = config_for(data, tmp_path / "run", max_steps=2)
    pretrain(config)
    for path in (tmp_path / "run" / "checkpoint").iterdir():
        path.write_bytes(b"not a checkpoint")
    (tmp_path / "run" / "summary.json").unlink()
    with pytest.raises(RunError, match=r"cannot be read.*remove it"):
        pretrain(dataclasses.replace(config, resume=True))


@pytest.mark.parametrize(("intra", "cross"), [(1.0, 0.0), (0.0, 1.0)])
def test_one_term_alone_trains_what_it_needs(intra: float, cross: float, data: Path, tmp_path: Path) -> None:
    pretrain(config_for(data, tmp_path / "run", max_steps=2, intra_weight=intra, cross_weight=cross))
    rows = metrics.read(tmp_path / "run")
    term = "intra_modal" if intra else "cross_modal"
    assert all(row["loss"] == pytest.approx(row[term]) for row in rows)
    assert (rows[0]["cross_modal"] is None) == (cross == 0)
    assert (tmp_path / "run" / "image_encoder").exists() == (cross > 0)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"batch_size": 1}, "--batch-size 1"),
        ({"chunk": 1}, "--chunk 1: give 0 .* or 2 to --batch-size 4"),
        ({"chunk": 5}, "--chunk 5: give 0 .* or 2 to --batch-size 4"),
        ({"chunk": -2}, "--chunk -2"),
        ({"batch_size": 17}, "--batch-size 17 is more than the 16 shapes"),
        ({"points": 33}, "--points 33"),
        ({"k": 17}, "--k 17"),
        ({"temperature": 0.0}, "--temperature 0.0"),
        ({"intra_weight": 0.0, "cross_weight": 0.0}, "--intra-weight"),
        ({"weights": (0.5, 0.5)}, "--weights has 2 numbers for 1 tables"),
        ({"image_encoder": "resnet9"}, "resnet9"),
        ({"max_steps": 0}, "--max-steps 0"),
        ({"grad_clip": -1.0}, "--grad-clip -1.0"),
        ({"intra_weight": float("nan")}, "--intra-weight nan: must be a finite number"),
        ({"weights": (1.0, float("inf"))}, "--weights inf: must be a finite number"),
        ({"warmup": 1.5}, "--warmup 1.5"),
        ({"seed": -1}, "--seed -1"),
        ({"workers": -1}, "--workers -1"),
    ],
)
def test_impossible_options_are_refused_before_anything_is_written(
    change: dict[str, Any], message: str, data: Path, tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match=message):
        pretrain(config_for(data, tmp_path / "run", **change))
    assert not (tmp_path / "run").exists()


def test_two_tables_by_weight_and_pointnet_and_bfloat16(data: Path, tmp_path: Path) -> None:
    example_table(tmp_path / "other", 10)
    config = dataclasses.replace(
        config_for(data, tmp_path / "run", max_steps=2, encoder="pointnet", precision="bfloat16", recipe="paper"),
        data=(data, tmp_path / "other"),
        weights=(0.5, 0.5),
    )
    assert pretrain(config).steps == 2


def test_points_default_to_what_the_tables_hold(data: Path, tmp_path: Path) -> None:
    pretrain(config_for(data, tmp_path / "run", max_steps=1, points=0))
    assert load_yaml(tmp_path / "run" / "config.yaml", PretrainConfig)["points"] == 32
    assert json.loads((tmp_path / "run" / "summary.json").read_text())["held_out"] is not None


def test_logging_every_few_steps(data: Path, tmp_path: Path) -> None:
    pretrain(config_for(data, tmp_path / "run", max_steps=7, log_every=3))
    assert [row["step"] for row in metrics.read(tmp_path / "run")] == [3, 6, 7]


def test_a_run_that_stopped_before_its_first_line_goes_on(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = config_for(data, tmp_path / "run", max_steps=3, log_every=2)
    interrupt_at(0, monkeypatch, signal.SIGTERM)
    assert pretrain(config).steps == 1
    monkeypatch.undo()
    pretrain(dataclasses.replace(config, resume=True))
    assert [row["step"] for row in metrics.read(tmp_path / "run")] == [2, 3]


def test_a_finished_run_stays_as_it_is_even_without_its_checkpoint(data: Path, tmp_path: Path) -> None:
    config = config_for(data, tmp_path / "run", max_steps=2)
    pretrain(config)
    shutil.rmtree(tmp_path / "run" / "checkpoint")
    again = pretrain(dataclasses.replace(config, resume=True))
    assert "finished" in str(again) and again.steps == 2
    assert len(losses(tmp_path / "run")) == 2


def test_tables_that_changed_are_no_ground_to_go_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    table = example_table(tmp_path / "t", 20)
    config = config_for(tmp_path / "t", tmp_path / "run", max_steps=8, checkpoint_every=2)
    monkeypatch.setattr(recipe, "held_out_retrieval", lambda *_: None)
    monkeypatch.setattr(recipe, "_write_summary", lambda *_: None)
    pretrain(config)
    monkeypatch.undo()
    table.append([example_row(20)])
    with pytest.raises(RunError, match="have changed since"):
        pretrain(dataclasses.replace(config, resume=True))


@pytest.mark.parametrize("change", [{"points": 16}, {"size": 48}])
def test_tables_of_different_make_are_refused(change: dict[str, int], data: Path, tmp_path: Path) -> None:
    example_table(tmp_path / "other", 10, **change)
    config = dataclasses.replace(config_for(data, tmp_path / "run"), data=(data, tmp_path / "other"))
    with pytest.raises(UsageError, match="different --"):
        pretrain(config)
    assert not (tmp_path / "run").exists()
