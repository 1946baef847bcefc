"""The writer behind a training: what is written is the state of the moment, in order, and no failure is lost."""

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from crosspoint3d.config import RunError
from crosspoint3d.training import checkpoint
from crosspoint3d.training.checkpoint_files import newest_first
from crosspoint3d.training.checkpoint_writer import CheckpointWriter
from tests.training.toy_states import Toy, equal, trained


class Gate:
    """Stands in for `torch.save`: a write begins when it may, and fails where it is told to."""

    def __init__(self) -> None:
        self.save, self.began, self.open = torch.save, threading.Event(), threading.Event()
        self.writing = self.most = 0
        self.failure: Exception | None = None

    def __call__(self, state: dict[str, Any], path: Path) -> None:
        self.began.set()
        self.writing += 1
        self.most = max(self.most, self.writing)
        assert self.open.wait(30)
        self.writing -= 1
        if self.failure is not None:
            raise self.failure
        self.save(state, path)


@pytest.fixture
def gate(monkeypatch: pytest.MonkeyPatch) -> Iterator[Gate]:
    gate = Gate()
    monkeypatch.setattr(torch, "save", gate)
    yield gate
    gate.open.set()


def writer_of(run: Path, steps: int = 2) -> tuple[CheckpointWriter, Toy, torch.optim.Optimizer]:
    model, optimizer = trained(steps)
    return CheckpointWriter(run, model, optimizer, "rows", {"processes": 1}), model, optimizer


def spoil(model: Toy, optimizer: torch.optim.Optimizer) -> None:
    """What a training does with its state while the writer is at work, as far as can be."""
    with torch.no_grad():
        for value in (*model.state_dict().values(), *(v for s in optimizer.state.values() for v in s.values())):
            value.fill_(7)
    optimizer.param_groups[0]["lr"] = 99.0


def written(run: Path, step: int) -> dict[str, Any]:
    state: dict[str, Any] = torch.load(run / "checkpoint" / f"step-{step:08}.pt", weights_only=True)
    return state


def test_the_file_is_that_of_save_checkpoint(tmp_path: Path) -> None:
    writer, model, optimizer = writer_of(tmp_path / "one")
    with writer:
        writer.save(2)
    checkpoint.save_checkpoint(tmp_path / "other", model, optimizer, 2, "rows", {"processes": 1})
    mine, theirs = (written(tmp_path / name, 2) for name in ("one", "other"))
    assert equal(mine, theirs)
    assert type(mine["model"]) is type(theirs["model"]) and mine["model"]._metadata == theirs["model"]._metadata


def test_what_is_written_is_the_state_when_save_was_called(tmp_path: Path, gate: Gate) -> None:
    writer, model, optimizer = writer_of(tmp_path)
    expected = trained(2)
    writer.save(2)
    spoil(model, optimizer)
    gate.open.set()
    writer.wait()
    state = written(tmp_path, 2)
    assert equal(state["model"], expected[0].state_dict()) and equal(state["optimizer"], expected[1].state_dict())
    model.load_state_dict(expected[0].state_dict())
    writer.save(3)  # into the memory of the first copy
    writer.wait()
    assert equal(written(tmp_path, 3)["model"], expected[0].state_dict())
    assert written(tmp_path, 3)["optimizer"]["param_groups"][0]["lr"] == 99.0
    assert written(tmp_path, 2)["optimizer"]["param_groups"][0]["lr"] == 1e-3


def test_a_state_that_grows_and_changes_its_shapes_is_copied_anew(tmp_path: Path) -> None:
    model, optimizer = trained(0)
    writer = CheckpointWriter(tmp_path, model, optimizer, "rows")
    writer.save(0)
    writer.wait()
    assert written(tmp_path, 0)["optimizer"]["state"] == {}
    model(torch.ones(4, 3)).sum().backward()
    optimizer.step()
    model.layers[1].running_mean = torch.arange(5.0).double()
    writer.save(1)
    writer.wait()
    assert equal(written(tmp_path, 1)["optimizer"], optimizer.state_dict())
    assert equal(written(tmp_path, 1)["model"], model.state_dict())


def test_tied_weights_are_copied_and_written_once(tmp_path: Path) -> None:
    model = torch.nn.Sequential(torch.nn.Linear(300, 300), torch.nn.Linear(300, 300))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    writer = CheckpointWriter(tmp_path, model, optimizer, "rows")
    sizes = []
    for step in range(2):
        writer.save(step)
        writer.wait()
        sizes.append((tmp_path / "checkpoint" / f"step-{step:08}.pt").stat().st_size)
        model[1].weight = model[0].weight
    assert sizes[0] - sizes[1] > 300 * 300 * 4 * 0.9
    assert equal(written(tmp_path, 1)["model"], model.state_dict())


def test_one_write_at_a_time_and_in_order(tmp_path: Path, gate: Gate) -> None:
    writer, _, _ = writer_of(tmp_path)
    writer.save(1)
    assert gate.began.wait(30) and not newest_first(tmp_path / "checkpoint")
    timer = threading.Timer(0.2, gate.open.set)
    timer.start()
    writer.save(2)  # waits for the first
    assert written(tmp_path, 1)["step"] == 1
    writer.save(3)
    writer.wait()
    assert gate.most == 1
    assert [path.name for path in newest_first(tmp_path / "checkpoint")] == [f"step-0000000{n}.pt" for n in (3, 2, 1)]


@pytest.mark.parametrize("call", ["check", "save", "wait", "leave"])
def test_a_failure_is_raised_by_what_is_called_next(tmp_path: Path, gate: Gate, call: str) -> None:
    writer, _, _ = writer_of(tmp_path)
    gate.open.set()
    writer.save(1)
    writer.wait()
    gate.failure = OSError(28, "No space left on device")
    calls: dict[str, Callable[[], Any]] = {
        "check": lambda: (writer.kept_step(), writer.check()),
        "save": lambda: writer.save(3),
        "wait": writer.wait,
        "leave": lambda: writer.__exit__(None, None, None),
    }
    writer.save(2)
    with pytest.raises(RunError, match=r"step 2 could not be written.*No space left on device; .* \(step-00000001"):
        calls[call]()
    gate.failure = None
    writer.check()  # once is enough
    writer.save(4)
    writer.wait()
    assert checkpoint.checkpoint_step(tmp_path) == 4


def test_an_error_of_the_training_waits_for_the_write_and_goes_first(
    tmp_path: Path, gate: Gate, capsys: pytest.CaptureFixture[str]
) -> None:
    for failure, said in ((None, ""), (PermissionError(13, "Permission denied"), "step 5 could not be written")):
        gate.open.clear()
        gate.failure = failure
        threading.Timer(0.1, gate.open.set).start()
        writer, _, _ = writer_of(tmp_path)
        with pytest.raises(ValueError, match="of the training"), writer:
            writer.save(4 if failure is None else 5)
            raise ValueError("of the training")
        assert writer.kept_step() == 4
        errors = capsys.readouterr().err
        assert said in errors and bool(errors) == bool(said)


def test_without_memory_for_the_copy_it_is_a_message(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    writer, _, _ = writer_of(tmp_path)

    def none_left(*_: Any, **__: Any) -> None:
        raise RuntimeError("can't allocate memory: you tried to allocate 600000000 bytes")

    with monkeypatch.context() as patch:
        patch.setattr(torch, "empty_like", none_left)
        with pytest.raises(RunError, match=r"the checkpoint of step 1 could not be written.*allocate"):
            writer.save(1)
    writer.save(1)
    writer.wait()
    assert checkpoint.checkpoint_step(tmp_path) == 1
