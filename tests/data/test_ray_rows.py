"""prepare --engine ray: the table of the process pool, whoever dies, and errors in seconds."""

import importlib.util
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import lance
import pytest
import trimesh

from crosspoint3d.config import PrepareConfig, RunError, UsageError
from crosspoint3d.data import ray_cluster, ray_rows
from crosspoint3d.data.prepare import prepare
from crosspoint3d.data.rows import RowSettings
from crosspoint3d.data.sources import Candidate
from crosspoint3d.data.table import ShapeTable

SMALL: dict[str, Any] = {"points": 32, "views": 1, "image_size": 16, "supersample": 1}
FLAGS = ["--points", "32", "--views", "1", "--image-size", "16", "--supersample", "1", "--workers", "2"]
SETTINGS = RowSettings(points=16, views=1, image_size=16, supersample=1, up="y", seed=0)
DEADLY = {"9", "10"}


def fifty() -> list[Candidate]:
    return [Candidate(str(number), "x") for number in range(50)]


def plain_chunk(candidates: list[Candidate], constants: object) -> list[dict[str, Any] | None]:
    return [{"id": candidate.id, "status": "ok"} for candidate in candidates]


def deadly_chunk(candidates: list[Candidate], constants: object) -> list[dict[str, Any] | None]:
    if any(candidate.id in DEADLY for candidate in candidates):
        os.kill(os.getpid(), signal.SIGKILL)
    return plain_chunk(candidates, constants)


def once_killed_chunk(candidates: list[Candidate], constants: tuple[RowSettings, str, str]) -> list[Any]:
    """Dies twice in all: with whatever chunk comes first, and with a shape that is tried alone."""
    marks = Path(constants[0].part_labels)
    for name in ("first", "second"):
        if not (marks / name).exists() and (name == "first" or len(candidates) == 1):
            (marks / name).touch()
            os.kill(os.getpid(), signal.SIGKILL)
    return plain_chunk(candidates, constants)


def blind_chunk(candidates: list[Candidate], constants: object) -> list[dict[str, Any] | None]:
    return [None for _ in candidates]


@pytest.fixture(scope="module")
def started() -> Iterator[ray_cluster.Cluster]:
    """A cluster of two processes; what runs in this process uses it."""
    with ray_cluster.cluster("", 2) as cluster:
        yield cluster


def made(candidates: list[Candidate], settings: RowSettings = SETTINGS) -> list[dict[str, Any]]:
    return list(ray_rows.make_rows(candidates, settings, 2, threading.Event()))


def test_the_table_is_that_of_the_process_pool(
    started: ray_cluster.Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shapes = tmp_path / "shapes"
    for i, name in enumerate(("box", "ball", "rod", "box", "ball", "rod")):
        mesh = {"box": trimesh.creation.box, "ball": trimesh.creation.icosphere, "rod": trimesh.creation.cylinder}
        part = shapes / name / f"{i}.off"
        part.parent.mkdir(parents=True, exist_ok=True)
        mesh[name](**({"radius": 0.3, "height": 2} if name == "rod" else {})).export(part)
    (shapes / "box" / "broken.off").write_text("OFF\n3 1 0\n0 0")
    (shapes / "split.csv").write_text("path,category,split\nbox/missing.off,box,test\n")
    monkeypatch.chdir(tmp_path)  # the paths are relative to a folder that the workers did not start in
    for source, labels in (("shapes", Path("split.csv")), ("procedural:40:5", None)):
        tables = {}
        for engine, workers in (("pool", 1), ("ray", 2)):
            out = tmp_path / engine / source.replace(":", "-")
            prepare(PrepareConfig(source, out, labels=labels, workers=workers, engine=engine, **SMALL))  # type: ignore[arg-type]
            tables[engine] = lance.dataset(str(out)).to_table()
        assert tables["ray"].equals(tables["pool"])
    assert len(tables["ray"]) == 40


def test_a_shape_that_kills_its_worker_becomes_a_failed_row(
    started: ray_cluster.Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ray_rows, "_chunk", deadly_chunk)
    rows = made(fifty())
    assert [row["id"] for row in rows] == [candidate.id for candidate in fifty()]
    assert {row["id"] for row in rows if row["status"] != "ok"} == DEADLY
    assert {row["status"] for row in rows} == {"ok", "worker process died (out of memory or a crash)"}


def test_a_killed_worker_loses_and_doubles_nothing(
    started: ray_cluster.Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ray_rows, "_chunk", once_killed_chunk)
    rows = made(fifty(), RowSettings(16, 1, 16, 1, "y", 0, part_labels=str(tmp_path)))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["first", "second"]
    assert rows == plain_chunk(fifty(), None)


def test_a_stop_request_leaves_the_first_rows(started: ray_cluster.Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ray_rows, "_chunk", plain_chunk)
    candidates = [Candidate(str(number), "x") for number in range(2000)]
    stop = threading.Event()
    rows = []
    for row in ray_rows.make_rows(candidates, SETTINGS, 2, stop):
        rows.append(row)
        if len(rows) == 5:
            stop.set()
    assert [row["id"] for row in rows] == [candidate.id for candidate in candidates[: len(rows)]]
    assert 5 <= len(rows) <= ray_rows.CHUNK * (ray_rows.WINDOW * 2 + 1)
    assert list(ray_rows.make_rows(candidates, SETTINGS, 2, stop)) == []


def test_workers_with_another_version_or_without_the_files_are_refused(
    started: ray_cluster.Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(ray_rows, "__version__", "0.0.0")
        with pytest.raises(UsageError, match=r"a worker cannot run crosspoint3d 0\.0\.0 .*install this version on all"):
            made([Candidate("a", "p", procedural=(0, 0))])
    monkeypatch.setattr(ray_rows, "_chunk", blind_chunk)
    (tmp_path / "a.off").touch()
    with pytest.raises(RunError, match=r"does not see .*a\.off.*shared file system"):
        made([Candidate("a", str(tmp_path / "a.off"))])


def test_a_cluster_that_may_run_fewer_tasks_than_it_could_still_makes_every_row_once(
    started: ray_cluster.Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ray_rows, "_chunk", plain_chunk)
    for workers in (1, 0):
        tasks = ray_rows._Tasks(started._replace(remote=True), SETTINGS, workers)
        rows = []
        for row in tasks.rows(fifty(), threading.Event()):
            rows.append(row["id"])
            assert len(tasks.running) <= workers
        assert rows == [candidate.id for candidate in fifty()]


@pytest.mark.parametrize("address", ["here", "10.0.0.1", "http://host:10001", "host:70000"])
def test_an_address_that_is_none_is_refused(address: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"expected auto, HOST:PORT .* or ray://HOST:10001"):
        prepare(PrepareConfig("procedural:2", tmp_path / "t", engine="ray", address=address))


def test_an_address_where_nothing_listens_is_refused_before_a_table_is_made(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound, but nobody listens
        for form in ("127.0.0.1:{}", "ray://127.0.0.1:{}"):
            config = PrepareConfig(
                "procedural:2", tmp_path / "t", engine="ray", address=form.format(taken.getsockname()[1])
            )
            with pytest.raises(UsageError, match=r"cannot connect to a Ray cluster there \(Connection refused\)"):
                prepare(config)
    assert not (tmp_path / "t").exists()


def test_a_port_that_is_not_rays_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ray_cluster, "PATIENCE", 3.0)
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"127.0.0.1:{server.getsockname()[1]}"
        with pytest.raises(UsageError, match=r"cannot connect to a Ray cluster there \(no answer in 3 s\)"):
            ray_cluster._answers(address)


def test_ray_missing_and_an_address_without_ray_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UsageError, match=r"--address auto: only with --engine ray"):
        prepare(PrepareConfig("procedural:2", tmp_path / "t", address="auto"))
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UsageError, match=r"pip install 'crosspoint3d\[ray\]'"):
        prepare(PrepareConfig("procedural:2", tmp_path / "t", engine="ray"))


