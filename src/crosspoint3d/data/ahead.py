"""Items made ahead of their use, by a thread, while the caller does something else."""

import queue
import threading
from collections.abc import Callable, Generator, Iterator
from typing import TypeVar

T = TypeVar("T")
Given = TypeVar("Given")


def ahead(make: Callable[[Given], T], items: Iterator[Given], depth: int) -> Generator[T, None, None]:
    """`map(make, items)`, in order, both run in a thread that stays at most `depth` results ahead of those handed out.

    What is raised there is raised here, in its turn. The thread ends when the generator is closed: at once, or when
    the result in the making is done.

    Args:
        make: called in the thread.
        items: advanced in the thread.
        depth: results that are in the making or wait to be handed out.
    """
    room, closed = threading.Semaphore(depth), threading.Event()
    ready: queue.SimpleQueue[tuple[T] | BaseException | None] = queue.SimpleQueue()

    def run() -> None:
        try:
            while room.acquire() and not closed.is_set():
                ready.put((make(next(items)),))
        except StopIteration:
            ready.put(None)
        except BaseException as error:  # whatever it is, whoever waits has to know
            ready.put(error)

    thread = threading.Thread(target=run, name="ahead", daemon=True)
    thread.start()
    try:
        while (result := ready.get()) is not None:
            if isinstance(result, BaseException):
                raise result
            room.release()
            yield result[0]
    finally:
        closed.set()
        room.release()
        thread.join()
