"""Checkpoints: three are kept, broken ones are noticed and stepped over, and no failed write costs an older one."""

import os
import tempfile
from pathlib import Path

import numpy as np
import pytest
import torch

from crosspoint3d import __version__
from crosspoint3d.config import RunError
from crosspoint3d.training import checkpoint, metrics
from crosspoint3d.training.checkpoint_files import read_newest
from tests.training.toy_states import Toy, closed_to_writing, cut, equal, flip, trained


def save(run: Path, *steps: int, rows: str = "rows", width: int = 8) -> None:
    for step in steps:
        checkpoint.save_checkpoint(run, *trained(step, width), step, rows, {"seconds": 0.5})


def names(run: Path) -> list[str]:
    return sorted(file.name for file in (run / checkpoint.FOLDER).iterdir())


def loaded_step(run: Path, width: int = 8) -> int:
    """What is loaded, after a look at whether it is the whole state of that step."""
    model, optimizer = trained(1, width, seed=7)
    step = int(checkpoint.load_checkpoint(run, model, optimizer, "rows")["step"])
    expected = trained(step, width)
    assert equal(model.state_dict(), expected[0].state_dict())
    assert equal(optimizer.state_dict(), expected[1].state_dict())
    assert checkpoint.checkpoint_step(run) == step
    return step


def test_a_state_comes_back_and_says_where_it_is_from(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "config.yaml").write_text("seed: 3\n")
    (tmp_path / metrics.FILE).write_text('{"step": 2}\n')
    save(tmp_path, 2)
    assert loaded_step(tmp_path) == 2
    state = torch.load(tmp_path / "checkpoint" / "step-00000002.pt", weights_only=True)
    assert state["config"] == "seed: 3\n" and state["seconds"] == 0.5 and state["rows"] == "rows"
    made = {
        "crosspoint3d": __version__,
        "torch": torch.__version__,
        "device": "cpu",
        "threads": torch.get_num_threads(),
    }
    assert state["made_with"] == made
    more = checkpoint.load_checkpoint(tmp_path, *trained(1), "rows")
    assert more == {"step": 2, "seconds": 0.5}
    save(tmp_path / "seed-0", 1)
    state = torch.load(tmp_path / "seed-0" / "checkpoint" / "step-00000001.pt", weights_only=True)
    assert state["config"] == "seed: 3\n"
    assert not capsys.readouterr().err


def test_no_checkpoint_is_no_step(tmp_path: Path) -> None:
    assert checkpoint.checkpoint_step(tmp_path / "run") is None
    with pytest.raises(RunError, match="no checkpoint in"):
        checkpoint.load_checkpoint(tmp_path / "run", *trained(1), "rows")


def test_the_last_three_are_kept_by_number(tmp_path: Path) -> None:
    save(tmp_path, 0, 5, 10)
    (tmp_path / "checkpoint" / "step-00000010.pt.copy").write_text("somebody's own")
    assert len(names(tmp_path)) == 4
    save(tmp_path, 100)
    own = "step-00000010.pt.copy"
    assert names(tmp_path) == ["step-00000005.pt", "step-00000010.pt", own, "step-00000100.pt"]
    (tmp_path / "checkpoint" / "step-00000100.pt").rename(tmp_path / "checkpoint" / "step-123456789.pt")
    assert checkpoint.checkpoint_step(tmp_path) == 100  # the file says it, under whatever name


def test_torchs_global_generators_go_on_where_they_were(tmp_path: Path) -> None:
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(5)
        torch.rand(3)
        save(tmp_path, 1)
        expected = torch.rand(4)
        torch.default_generator.manual_seed(6)
        checkpoint.load_checkpoint(tmp_path, *trained(1), "rows")
        assert torch.equal(torch.rand(4), expected)


@pytest.mark.parametrize("seed", range(4))
def test_a_flipped_byte_is_noticed_or_does_no_harm(tmp_path: Path, seed: int) -> None:
    generator = np.random.default_rng(seed)
    save(tmp_path, 3)
    path = tmp_path / "checkpoint" / "step-00000003.pt"
    whole, state = path.read_bytes(), torch.load(path, weights_only=True)
    noticed = 0
    for _ in range(60):
        flip(path, int(generator.integers(len(whole))), int(generator.integers(1, 256)))
        try:
            newest = read_newest(tmp_path / "checkpoint")
            assert newest is not None and equal(newest.state, state)
        except RunError:
            noticed += 1
        path.write_bytes(whole)
    assert noticed > 0


def test_a_flipped_bit_of_a_weight_is_noticed(tmp_path: Path) -> None:
    save(tmp_path, 1, width=200)
    path = tmp_path / "checkpoint" / "step-00000001.pt"
    weight = trained(1, 200)[0].layers[0].weight.detach().numpy().tobytes()
    flip(path, path.read_bytes().index(weight) + 1000, 1)
    torch.load(path, weights_only=True)  # which does not see it
    with pytest.raises(RunError, match=r"step-00000001.pt cannot be read \(ValueError: wrong checksum"):
        checkpoint.checkpoint_step(tmp_path)


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.9, 0.999])
def test_a_truncated_newest_falls_back_and_both_are_named(
    tmp_path: Path, share: float, capsys: pytest.CaptureFixture[str]
) -> None:
    save(tmp_path, 4, 8)
    newest = tmp_path / "checkpoint" / "step-00000008.pt"
    cut(newest, int(share * newest.stat().st_size))
    assert loaded_step(tmp_path) == 4
    (line,) = capsys.readouterr().err.splitlines()
    assert "step-00000008.pt cannot be read" in line
    assert "going on from the one before, step-00000004.pt (step 4)" in line


