"""Pre-training in processes of its own, which die where they are told to: for the tests of what a kill leaves.

The processes are forked from one that has the package imported but has not used it, so that a life is short.
"""

import dataclasses
import multiprocessing
import os
import signal
import threading
import time
import warnings
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import torch
import torch._dynamo  # which the first optimizer of a process would import, for seconds

from crosspoint3d.config import PretrainConfig
from crosspoint3d.training import loop, metrics
from crosspoint3d.training import pretrain as recipe

PLACES = ("step", "metrics", "checkpoint", "rename")
"""Where a life can end: before a step's update, in the middle of a line, of a file, and before it gets its name.

Two more are no places of chance: `settled` is `step` with no checkpoint being written, `behind` is two steps after
a checkpoint of which half is written.
"""
warnings.filterwarnings("ignore", message="lance is not fork-safe")  # it is not in use yet where the lives are forked
_forks = multiprocessing.get_context("forkserver") if "forkserver" in multiprocessing.get_all_start_methods() else None


def live(config: PretrainConfig, place: str = "", step: int = 0) -> int:
    """Run until the end, or until a SIGKILL at a place of a step (counted from 0); the exit code."""
    process = begin(config, place, step)
    process.join(120)
    assert process.exitcode is not None
    return process.exitcode


def begin(config: PretrainConfig, place: str = "", step: int = 0) -> BaseProcess:
    """The same, without waiting for it."""
    context = _forks or multiprocessing.get_context("spawn")
    if _forks:
        _forks.set_forkserver_preload(["tests.training.lives"])
    process = context.Process(target=_run, args=(config, place, step))
    process.start()
    return process


def _run(config: PretrainConfig, place: str, step: int) -> None:
    signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored where a shell started the tests in background
    torch.set_num_threads(1)
    if place:
        _plan_death(place, step)
    raise SystemExit(recipe.pretrain(dataclasses.replace(config, threads=1)).exit_code)


def _plan_death(place: str, at: int) -> None:
    update, append, save, replace = loop.train_step, metrics.append, torch.save, Path.replace
    halfway = threading.Event()

    def train_step(*arguments: Any, **named: Any) -> Any:
        if place in ("step", "settled") and arguments[4] == at:
            if place == "settled":
                _wait_for_the_write()
            _die()
        if place == "behind" and arguments[4] == at + 2:
            halfway.wait(60)
            _die()
        return update(*arguments, **named)

    def append_line(run: Path, row: dict[str, Any]) -> None:
        if place == "metrics" and row["step"] >= at:
            with (run / metrics.FILE).open("a", encoding="utf-8") as file:
                file.write('{"step": ')
            _die()
        append(run, row)

    def save_state(state: dict[str, Any], path: Path) -> None:
        save(state, path)
        if place in ("checkpoint", "behind") and state["step"] >= at:
            os.truncate(path, path.stat().st_size // 2)
            if place == "behind":
                halfway.set()
                time.sleep(60)
            _die()

    def rename(path: Path, target: Path) -> Path:
        number = target.stem.removeprefix("step-")
        if place == "rename" and number.isdigit() and int(number) >= at:
            _die()
        return replace(path, target)

    loop.train_step, metrics.append = train_step, append_line  # type: ignore[assignment]
    torch.save, Path.replace = save_state, rename  # type: ignore[assignment,method-assign]


def _wait_for_the_write() -> None:
    while any(thread.name == "crosspoint3d-checkpoint" for thread in threading.enumerate()):
        time.sleep(0.01)


def _die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)
