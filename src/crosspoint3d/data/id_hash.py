"""Hashes of the ids of shapes: a choice by id without a list of them, the same in whatever order they come."""

from typing import no_type_check

import numpy as np
import pyarrow as pa

from crosspoint3d.compiled import njit_cached
from crosspoint3d.data.permutation import hashed

compiled = njit_cached()


@compiled
@no_type_check
def _fnv1a(data, offsets, result):
    """FNV-1a, 64 bits, of the bytes between each two offsets."""
    for i in range(len(result)):
        value = np.uint64(0xCBF29CE484222325)
        for place in range(offsets[i], offsets[i + 1]):
            value = (value ^ np.uint64(data[place])) * np.uint64(0x100000001B3)
        result[i] = value


def hashed_ids(ids: pa.Array, key: int) -> np.ndarray:
    """64 bits of each id, uint64 `(N,)`: equal for equal ids, else as good as random, and others for another key.

    Args:
        ids: strings without null.
        key: as `key_of` makes them.
    """
    if not len(ids):
        return np.empty(0, dtype=np.uint64)
    ids = ids.cast(pa.large_string())
    _, offsets, data = ids.buffers()
    bounds = np.frombuffer(offsets, dtype=np.int64)[ids.offset : ids.offset + len(ids) + 1]
    result = np.empty(len(ids), dtype=np.int64)
    _fnv1a(np.frombuffer(data or b"", dtype=np.uint8), bounds, result.view(np.uint64))
    return hashed(key, result)
