"""Whole runs of two processes: they end with the same bytes however often they stop, and name the one that fails."""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

from crosspoint3d.config import PretrainConfig
from crosspoint3d.config_file import load_yaml
from crosspoint3d.training import metrics
from tests.conftest import ROOT
from tests.data.tables import example_table

STEPS = 5
SLOW = pytest.mark.slow
OPTIONS = (
    f"--width 0.125 --emb-dims 16 --k 4 --points 16 --image-encoder resnet18 --image-size 32 --batch-size 8 "
    f"--device cpu --threads 1 --max-steps {STEPS} --checkpoint-every 2"
).split()


class Ended(NamedTuple):
    code: int
    errors: str


def environment() -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if name not in ("RANK", "WORLD_SIZE", "LOCAL_RANK")}
    return kept | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


def run_in_two(data: Path, out: Path, fault: str = "none", *more: str) -> list[Ended]:
    """Both processes, started as a launcher does; a stopped one is ended when the other is done."""
    port = str(free_port())
    members = [
        subprocess.Popen(
            [
                *(sys.executable, "-m", "tests.training.member", fault, "pretrain"),
                *("--data", str(data), "--out", str(out), *OPTIONS, *more),
            ],
            env=environment()
            | {"RANK": str(rank), "WORLD_SIZE": "2", "LOCAL_RANK": str(rank)}
            | {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            cwd=ROOT,
        )
        for rank in range(2)
    ]
    if fault.startswith("hang"):
        members[0].wait(300)
        members[1].kill()
    ended = []
    for member in members:
        _, errors = member.communicate(timeout=300)
        ended.append(Ended(member.returncode, errors))
    return ended


def left(run: Path) -> tuple[list[bytes], list[float]]:
    folders = ("encoder", "image_encoder")
    weights = [(run / folder / "model.safetensors").read_bytes() for folder in folders]
    return weights, [row["loss"] for row in metrics.read(run)]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("data") / "table"
    example_table(path, 24)
    return path


def by_torchrun(run: Path, data: Path, *before: str) -> subprocess.CompletedProcess[str]:
    """Both processes by torchrun; `before` is the module and what comes before the verb's options, or more of them."""
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m"]
    return subprocess.run(
        [*launch, *before, "--data", str(data), "--out", str(run), *OPTIONS],
        env=environment(),
        capture_output=True,
        text=True,
        cwd=ROOT,
        check=False,
        timeout=300,
    )


@pytest.fixture(scope="module")
def whole(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run by torchrun that nothing stopped."""
    run = tmp_path_factory.mktemp("whole") / "run"
    done = by_torchrun(run, data, "crosspoint3d", "pretrain", "--workers", "1")
    assert done.returncode == 0, done.stderr
    assert f"{STEPS} steps" in done.stdout
    return run


def test_torchrun_leaves_one_run(whole: Path) -> None:
    rows = metrics.read(whole)
    assert [row["step"] for row in rows] == list(range(1, STEPS + 1))
    summary = json.loads((whole / "summary.json").read_text())
    assert summary["processes"] == 2 and summary["steps"] == STEPS and summary["held_out"]["shapes"] > 0
    assert load_yaml(whole / "config.yaml", PretrainConfig)["batch_size"] == 8
    assert not [path for path in whole.rglob("*") if path.suffix == ".tmp"]


def test_a_run_of_which_one_process_is_told_to_stop_resumes_to_the_same_bytes(
    data: Path, whole: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    stopped = run_in_two(data, run, "interrupt:1:2")
    assert [ended.code for ended in stopped] == [130, 130], stopped
    assert [row["step"] for row in metrics.read(run)] == [1, 2, 3] and not (run / "encoder").exists()
    shutil.copytree(run, tmp_path / "copy")
    resumed = run_in_two(data, run, "none", "--resume")
    assert [ended.code for ended in resumed] == [0, 0], resumed
    assert left(run) == left(whole)

    alone = subprocess.run(
        [sys.executable, "-m", "crosspoint3d", "pretrain", "--out", str(tmp_path / "copy"), "--resume"],
        env=environment(),
        capture_output=True,
        text=True,
        cwd=ROOT,
        check=False,
        timeout=300,
    )
    assert alone.returncode == 2 and "trained by 2 processes, now there are 1" in alone.stderr


@pytest.mark.parametrize(
    ("whom", "seed"),
    [
        ("all", 0),
        pytest.param("all", 1, marks=SLOW),
        pytest.param("0", 2, marks=SLOW),
        pytest.param("1", 3, marks=SLOW),
    ],
)
def test_a_run_killed_at_a_random_step_resumes_to_the_same_bytes(
    whom: str, seed: int, data: Path, whole: Path, tmp_path: Path
) -> None:
    step = int(np.random.default_rng(seed).integers(1, STEPS))
    killed = run_in_two(data, tmp_path / "run", f"kill:{whom}:{step}")
    expected = {rank: -signal.SIGKILL if whom in (str(rank), "all") else 1 for rank in range(2)}
    assert {rank: ended.code for rank, ended in enumerate(killed)} == expected, killed
    assert not (tmp_path / "run" / "encoder").exists()
    resumed = run_in_two(data, tmp_path / "run", "none", "--resume")
    assert [ended.code for ended in resumed] == [0, 0], resumed
    assert left(tmp_path / "run") == left(whole)


@pytest.mark.slow
def test_torchrun_whose_processes_are_killed_resumes_to_the_same_bytes(data: Path, whole: Path, tmp_path: Path) -> None:
    step = int(np.random.default_rng(4).integers(1, STEPS))
    killed = by_torchrun(tmp_path / "run", data, "tests.training.member", f"kill:all:{step}", "pretrain")
    assert killed.returncode == 1 and "Signal 9" in killed.stderr, killed.stderr
    assert by_torchrun(tmp_path / "run", data, "crosspoint3d", "pretrain", "--resume").returncode == 0
    assert left(tmp_path / "run") == left(whole)


@pytest.mark.slow
def test_parts_by_number_are_chunks_in_two_processes_too(data: Path, tmp_path: Path) -> None:
    for name, options in {"accumulate": ("--accumulate", "2"), "chunk": ("--chunk", "2")}.items():
        ended = run_in_two(data, tmp_path / name, "none", *options)
        assert [one.code for one in ended] == [0, 0], ended
    assert left(tmp_path / "accumulate") == left(tmp_path / "chunk")


@pytest.mark.parametrize(
    ("fault", "survivor", "reason"),
    [
        ("kill:1:2", 0, r"process 1 of 2 on \S+: it died or hangs"),
        pytest.param("kill:0:2", 1, r"the process that keeps the store, the first one, does not answer", marks=SLOW),
        pytest.param("raise:1:2", 0, r"process 1 of 2 on \S+: the disk of this machine is on fire", marks=SLOW),
        ("hang:1:2", 0, r"process 1 of 2 on \S+: it died or hangs"),
        pytest.param(
            "full:0:1", 1, r"process 0 of 2 on \S+: the checkpoint of step 2 could not be written", marks=SLOW
        ),
    ],
)
def test_a_process_that_fails_is_named_and_the_other_stops(
    data: Path, tmp_path: Path, fault: str, survivor: int, reason: str
) -> None:
    ended = run_in_two(data, tmp_path / "run", fault)[survivor]
    assert ended.code == 1 and re.search(reason, ended.errors), ended
    assert "--resume" in ended.errors or fault.startswith("hang")
    assert (tmp_path / "run" / "checkpoint").exists() and not (tmp_path / "run" / "encoder").exists()


@SLOW
def test_a_process_that_cannot_read_leaves_when_the_state_is_on_disk(data: Path, tmp_path: Path) -> None:
    _, failed = run_in_two(data, tmp_path / "run", "unread:1:2")
    assert failed.code == 1 and "table t is broken (the state of step 3 is saved" in failed.errors
    assert (tmp_path / "run" / "checkpoint" / "step-00000003.pt").exists()


def test_a_step_that_ruins_one_process_stops_both_with_the_same_words(data: Path, tmp_path: Path) -> None:
    ended = run_in_two(data, tmp_path / "run", "nan:1:2")
    for rank, (code, errors) in enumerate(ended):
        assert code == 1 and "step 3: loss" in errors and "The state of step 2 is kept" in errors, rank


def test_wrong_use_is_said_by_both_before_anything_is_written(data: Path, tmp_path: Path) -> None:
    for code, errors in run_in_two(data, tmp_path / "run", "none", "--batch-size", "7"):
        assert code == 2 and "--batch-size 7 is that of all 2 processes: give a multiple of 2" in errors
    assert not (tmp_path / "run").exists()
    (tmp_path / "used").mkdir()
    (tmp_path / "used" / "file").touch()
    for code, errors in run_in_two(data, tmp_path / "used"):
        assert code == 2 and "exists: give another folder" in errors
