"""A run that is killed, whenever and however often, ends with the bytes of one that was not."""

import dataclasses
import json
import os
import random
import signal
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from crosspoint3d.config import PretrainConfig, RunError
from crosspoint3d.training import checkpoint, metrics
from crosspoint3d.training import step as training_step
from crosspoint3d.training.pretrain import pretrain
from crosspoint3d.transforms import augment_points
from tests.data.tables import example_table
from tests.training.lives import PLACES, begin, live
from tests.training.toy_states import cut

pytestmark = pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")
STEPS = 12


def config_for(data: Path, out: Path, **changes: Any) -> PretrainConfig:
    small = {"width": 0.125, "emb_dims": 16, "k": 4, "points": 16, "batch_size": 4, "cross_weight": 0.0}
    often = {"max_steps": STEPS, "checkpoint_every": 3, "device": "cpu"}
    return PretrainConfig(data=(data,), out=out, **(small | often | changes))


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("data") / "table"
    example_table(path, 20)
    return path


@pytest.fixture(scope="module")
def whole(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = tmp_path_factory.mktemp("whole") / "run"
    assert live(config_for(data, run)) == 0
    return run


def result(run: Path) -> tuple[bytes, list[dict[str, Any]]]:
    """The encoder, and every line of metrics.jsonl but for the time it took."""
    timed = {"pairs_per_s", "data_wait", "rss_mib"}
    rows = [{name: value for name, value in row.items() if name not in timed} for row in metrics.read(run)]
    assert json.loads((run / "summary.json").read_text())["steps"] == STEPS
    return (run / "encoder" / "model.safetensors").read_bytes(), rows


@pytest.mark.parametrize("seed", [0, *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(1, 8))])
def test_a_run_killed_twice_at_random_ends_with_the_same_bytes(
    seed: int, data: Path, whole: Path, tmp_path: Path
) -> None:
    generator = np.random.default_rng(seed)
    config = config_for(data, tmp_path / "run")
    for _ in range(2):
        place, step = PLACES[generator.integers(len(PLACES))], int(generator.integers(1, STEPS))
        done = checkpoint.checkpoint_step(config.out) if config.resume else 0
        code = live(config, place, step)
        assert code == -signal.SIGKILL or (done or 0) > step, (place, step)
        config = dataclasses.replace(config, resume=True)
    assert live(config) == 0
    assert result(config.out) == result(whole)


@pytest.mark.parametrize(("place", "step"), [("rename", 0), ("checkpoint", STEPS)])
def test_a_kill_while_the_first_or_the_last_checkpoint_is_written(
    place: str, step: int, data: Path, whole: Path, tmp_path: Path
) -> None:
    config = config_for(data, tmp_path / "run")
    assert live(config, place, step) == -signal.SIGKILL
    left = [path.name for path in (config.out / "checkpoint").iterdir() if path.name.endswith(".tmp")]
    assert len(left) == 1
    assert checkpoint.checkpoint_step(config.out) == (None if step == 0 else STEPS - 3)
    assert live(dataclasses.replace(config, resume=True)) == 0
    assert result(config.out) == result(whole)
    kept = sorted(path.name for path in (config.out / "checkpoint").iterdir())
    assert kept == [f"step-{step:08}.pt" for step in (STEPS - 6, STEPS - 3, STEPS)]


def test_a_kill_while_training_is_ahead_of_its_checkpoint(data: Path, whole: Path, tmp_path: Path) -> None:
    config = config_for(data, tmp_path / "run")
    assert live(config, "behind", 6) == -signal.SIGKILL
    assert [row["step"] for row in metrics.read(config.out)] == [1, 2, 3, 4, 5, 6, 7, 8]
    assert [path.name for path in (config.out / "checkpoint").glob(".step-00000006.pt.*.tmp")]
    assert checkpoint.checkpoint_step(config.out) == 3
    assert live(dataclasses.replace(config, resume=True)) == 0
    assert result(config.out) == result(whole)
    assert not list((config.out / "checkpoint").glob(".*"))


def reach(config: PretrainConfig, number: signal.Signals, at: float) -> int:
    """Send a signal to a run some time after its first logged step; its exit code."""
    process = begin(config)
    until = time.monotonic() + 120
    while not metrics.read(config.out) and process.is_alive() and time.monotonic() < until:
        time.sleep(0.01)
    time.sleep(at)
    assert process.pid is not None
    os.kill(process.pid, number)
    process.join(120)
    assert process.exitcode is not None
    return process.exitcode


