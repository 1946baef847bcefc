"""Processes at a time: their order, their share of the machine, and that a stop reaches all of them."""

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from crosspoint3d.config import UsageError
from crosspoint3d.training.sweep.processes import Task, ending, locked, run_tasks, shares

SAVES = "import signal, sys; signal.signal(signal.SIGTERM, lambda *_: sys.exit(130)); print('up', flush=True)\n"


def task(folder: Path, name: str, code: str) -> Task:
    return Task(name, [sys.executable, "-S", "-c", code], folder / f"{name}.log")


def run(tasks: list[Task], slots: list[dict[str, str]]) -> tuple[bool, list[tuple[str, int]]]:
    events: list[tuple[str, int]] = []
    done = run_tasks(
        tasks, slots, begun=lambda n: events.append(("begun", n)), ended=lambda n, code: events.append(("ended", code))
    )
    return done, events


def test_a_failure_does_not_hold_up_the_others(tmp_path: Path) -> None:
    codes = ["import os; print(os.environ['X'])", "raise SystemExit(3)", "import os; os.kill(os.getpid(), 9)"]
    done, events = run([task(tmp_path, f"{i}", code) for i, code in enumerate(codes)], [{"X": "seven"}])
    assert done
    assert events == [("begun", 0), ("ended", 0), ("begun", 1), ("ended", 3), ("begun", 2), ("ended", -9)]
    assert (tmp_path / "0.log").read_text() == "seven\n"


def test_as_many_at_a_time_as_there_are_slots(tmp_path: Path) -> None:
    wait = (
        "import pathlib, time\n"
        "for _ in range(400):\n"
        "    time.sleep(.02)\n"
        "    if pathlib.Path({other!r}).exists(): break\n"
        "else: raise SystemExit(1)"
    )
    tasks = []
    for mine, other in (("a", "b"), ("b", "a")):
        code = f"import pathlib; pathlib.Path({str(tmp_path / mine)!r}).touch()\n"
        tasks.append(task(tmp_path, mine, code + wait.format(other=str(tmp_path / other))))
    done, events = run(tasks, [{}, {}])
    assert done and [event for event in events if event[0] == "ended"] == [("ended", 0)] * 2


def test_a_stop_reaches_every_process_and_begins_no_other(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tasks = [task(tmp_path, name, SAVES + "signal.pause()") for name in "abc"]

    def interrupt() -> None:
        while not all((tmp_path / f"{name}.log").is_file() and (tmp_path / f"{name}.log").read_text() for name in "ab"):
            time.sleep(0.02)
        os.kill(os.getpid(), signal.SIGINT)

    thread = threading.Thread(target=interrupt)
    thread.start()
    done, events = run(tasks, [{}, {}])
    thread.join()
    assert not done
    assert sorted(events) == [("begun", 0), ("begun", 1), ("ended", 130), ("ended", 130)]
    assert "stopping, each saves where it is (Ctrl-C again ends them at once): a; b" in capsys.readouterr().err


def test_a_second_interrupt_ends_what_does_not_stop(tmp_path: Path) -> None:
    stubborn = "import os, signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(os.getpid(), flush=True)\n"
    log = tmp_path / "a.log"

    def interrupt() -> None:
        while not (log.is_file() and log.read_text()):
            time.sleep(0.02)
        for _ in range(2):
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(0.5)

    thread = threading.Thread(target=interrupt)
    thread.start()
    with pytest.raises(KeyboardInterrupt):
        run([task(tmp_path, "a", stubborn + "while True: signal.pause()")], [{}])
    thread.join()
    with pytest.raises(ProcessLookupError):
        os.kill(int(log.read_text()), 0)


def test_a_folder_is_held_as_long_as_a_process_of_the_sweep_lives(tmp_path: Path) -> None:
    pytest.importorskip("fcntl")
    with locked(tmp_path) as lock:
        assert lock is not None
        with pytest.raises(UsageError, match=f"process {os.getpid()}"), locked(tmp_path):
            pass
        child = subprocess.Popen([sys.executable, "-S", "-c", "input()"], stdin=subprocess.PIPE, pass_fds=(lock,))
    with pytest.raises(UsageError, match="at work there"), locked(tmp_path):
        pass
    child.communicate(b"\n")
    with locked(tmp_path):
        pass


def test_cores_and_gpus_are_shared_out() -> None:
    assert shares(1, 8, 4, {}) == [{}]
    assert shares(3, 8, 0, {"MKL_NUM_THREADS": "1"}) == [{"OMP_NUM_THREADS": "2", "OPENBLAS_NUM_THREADS": "2"}] * 3
    gpus = [share["CUDA_VISIBLE_DEVICES"] for share in shares(3, 2, 2, {"CUDA_VISIBLE_DEVICES": "5,GPU-x"})]
    assert gpus == ["5", "GPU-x", "5"]
    assert "CUDA_VISIBLE_DEVICES" not in shares(2, 2, 1, {})[0]
    assert shares(4, 2, 0, {})[0]["OMP_NUM_THREADS"] == "1"


def test_how_a_process_ended_is_said() -> None:
    assert "out of memory" in ending(-9) and "SIGKILL" in ending(-9)
    assert "SIGSEGV" in ending(-11)
    assert "exit code 4" in ending(4)
