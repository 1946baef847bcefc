"""TensorBoard and Weights & Biases hold the rows of metrics.jsonl once each, in runs that were resumed too."""

import json
import struct
import sys
import types
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest

from crosspoint3d.config import PretrainConfig, UsageError
from crosspoint3d.training import metrics
from crosspoint3d.training.trackers import check_trackers, open_trackers

ROWS = [
    {"step": step, "loss": 3.0 / step, "cross_modal": None, "lr": 0.25, "probe_recall@1": 0.5} for step in range(1, 9)
]


def config_for(out: Path, **changes: Any) -> PretrainConfig:
    out.mkdir(exist_ok=True)
    return PretrainConfig(data=(Path("table"),), out=out, **changes)


def log(config: PretrainConfig, start: int, stop: int) -> None:
    """Rows `start + 1` to `stop` as a run writes them, after `metrics.jsonl` was cut to `start`."""
    metrics.cut(config.out, start)
    with open_trackers(config, start) as mirror:
        for row in ROWS[start:stop]:
            metrics.append(config.out, row)
            mirror(row)


def curves(run: Path) -> dict[str, list[tuple[int, float]]]:
    """What TensorBoard shows."""
    pytest.importorskip("tensorboard", reason="the extra tensorboard is not installed")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(run / "tensorboard")).Reload()
    return {tag: [(event.step, event.value) for event in events.Scalars(tag)] for tag in events.Tags()["scalars"]}


def expected() -> dict[str, list[tuple[int, float]]]:
    found = defaultdict(list)
    for row in ROWS:
        for name in ("loss", "lr", "probe_recall@1"):
            found[name].append((row["step"], pytest.approx(row[name])))
    return dict(found)


def test_event_files_hold_every_row(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard", reason="the extra tensorboard is not installed")
    log(config_for(tmp_path, tensorboard=True), 0, 8)
    assert curves(tmp_path) == expected()


@pytest.mark.parametrize("start", [0, 3])
def test_a_resumed_run_has_no_doubled_points(tmp_path: Path, start: int) -> None:
    pytest.importorskip("tensorboard", reason="the extra tensorboard is not installed")
    config = config_for(tmp_path, tensorboard=True)
    log(config, 0, 5)
    log(config, start, 8)
    assert curves(tmp_path) == expected()


def test_tensorboard_asked_for_at_a_resume_gets_the_rows_before(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard", reason="the extra tensorboard is not installed")
    log(config_for(tmp_path), 0, 5)
    log(config_for(tmp_path, tensorboard=True), 5, 8)
    assert curves(tmp_path) == expected()


class FakeRun:
    """A run of the fake service: what was logged, and how it ended."""

    def __init__(self, **options: Any) -> None:
        self.options, self.rows, self.code = options, [], None

    def log(self, values: dict[str, Any], step: int) -> None:
        self.rows.append((step, values))

    def finish(self, exit_code: int) -> None:
        self.code = exit_code


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch) -> list[FakeRun]:
    """A module in the place of wandb; its runs in the order in which they began."""
    runs: list[FakeRun] = []
    fake = types.ModuleType("wandb")
    fake.__spec__ = types.SimpleNamespace(name="wandb")  # type: ignore[assignment]
    fake.Error = RuntimeError  # type: ignore[attr-defined]
    fake.Settings = dict  # type: ignore[attr-defined]

    def init(**options: Any) -> FakeRun:
        if options["project"] == "unreachable":
            raise RuntimeError("api_key not configured")
        runs.append(FakeRun(**options))
        return runs[-1]

    fake.init = init  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "wandb", fake)
    return runs


def test_wandb_gets_every_row_once_under_one_id(tmp_path: Path, service: list[FakeRun]) -> None:
    config = config_for(tmp_path, wandb="shapes")
    log(config, 0, 5)
    log(config, 3, 8)
    first, second = service
    assert first.options["id"] == second.options["id"] and second.options["resume"] == "allow"
    assert [step for step, _ in first.rows + second.rows] == list(range(1, 9))
    assert first.rows[1] == (2, {"loss": 1.5, "lr": 0.25, "probe_recall@1": 0.5})
    assert first.options["config"]["lr"] == config.lr and (first.code, second.code) == (0, 0)


