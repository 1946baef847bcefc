"""Processes that read batches, and others that take the place of those that die.

A batch is a function of its draws, so that whoever reads it anew gives the same one: nothing is lost and nothing comes
twice. A reader is asked by a line of JSON on its standard input; it answers with a line that says how large the arrays
are, and then the arrays as they lie in memory, which are read straight to where they stay. It holds one batch at most,
knows no torch, and ends when its parent has.
"""

import contextlib
import io
import json
import os
import signal
import subprocess
import sys
import traceback
from collections import deque
from collections.abc import Iterator, Sequence
from typing import Any, cast

import numpy as np

from crosspoint3d.config import RunError, UsageError
from crosspoint3d.data.batches import Batch, BatchReader
from crosspoint3d.data.order import Draw

COMMAND = (sys.executable, "-c", "from crosspoint3d.data.readers import answer; answer()")
MOST_DEATHS = 3
"""Readers that may die over one batch."""
_ERRORS = {"RunError": RunError, "UsageError": UsageError}


class Readers:
    """`count` processes that do what a reader does; each has one batch in hand.

    Args:
        reader: what they are to be.
        count: of processes, started when they are first asked.
        command: of a process.
    """

    def __init__(self, reader: BatchReader, count: int, command: Sequence[str] = COMMAND) -> None:
        self._readers = [_Reader(number, json.dumps(reader.to_dict()), command) for number in range(count)]

    @property
    def pids(self) -> list[int]:
        """Of the processes that run."""
        return [reader.process.pid for reader in self._readers if reader.process is not None]

    def read(self, batches: Iterator[Sequence[Draw]]) -> Iterator[Batch]:
        """The batches in order.

        Raises:
            RunError: what a reader raised, or three of them died over the same batch.
            UsageError: what a reader raised.
        """
        asked: deque[_Reader] = deque()
        for reader in self._readers:
            if (draws := next(batches, None)) is not None:
                reader.ask(draws)
                asked.append(reader)
        while asked:
            reader = asked.popleft()
            batch = reader.answer()
            if (draws := next(batches, None)) is not None:
                reader.ask(draws)
                asked.append(reader)
            yield batch

    def close(self) -> None:
        """End the processes."""
        for reader in self._readers:
            reader.end()


class _Reader:
    def __init__(self, number: int, description: str, command: Sequence[str]) -> None:
        self._number, self._description, self._command = number, description, command
        self._question = ""
        self.process: subprocess.Popen[bytes] | None = None

    def ask(self, draws: Sequence[Draw]) -> None:
        """Begin with a batch. Comes only when the one before was taken: with both ends writing they would lock up."""
        self._question = json.dumps(draws)
        self._send(self._question)

    def answer(self) -> Batch:
        """The batch asked for; a reader that died over it is replaced, and it is read anew."""
        fates = []
        for _ in range(MOST_DEATHS):
            if (batch := self._receive()) is not None:
                return batch
            fates.append(self._fate())
            if len(fates) < MOST_DEATHS:
                sys.stderr.write(f"crosspoint3d: warning: {fates[-1]}; another takes its place\n")
                self._send(self._question)
        raise RunError(
            f"--workers: {MOST_DEATHS} processes died over the same batch, the last: {fates[-1]}. If the machine ran "
            "out of memory, take fewer --workers or a smaller --batch-size; --workers 0 reads without processes"
        )

    def end(self) -> None:
        """End the process, whatever it does."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            for stream in (self.process.stdin, self.process.stdout):
                if stream is not None:
                    with contextlib.suppress(OSError):  # what was left to be written
                        stream.close()
            self.process = None

    def _send(self, line: str) -> None:
        if self.process is None:
            # In a session of its own: a terminal's Ctrl-C is for the parent, which lets its readers finish.
            self.process = subprocess.Popen(
                self._command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                env=os.environ | {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
                start_new_session=True,
            )
            line = f"{self._description}\n{line}"
        assert self.process.stdin is not None
        with contextlib.suppress(OSError):  # it died: whoever waits for the answer finds out
            self.process.stdin.write(line.encode() + b"\n")
            self.process.stdin.flush()

    def _receive(self) -> Batch | None:
        """The answer, or None from a reader that died meanwhile."""
        assert self.process is not None and self.process.stdout is not None
        stream = cast(io.BufferedReader, self.process.stdout)
        line = stream.readline()
        if not line.endswith(b"\n"):
            return None
        header: dict[str, Any] = json.loads(line)
        if "error" in header:
            raise _ERRORS[header["error"]](header["text"])
        points = np.empty(header["points"], dtype=np.float16)
        images = None if header["images"] is None else np.empty(header["images"], dtype=np.uint8)
        for array in (points, images):
            if array is not None and stream.readinto(array.data.cast("B")) < array.nbytes:
                return None
        return Batch(points, images)

    def _fate(self) -> str:
        """How the process died; it is gone then."""
        assert self.process is not None
        pid = self.process.pid
        try:
            code = self.process.wait(10)
        except subprocess.TimeoutExpired:
            code = 0
        self.end()
        how = f"was killed by {_signal_name(-code)}" if code < 0 else f"ended with exit code {code}"
        return f"reader {self._number} (process {pid}) {how}"


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name + (" (out of memory?)" if number == 9 else "")
    except ValueError:
        return f"signal {number}"


def answer() -> None:
    """What a reader process does: answers until nobody asks any more."""
    for number in (signal.SIGINT, signal.SIGTERM):  # a launcher sends them to every process it finds
        signal.signal(number, signal.SIG_IGN)
    questions, answers = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what others print does not belong to the answers
    description = questions.readline()
    reader: BatchReader | None = None
    for line in questions:
        arrays: Sequence[np.ndarray] = ()
        try:
            reader = reader or BatchReader.from_dict(json.loads(description))
            points, images = reader.read([Draw(*draw) for draw in json.loads(line)])
            arrays = (points,) if images is None else (points, images)
            header: dict[str, Any] = {"points": points.shape, "images": None if images is None else images.shape}
        except (RunError, UsageError) as error:
            header = {"error": type(error).__name__, "text": str(error)}
        except Exception as error:
            traceback.print_exc()
            header = {"error": "RunError", "text": f"a reader failed: {type(error).__name__}: {error}"}
        try:
            answers.write(json.dumps(header).encode() + b"\n")
            for array in arrays:
                answers.write(array.data.cast("B"))
            answers.flush()
        except OSError:
            os._exit(1)  # nobody is there any more
