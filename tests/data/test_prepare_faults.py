"""prepare when processes are killed, disks are full and folders cannot be written: nothing is lost, nothing doubled."""

import dataclasses
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from crosspoint3d import cli
from crosspoint3d.config import PrepareConfig, RunError
from crosspoint3d.data import prepare as prepare_module
from crosspoint3d.data.prepare import prepare
from crosspoint3d.data.table import ShapeTable

SMALL: dict[str, Any] = {"points": 32, "views": 1, "image_size": 16, "supersample": 1}


def rows_of(path: Path) -> dict[str, list[Any]]:
    table = ShapeTable(path)
    return {name: table.column(name) for name in ("id", "status", "content", "points", "views", "area")}


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Any]]:
    """The table of an undisturbed run of one process."""
    path = tmp_path_factory.mktemp("undisturbed") / "t"
    prepare(PrepareConfig("procedural:60:5", path, workers=1, **SMALL))
    return rows_of(path)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 120 KB; skipped where none may be mounted."""
    place = tmp_path / "disk"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=120k", "none", str(place)]
    try:
        mounted = subprocess.run(mount, capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        mounted = False
    if not mounted:
        pytest.skip("a small file system can be mounted by root on Linux only")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)


def test_a_killed_worker_loses_and_doubles_nothing(tmp_path: Path, undisturbed: dict[str, list[Any]]) -> None:
    killed = []

    def kill_some() -> None:
        while len(killed) < 2 and not over.wait(0.2):
            children = [child for child in multiprocessing.active_children() if child.pid not in killed]
            if children and (tmp_path / "t" / "_versions").is_dir():
                time.sleep(0.5)
                pid = children[-1].pid
                assert pid is not None
                os.kill(pid, signal.SIGKILL)
                killed.append(pid)

    over = threading.Event()
    killer = threading.Thread(target=kill_some)
    killer.start()
    try:
        summary = prepare(PrepareConfig("procedural:60:5", tmp_path / "t", workers=2, **SMALL))
    finally:
        over.set()
        killer.join()
    assert killed
    rows = rows_of(tmp_path / "t")
    died = [i for i, status in enumerate(rows["status"]) if status != "ok"]
    # A shape that was alone in a worker when it was killed cannot be told from one that kills its worker.
    assert all(rows["status"][i].startswith("worker process died") for i in died) and len(died) <= len(killed)
    assert rows["id"] == undisturbed["id"]
    retried = prepare(PrepareConfig("procedural:60:5", tmp_path / "t", workers=1, retry_failed=True, **SMALL))
    assert (retried.taken, retried.new, summary.refused) == (60, len(died), len(died))
    rows = rows_of(tmp_path / "t")
    order = sorted(range(60), key=lambda i: rows["id"][i])
    assert {name: [values[i] for i in order] for name, values in rows.items()} == undisturbed


def test_a_killed_run_goes_on_where_it_was(tmp_path: Path, undisturbed: dict[str, list[Any]]) -> None:
    out = tmp_path / "t"
    code = (
        "import sys; from crosspoint3d import cli; from crosspoint3d.data import prepare as p; p.COMMIT_ROWS = 8\n"
        "cli.main(sys.argv[1:])"
    )
    flags = ["--points", "32", "--views", "1", "--image-size", "16", "--supersample", "1", "--workers", "1"]
    command = [sys.executable, "-c", code, "prepare", "procedural:60:5", "--out", str(out), *flags]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline and process.poll() is None:
            if len(list(out.glob("_versions/*.manifest"))) > 2:
                break
            time.sleep(0.01)
        process.kill()
    kept = len(ShapeTable(out))
    assert 0 < kept < 60 and kept % 8 == 0
    summary = prepare(PrepareConfig("procedural:60:5", out, workers=1, **SMALL))
    assert (summary.new, summary.taken) == (60 - kept, 60)
    assert rows_of(out) == undisturbed


def test_a_full_disk_keeps_what_is_there(
    small_disk: Path, monkeypatch: pytest.MonkeyPatch, undisturbed: dict[str, list[Any]]
) -> None:
    monkeypatch.setattr(prepare_module, "COMMIT_ROWS", 8)
    config = PrepareConfig("procedural:60:5", small_disk / "t", workers=1, **SMALL)
    with pytest.raises(RunError, match=r"cannot be written .*rows so far are kept; make room"):
        prepare(config)
    kept = len(ShapeTable(small_disk / "t"))
    assert 8 <= kept < 60 and kept % 8 == 0
    subprocess.run(["mount", "-o", "remount,size=20m", str(small_disk)], check=True)
    assert prepare(config).new == 60 - kept
    assert rows_of(small_disk / "t") == undisturbed


def test_no_permission_is_a_message_and_exit_code_1(small_disk: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = PrepareConfig("procedural:4:5", small_disk / "t", workers=1, **SMALL)
    prepare(config)
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    with pytest.raises(RunError, match="its 4 rows so far are kept"):
        prepare(dataclasses.replace(config, source="procedural:6:5"))
    with pytest.raises(RunError, match=r"prepare\.json cannot be written"):
        prepare(config)
    assert cli.run(["prepare", "procedural:2", "--out", str(small_disk / "new")]) == 1
    assert "the table cannot be created" in capsys.readouterr().err
    assert len(ShapeTable(small_disk / "t")) == 4


def test_a_file_in_the_way_is_a_message(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(RunError, match=r"--out .* cannot be created"):
        prepare(PrepareConfig("procedural:2", tmp_path / "file" / "t", workers=1, **SMALL))


def test_a_commit_that_fails_is_not_tried_twice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tries = []

    def full(table: ShapeTable, rows: list[dict[str, Any]]) -> None:
        tries.append(len(rows))
        if rows:
            raise RunError("full")

    monkeypatch.setattr(prepare_module, "COMMIT_ROWS", 3)
    monkeypatch.setattr(ShapeTable, "append", full)
    with pytest.raises(RunError, match="full"):
        prepare(PrepareConfig("procedural:8", tmp_path / "t", workers=1, **SMALL))
    assert tries == [3, 0]
