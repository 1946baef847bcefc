"""What a run needs from the machine: atomic files, a device, generators, stop requests. Imports torch when asked."""

import contextlib
import hashlib
import json
import os
import platform
import shutil
import signal
import threading
import time
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from crosspoint3d import __version__
from crosspoint3d.config import Device, UsageError

if TYPE_CHECKING:
    import torch


MANY = 1000
"""Files from which on the whole machine's buffers are written at once, not file by file."""
TWICE = 3.0
"""Seconds in which a launcher may pass a signal on again."""


@contextlib.contextmanager
def atomic(path: Path) -> Iterator[Path]:
    """A temporary sibling of `path` to write a file or folder to; it takes the place of `path` only if all went well.

    A full disk, an error or a kill while writing leaves what stood at `path` as it was.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        yield temporary
        if temporary.is_dir():
            _replace_folder(temporary, path)
        else:
            _sync(temporary)
            temporary.replace(path)
    finally:
        if temporary.is_dir():
            shutil.rmtree(temporary, ignore_errors=True)
        else:
            temporary.unlink(missing_ok=True)


def _replace_folder(new: Path, path: Path) -> None:
    files = [file for file in new.rglob("*") if file.is_file()]
    if len(files) > MANY and hasattr(os, "sync"):
        os.sync()
    else:
        for file in files:
            _sync(file)
    old = path.with_name(f".{path.name}.{os.getpid()}.old")
    if path.exists():
        path.rename(old)
    new.rename(path)
    shutil.rmtree(old, ignore_errors=True)


def _sync(file: Path) -> None:
    with file.open("rb") as handle:
        os.fsync(handle.fileno())


def pick_device(device: Device) -> "torch.device":
    """The torch device for a `--device` value; auto takes CUDA, then MPS, then the CPU.

    Raises:
        UsageError: the device asked for is not there.
    """
    import torch

    present = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if device == "auto":
        device = "cuda" if present["cuda"] else "mps" if present["mps"] else "cpu"
    if not present[device]:
        here = ", ".join(name for name, there in present.items() if there)
        raise UsageError(f"--device {device}: torch sees no such device here (there is: {here})")
    return torch.device(device)


def generator_for(*key: int, device: "torch.device | str" = "cpu") -> "torch.Generator":
    """A torch generator seeded by a tuple of numbers, such as (seed, step): the same tuple, the same stream."""
    import torch

    digest = hashlib.sha256(repr(key).encode()).digest()
    return torch.Generator(device).manual_seed(int.from_bytes(digest[:8], "little", signed=True))


def file_sha256(path: Path) -> str:
    """SHA-256 of a file, read block by block."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def environment() -> dict[str, Any]:
    """Versions and machine, for records and reports."""
    import torch

    packages = ("torch", "numpy", "numba", "scikit-learn", "pylance", "trimesh")
    return {
        "python": platform.python_version(),
        "packages": {"crosspoint3d": __version__} | {name: _version(name) for name in packages},
        "platform": platform.platform(),
        "cpus": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
    }


def ignore_interrupts(_: int = 0) -> None:
    """Leave Ctrl-C to the parent: what a worker process does first (its number, where it has one, does not matter)."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


@contextlib.contextmanager
def interrupts_ignored() -> Iterator[None]:
    """Processes that are started inside begin deaf to Ctrl-C; of this one's interrupts none is lost for long."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def write_json(path: Path, values: dict[str, Any]) -> None:
    """Write plain values, whole or not at all.

    Raises:
        ValueError: a number is not finite.
    """
    with atomic(path) as temporary:
        temporary.write_text(json.dumps(values, indent=1, allow_nan=False) + "\n", encoding="utf-8")


@contextlib.contextmanager
def stop_requests(*, launched: bool = False) -> Iterator[threading.Event]:
    """An event that Ctrl-C or SIGTERM sets, so that a loop can save and stop; a second Ctrl-C stops at once.

    A launcher of several processes may pass the same signal on more than once: with `launched` only a Ctrl-C that comes
    three seconds after the first request stops at once.
    """
    requested = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield requested
        return

    since = 0.0

    def request(signum: int, frame: object) -> None:
        nonlocal since
        if not requested.is_set():
            since = time.monotonic()
            requested.set()
        elif not launched or (signum == signal.SIGINT and time.monotonic() - since > TWICE):
            raise KeyboardInterrupt

    before = {number: signal.signal(number, request) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield requested
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
