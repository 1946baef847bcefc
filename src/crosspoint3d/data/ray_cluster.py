"""A Ray cluster for the length of a run: one of this machine that ends with it, or a running one by its address."""

import contextlib
import importlib.util
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import warnings
from collections.abc import Iterator
from typing import Any, NamedTuple

from crosspoint3d.config import UsageError
from crosspoint3d.data.pool import cores

PATIENCE = 30.0
"""Seconds in which a cluster has to answer."""
OBJECT_STORE = 128 << 20
"""Bytes of the local cluster's store of finished rows, at least; containers often have little shared memory."""
_FORM = re.compile(r"(?P<client>ray://)?\[?(?P<host>[^/\s\[\]]+?)\]?:(?P<port>\d{1,5})")
# Workers of a local cluster as urgent as the pool's (Ray gives way to every other process), no statistics of use,
# no tip about GPUs, no metrics.
_ENVIRONMENT = {
    "RAY_worker_niceness": "0",
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "RAY_enable_metrics_collection": "0",
}


class Cluster(NamedTuple):
    """The module `ray`, connected, and whether the cluster's nodes are other machines, or may be."""

    ray: Any
    remote: bool


def check_ray(address: str) -> None:
    """Refuse at once what cannot work: Ray is not installed, or nothing listens at the address.

    Raises:
        UsageError: says which.
    """
    if importlib.util.find_spec("ray") is None:
        raise UsageError("--engine ray: Ray is not installed; pip install 'crosspoint3d[ray]' or leave it out")
    address = _resolved(address)
    if address in ("", "auto"):
        return
    form = _FORM.fullmatch(address)
    if form is None or int(form["port"]) > 65535:
        raise UsageError(
            f"--address {address}: expected auto, HOST:PORT (on a machine of the cluster) or ray://HOST:10001; "
            "leave it out for a cluster of this machine's cores"
        )
    if form["client"] and importlib.util.find_spec("grpc") is None:
        raise UsageError(f"--address {address}: ray:// needs Ray's client; pip install 'ray[client]'")
    try:
        socket.create_connection((form["host"], int(form["port"])), timeout=5).close()
    except OSError as error:
        raise _unreachable(address, error.strerror or str(error)) from error


@contextlib.contextmanager
def cluster(address: str, workers: int) -> Iterator[Cluster]:
    """Connect, or start a cluster of `workers` processes (0: one a core) on this machine; disconnect, or end it.

    A Ray that this process is connected to already is used as it is and left alone.

    Raises:
        UsageError: the cluster does not answer, or refuses this version of Ray or Python.
    """
    check_ray(address)
    address = _resolved(address)
    before = {name: value for name, value in os.environ.items() if name.startswith("RAY_")}
    os.environ.update({name: value for name, value in _ENVIRONMENT.items() if name not in before})
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            import ray
        if ray.is_initialized():
            yield Cluster(ray, bool(address))
            return
        try:
            _connect(ray, address, workers or cores())
            yield Cluster(ray, bool(address))
        finally:
            ray.shutdown()  # of a cluster that runs at an address only the connection
    finally:
        for name in [name for name in os.environ if name.startswith("RAY_")]:
            del os.environ[name]
        os.environ.update(before)


def _connect(ray: Any, address: str, workers: int) -> None:
    quiet: dict[str, Any] = {"log_to_driver": False, "logging_level": "CRITICAL"}
    if address and not address.startswith("ray://"):
        _answers(address)
    if not address:
        store = max(OBJECT_STORE, workers * OBJECT_STORE // 16)
        quiet |= {"num_cpus": workers, "num_gpus": 0, "include_dashboard": False, "object_store_memory": store}
    with _signals_kept(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            ray.init(address or "local", **quiet)
        except (OSError, RuntimeError, ValueError, AssertionError) as error:
            if address:
                raise _unreachable(address, str(error)) from error
            raise UsageError(f"--engine ray: Ray does not start here ({_first_line(str(error))})") from error


def _answers(address: str) -> None:
    """Connect in another process first: Ray itself tries for minutes, and no caller can stop it."""
    code = (
        "import ray, sys\ntry:\n    ray.init(sys.argv[1], log_to_driver=False, logging_level='CRITICAL')\n"
        "except Exception as error:\n    sys.exit('REASON ' + str(error))"
    )
    with tempfile.TemporaryFile("w+") as said:
        try:
            command = [sys.executable, "-c", code, address]
            done = subprocess.run(command, stdout=said, stderr=said, timeout=PATIENCE, check=False)
        except subprocess.TimeoutExpired as error:
            raise _unreachable(address, f"no answer in {PATIENCE:.0f} s") from error
        if done.returncode:
            said.seek(0)
            raise _unreachable(address, said.read().rpartition("REASON ")[2])


def _resolved(address: str) -> str:
    """`auto` means RAY_ADDRESS where that is set, as everywhere in Ray."""
    return os.environ.get("RAY_ADDRESS") or address if address == "auto" else address


def _unreachable(address: str, reason: str) -> UsageError:
    return UsageError(
        f"--address {address}: cannot connect to a Ray cluster there ({_first_line(reason)}); "
        "start one with `ray start --head`, or leave --address out for a cluster of this machine's cores"
    )


def _first_line(text: str) -> str:
    return next((line.strip().rstrip(".:") for line in text.splitlines() if line.strip()), "no reason given")


@contextlib.contextmanager
def _signals_kept() -> Iterator[None]:
    """Ray takes SIGTERM over when it starts; give it back."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