def command(out: Path, *more: str, before: str = "") -> list[str]:
    code = f"import sys; from crosspoint3d import cli\n{before}\ncli.main(sys.argv[1:])"
    return [
        sys.executable,
        "-c",
        code,
        "prepare",
        "procedural:200:5",
        "--out",
        str(out),
        "--engine",
        "ray",
        *FLAGS,
        *more,
    ]


@pytest.mark.slow
def test_a_cluster_of_its_own_ends_with_the_run_whoever_ends_it(tmp_path: Path) -> None:
    small = "from crosspoint3d.data import prepare as p; p.COMMIT_ROWS = 8; import time; "
    small += "old = p.ShapeTable.append; p.ShapeTable.append = lambda t, rows: (old(t, rows), time.sleep(0.3))[0]"
    for number, code in ((signal.SIGKILL, -signal.SIGKILL), (signal.SIGTERM, 130)):
        out = tmp_path / number.name
        with subprocess.Popen(command(out, before=small), stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
            deadline = time.monotonic() + 120
            while time.monotonic() < deadline and process.poll() is None:
                if len(list(out.glob("_versions/*.manifest"))) > 2:
                    break
                time.sleep(0.01)
            process.send_signal(number)
            process.communicate(timeout=60)
        assert process.returncode == code
        assert 0 < len(ShapeTable(out)) < 200
        done = subprocess.run(command(out), capture_output=True, text=True, timeout=120, check=False)
        assert done.returncode == 0
        assert done.stdout.startswith(f"{out}: 200 shapes taken, 0 refused") and "ray" not in done.stdout.lower()
        noise = [line for line in done.stderr.replace("\r", "\n").splitlines() if line and "prepare: " not in line]
        assert noise == []
        prepare(PrepareConfig("procedural:200:5", tmp_path / f"pool-{number.name}", workers=1, **SMALL))
        expected = lance.dataset(str(tmp_path / f"pool-{number.name}")).to_table()
        assert lance.dataset(str(out)).to_table().equals(expected)


@pytest.mark.slow
def test_a_cluster_at_an_address_is_used_and_left_running(started: ray_cluster.Cluster, tmp_path: Path) -> None:
    address = started.ray.get_runtime_context().gcs_address
    for more in (["--address", address], ["--address", address, "--workers", "1"]):
        out = tmp_path / str(len(more))
        done = subprocess.run(command(out, *more), capture_output=True, text=True, timeout=120, check=False)
        assert done.returncode == 0, done.stderr
        assert "200 shapes taken" in done.stdout
    assert made([Candidate("a", "p", procedural=(0, 0))])[0]["status"] == "ok"
