"""Compiled kernels: numba with the options that all of them share."""

from typing import Any

from numba import njit


def njit_cached(**options: Any) -> Any:
    """`numba.njit` that lets go of the interpreter's lock and caches on disk.

    Where no folder can be written (a read-only installation without a home), it compiles anew in every process; the
    environment variable NUMBA_CACHE_DIR names one that can.
    """

    def decorate(function: Any) -> Any:
        try:
            return njit(cache=True, nogil=True, error_model="numpy", **options)(function)
        except RuntimeError:
            return njit(nogil=True, error_model="numpy", **options)(function)

    return decorate
