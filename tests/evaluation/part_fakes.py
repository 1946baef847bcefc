"""A small table of parts, shapes labelled by place, and networks whose answers are known."""

import numpy as np
import torch
from torch import Tensor, nn

from crosspoint3d.data.part_labels import PartClouds, PartSplit
from crosspoint3d.models import PointNet, Segmenter, build_segmenter
from crosspoint3d.parts_table import PartsTable

TABLE = PartsTable(
    ("chair", "ball", "lamp"), ((0, 3, 4), (1,), (2, 5)), ("seat", "ball", "foot", "leg", "back", "shade")
)
"""Parts of one category do not stand side by side."""


def shapes(count: int, points: int, seed: int, name: str = "s") -> PartSplit:
    """Clouds whose category follows their row, and whose points' parts follow their height, from the lowest part up."""
    generator = np.random.default_rng(seed)
    clouds = generator.uniform(-0.5, 0.5, (count, points, 3)).astype(np.float32)
    categories = np.arange(count, dtype=np.int64) % len(TABLE.categories)
    return PartSplit(clouds, by_height(clouds, categories), categories, tuple(f"{name}{i}" for i in range(count)))


def by_height(clouds: np.ndarray, categories: np.ndarray) -> np.ndarray:
    parts = np.empty(clouds.shape[:2], dtype=np.int16)
    for row, category in enumerate(categories):
        own = np.array(TABLE.parts[category])
        parts[row] = own[np.clip(((clouds[row, :, 1] + 0.5) * len(own)).astype(int), 0, len(own) - 1)]
    return parts


def data(*, drawn: bool = False, points: int = 24) -> PartClouds:
    splits = {"train": shapes(9, points, 1, "train"), "val": shapes(0, points, 2), "test": shapes(7, points, 3, "test")}
    record = {
        "name": "some data",
        "split_drawn": drawn,
        "split_sha256": "0" * 64,
        "train_shapes": 9,
        "test_shapes": 7,
        "notes": ["a note of the data"],
    }
    return PartClouds(**splits, table=TABLE, record=record)


class ByHeight(Segmenter):
    """Answers every part that its training would have: all right on `shapes` if `weight` is 1, else constant.

    `elsewhere` adds to the logits of the parts that the shape's category does not have.
    """

    def __init__(self, weight: float = 1.0, elsewhere: float = -1.0, table: PartsTable = TABLE) -> None:
        nn.Module.__init__(self)
        self.weight = nn.Parameter(torch.tensor(weight))
        self.elsewhere = elsewhere
        self.table, self.points, self.origin = table, None, None
        self.sizes: list[int] = []

    @property
    def k(self) -> int | None:
        return None

    @property
    def least_points(self) -> int:
        return 1

    def forward(self, points: Tensor, category: Tensor, generator: torch.Generator | None = None) -> Tensor:
        self.sizes.append(len(points))
        logits = torch.full((*points.shape[:2], len(self.table)), self.elsewhere)
        for row, label in enumerate(category.tolist()):
            own = torch.tensor(self.table.parts[label])
            centre = (torch.arange(len(own)) + 0.5) / len(own) - 0.5
            logits[row][:, own] = -10 * self.weight * (points[row, :, 1:2] - centre).abs()
        return logits


def small_segmenter(seed: int = 0) -> Segmenter:
    """A real network with fresh weights that answers differently at different points."""
    return build_segmenter(PointNet(emb_dims=16), TABLE, "light", seed).eval()