def test_another_project_is_another_run_with_all_rows(tmp_path: Path, service: list[FakeRun]) -> None:
    log(config_for(tmp_path, wandb="one"), 0, 5)
    log(config_for(tmp_path, wandb="two"), 5, 8)
    assert service[0].options["id"] != service[1].options["id"]
    assert [step for step, _ in service[1].rows] == list(range(1, 9))


def test_an_error_marks_the_run_as_failed(tmp_path: Path, service: list[FakeRun]) -> None:
    with pytest.raises(ZeroDivisionError), open_trackers(config_for(tmp_path, wandb="p"), 0):
        raise ZeroDivisionError
    assert service[0].code == 1


def test_no_login_is_a_usage_error_with_a_remedy(tmp_path: Path, service: list[FakeRun]) -> None:
    with pytest.raises(UsageError, match=r"--wandb unreachable: api_key.*WANDB_MODE=offline"):
        log(config_for(tmp_path, wandb="unreachable"), 0, 1)
    assert service == []


def test_a_tracker_that_fails_does_not_take_the_run_down(
    tmp_path: Path, service: list[FakeRun], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(FakeRun, "log", lambda *_, **__: 1 / 0)
    log(config_for(tmp_path, wandb="p"), 0, 3)
    assert capsys.readouterr().err.count("WeightsAndBiases failed at step 1 (ZeroDivisionError") == 1
    assert len(metrics.read(tmp_path)) == 3


def test_nor_does_one_that_cannot_hand_over_its_last_rows(
    tmp_path: Path, service: list[FakeRun], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(FakeRun, "finish", lambda *_, **__: 1 / 0)
    log(config_for(tmp_path, wandb="p"), 0, 3)
    assert "WeightsAndBiases failed at the end (ZeroDivisionError" in capsys.readouterr().err
    assert [step for step, _ in service[0].rows] == [1, 2, 3]


@pytest.mark.parametrize(("option", "value"), [("tensorboard", True), ("wandb", "p")])
def test_a_missing_package_names_its_extra(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, option: str, value: Any
) -> None:
    monkeypatch.setitem(sys.modules, option, None)
    with pytest.raises(UsageError, match=rf"--{option} needs the {option} package: .*crosspoint3d\[{option}\]"):
        check_trackers(config_for(tmp_path, **{option: value}))
    check_trackers(config_for(tmp_path))


def test_wandb_offline_keeps_the_rows_on_this_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wandb = pytest.importorskip("wandb", reason="the extra wandb is not installed")
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_SILENT", "true")
    config = config_for(tmp_path, wandb="shapes")
    log(config, 0, 5)
    log(config, 3, 8)
    wandb.teardown()  # its service may still be writing
    name = json.loads((tmp_path / "wandb.json").read_text())["id"]
    files = sorted(tmp_path.glob(f"wandb/offline-run-*/run-{name}.wandb"))
    assert len(files) == 2 and all(path.stat().st_size > 0 for path in files)
    assert [step for file in files for step in _steps(file)] == list(range(1, 9))


def _steps(file: Path) -> list[int]:
    """Steps in the history of an offline run's file: a LevelDB log (7-byte headers, 32 KiB blocks) of protobufs."""
    from wandb.proto import wandb_internal_pb2

    data, at, message, steps = file.read_bytes(), 7, b"", []
    while at + 7 <= len(data):
        length, kind = struct.unpack_from("<HB", data, at + 4)
        message += data[at + 7 : at + 7 + length]
        at += 7 + length
        if 0x8000 - at % 0x8000 < 7:  # too short for a header: the next block
            at += 0x8000 - at % 0x8000
        if kind in (1, 4):  # a whole message, or the last part of one
            record = wandb_internal_pb2.Record()
            record.ParseFromString(message)
            message = b""
            if record.HasField("history"):
                steps.append(record.history.step.num)
    return steps
