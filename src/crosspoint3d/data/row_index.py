"""Some of a table's rows as a bitmap: one bit a row and 8 bytes for every 256, 16 MB for 100 million rows.

Axis letter: N places.
"""

from collections.abc import Iterable, Iterator

import numpy as np
from jaxtyping import Bool, Int64, UInt8

_BLOCK = 32  # bytes
_PIECE = 1 << 12  # blocks, a million rows
_BYTES = np.unpackbits(np.arange(256, dtype=np.uint8)[:, None], axis=1, bitorder="little")
_ONES = _BYTES.sum(axis=1, dtype=np.uint8)
_PLACE_OF_ONE = np.argsort(1 - _BYTES.astype(np.int8), axis=1, kind="stable").astype(np.uint8)


class RowIndex:
    """An ascending list of row numbers: `len(index)`, and `index[places]`, as of an int64 array that it stands for.

    Args:
        bits: of rows 0, 1, ...: the first is the lowest bit of the first byte.
    """

    def __init__(self, bits: UInt8[np.ndarray, " _"]) -> None:
        self._bits = np.zeros((-(-len(bits) // _BLOCK), _BLOCK), dtype=np.uint8)
        self._bits.ravel()[: len(bits)] = bits
        self._before = np.zeros(len(self._bits) + 1, dtype=np.int64)
        for start in range(0, len(self._bits), _PIECE):
            ones = _ONES[self._bits[start : start + _PIECE]].sum(axis=1, dtype=np.int64)
            np.cumsum(ones, out=ones)
            self._before[start + 1 : start + 1 + len(ones)] = self._before[start] + ones

    @classmethod
    def of(cls, masks: Iterable[Bool[np.ndarray, " _"]]) -> "RowIndex":
        """The rows that are true in masks of consecutive rows, of any lengths."""
        packed, rest = bytearray(), np.empty(0, dtype=bool)
        for mask in masks:
            rest = np.concatenate([rest, mask])
            whole = len(rest) // 8 * 8
            packed += np.packbits(rest[:whole], bitorder="little").tobytes()
            rest = rest[whole:]
        packed += np.packbits(rest, bitorder="little").tobytes()
        return cls(np.frombuffer(packed, dtype=np.uint8))

    def __len__(self) -> int:
        return int(self._before[-1])

    @property
    def nbytes(self) -> int:
        """Memory it takes."""
        return self._bits.nbytes + self._before.nbytes

    def __getitem__(self, places: Int64[np.ndarray, " N"]) -> Int64[np.ndarray, " N"]:
        """The rows at places 0 to `len(index) - 1`, in any order.

        Raises:
            IndexError: there is no such place.
        """
        if len(places) and not 0 <= places.min() <= places.max() < len(self):
            raise IndexError(f"places {places.min()} to {places.max()} of an index of {len(self)} rows")
        block = np.searchsorted(self._before, places, side="right") - 1
        inside = self._bits[block]
        ones = np.cumsum(_ONES[inside], axis=1, dtype=np.int64)
        rest = places - self._before[block]
        byte = (ones <= rest[:, None]).sum(axis=1)
        each = np.arange(len(places))
        value = inside[each, byte]
        rest -= ones[each, byte] - _ONES[value]
        rows: np.ndarray = (block * _BLOCK + byte) * 8 + _PLACE_OF_ONE[value, rest]
        return rows

    def mask(self, start: int, stop: int) -> Bool[np.ndarray, " _"]:
        """Whether rows `start` to `stop - 1`, of those that the index was made from, are in it."""
        bits = np.unpackbits(self._bits.ravel()[start // 8 : -(-stop // 8)], bitorder="little")
        return bits[start % 8 :][: stop - start].astype(bool)

    def pieces(self) -> Iterator[Int64[np.ndarray, " _"]]:
        """All rows, ascending, some at a time."""
        for start in range(0, len(self._bits), _PIECE):
            bits = np.unpackbits(self._bits[start : start + _PIECE], bitorder="little")
            yield np.flatnonzero(bits) + start * _BLOCK * 8

    def without(self, rows: Int64[np.ndarray, " _"]) -> "RowIndex":
        """All rows but these; those that are not in it anyway do no harm."""
        bits = self._bits.ravel().copy()
        rows = rows[(rows >= 0) & (rows < 8 * len(bits))]
        np.bitwise_and.at(bits, rows // 8, ~(np.uint8(1) << (rows % 8).astype(np.uint8)))
        return RowIndex(bits)
