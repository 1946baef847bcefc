"""Which rows make which batch: a pure function of (seed, place), whoever asks and in however many processes.

Nothing is listed: every draw is computed from its place, so that an order of 100 million rows takes no memory beside
the index of its rows, and starts anywhere at once.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from jaxtyping import Int64, UInt64

from crosspoint3d.data.permutation import hashed, key_of, permuted
from crosspoint3d.data.row_index import RowIndex

VERSION = 2
"""Runs of another version saw their shapes in another order and cannot go on with this one."""
_SPAN = 4096  # draws that are computed together
_SLOTS, _VIEWS, _ROWS = range(3)  # what a key is for


class Draw(NamedTuple):
    """One sample to load: table, row, and which of its views (a number that is taken modulo the views there are)."""

    table: int
    row: int
    view: int


@dataclass(frozen=True)
class DrawOrder:
    """The batches of an epoch: every training row once (or `weights` of each table), the last short batch left out.

    Without weights an epoch is a random order of all rows of all tables. With weights it is a random order of so many
    slots of each table; the slots of a table, over all epochs, go through its rows in one random order after the other,
    so that none comes twice before each came once.

    Attributes:
        rows: training rows of each table.
        batch_size: shapes a batch.
        weights: share of each table in an epoch; empty means by size.
        seed: decides order and views.
        consecutive: training rows that follow each other in a table and come together; a divisor of the batch size.
    """

    rows: tuple[RowIndex, ...]
    batch_size: int
    weights: tuple[float, ...]
    seed: int
    consecutive: int = 1

    @property
    def steps(self) -> int:
        """Batches an epoch."""
        return sum(len(rows) for rows in self.rows) // self.batch_size

    @cached_property
    def ends(self) -> tuple[int, ...]:
        """Where the slots of each table end among those of an epoch: 0, and one more for each table."""
        sizes = np.array([len(rows) for rows in self.rows])
        if not self.weights:
            return (0, *np.cumsum(sizes).tolist())
        shares = np.cumsum(self.weights) / sum(self.weights)
        runs = self.steps * self.batch_size // self.consecutive
        return (0, *(np.rint(shares * runs).astype(int) * self.consecutive).tolist())

    def fingerprint(self) -> str:
        """A hash of the training rows: equal when a resumed run sees the same ones."""
        return self._fingerprint

    @cached_property
    def _fingerprint(self) -> str:
        digest = hashlib.sha256()
        for number, rows in enumerate(self.rows):
            digest.update(b"/" if number else b"")
            for piece in rows.pieces():
                digest.update(piece.tobytes())
        return digest.hexdigest()

    def epoch(self, number: int) -> Iterator[list[Draw]]:
        """The batches of epoch `number`, the same at every call."""
        return self.from_step(number * self.steps, (number + 1) * self.steps)

    def from_step(self, step: int, stop: int, rank: int = 0, world: int = 1) -> Iterator[list[Draw]]:
        """What process `rank` draws of batches `step` to `stop - 1` of the whole training, across epochs.

        It is the rank-th of `world` equal parts of every batch: no two processes read the same row in an epoch, and
        together they read what one alone would. To begin late costs nothing, and nobody computes the parts of others.
        """
        share = self.batch_size // world
        part = np.arange(rank * share, (rank + 1) * share)
        together = max(1, _SPAN // share)
        for first in range(step, stop, together):
            steps = np.arange(first, min(first + together, stop))
            draws = self._draws((steps[:, None] * self.batch_size + part).ravel())
            yield from (draws[start : start + share] for start in range(0, len(draws), share))

    def _draws(self, places: Int64[np.ndarray, " N"]) -> list[Draw]:
        """What is drawn at these places of the whole training."""
        epoch, place = np.divmod(places, self.steps * self.batch_size)
        keys = hashed(key_of(self.seed, _SLOTS), epoch)
        slots = self._shuffled(place, self.ends[-1], keys)
        if not self.weights:
            slots = self._begun(slots, self.ends[-1], keys)
        table = np.searchsorted(np.array(self.ends), slots, side="right") - 1
        row = np.empty_like(slots)
        for number, (rows, (start, end)) in enumerate(zip(self.rows, pairwise(self.ends), strict=True)):
            mine = table == number
            own = slots[mine] - start
            if self.weights:
                turn, own = np.divmod(epoch[mine] * (end - start) + own, len(rows))
                keys = hashed(key_of(self.seed, _ROWS, number), turn)
                cut = -turn * len(rows) % self.consecutive  # slots of the run that the turn before began
                own = self._shuffled((own - cut) % len(rows), len(rows), keys)
                own = self._begun(own, len(rows), keys)
            row[mine] = rows[own]
        view = hashed(key_of(self.seed, _VIEWS), places) >> np.uint64(33)
        return list(map(Draw._make, zip(table.tolist(), row.tolist(), view.tolist(), strict=True)))

    def _shuffled(
        self, places: Int64[np.ndarray, " N"], size: int, keys: UInt64[np.ndarray, " N"]
    ) -> Int64[np.ndarray, " N"]:
        """A random permutation of `size` places for each key, or one of runs of `consecutive` of them."""
        if self.consecutive == 1:
            return permuted(places, size, keys)
        run, inside = np.divmod(places, self.consecutive)
        runs = size // self.consecutive
        whole = run < runs  # the others, fewer than a run, stay at the end
        run[whole] = permuted(run[whole], runs, keys[whole])
        shuffled: np.ndarray = run * self.consecutive + inside
        return shuffled

    def _begun(
        self, places: Int64[np.ndarray, " N"], size: int, keys: UInt64[np.ndarray, " N"]
    ) -> Int64[np.ndarray, " N"]:
        """The places moved around the circle of `size`, for each key by another number, so that runs begin anywhere."""
        if self.consecutive == 1:
            return places
        moved: np.ndarray = (places + (keys % np.uint64(size)).astype(np.int64)) % size
        return moved
