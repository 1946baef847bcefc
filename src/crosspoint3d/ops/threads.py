"""Compiled kernels on torch's own threads.

After a parallel operation torch's OpenMP threads keep spinning for milliseconds, to be ready for the next. Any other
thread that works meanwhile has to share a core with them; the kernels therefore run as a parallel region of the same
OpenMP library, which libtorch_cpu is linked with. Where its entry point is not found, a thread pool does.
"""

import ctypes
import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from itertools import count as counter
from pathlib import Path
from typing import Any

import torch

_REGION = ctypes.CFUNCTYPE(None, ctypes.c_void_p)


@lru_cache(maxsize=1)
def _gomp_parallel() -> Any:
    try:
        library = ctypes.CDLL(str(Path(torch.__file__).parent / "lib" / "libtorch_cpu.so"))
        function = library.GOMP_parallel
    except (OSError, AttributeError):
        return None
    function.argtypes = (_REGION, ctypes.c_void_p, ctypes.c_uint, ctypes.c_uint)
    function.restype = None
    return function


@lru_cache(maxsize=1)
def _pool(workers: int, process: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(workers, thread_name_prefix="crosspoint3d")


def in_parallel(task: Callable[[int, int], None], count: int) -> None:
    """Run `task(start, stop)` over contiguous pieces of `range(count)`, one for each of torch's threads.

    The task should spend its time in code that lets go of the interpreter's lock. Its errors are raised here.
    """
    pieces = min(torch.get_num_threads(), count)
    if pieces <= 1:
        task(0, count)
        return
    number, errors, done = counter(), [], set()

    def work(_: Any = None) -> None:
        for piece in number:  # a team smaller than asked for still does everything
            if piece >= pieces:
                break
            try:
                task(count * piece // pieces, count * (piece + 1) // pieces)
            except BaseException as error:
                errors.append(error)
        done.add(threading.get_ident())

    if (parallel := _gomp_parallel()) is not None:
        parallel(_REGION(work), None, pieces, 0)
    else:
        pool = _pool(torch.get_num_threads() - 1, os.getpid())
        others = [pool.submit(work) for _ in range(pieces - 1)]
        work()
        for other in others:
            other.result()
    if errors:
        raise errors[0]
    if threading.get_ident() not in done:
        raise KeyboardInterrupt  # it came between the pieces, where ctypes drops what a callback raises
