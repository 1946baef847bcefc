"""The training loader: batches of clouds with a picture each, read in the order of `order.py`."""

import io
import signal
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float32, UInt8
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from crosspoint3d.config import UsageError
from crosspoint3d.data.order import Draw
from crosspoint3d.data.table import ShapeTable


class Pairs(NamedTuple):
    """A batch: clouds with all their points, and one picture of each shape."""

    points: Float32[Tensor, "B P 3"]
    images: UInt8[Tensor, "B 3 H W"]


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
