"""The training loader: random batches of clouds with a random view each, a pure function of (seed, epoch, place)."""

import hashlib
import io
import signal
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float32, UInt8
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from crosspoint3d.config import UsageError
from crosspoint3d.data.table import ShapeTable


class Pairs(NamedTuple):
    """A batch: clouds with all their points, and one picture of each shape."""

    points: Float32[Tensor, "B P 3"]
    images: UInt8[Tensor, "B 3 H W"]


class Draw(NamedTuple):
    """One sample to load: table, row, and which of its views (a number that is taken modulo the views there are)."""

    table: int
    row: int
    view: int


class PairDataset(Dataset[Pairs]):
    """Loads lists of draws; one Lance take a table and batch, pictures decoded in threads."""

    def __init__(self, tables: Sequence[ShapeTable]) -> None:
        self.tables = list(tables)

    def __getitem__(self, draws: list[Draw]) -> Pairs:
        points: list[np.ndarray] = [np.empty(0)] * len(draws)
        encoded: list[bytes] = [b""] * len(draws)
        for number, table in enumerate(self.tables):
            mine = [i for i, draw in enumerate(draws) if draw.table == number]
            if not mine:
                continue
            taken = table.take([draws[i].row for i in mine], ["points", "views"])
            for i, cloud, views in zip(mine, taken["points"], taken["views"], strict=True):
                points[i], encoded[i] = cloud, views[draws[i].view % len(views)]
        with ThreadPoolExecutor(4) as pool:
            pictures = list(pool.map(decode, encoded))
        size = pictures[0].shape
        if any(picture.shape != size for picture in pictures):
            raise UsageError("--data: the tables hold pictures of different sizes; prepare them with one --image-size")
        images = torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2).contiguous()
        return Pairs(torch.from_numpy(np.stack(points)), images)


def decode(encoded: bytes) -> np.ndarray:
    """An encoded picture as RGB uint8 `(H, W, 3)`."""
    with Image.open(io.BytesIO(encoded)) as image:
        return np.asarray(image.convert("RGB"))


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


def _leave_stopping_to_parent(_: int) -> None:
    """Ctrl-C, and SIGTERM by a launcher, reach a whole session; workers end when their parent is done or dead."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)


def load_pairs(
    tables: Sequence[ShapeTable], batches: Iterator[list[Draw]], *, workers: int, pin: bool
) -> Iterator[Pairs]:
    """Batches in order, read ahead in spawned workers, or in this process for `workers=0`."""
    loader = DataLoader(
        PairDataset(tables),
        batch_size=None,
        sampler=batches,
        num_workers=workers,
        multiprocessing_context="spawn" if workers else None,
        pin_memory=pin,
        worker_init_fn=_leave_stopping_to_parent,
        generator=torch.Generator(),
    )
    return iter(loader)
