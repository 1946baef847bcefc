"""The loop of fine-tuning on a tiny network: which epoch is kept, what a stop leaves, what resume repeats."""

import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from crosspoint3d.config import FinetuneSegmentConfig, RunError
from crosspoint3d.training import checkpoint, metrics
from crosspoint3d.training import finetune as loop
from crosspoint3d.training.finetune import Answers, Task, train
from crosspoint3d.training.finetune_step import batch_rows

SHAPES = 6


class Toy(nn.Module):
    """BatchNorm and dropout too: what a resumed run must bring back."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.ReLU())
        self.head = nn.Sequential(nn.Dropout(0.5), nn.Linear(4, 1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        out: torch.Tensor = self.head(self.encoder(x))
        return out


def toy(scores: list[float] | None = None, on: str | None = "val", spoil: int | None = None) -> Task:
    """A regression whose validation scores may be given, one after another; the loss of call `spoil` is not finite."""
    torch.manual_seed(0)
    model = Toy()
    data = torch.randn(SHAPES, 3)
    given_scores, calls = iter(scores or []), iter(range(1000))

    def loss(rows: np.ndarray, generator: torch.Generator) -> torch.Tensor:
        noise = torch.empty(len(rows), 3).normal_(0, 0.1, generator=generator)
        found = (model(data[rows] + noise)[:, 0] - data[rows].sum(1)).square().mean()
        return found * (float("nan") if next(calls) == spoil else 1.0)

    def score(split: str) -> dict[str, float]:
        assert split == on
        model.eval()
        return {"quality": next(given_scores) if scores else float(model(data).detach().sum()), "other": 0.0}

    nothing: Callable[..., Any] = lambda *_: None  # noqa: E731
    return Task(model, SHAPES, "toys", loss, score, on, "quality", lambda: Answers({}, {}), nothing)  # type: ignore[arg-type]


def config_for(out: Path, **changes: Any) -> FinetuneSegmentConfig:
    settings = {"batch_size": 2, "epochs": 4, "lr": 0.05, "device": "cpu"} | changes
    return FinetuneSegmentConfig("encoder", "data", out, **settings)


def weights(task: Task) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in task.model.state_dict().items()}


def same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return all(torch.equal(one[name], other[name]) for name in one)


@settings(deadline=None)
@given(st.integers(1, 40), st.integers(2, 16), st.integers(0, 9), st.integers(0, 9))
def test_an_epoch_sees_shapes_once_in_an_order_of_its_own(shapes: int, batch: int, seed: int, epoch: int) -> None:
    steps = max(1, shapes // batch)
    batches = [batch_rows(shapes, batch, seed, epoch, number) for number in range(steps)]
    assert all(len(rows) == max(2, min(batch, shapes)) for rows in batches)
    seen = np.concatenate(batches)
    assert seen.min() >= 0 and seen.max() < shapes
    if shapes > 1:
        assert len(np.unique(seen)) == len(seen)
    again = batch_rows(shapes, batch, seed, epoch, 0)
    assert np.array_equal(again, batches[0])
    if shapes > 12:
        order = np.random.default_rng([seed, epoch + 1]).permutation(shapes)
        assert np.array_equal(batch_rows(shapes, shapes, seed, epoch + 1, 0), order)


def test_the_best_validation_is_kept_and_of_equal_ones_the_later(tmp_path: Path) -> None:
    short = config_for(tmp_path, epochs=2, min_steps=12, warmup=0.0, lr=0.0)
    task = toy([0.1, 0.5, 0.5, 0.2])
    seen: list[dict[str, torch.Tensor]] = []
    scored = replace(task, score=lambda split: seen.append(weights(task)) or task.score(split))  # type: ignore[func-returns-value]
    trained = train(short, scored, tmp_path, 0, threading.Event())
    assert trained is not None
    assert (trained.steps, trained.epochs, trained.kept_after) == (12, 4, 3)
    assert trained.validation == {"quality": 0.5, "other": 0.0}
    assert same(weights(task), seen[2]) and not same(seen[1], seen[2])  # at rate 0, BatchNorm's statistics still move
    rows = metrics.read(tmp_path)
    assert [row["step"] for row in rows] == list(range(1, 13))
    assert [row["epoch"] for row in rows] == [step // 3 for step in range(12)]
    assert [row.get("val/quality") for row in rows if row["step"] % 3 == 0] == [0.1, 0.5, 0.5, 0.2]
    assert all(row["shapes_per_s"] > 0 and row["lr"] == 0 for row in rows)


def test_validations_come_every_few_epochs_and_after_the_last(tmp_path: Path) -> None:
    trained = train(
        config_for(tmp_path, epochs=5, validate_every=2), toy([0.3, 0.2, 0.1]), tmp_path, 0, threading.Event()
    )
    assert trained is not None and trained.kept_after == 2
    assert [row["step"] for row in metrics.read(tmp_path) if "val/quality" in row] == [6, 12, 15]


def test_without_validation_the_last_epoch_is_kept(tmp_path: Path) -> None:
    task = toy(on=None)
    trained = train(config_for(tmp_path), task, tmp_path, 0, threading.Event())
    assert trained is not None and (trained.kept_after, trained.validation) == (4, {})
    state = torch.load(tmp_path / "checkpoint" / "step-00000012.pt", weights_only=True)
    assert same(weights(task), state["model"]) and not task.model.training


@pytest.mark.parametrize("at", [1, 5, 7, 12])
def test_a_stopped_training_goes_on_to_the_same_bits(at: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    whole.mkdir()
    broken.mkdir()
    config = config_for(tmp_path)
    task = toy()
    expected = train(config, task, whole, 3, threading.Event())
    stop = threading.Event()
    update, calls = loop.update, iter(range(1, 100))

    def interrupted(*arguments: Any, **named: Any) -> tuple[float, float]:
        if next(calls) == at:
            stop.set()
        return update(*arguments, **named)

    monkeypatch.setattr(loop, "update", interrupted)
    first = train(config, toy(), broken, 3, stop)
    monkeypatch.undo()
    assert (first is None) == (at < 12)
    assert checkpoint.checkpoint_step(broken) == at
    with (broken / metrics.FILE).open("a") as file:
        file.write('{"step": 50, "loss": 0.0}\n{"st')
    resumed = toy()
    found = train(config, resumed, broken, 3, threading.Event())
    assert expected is not None and found is not None
    assert replace(found, seconds=0.0) == replace(expected, seconds=0.0)
    assert same(weights(resumed), weights(task))
    rows = [
        [{k: v for k, v in row.items() if k != "shapes_per_s"} for row in metrics.read(run)] for run in (whole, broken)
    ]
    assert rows[0] == rows[1]


def test_the_seed_decides_and_dropout_is_a_function_of_seed_and_step(tmp_path: Path) -> None:
    runs = []
    for number, seed in enumerate((0, 0, 1)):
        folder = tmp_path / str(number)
        folder.mkdir()
        torch.manual_seed(number)
        train(config_for(tmp_path), toy(), folder, seed, threading.Event())
        runs.append([row["loss"] for row in metrics.read(folder)])
    assert runs[0] == runs[1] != runs[2]


def test_a_loss_that_is_not_finite_says_what_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(RunError, match=r"seed 0, step 2: loss nan.*start a new run with a lower --lr"):
        train(config_for(tmp_path), toy(spoil=1), tmp_path, 0, threading.Event())
    monkeypatch.setattr(loop, "CHECKPOINT_SECONDS", 0.0)
    with pytest.raises(RunError, match=r"step 8: loss nan.*The state of step 7 is kept in .*checkpoint; "):
        train(config_for(tmp_path), toy(spoil=7), tmp_path, 0, threading.Event())
    assert train(config_for(tmp_path), toy(), tmp_path, 0, threading.Event()) is not None


def test_a_checkpoint_of_other_shapes_is_refused(tmp_path: Path) -> None:
    train(config_for(tmp_path, epochs=1), toy(), tmp_path, 0, threading.Event())
    with pytest.raises(RunError, match="have changed since"):
        train(config_for(tmp_path), replace(toy(), fingerprint="others"), tmp_path, 0, threading.Event())


def test_a_frozen_encoder_keeps_weights_and_statistics(tmp_path: Path) -> None:
    task = toy()
    before = weights(task)
    train(config_for(tmp_path, mode="frozen"), task, tmp_path, 0, threading.Event())
    after = weights(task)
    assert all(torch.equal(before[name], after[name]) for name in before if name.startswith("encoder."))
    assert not torch.equal(before["head.1.weight"], after["head.1.weight"])


def test_long_trainings_log_one_step_in_twenty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loop, "MOST_ROWS", 10)
    train(config_for(tmp_path, epochs=9, validate_every=4), toy(), tmp_path, 0, threading.Event())
    assert [row["step"] for row in metrics.read(tmp_path)] == [12, 20, 24, 27]
