"""The encoders there are, their kinds as config.json names them, how each is built, and what a network with one has."""

from typing import Any

from torch import Tensor, nn

from crosspoint3d.config import UsageError
from crosspoint3d.models.callable_encoder import CallableEncoder
from crosspoint3d.models.dgcnn import DGCNN
from crosspoint3d.models.dgcnn_partseg import DGCNNPartSeg
from crosspoint3d.models.image import TimmEncoder, image_encoder
from crosspoint3d.models.onnx_encoder import OnnxEncoder
from crosspoint3d.models.pointnet import PointNet
from crosspoint3d.models.pointnet_partseg import PointNetPartSeg
from crosspoint3d.models.resnet import ResNet
from crosspoint3d.models.transformer import PointTransformer
from crosspoint3d.ops.checks import check_clouds

PointEncoder = DGCNN | DGCNNPartSeg | PointNet | PointNetPartSeg | PointTransformer
"""Networks of this package that take clouds; all have features of points (`local`, `point_features`)."""
Encoder = PointEncoder | ResNet | TimmEncoder | OnnxEncoder | CallableEncoder
KINDS = {
    DGCNN: "dgcnn",
    DGCNNPartSeg: "dgcnn-partseg",
    PointNet: "pointnet",
    PointNetPartSeg: "pointnet-partseg",
    PointTransformer: "transformer",
    ResNet: "image",
    TimmEncoder: "image",
    OnnxEncoder: "onnx",
    CallableEncoder: "callable",
}


def build_encoder(kind: str, arguments: dict[str, Any]) -> Encoder:
    """An encoder with fresh weights from its kind and its constructor's arguments.

    Raises:
        TypeError, ValueError: the kind is unknown, or its constructor does not take these arguments.
    """
    if kind == "dgcnn":
        return DGCNN(**arguments)
    if kind == "dgcnn-partseg":
        return DGCNNPartSeg(**arguments)
    if kind == "pointnet":
        return PointNet(**arguments)
    if kind == "pointnet-partseg":
        return PointNetPartSeg(**arguments)
    if kind == "transformer":
        return PointTransformer(**arguments)
    if kind == "image":
        return image_encoder(**arguments)
    known = "dgcnn, dgcnn-partseg, pointnet, pointnet-partseg, transformer, image"
    raise ValueError(f"kind {kind!r} is none of {known}")


def build_point_encoder(description: dict[str, Any]) -> PointEncoder:
    """A point encoder with fresh weights from its kind and arguments, as a fine-tuned network's config.json has them.

    Raises:
        KeyError, TypeError, ValueError: the description has no kind, or no point encoder can be built from it.
    """
    arguments = {name: value for name, value in description.items() if name != "kind"}
    encoder = build_encoder(description["kind"], arguments)
    if not isinstance(encoder, PointEncoder):
        raise ValueError(f"kind {description['kind']!r} is no point encoder")
    return encoder


class WithEncoder(nn.Module):
    """What towers, segmenters and classifiers have in common.

    Args:
        encoder: any.

    Attributes:
        origin: what is known about the file that published weights came from; None for other weights.
    """

    def __init__(self, encoder: Encoder) -> None:
        super().__init__()
        self.encoder: Encoder = encoder
        self.origin: dict[str, Any] | None = None

    @property
    def k(self) -> int | None:
        """Neighbours in the graphs of DGCNN and DGCNNPartSeg; None for other encoders.

        Raises:
            UsageError: it is set where the encoder has no graphs, or below 1.
        """
        return self.encoder.k if isinstance(self.encoder, DGCNN | DGCNNPartSeg) else None

    @k.setter
    def k(self, value: int) -> None:
        if not isinstance(self.encoder, DGCNN | DGCNNPartSeg):
            raise UsageError(f"k={value}: {type(self.encoder).__name__} has no neighbour graph; leave k out")
        if value < 1:
            raise UsageError(f"k={value} must be at least 1")
        self.encoder.k = value

    @property
    def least_points(self) -> int:
        """Points that a cloud must have: those of a neighbourhood or a patch, or one for each patch."""
        return self.encoder.least_points if isinstance(self.encoder, PointTransformer) else self.k or 1


def require_clouds(network: WithEncoder, points: Tensor) -> None:
    """Refuse clouds that a network cannot take.

    Raises:
        ValueError: another shape than (B, N, 3), fewer points than neighbours in the graphs or than patches need, or a
            value that is not finite.
    """
    name = type(network).__name__
    check_clouds(name, points)
    if network.k is not None and points.shape[1] < network.k:
        raise ValueError(
            f"{name}: points: clouds of {points.shape[1]} points are fewer than the k={network.k} neighbours of the "
            "graphs; give more points, or set a smaller k"
        )
    if points.shape[1] < network.least_points:
        raise ValueError(
            f"{name}: points: clouds of {points.shape[1]} points are fewer than the {network.least_points} that the "
            "encoder makes patches of; give more points"
        )
    finite = points.isfinite().flatten(1).all(1)
    if not bool(finite.all()):
        raise ValueError(
            f"{name}: points: sample {int((~finite).nonzero()[0])} holds a value that is not finite; clean or drop it"
        )