def test_two_broken_ones_fall_back_twice_and_are_replaced(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    save(tmp_path, 4, 8, 12)
    torch.save({"step": 12}, tmp_path / "checkpoint" / "step-00000012.pt")
    cut(tmp_path / "checkpoint" / "step-00000008.pt", 1000)
    assert loaded_step(tmp_path) == 4
    assert "no rows, model, optimizer in it" in capsys.readouterr().err
    save(tmp_path, 6)
    assert names(tmp_path) == ["step-00000004.pt", "step-00000006.pt"]
    assert loaded_step(tmp_path) == 6
    assert not capsys.readouterr().err


def test_nothing_readable_is_a_message(tmp_path: Path) -> None:
    save(tmp_path, 4, 8)
    for path in (tmp_path / "checkpoint").iterdir():
        path.write_bytes(b"not a checkpoint")
    match = r"none of the checkpoints.*step-00000008.pt cannot be read.*step-00000004.pt.*remove it to start again"
    for call in (checkpoint.checkpoint_step, loaded_step):
        with pytest.raises(RunError, match=match):
            call(tmp_path)


def test_the_single_file_of_earlier_versions_is_read_and_goes_when_three_are_newer(tmp_path: Path) -> None:
    model, optimizer = trained(5)
    state = {"step": 5, "rows": "rows", "model": model.state_dict(), "optimizer": optimizer.state_dict()}
    (tmp_path / "checkpoint").mkdir()
    torch.save(state, tmp_path / "checkpoint" / "state.pt")
    assert loaded_step(tmp_path) == 5
    save(tmp_path, 6)
    assert loaded_step(tmp_path) == 6
    (tmp_path / "checkpoint" / "step-00000006.pt").write_bytes(b"")
    assert loaded_step(tmp_path) == 5
    save(tmp_path, 6, 7, 8)
    assert "state.pt" not in names(tmp_path) and len(names(tmp_path)) == 3


def test_other_rows_and_other_networks_are_refused(tmp_path: Path) -> None:
    save(tmp_path, 1, rows="others")
    with pytest.raises(RunError, match="have changed since"):
        checkpoint.load_checkpoint(tmp_path, *trained(1), "rows")
    with pytest.raises(RunError, match=r"step-00000001.pt does not fit"):
        checkpoint.load_checkpoint(tmp_path, *trained(1, width=9), "others")


def test_another_machine_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(torch, "get_num_threads", lambda: 96)
    save(tmp_path, 1)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 2)
    assert loaded_step(tmp_path) == 1
    assert "threads was 96, is 2: the result may differ a little" in capsys.readouterr().err


def test_what_a_kill_left_behind_is_removed_by_the_next_write(tmp_path: Path) -> None:
    save(tmp_path, 1)
    (tmp_path / "checkpoint" / ".step-00000002.pt.4711.tmp").write_bytes(b"half")
    assert loaded_step(tmp_path) == 1
    save(tmp_path, 2)
    assert names(tmp_path) == ["step-00000001.pt", "step-00000002.pt"]


def test_a_write_that_fails_midway_loses_nothing(tmp_path: Path) -> None:
    resource = pytest.importorskip("resource")
    save(tmp_path, 1, 2, 3, width=40_000)
    before = {path.name: path.read_bytes() for path in (tmp_path / "checkpoint").iterdir()}
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, hard))  # the system refuses to write on, as a full disk does
    try:
        with pytest.raises(RunError, match=r"step 4 could not be written.*MB free.*before it is kept \(step-00000003"):
            save(tmp_path, 4, width=40_000)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert {path.name: path.read_bytes() for path in (tmp_path / "checkpoint").iterdir()} == before
    assert loaded_step(tmp_path, width=40_000) == 3


def test_a_disk_that_is_full_only_when_synchronised_loses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save(tmp_path, 1, 2, 3)

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(RunError, match=r"No space left on device; the checkpoint before it is kept"):
            save(tmp_path, 4)
    assert names(tmp_path) == [f"step-0000000{step}.pt" for step in (1, 2, 3)]
    assert loaded_step(tmp_path) == 3


@pytest.mark.skipif(os.name != "posix", reason="permissions of POSIX")
def test_no_permission_to_write_loses_nothing() -> None:
    with tempfile.TemporaryDirectory() as name:
        run = Path(name)
        run.chmod(0o755)
        save(run, 1, 2)
        with (
            closed_to_writing(run / "checkpoint"),
            pytest.raises(RunError, match=r"step 3 could not be written.*denied.*before it is kept"),
        ):
            save(run, 3)
        assert loaded_step(run) == 2


def test_a_model_without_a_state_of_the_optimizer_yet_is_saved(tmp_path: Path) -> None:
    model = Toy()
    checkpoint.save_checkpoint(tmp_path, model, torch.optim.SGD(model.parameters(), lr=0.1), 0, "rows")
    assert checkpoint.checkpoint_step(tmp_path) == 0
