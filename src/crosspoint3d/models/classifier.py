"""A network that names the category of clouds: an encoder, a head, and the names.

Axis letters: B clouds, N points, C categories.
"""

from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from crosspoint3d.config import UsageError
from crosspoint3d.models.class_head import ClassHead
from crosspoint3d.models.dgcnn import DGCNN
from crosspoint3d.models.encoders import (
    KINDS,
    Encoder,
    PointEncoder,
    WithEncoder,
    build_point_encoder,
    require_clouds,
)
from crosspoint3d.models.folder import fill, read_config, read_folder_weights, undescribed, write_folder
from crosspoint3d.models.pointnet import PointNet
from crosspoint3d.models.segmenter import Head
from crosspoint3d.models.tower import seeded_weights


class Classifier(WithEncoder):
    """Names the category of every cloud.

    Args:
        encoder: DGCNN, DGCNNPartSeg, PointNet, PointNetPartSeg or PointTransformer.
        head: takes its features, and has as many categories as there are names.
        categories: names, in the order of the labels.

    Attributes:
        temperature: probabilities are `softmax(logits / temperature)`; 1 where it was not calibrated.
        points: points of each cloud in training; None where nobody said.
        k, origin: see `WithEncoder`.

    Raises:
        ValueError: encoder, head and categories do not fit each other.
    """

    encoder: PointEncoder

    def __init__(self, encoder: PointEncoder, head: ClassHead, categories: tuple[str, ...]) -> None:
        super().__init__(encoder)
        given = head.settings["in_dims"], head.settings["categories"]
        needed = encoder.features, len(categories)
        if given != needed:
            raise ValueError(
                f"Classifier: the head is for (features, categories) {given}, but encoder and names have {needed}"
            )
        self.head = head
        self.categories = categories
        self.temperature = 1.0
        self.points: int | None = None

    def config(self) -> dict[str, Any]:
        """What is needed to build the same network."""
        return {
            "kind": "classifier",
            "encoder": {"kind": KINDS[type(self.encoder)], **self.encoder.config()},
            "head": self.head.config(),
            "categories": list(self.categories),
            "temperature": self.temperature,
            "points": self.points,
        }

    def forward(self, points: Float[Tensor, "B N 3"], generator: torch.Generator | None = None) -> Float[Tensor, "B C"]:
        """Logits of every cloud, not divided by the temperature.

        Args:
            points: clouds that are centred, of radius 1 and y up.
            generator: of dropout in training; None is torch's own.

        Raises:
            ValueError: points have another shape, a cloud has fewer than k points or a value that is not finite, or in
                training mode there is a single cloud.
        """
        require_clouds(self, points)
        logits: Tensor = self.head(self.encoder(points), generator)
        return logits


def has_class_head(encoder: Encoder) -> bool:
    """Whether a classification head was published for this architecture."""
    return isinstance(encoder, DGCNN | PointNet)


def build_classifier(encoder: Encoder, categories: tuple[str, ...], head: Head, seed: int) -> Classifier:
    """A fresh head on an encoder, which is taken as it is.

    Args:
        encoder: DGCNN, DGCNNPartSeg, PointNet, PointNetPartSeg or PointTransformer.
        categories: names, in the order of the labels.
        head: linear is one linear map on standardised features; light has one hidden layer of 256; published is the
            head that the architecture was published with (DGCNN, PointNet), 512 and 256.
        seed: of the head's weights.

    Raises:
        UsageError: the encoder is not a network of this package that takes clouds, or has no published head.
    """
    if not isinstance(encoder, PointEncoder):
        raise UsageError(f"{type(encoder).__name__} cannot be fine-tuned; use a point encoder of this package")
    arguments: dict[str, Any]
    if head == "linear":
        arguments = {"widths": ()}
    elif head == "light":
        arguments = {"widths": (256,)}
    elif isinstance(encoder, DGCNN):
        arguments = {}
    elif isinstance(encoder, PointNet):
        arguments = {"dropout": 0.3, "slope": 0.0}
    else:
        raise UsageError(
            f"head published: no classification head was published for {type(encoder).__name__}; use linear or light"
        )
    with seeded_weights(seed):
        return Classifier(encoder, ClassHead(encoder.features, len(categories), **arguments), categories)


def save_classifier(classifier: Classifier, folder: Path, extra: dict[str, Any]) -> None:
    """Write weights, config and model card; what was there before survives a failure.

    Args:
        classifier: on any device.
        folder: created when missing.
        extra: more entries for config.json, as JSON values; `data` (str) appears in the model card.

    Raises:
        OSError: the files cannot be written.
    """
    write_folder(classifier, {**extra, **classifier.config()}, folder)


def read_classifier(folder: Path) -> Classifier:
    """The classifier that `save_classifier` wrote, on the CPU and in eval mode.

    Raises:
        UsageError: a file is missing or broken, or the weights do not fit the config (the keys are listed).
    """
    config = read_config(folder)
    try:
        with seeded_weights(0):
            encoder = build_point_encoder(config["encoder"])
            head = ClassHead(**config["head"])
        classifier = Classifier(encoder, head, tuple(map(str, config["categories"])))
        classifier.temperature = float(config["temperature"])
        classifier.points = None if config["points"] is None else int(config["points"])
    except (KeyError, TypeError, ValueError) as error:
        raise undescribed(folder, config, error, "the keys encoder, head, categories and temperature") from error
    fill(classifier, read_folder_weights(folder), folder)
    return classifier.eval()
