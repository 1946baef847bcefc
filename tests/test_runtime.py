"""Atomic files, generators, stop requests."""

import os
import signal
from pathlib import Path

import pytest
import torch

from crosspoint3d.config import UsageError
from crosspoint3d.runtime import atomic, environment, generator_for, pick_device, stop_requests


def test_a_failed_write_leaves_the_old_file(tmp_path: Path) -> None:
    target = tmp_path / "state"
    target.write_text("old")
    with pytest.raises(OSError, match="full"), atomic(target) as path:
        path.write_text("half")
        raise OSError("full")
    assert target.read_text() == "old"
    assert list(tmp_path.iterdir()) == [target]


def test_a_finished_write_takes_its_place(tmp_path: Path) -> None:
    for text in ("one", "two"):
        with atomic(tmp_path / "deep" / "state") as path:
            path.write_text(text)
        assert (tmp_path / "deep" / "state").read_text() == text
    assert [p.name for p in (tmp_path / "deep").iterdir()] == ["state"]


def test_folders_are_replaced_whole(tmp_path: Path) -> None:
    for name in ("a", "b"):
        with atomic(tmp_path / "encoder") as path:
            path.mkdir()
            (path / name).write_text(name)
    assert [p.name for p in (tmp_path / "encoder").iterdir()] == ["b"]
    assert [p.name for p in tmp_path.iterdir()] == ["encoder"]


def test_generators_follow_their_key() -> None:
    draws = {key: torch.rand(4, generator=generator_for(*key)).tolist() for key in [(0, 1), (1, 0), (0, 2), (0,)]}
    assert len({tuple(values) for values in draws.values()}) == 4
    assert draws[(0, 1)] == torch.rand(4, generator=generator_for(0, 1)).tolist()


def test_the_first_request_is_noted_and_the_second_interrupts() -> None:
    before = signal.getsignal(signal.SIGINT)  # ignored where the shell started the tests in the background
    with pytest.raises(KeyboardInterrupt), stop_requests() as stop:
        assert not stop.is_set()
        os.kill(os.getpid(), signal.SIGTERM)
        assert stop.is_set()
        os.kill(os.getpid(), signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is before


def test_a_missing_device_is_a_usage_error() -> None:
    assert pick_device("cpu").type == "cpu"
    if not torch.cuda.is_available():
        with pytest.raises(UsageError, match="--device cuda"):
            pick_device("cuda")


def test_environment_names_the_versions_that_matter() -> None:
    assert environment()["packages"]["torch"].startswith(torch.__version__.split("+")[0])
