"""The encoders there are: their kinds as config.json names them, how each is built, and the k of those with graphs."""

from typing import Any

from torch import Tensor

from crosspoint3d.config import UsageError
from crosspoint3d.models.callable_encoder import CallableEncoder
from crosspoint3d.models.dgcnn import DGCNN
from crosspoint3d.models.dgcnn_partseg import DGCNNPartSeg
from crosspoint3d.models.image import TimmEncoder, image_encoder
from crosspoint3d.models.onnx_encoder import OnnxEncoder
from crosspoint3d.models.pointnet import PointNet
from crosspoint3d.models.pointnet_partseg import PointNetPartSeg
from crosspoint3d.models.resnet import ResNet

PointEncoder = DGCNN | DGCNNPartSeg | PointNet | PointNetPartSeg
"""Networks of this package that take clouds; all have features of points (`local`, `point_features`)."""
Encoder = PointEncoder | ResNet | TimmEncoder | OnnxEncoder | CallableEncoder
KINDS = {
    DGCNN: "dgcnn",
    DGCNNPartSeg: "dgcnn-partseg",
    PointNet: "pointnet",
    PointNetPartSeg: "pointnet-partseg",
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
    if kind == "image":
        return image_encoder(**arguments)
    known = "dgcnn, dgcnn-partseg, pointnet, pointnet-partseg, image"
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


def graph_k(encoder: Encoder) -> int | None:
    """Neighbours in the graphs of DGCNN and DGCNNPartSeg; None for other encoders."""
    return encoder.k if isinstance(encoder, DGCNN | DGCNNPartSeg) else None


def set_graph_k(encoder: Encoder, k: int) -> None:
    """Change the neighbours in an encoder's graphs.

    Raises:
        UsageError: the encoder has no graphs, or `k` is below 1.
    """
    if not isinstance(encoder, DGCNN | DGCNNPartSeg):
        raise UsageError(f"k={k}: {type(encoder).__name__} has no neighbour graph; leave k out")
    if k < 1:
        raise UsageError(f"k={k} must be at least 1")
    encoder.k = k


def require_clouds(name: str, encoder: Encoder, points: Tensor) -> None:
    """Refuse clouds that an encoder cannot take.

    Raises:
        ValueError: fewer points than neighbours in the graphs, or a value that is not finite.
    """
    k = graph_k(encoder)
    if k is not None and points.shape[1] < k:
        raise ValueError(
            f"{name}: points: clouds of {points.shape[1]} points are fewer than the k={k} neighbours of the graphs; "
            "give more points, or set a smaller k"
        )
    finite = points.isfinite().flatten(1).all(1)
    if not bool(finite.all()):
        raise ValueError(
            f"{name}: points: sample {int((~finite).nonzero()[0])} holds a value that is not finite; clean or drop it"
        )
