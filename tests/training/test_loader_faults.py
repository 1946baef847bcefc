"""What a run does when its data fails: it goes on with another reader, or saves the step that is done and ends."""

import dataclasses
import os
import signal
from pathlib import Path
from typing import Any

import pytest

from crosspoint3d.config import PretrainConfig, RunError
from crosspoint3d.data import pairs
from crosspoint3d.data.batches import Batch, BatchReader
from crosspoint3d.data.readers import Readers
from crosspoint3d.training import checkpoint, loop
from crosspoint3d.training.pretrain import pretrain
from tests.data.tables import example_table

STEPS = 8


def config_for(data: Path, out: Path, **changes: Any) -> PretrainConfig:
    small = {"width": 0.125, "emb_dims": 16, "k": 4, "points": 16, "batch_size": 4, "cross_weight": 0.0}
    return PretrainConfig(
        data=(data,), out=out, **(small | {"max_steps": STEPS, "device": "cpu", "threads": 1} | changes)
    )


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("data") / "table"
    example_table(path, 20)
    return path


@pytest.fixture(scope="module")
def weights(data: Path, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    run = tmp_path_factory.mktemp("whole") / "run"
    pretrain(config_for(data, run))
    return (run / "encoder" / "model.safetensors").read_bytes()


def test_data_that_fails_leaves_the_step_that_is_done(
    data: Path, weights: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read, calls = BatchReader.read, iter(range(100))

    def failing(self: BatchReader, draws: Any) -> Batch:
        if next(calls) == 5:
            raise RunError("table t is broken")
        return read(self, draws)

    config = config_for(data, tmp_path / "run")
    with monkeypatch.context() as patch:
        patch.setattr(BatchReader, "read", failing)
        with pytest.raises(RunError, match=r"table t is broken \(the state of step 5 is saved: go on with --resume\)"):
            pretrain(config)
    assert checkpoint.checkpoint_step(config.out) == 5
    assert pretrain(dataclasses.replace(config, resume=True)).steps == STEPS
    assert (config.out / "encoder" / "model.safetensors").read_bytes() == weights


@pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")
def test_a_killed_reader_changes_no_byte(
    data: Path, weights: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    begun: list[Readers] = []
    step = loop.train_step

    def noted(*arguments: Any) -> Readers:
        begun.append(Readers(*arguments))
        return begun[-1]

    def killing(config: PretrainConfig, model: Any, optimizer: Any, batch: Any, number: int, *rest: Any) -> Any:
        if number == 3:
            os.kill(begun[0].pids[0], signal.SIGKILL)
        return step(config, model, optimizer, batch, number, *rest)

    monkeypatch.setattr(pairs, "Readers", noted)
    monkeypatch.setattr(loop, "train_step", killing)
    config = config_for(data, tmp_path / "run", workers=1)
    assert pretrain(config).steps == STEPS
    assert (config.out / "encoder" / "model.safetensors").read_bytes() == weights
    assert "was killed by SIGKILL (out of memory?); another takes its place" in capfd.readouterr().err
    assert not begun[0].pids


def test_without_pictures_none_are_read(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Any] = []
    step = loop.train_step

    def noted(config: PretrainConfig, model: Any, optimizer: Any, batch: Any, *rest: Any) -> Any:
        seen.append(batch.images)
        return step(config, model, optimizer, batch, *rest)

    monkeypatch.setattr(loop, "train_step", noted)
    pretrain(config_for(data, tmp_path / "a", max_steps=2))
    pictured = {"cross_weight": 1.0, "image_encoder": "resnet18", "image_size": 32}
    pretrain(config_for(data, tmp_path / "b", max_steps=1, **pictured))
    assert seen[:2] == [None, None] and seen[2].shape == (4, 1, 3, 32, 32)
