"""Who may go on with a run: which changes of the config are taken over, which refused, and what became of tables."""

import dataclasses
import json
import os
import tempfile
from pathlib import Path
from typing import Any

import pytest
import yaml

from crosspoint3d.config import PretrainConfig, RunError, UsageError
from crosspoint3d.config_file import load_yaml
from crosspoint3d.data.table import ShapeTable
from crosspoint3d.training import checkpoint, metrics
from crosspoint3d.training.run_folder import open_run
from crosspoint3d.training.run_tables import changes
from tests.data.tables import example_row, example_table
from tests.training.toy_states import closed_to_writing, trained


def begun(folder: Path, step: int = 4, shapes: int = 8) -> PretrainConfig:
    """A run of tables A and B that has come to a step, as a config that goes on with it."""
    for name in ("A", "B"):
        example_table(folder / name, shapes)
    config = PretrainConfig(data=(folder / "A", folder / "B"), out=folder / "run", points=16)
    assert open_run(config) == 0
    checkpoint.save_checkpoint(config.out, *trained(step), step, "rows")
    return dataclasses.replace(config, resume=True)


def kept(config: PretrainConfig) -> dict[str, Any]:
    return load_yaml(config.out / "config.yaml", PretrainConfig)


def test_a_run_goes_on_at_the_step_that_can_be_read(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = begun(tmp_path)
    checkpoint.save_checkpoint(config.out, *trained(6), 6, "rows")
    for step in range(1, 8):
        metrics.append(config.out, {"step": step, "loss": 0.1 * step})
    assert open_run(config) == 6
    assert [row["step"] for row in metrics.read(config.out)] == [1, 2, 3, 4, 5, 6]
    (config.out / "checkpoint" / "step-00000006.pt").write_bytes(b"broken")
    assert open_run(config) == 4
    assert [row["step"] for row in metrics.read(config.out)] == [1, 2, 3, 4]
    assert not capsys.readouterr().err  # load_checkpoint is what says which one it takes


def test_a_fall_back_to_the_very_beginning_is_said_too(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = begun(tmp_path, step=0)
    assert open_run(config) == 0
    assert not capsys.readouterr().err
    (config.out / "checkpoint" / "step-00000003.pt").write_bytes(b"broken")
    assert open_run(config) == 0
    assert "step-00000003.pt cannot be read" in capsys.readouterr().err


def test_what_decides_the_result_is_refused_with_both_values(tmp_path: Path) -> None:
    config = begun(tmp_path)
    before = kept(config)
    changed = dataclasses.replace(config, lr=0.5, batch_size=7, precision="bfloat16", log_every=3)
    with pytest.raises(UsageError) as caught:
        open_run(changed)
    for part in ("batch_size was 32, now 7", "lr was 0.001, now 0.5", "precision was 'float32', now 'bfloat16'"):
        assert part in str(caught.value)
    assert "log_every" not in str(caught.value)
    assert kept(config) == before


def test_what_decides_nothing_is_taken_over_and_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = begun(tmp_path)
    assert open_run(dataclasses.replace(config, log_every=3, checkpoint_every=9, workers=1)) == 4
    lines = capsys.readouterr().err.splitlines()
    assert "--resume takes over log_every: was 0, now 3" in lines
    assert "--resume takes over checkpoint_every: was 500, now 9" in lines
    assert len(lines) == 3
    assert (kept(config)["log_every"], kept(config)["checkpoint_every"], kept(config)["resume"]) == (3, 9, False)


def test_what_only_rounds_differently_is_taken_over_with_a_warning(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = begun(tmp_path)
    assert open_run(dataclasses.replace(config, device="cpu", threads=2)) == 4
    text = capsys.readouterr().err
    assert "device: was 'auto', now 'cpu'; the result may differ a little" in text
    assert "threads: was 0, now 2; the result may differ a little" in text
    assert kept(config)["device"] == "cpu"


def test_a_folder_that_was_moved_goes_on_silently(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = begun(tmp_path)
    moved = config.out.rename(tmp_path / "elsewhere")
    assert open_run(dataclasses.replace(config, out=moved)) == 4
    assert not capsys.readouterr().err


def test_an_option_newer_than_the_run_had_its_default(tmp_path: Path) -> None:
    config = begun(tmp_path)
    path = config.out / "config.yaml"
    values = yaml.safe_load(path.read_text())
    del values["chunk"], values["weights"], values["exclude"]
    path.write_text(yaml.safe_dump(values))
    assert open_run(config) == 4
    with pytest.raises(UsageError, match="chunk was 0, now 2"):
        open_run(dataclasses.replace(config, chunk=2))
    with pytest.raises(UsageError, match=r"weights was \[\], now \[0.5, 0.5\]"):
        open_run(dataclasses.replace(config, weights=(0.5, 0.5)))


def test_a_run_folder_of_an_earlier_version_goes_on(tmp_path: Path) -> None:
    config = begun(tmp_path)
    (config.out / "tables.json").unlink()
    (config.out / "checkpoint" / "step-00000004.pt").rename(config.out / "checkpoint" / "state.pt")
    assert open_run(config) == 4
    assert changes(config.out) == []


def test_tables_that_are_the_same_are_no_change(tmp_path: Path) -> None:
    config = begun(tmp_path, shapes=70)
    noted = json.loads((config.out / "tables.json").read_text())
    assert [(one["path"], one["rows"], len(one["sampled"])) for one in noted] == [
        (str(tmp_path / "A"), 70, 64),
        (str(tmp_path / "B"), 70, 64),
    ]
    assert changes(config.out) == []
    assert open_run(config) == 4


@pytest.mark.parametrize(
    ("anew", "message"),
    [
        ({"points": 48}, "points was 32, is 48"),
        ({"count": 5}, "the shapes in it are others, or in another order"),
        ({"first": 1}, "the shapes in it are others, or in another order"),
    ],
)
def test_a_table_that_was_made_anew_is_named(tmp_path: Path, anew: dict[str, int], message: str) -> None:
    config = begun(tmp_path)
    (tmp_path / "B").rename(tmp_path / "old")
    table = example_table(tmp_path / "B", anew.get("count", 0), points=anew.get("points", 32))
    if "first" in anew:
        table.append([example_row(anew["first"] + i) for i in range(8)])
    with pytest.raises(RunError) as caught:
        open_run(config)
    assert f"({tmp_path / 'B'}: {message}): start a new run" in str(caught.value)


def test_a_table_that_is_gone_is_named(tmp_path: Path) -> None:
    config = begun(tmp_path)
    (tmp_path / "A").rename(tmp_path / "elsewhere")
    with pytest.raises(RunError, match=f"no table at {tmp_path / 'A'}"):
        open_run(config)


def test_more_rows_are_the_checkpoints_to_judge_who_names_the_table(tmp_path: Path) -> None:
    config = begun(tmp_path)
    ShapeTable(tmp_path / "B").append([example_row(8)])
    assert open_run(config) == 4
    with pytest.raises(RunError, match=f"have changed since .*{tmp_path / 'B'}: 8 rows then, 9 now"):
        checkpoint.load_checkpoint(config.out, *trained(1), "other rows")
    assert checkpoint.load_checkpoint(config.out, *trained(1), "rows")["step"] == 4


def test_a_place_that_cannot_be_written_is_a_message(tmp_path: Path) -> None:
    example_table(tmp_path / "A", 4)
    (tmp_path / "file").write_text("x")
    config = PretrainConfig(data=(tmp_path / "A",), out=tmp_path / "file" / "run", points=16)
    with pytest.raises(UsageError, match=r"--out .*file/run cannot be written \(Not a directory\): give a folder"):
        open_run(config)


@pytest.mark.skipif(os.name != "posix", reason="permissions of POSIX")
def test_no_permission_to_write_is_a_message() -> None:
    with tempfile.TemporaryDirectory() as name:
        closed = Path(name)
        closed.chmod(0o755)
        example_table(closed / "A", 4)
        config = PretrainConfig(data=(closed / "A",), out=closed / "run", points=16)
        with closed_to_writing(closed), pytest.raises(UsageError, match=r"--out .*run cannot be written \(Permission"):
            open_run(config)