@pytest.mark.slow
def test_a_kill_from_outside_at_any_moment(data: Path, whole: Path, tmp_path: Path) -> None:
    config = config_for(data, tmp_path / "run")
    assert reach(config, signal.SIGKILL, random.random() * 0.2) in (0, -signal.SIGKILL)
    assert live(dataclasses.replace(config, resume=True)) == 0
    assert result(config.out) == result(whole)


def test_a_request_to_stop_saves_and_stops(data: Path, whole: Path, tmp_path: Path) -> None:
    config = config_for(data, tmp_path / "run", checkpoint_every=1000)
    code = reach(config, signal.SIGTERM, 0.0)
    assert code in (0, 130)
    if code == 130:
        assert checkpoint.checkpoint_step(config.out) == metrics.read(config.out)[-1]["step"]
        assert not (config.out / "encoder").exists()
    assert live(dataclasses.replace(config, resume=True)) == 0
    assert result(config.out) == result(whole)


def test_corrupt_checkpoints_cost_steps_and_no_bytes(data: Path, whole: Path, tmp_path: Path) -> None:
    config = config_for(data, tmp_path / "run", threads=1)
    assert live(config, "settled", 8) == -signal.SIGKILL
    again = dataclasses.replace(config, resume=True)
    files = sorted((config.out / "checkpoint").iterdir())
    assert [path.name for path in files] == ["step-00000000.pt", "step-00000003.pt", "step-00000006.pt"]
    contents, lines = [path.read_bytes() for path in files], (config.out / metrics.FILE).read_bytes()
    for path in files:
        cut(path, 3000)
    with pytest.raises(RunError, match=r"none of the checkpoints .*remove it to start again from step 0"):
        pretrain(again)
    assert (config.out / metrics.FILE).read_bytes() == lines
    for path, content in zip(files[:2], contents, strict=False):
        path.write_bytes(content)
    assert live(again, "step", 5) == -signal.SIGKILL
    assert [row["step"] for row in metrics.read(config.out)] == [1, 2, 3, 4, 5]
    assert live(again) == 0
    assert result(config.out) == result(whole)


def test_a_write_that_fails_behind_the_training_stops_it(
    data: Path, whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = config_for(data, tmp_path / "run", threads=1)
    save = torch.save

    def full(state: dict[str, Any], path: Path) -> None:
        if state["step"] >= 6:
            raise OSError(28, "No space left on device")
        save(state, path)

    monkeypatch.setattr(torch, "save", full)
    with pytest.raises(RunError, match=r"checkpoint of step 6 could not be written.*No space.*is kept \(step-00000003"):
        pretrain(config)
    steps = [row["step"] for row in metrics.read(config.out)]
    assert 6 <= steps[-1] <= 9, "at the next checkpoint at the latest"
    again = dataclasses.replace(config, resume=True)
    with monkeypatch.context() as patch:
        patch.setattr(training_step, "augment_points", lambda points, *_: points * float("nan"))
        with pytest.raises(RunError, match=r"step 4: loss nan.*state of step 3 is kept"):
            pretrain(again)
    monkeypatch.undo()
    assert live(again) == 0
    assert result(config.out) == result(whole)


def test_a_loss_that_is_not_finite_keeps_the_good_checkpoints(
    data: Path, whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = iter(range(1000))

    def poisoned(points: Any, *rest: Any) -> Any:
        return augment_points(points, *rest) * (float("nan") if next(calls) >= 8 else 1.0)

    monkeypatch.setattr(training_step, "augment_points", poisoned)
    config = config_for(data, tmp_path / "run", threads=1)
    with pytest.raises(RunError, match=r"step 9: loss nan.*state of step 6 is kept"):
        pretrain(config)
    kept = {path.name: path.read_bytes() for path in (config.out / "checkpoint").iterdir()}
    assert sorted(kept) == ["step-00000000.pt", "step-00000003.pt", "step-00000006.pt"]
    with pytest.raises(RunError, match=r"step 7: loss nan.*state of step 6 is kept"):
        pretrain(dataclasses.replace(config, resume=True))
    assert {path.name: path.read_bytes() for path in (config.out / "checkpoint").iterdir()} == kept
    monkeypatch.undo()
    assert live(dataclasses.replace(config, resume=True)) == 0
    assert result(config.out) == result(whole)
