"""Which rows make which batch: a pure function of (seed, epoch, place), whoever asks and in however many processes."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import NamedTuple

import numpy as np


class Draw(NamedTuple):
    """One sample to load: table, row, and which of its views (a number that is taken modulo the views there are)."""

    table: int
    row: int
    view: int


@dataclass(frozen=True)
class DrawOrder:
    """The batches of an epoch: every training row once (or `weights` of each table), the last short batch left out.

    Attributes:
        rows: training rows of each table.
        batch_size: shapes a batch.
        weights: share of each table in an epoch; empty means by size.
        seed: decides order and views.
    """

    rows: tuple[np.ndarray, ...]
    batch_size: int
    weights: tuple[float, ...]
    seed: int

    @property
    def steps(self) -> int:
        """Batches an epoch."""
        return sum(len(rows) for rows in self.rows) // self.batch_size

    def fingerprint(self) -> str:
        """A hash of the training rows: equal when a resumed run sees the same ones."""
        return hashlib.sha256(b"/".join(rows.tobytes() for rows in self.rows)).hexdigest()

    def epoch(self, number: int) -> Iterator[list[Draw]]:
        """The batches of epoch `number`, the same at every call."""
        generator = np.random.default_rng([self.seed, number])
        total = self.steps * self.batch_size
        if self.weights:
            shares = np.array(self.weights) / sum(self.weights)
            table = generator.choice(len(self.rows), size=total, p=shares)
            row = np.empty(total, dtype=np.int64)
            for i, rows in enumerate(self.rows):
                mine = np.flatnonzero(table == i)
                rounds = -(-len(mine) // len(rows))
                row[mine] = np.concatenate([generator.permutation(rows) for _ in range(rounds)] or [rows[:0]])[
                    : len(mine)
                ]
        else:
            table = np.repeat(np.arange(len(self.rows)), [len(rows) for rows in self.rows])
            order = generator.permutation(len(table))[:total]
            table, row = table[order], np.concatenate(self.rows)[order]
        view = generator.integers(2**31, size=total)
        for start in range(0, total, self.batch_size):
            batch = slice(start, start + self.batch_size)
            places = zip(table[batch].tolist(), row[batch].tolist(), view[batch].tolist(), strict=True)
            yield [Draw(*place) for place in places]

    def from_step(self, step: int, stop: int) -> Iterator[list[Draw]]:
        """Batches `step` to `stop - 1` of the whole training, across epochs."""

        def batches() -> Iterator[list[Draw]]:
            number = step // self.steps
            yield from islice(self.epoch(number), step % self.steps, None)
            while True:
                number += 1
                yield from self.epoch(number)

        return islice(batches(), stop - step)


def share_of(batches: Iterator[list[Draw]], rank: int, world: int) -> Iterator[list[Draw]]:
    """The draws of process `rank`: the rank-th of `world` equal parts of every batch, in order."""
    for draws in batches:
        share = len(draws) // world
        yield draws[rank * share : (rank + 1) * share]
