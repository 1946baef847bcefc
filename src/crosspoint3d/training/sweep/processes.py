"""Several processes at a time, each with its share of the machine; a request to stop reaches all of them."""

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from crosspoint3d.config import UsageError
from crosspoint3d.runtime import stop_requests

POLL = 0.1
THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
GPUS = "CUDA_VISIBLE_DEVICES"
LOCK = ".lock"


class Task(NamedTuple):
    """A process to run: its name, the command, and the file that gets everything it writes."""

    name: str
    command: Sequence[str]
    log: Path


def run_tasks(
    tasks: Sequence[Task],
    slots: Sequence[dict[str, str]],
    *,
    begun: Callable[[int], None],
    ended: Callable[[int, int], None],
    lock: int | None = None,
) -> bool:
    """Run every task, as many at a time as there are slots.

    Ctrl-C or SIGTERM ask the running ones to stop (SIGTERM) and wait for them; a second one ends them at once. They are
    out of reach of the terminal's own Ctrl-C.

    Args:
        tasks: in the order in which they are begun.
        slots: further environment of the processes that run in each place.
        begun: is told the number of a task before it begins.
        ended: is told the number of a task that ended, and its exit code (below 0: the signal that ended it).
        lock: a file that the processes hold open as long as they live.

    Returns:
        Whether all tasks ran; False if asked to stop.
    """
    waiting = list(range(len(tasks)))
    running: dict[int, tuple[int, subprocess.Popen[bytes]]] = {}
    asked = False
    try:
        with stop_requests() as stop:
            while running or (waiting and not stop.is_set()):
                for slot in range(len(slots)):
                    if slot not in running and waiting and not stop.is_set():
                        number = waiting.pop(0)
                        begun(number)
                        running[slot] = number, _start(tasks[number], slots[slot], lock)
                if stop.is_set() and not asked:
                    asked = True
                    names = "; ".join(tasks[number].name for number, _ in running.values())
                    sys.stderr.write(f"\nstopping, each saves where it is (Ctrl-C again ends them at once): {names}\n")
                    for _, process in running.values():
                        process.terminate()
                for slot, (number, process) in list(running.items()):
                    if (code := process.poll()) is not None:
                        del running[slot]
                        ended(number, code)
                if running:
                    _wait(running)
    finally:
        for _, process in running.values():
            process.kill()
        for _, process in running.values():
            process.wait()
    return not asked and not waiting


def _wait(running: dict[int, tuple[int, subprocess.Popen[bytes]]]) -> None:
    with contextlib.suppress(subprocess.TimeoutExpired):
        next(iter(running.values()))[1].wait(POLL)


def _start(task: Task, more: dict[str, str], lock: int | None) -> subprocess.Popen[bytes]:
    task.log.parent.mkdir(parents=True, exist_ok=True)
    with task.log.open("ab") as log:
        return subprocess.Popen(
            task.command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            env=os.environ | more,
            start_new_session=True,
            pass_fds=() if lock is None else (lock,),
        )


def shares(jobs: int, cores: int, gpus: int, environment: dict[str, str]) -> list[dict[str, str]]:
    """What each of `jobs` processes is given: its part of the cores, and GPUs in turn.

    Args:
        jobs: processes at a time.
        cores: of this machine.
        gpus: that torch sees.
        environment: of this process; what it says about threads stays, of its visible GPUs each process gets one.
    """
    if jobs == 1:
        return [{}]
    threads = {name: str(max(1, cores // jobs)) for name in THREADS if name not in environment}
    visible = [name for name in environment.get(GPUS, "").split(",") if name] or [str(i) for i in range(gpus)]
    return [threads | ({GPUS: visible[job % len(visible)]} if gpus > 1 else {}) for job in range(jobs)]


def ending(code: int) -> str:
    """How a process ended that left no reason."""
    if code >= 0:
        return f"its process ended with exit code {code}"
    try:
        name = signal.Signals(-code).name
    except ValueError:
        name = f"signal {-code}"
    return f"its process was ended by {name}" + (" (out of memory?)" if name == "SIGKILL" else "")


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[int | None]:
    """Hold a folder for one sweep and its processes; None where the system or the disk has no such locks.

    The lock is that of an open file which the processes inherit, so that runs which survived a killed sweep are not
    written to by a second one.

    Raises:
        UsageError: another sweep, or a process that it left, is at work there.
    """
    try:
        import fcntl
    except ImportError:
        yield None
        return
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / LOCK).open("a+", encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            file.seek(0)
            first = file.read().strip()
            raise UsageError(
                f"--out {folder}: a sweep is at work there (process {first}, or runs that it left behind); "
                "wait for it, end it, or give another folder"
            ) from error
        except OSError:
            yield None
            return
        file.truncate(0)
        file.write(f"{os.getpid()}\n")
        file.flush()
        yield file.fileno()
