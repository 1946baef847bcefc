"""A network that labels the points of clouds with parts: an encoder, a head, and the table of parts.

Axis letters: B clouds, N points, Q parts of all categories.
"""

from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from jaxtyping import Float, Integer
from torch import Tensor

from crosspoint3d.config import UsageError
from crosspoint3d.models.dgcnn_partseg import DGCNNPartSeg
from crosspoint3d.models.encoders import (
    KINDS,
    Encoder,
    PointEncoder,
    WithEncoder,
    build_point_encoder,
    require_clouds,
)
from crosspoint3d.models.folder import fill, read_config, read_folder_weights, undescribed, write_folder
from crosspoint3d.models.part_head import PartHead
from crosspoint3d.models.pointnet_partseg import PointNetPartSeg
from crosspoint3d.models.tower import seeded_weights
from crosspoint3d.parts_table import PartsTable

Head = Literal["linear", "light", "published"]


class Segmenter(WithEncoder):
    """Labels every point of a cloud whose category is known.

    Args:
        encoder: DGCNN, DGCNNPartSeg, PointNet, PointNetPartSeg or PointTransformer.
        head: takes its features, and has as many categories and parts as the table.
        table: of parts.

    Attributes:
        points: points of each cloud in training; None where nobody said.
        k, origin: see `WithEncoder`.

    Raises:
        ValueError: encoder, head and table do not fit each other.
    """

    encoder: PointEncoder

    def __init__(self, encoder: PointEncoder, head: PartHead, table: PartsTable) -> None:
        super().__init__(encoder)
        given = tuple(head.settings[name] for name in ("point_dims", "cloud_dims", "categories", "parts"))
        needed = (encoder.point_features, encoder.features, len(table.categories), len(table))
        if given != needed:
            raise ValueError(
                f"Segmenter: the head is for (features of points, of clouds, categories, parts) {given}, but encoder "
                f"and table have {needed}"
            )
        self.head = head
        self.table = table
        self.points: int | None = None

    def config(self) -> dict[str, Any]:
        """What is needed to build the same network."""
        return {
            "kind": "segmenter",
            "encoder": {"kind": KINDS[type(self.encoder)], **self.encoder.config()},
            "head": self.head.config(),
            "parts_table": self.table.to_dict(),
            "points": self.points,
        }

    def forward(
        self,
        points: Float[Tensor, "B N 3"],
        category: Integer[Tensor, " M"] | Integer[np.ndarray, " M"],
        generator: torch.Generator | None = None,
    ) -> Float[Tensor, "B N Q"]:
        """Logits of every point for the parts of all categories.

        Args:
            points: clouds that are centred, of radius 1 and y up.
            category: (B,), of each cloud, an index into `table.categories`; of any integer type, a tensor or an array.
            generator: of dropout in training; None is torch's own.

        Raises:
            ValueError: points or category have another shape or category another type, a category is not in the table,
                a cloud has fewer than k points or a value that is not finite, or in training mode there is a single
                cloud where BatchNorm needs more.
        """
        require_clouds(self, points)
        category = category if isinstance(category, Tensor) else torch.tensor(category, device=points.device)
        if category.shape != points.shape[:1] or category.is_floating_point() or category.dtype == torch.bool:
            raise ValueError(
                f"Segmenter: category: {tuple(category.shape)} of {category.dtype} for {len(points)} clouds; give one "
                f"integer a cloud, ({len(points)},)"
            )
        category = category.long()
        outside = (category < 0) | (category >= self.head.categories)
        if bool(outside.any()):
            raise ValueError(
                f"Segmenter: category {int(category[outside][0])} must be between 0 and {self.head.categories - 1}, an "
                "index into table.categories"
            )
        per_point, cloud = self.encoder.local(points)
        logits: Tensor = self.head(per_point, cloud, category, generator)
        return logits


def has_part_head(encoder: Encoder) -> bool:
    """Whether a part segmentation head was published for this architecture."""
    return isinstance(encoder, DGCNNPartSeg | PointNetPartSeg)


def build_segmenter(encoder: Encoder, table: PartsTable, head: Head, seed: int) -> Segmenter:
    """A fresh head on an encoder, which is taken as it is.

    Args:
        encoder: DGCNN, DGCNNPartSeg, PointNet, PointNetPartSeg or PointTransformer.
        table: of parts.
        head: linear is one linear map on standardised features; light has one hidden layer of 128; published is the
            head that the architecture was published with (DGCNNPartSeg, PointNetPartSeg).
        seed: of the head's weights.

    Raises:
        UsageError: the encoder has no features of points, or no published head.
    """
    if not isinstance(encoder, PointEncoder):
        raise UsageError(
            f"{type(encoder).__name__} has no features of points to label parts by; use a point encoder of this package"
        )
    arguments: dict[str, Any]
    if head == "linear":
        arguments = {"widths": (), "category_dims": 0}
    elif head == "light":
        arguments = {"widths": (128,), "category_dims": 0}
    elif isinstance(encoder, DGCNNPartSeg):
        arguments = {}
    elif isinstance(encoder, PointNetPartSeg):
        arguments = {"category_dims": 0, "dropout": 0.2, "slope": 0.0}
    else:
        raise UsageError(
            f"head published: no part segmentation head was published for {type(encoder).__name__}; "
            "use linear or light, or a -partseg encoder"
        )
    sizes = encoder.point_features, encoder.features, len(table.categories), len(table)
    with seeded_weights(seed):
        return Segmenter(encoder, PartHead(*sizes, **arguments), table)


def save_segmenter(segmenter: Segmenter, folder: Path, extra: dict[str, Any]) -> None:
    """Write weights, config and model card; what was there before survives a failure.

    Args:
        segmenter: on any device.
        folder: created when missing.
        extra: more entries for config.json, as JSON values; `data` (str) appears in the model card.

    Raises:
        OSError: the files cannot be written.
    """
    write_folder(segmenter, {**extra, **segmenter.config()}, folder)


def read_segmenter(folder: Path) -> Segmenter:
    """The segmenter that `save_segmenter` wrote, on the CPU and in eval mode.

    Raises:
        UsageError: a file is missing or broken, or the weights do not fit the config (the keys are listed).
    """
    config = read_config(folder)
    try:
        with seeded_weights(0):
            encoder = build_point_encoder(config["encoder"])
            head = PartHead(**config["head"])
        segmenter = Segmenter(encoder, head, PartsTable.from_dict(config["parts_table"]))
        segmenter.points = None if config["points"] is None else int(config["points"])
    except (KeyError, TypeError, ValueError) as error:
        raise undescribed(folder, config, error, "the keys encoder, head, parts_table and points") from error
    fill(segmenter, read_folder_weights(folder), folder)
    return segmenter.eval()
