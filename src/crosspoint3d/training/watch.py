"""Processes that watch each other: one that dies or fails is named by the others, which do not wait for it in vain.

Every process gives a sign of life every two seconds, from a thread, in the store through which they met. The first
process looks at all of them, the others at the first. One that fails leaves its error there.
"""

import itertools
import os
import socket
import sys
import threading
import time
from datetime import timedelta

from torch.distributed import PrefixStore, TCPStore  # type: ignore[attr-defined]

INTERVAL = 2.0  # seconds between signs of life
PATIENCE = 15  # looks in a row without a new sign of life until a process counts as dead
SUSPICION = 8  # the same once a connection has broken: somebody is dead, the question is who
GRACE = 12.0  # seconds in which a process that waits in vain may still find out by itself

_runs = itertools.count()


class Watch:
    """Signs of life of all processes.

    Args:
        address: host and port of the store.
        rank: this process's number.
        world: how many processes there are.
    """

    def __init__(self, address: tuple[str, int], rank: int, world: int) -> None:
        store = TCPStore(*address, is_master=False, wait_for_workers=False, timeout=timedelta(seconds=30))
        attempt = os.environ.get("TORCHELASTIC_RESTART_COUNT", "0")
        self._store = PrefixStore(f"crosspoint3d/watch/{attempt}/{next(_runs)}", store)
        self.rank, self.world = rank, world
        self.name = f"process {rank} of {world} on {socket.gethostname()}"
        self._store.set(f"name/{rank}", self.name)
        self._store.set(f"sign/{rank}", "0")
        self.failure = ""
        self._suspicious = self._lost = False
        self._left = threading.Event()
        self._thread = threading.Thread(target=self._look, name="crosspoint3d-watch", daemon=True)

    def start(self) -> None:
        """Begin to look, when all processes have their `Watch`."""
        self._thread.start()

    def close(self) -> None:
        """This process has left the work that the others wait for."""
        self._left.set()
        self._thread.join()

    def part(self) -> None:
        """Say that this process leaves; the first one, which keeps the store, waits some seconds for all others.

        So they can still read there why it failed.
        """
        if self._lost:
            return
        try:
            self._store.set(f"left/{self.rank}", "")
            if self.rank == 0:
                self._store.wait([f"left/{rank}" for rank in range(self.world)], timedelta(seconds=GRACE))
        except RuntimeError:
            return  # somebody went without a word

    def report(self, error: BaseException) -> None:
        """Tell the others that this process fails, and why; the first to fail is remembered."""
        text = f"{self.name}: {str(error) or type(error).__name__}"
        try:
            self._store.compare_set("failure", "", text)
        except RuntimeError:
            return  # the store is gone: the others see that themselves

    def culprit(self, seconds: float = 50.0) -> str:
        """Whose failure broke a connection, and why; empty where it is not found out in time."""
        self._suspicious = True
        until = time.monotonic() + seconds
        while not self.failure and time.monotonic() < until:
            time.sleep(0.1)
        return self.failure

    def _look(self) -> None:
        seen: dict[int, tuple[bytes, int]] = {}
        for number in itertools.count(1):
            if self._left.wait(INTERVAL / 2 if self._suspicious else INTERVAL):
                return
            try:
                self._store.set(f"sign/{self.rank}", str(number))
                self.failure = self._failed(seen)
            except RuntimeError as error:
                reason = str(error).splitlines()[0][:100]
                self._lost = True
                self.failure = f"the process that keeps the store, the first one, does not answer: {reason}"
            if self.failure:
                break
        if not self._left.wait(GRACE):
            sys.stderr.write(f"crosspoint3d: {self.name} stops: {self.failure}\n")
            sys.stderr.flush()
            os._exit(1)

    def _failed(self, seen: dict[int, tuple[bytes, int]]) -> str:
        if self._store.check(["failure"]):
            return str(self._store.get("failure").decode())
        everybody = self.rank == 0 or self._suspicious
        others = [rank for rank in (range(self.world) if everybody else (0,)) if rank != self.rank]
        signs = self._store.multi_get([f"sign/{rank}" for rank in others])
        for rank, sign in zip(others, signs, strict=True):
            before, times = seen.get(rank, (b"", 0))
            seen[rank] = (sign, times + 1 if sign == before else 0)
            if seen[rank][1] >= (SUSPICION if self._suspicious else PATIENCE):
                name = self._store.get(f"name/{rank}").decode()
                self._store.compare_set("failure", "", f"{name}: it died or hangs (no sign of life)")
                return str(self._store.get("failure").decode())
        return ""
