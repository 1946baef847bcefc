"""The files in `checkpoint/`: the last three states of a run, each written whole or not at all, each checked when read.

The checksum is the archive's own: `torch.save` writes a ZIP file with a CRC-32 of every record, which `torch.load` does
not look at. So every checkpoint can be checked, those of earlier versions too, and each stays a plain file of torch.
"""

import contextlib
import os
import re
import zipfile
from pathlib import Path
from typing import Any, NamedTuple

import torch

from crosspoint3d.config import RunError
from crosspoint3d.runtime import atomic

KEPT = 3
SINGLE = "state.pt"
"""The one file of earlier versions; it counts as older than every numbered one."""
_NUMBERED = re.compile(r"step-(\d+)\.pt")
_LEFT_OVER = re.compile(r"\.(step-\d+|state)\.pt\.\d+\.tmp")
_ENTRIES = ("step", "rows", "model", "optimizer")


class Newest(NamedTuple):
    """The newest state that can be read, and why those after it cannot, one reason a file."""

    path: Path
    state: dict[str, Any]
    unreadable: list[str]


def write(folder: Path, step: int, state: dict[str, Any]) -> None:
    """Add the state of a step; when it is safe on disk, remove what is older than the last three.

    Files of later steps are removed too (they could not be read, or a run would have gone on from them), and what a
    kill in the middle of an earlier write left behind.

    Raises:
        OSError, RuntimeError: it could not be written; every file is as it was.
    """
    path = folder / f"step-{step:08}.pt"
    with atomic(path) as temporary:
        torch.save(state, temporary)
    with contextlib.suppress(OSError):  # some network file systems refuse it for folders; the file itself is safe
        _sync_folder(folder)
    keep = [file for file in newest_first(folder) if _order(file) <= step][:KEPT]
    for file in folder.iterdir():
        if file not in keep and any(kind.fullmatch(file.name) for kind in (_NUMBERED, _LEFT_OVER, re.compile(SINGLE))):
            with contextlib.suppress(OSError):  # tried again after the next write
                file.unlink()


def newest_first(folder: Path) -> list[Path]:
    """The checkpoints in a folder, by step from the last to the first; empty where there is no such folder."""
    if not folder.is_dir():
        return []
    named = [file for file in folder.iterdir() if _NUMBERED.fullmatch(file.name) or file.name == SINGLE]
    return sorted(named, key=_order, reverse=True)


def read_newest(folder: Path) -> Newest | None:
    """The newest state whose checksums are right, on the CPU; None where there are no checkpoints.

    Raises:
        RunError: there are some, and none of them can be read.
    """
    unreadable: list[str] = []
    for path in newest_first(folder):
        try:
            return Newest(path, _read(path), unreadable)
        except Exception as error:  # whatever broken bytes make of the two readers
            reason = f"{type(error).__name__}: {error}".splitlines()[0][:100]
            unreadable.append(f"{path.name} cannot be read ({reason})")
    if unreadable:
        whole = f"none of the checkpoints in {folder} is whole: {'; '.join(unreadable)}"
        raise RunError(f"{whole}; remove it to start again from step 0")
    return None


def _read(path: Path) -> dict[str, Any]:
    with zipfile.ZipFile(path) as archive:
        damaged = archive.testzip()
    if damaged is not None:
        raise ValueError(f"wrong checksum of {Path(damaged).name}")
    state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    missing = [name for name in _ENTRIES if name not in state]
    if missing:
        raise ValueError(f"no {', '.join(missing)} in it")
    return state


def _order(path: Path) -> int:
    numbered = _NUMBERED.fullmatch(path.name)
    return int(numbered[1]) if numbered else -1


def _sync_folder(folder: Path) -> None:
    if os.name != "posix":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
