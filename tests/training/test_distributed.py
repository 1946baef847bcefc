"""What a launcher says about a process, and how a batch is shared."""

from pathlib import Path

import pytest
import torch

from crosspoint3d.config import PretrainConfig, UsageError
from crosspoint3d.training.distributed import VARIABLES, Place, place_from_environment, team
from crosspoint3d.training.setup import validate


@pytest.fixture(autouse=True)
def no_launcher(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (*VARIABLES, "LOCAL_RANK"):
        monkeypatch.delenv(name, raising=False)


def test_alone_without_a_launcher_and_with_one_process(monkeypatch: pytest.MonkeyPatch) -> None:
    assert place_from_environment() == Place(0, 1, 0)
    with team(Place(), "cpu") as alone:
        assert alone.first and alone.size == 1 and alone.device == torch.device("cpu")
        assert alone.agree(True, False) == [True, False] and alone.from_first(lambda: 3) == 3
        alone.check_same("rows", "a")
    assert not torch.distributed.is_initialized()


def test_the_place_of_a_process(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in zip((*VARIABLES, "LOCAL_RANK"), ("5", "8", "host", "29500", "1"), strict=True):
        monkeypatch.setenv(name, value)
    assert place_from_environment() == Place(5, 8, 1)
    monkeypatch.setenv("RANK", "8")
    with pytest.raises(UsageError, match="RANK=8 with WORLD_SIZE=8"):
        place_from_environment()
    monkeypatch.setenv("RANK", "many")
    with pytest.raises(UsageError, match="RANK='many'"):
        place_from_environment()
    monkeypatch.delenv("RANK")
    with pytest.raises(UsageError, match="RANK not set"):
        place_from_environment()


@pytest.mark.parametrize(
    ("batch_size", "chunk", "message"),
    [
        (7, 0, "--batch-size 7 is that of all 2 processes: give a multiple of 2, at least 4"),
        (2, 0, "--batch-size 2 .* at least 4"),
        (8, 5, "--chunk 5: .* 2 to each process's share of the batch, 4"),
    ],
)
def test_what_cannot_be_shared_is_refused(batch_size: int, chunk: int, message: str) -> None:
    config = PretrainConfig(data=(Path("table"),), out=Path("run"), batch_size=batch_size, chunk=chunk)
    with pytest.raises(UsageError, match=message):
        validate(config, 2)


def test_more_processes_than_gpus_and_other_devices(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    with pytest.raises(UsageError, match="LOCAL_RANK=1, but this machine has 1 GPUs"), team(Place(1, 2, 1), "cuda"):
        pass
