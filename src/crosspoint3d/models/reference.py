"""Plain definitions of whole networks, on the weights of ours: what tests compare with and benchmarks divide by.

Everything runs in the dtype of the weights and with autograd into them; a `double()` copy of a model is the exact
answer. Axis letters: B clouds, N points, C or O channels, D width of the features of clouds, L of
those of points, k neighbours, Q parts.
"""

from collections.abc import Callable, Iterable
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int64
from torch import Tensor, nn

from crosspoint3d.models import reference_transformer
from crosspoint3d.models.dgcnn import DGCNN
from crosspoint3d.models.dgcnn_partseg import DGCNNPartSeg, SpatialTransformer
from crosspoint3d.models.encoders import PointEncoder
from crosspoint3d.models.part_head import PartHead
from crosspoint3d.models.pointnet import PointNet, TNet
from crosspoint3d.models.pointnet_partseg import PointNetPartSeg
from crosspoint3d.models.segmenter import Segmenter
from crosspoint3d.models.transformer import PointTransformer
from crosspoint3d.ops import EdgeConv, reference
from crosspoint3d.ops.edge_conv2 import TwoLayerEdgeConv

Search = Callable[[Tensor, int], Tensor]
Graphs = Search | Iterable[Tensor]


def _search(neighbours: Graphs) -> Search:
    """What finds neighbours: the function given, or one that hands out the graphs given, in order."""
    if callable(neighbours):
        return neighbours
    graphs = iter(neighbours)
    return lambda points, k: next(graphs)


def _statistics(norm: nn.BatchNorm1d) -> tuple[Tensor, Tensor]:
    """Copies of the running statistics: a plain definition leaves the model as it is."""
    assert norm.running_mean is not None and norm.running_var is not None
    return norm.running_mean.clone(), norm.running_var.clone()


def _edge_layer(weight: Tensor, norm: nn.BatchNorm1d) -> reference.EdgeLayer:
    return reference.EdgeLayer(weight, norm.weight, norm.bias, *_statistics(norm))


def edge_conv(
    conv: EdgeConv | TwoLayerEdgeConv,
    points: Float[Tensor, "B N C"],
    indices: Int64[Tensor, "B N k"],
    training: bool,
) -> Float[Tensor, "B N O"]:
    """`ops.reference.edge_conv` with the weights of a module."""
    if isinstance(conv, EdgeConv):
        layers = [_edge_layer(conv.weight, conv.norm)]
    else:
        layers = [_edge_layer(conv.first.weight, conv.first.norm), _edge_layer(conv.weight, conv.norm)]
    return reference.edge_conv(points, indices, layers, training=training, slope=conv.slope)


def _batch_norm(x: Tensor, norm: nn.BatchNorm1d, training: bool) -> Tensor:
    """BatchNorm over all rows."""
    rows = F.batch_norm(x.flatten(0, -2), *_statistics(norm), norm.weight, norm.bias, training, eps=norm.eps)
    return rows.reshape(x.shape)


def pointwise(layer: Any, x: Float[Tensor, "*points C"], training: bool) -> Float[Tensor, "*points O"]:
    """Linear map, BatchNorm over all rows and LeakyReLU: `PointwiseLinear`, and `PooledLinear` before its maximum."""
    return F.leaky_relu(_batch_norm(F.linear(x, layer.linear.weight), layer.norm, training), layer.slope)


def _through(layers: Iterable[nn.Module], x: Tensor, training: bool) -> Tensor:
    for layer in layers:
        x = pointwise(layer, x, training)
    return x


def dgcnn(
    model: DGCNN, points: Float[Tensor, "B N 3"], training: bool, neighbours: Graphs = reference.knn
) -> Float[Tensor, "B D"]:
    """The features of `DGCNN`.

    Args:
        model: whose weights and settings to use; left as it is.
        points: as the model takes them.
        training: BatchNorm by the batch's statistics.
        neighbours: a function like `knn`, or the four graphs (B, N, k) themselves in order of use.
    """
    return local(model, points, training, neighbours)[1]


def dgcnn_partseg(
    model: DGCNNPartSeg, points: Float[Tensor, "B N 3"], training: bool, neighbours: Graphs = reference.knn
) -> Float[Tensor, "B D"]:
    """The features of `DGCNNPartSeg`; arguments as of `dgcnn`, with four graphs, the transformer's first."""
    return local(model, points, training, neighbours)[1]


def pointnet(model: PointNet | PointNetPartSeg, points: Float[Tensor, "B N 3"], training: bool) -> Float[Tensor, "B D"]:
    """The features of `PointNet` and `PointNetPartSeg`; arguments as of `dgcnn`."""
    return local(model, points, training)[1]


def local(
    model: PointEncoder, points: Float[Tensor, "B N 3"], training: bool, neighbours: Graphs = reference.knn
) -> tuple[Float[Tensor, "B N L"], Float[Tensor, "B D"]]:
    """The features of points and of clouds that a point encoder gives; arguments as of `dgcnn`."""
    if isinstance(model, DGCNN):
        return _dgcnn(model, points, training, _search(neighbours))
    if isinstance(model, DGCNNPartSeg):
        return _dgcnn_partseg(model, points, training, _search(neighbours))
    if isinstance(model, PointTransformer):
        return reference_transformer.local(model, points, training)
    return _pointnet(model, points, training)


def _dgcnn(model: DGCNN, points: Tensor, training: bool, search: Search) -> tuple[Tensor, Tensor]:
    layers = [points]
    for conv in (model.conv1, model.conv2, model.conv3, model.conv4):
        layers.append(edge_conv(conv, layers[-1], search(layers[-1], model.k), training))
    wide = torch.cat(layers[1:], dim=2)
    x = pointwise(model.conv5, wide, training)
    return wide, torch.cat([x.max(dim=1).values, x.mean(dim=1)], dim=1)


def _align(net: TNet | SpatialTransformer, points: Tensor, wide: Tensor, training: bool) -> Tensor:
    """The points times the matrix that the maximum over features of points leads to."""
    matrix = net.matrix(_through(net.cloud, wide.max(dim=1).values, training))
    aligned: Tensor = points @ matrix.reshape(len(points), points.shape[2], points.shape[2])
    return aligned


def _dgcnn_partseg(model: DGCNNPartSeg, points: Tensor, training: bool, search: Search) -> tuple[Tensor, Tensor]:
    net = model.transform
    wide = edge_conv(net.edges, points, search(points, model.k), training)
    x = _align(net, points, pointwise(net.points, wide, training), training)
    layers = []
    for conv in (model.conv1, model.conv2, model.conv3):
        x = edge_conv(conv, x, search(x, model.k), training)
        layers.append(x)
    wide = torch.cat(layers, dim=2)
    return wide, pointwise(model.conv4, wide, training).max(dim=1).values


def _pointnet(model: PointNet | PointNetPartSeg, points: Tensor, training: bool) -> tuple[Tensor, Tensor]:
    """PointNet gives its second layer's result as it is aligned, the other network the third's before and after."""

    def aligned(net: TNet | None, x: Tensor) -> Tensor:
        return x if net is None else _align(net, x, _through(net.points, x, training), training)

    layers = [aligned(model.input_t_net, points)]
    for layer in model.narrow:
        layers.append(pointwise(layer, layers[-1], training))
    x = aligned(model.feature_t_net, layers[-1])
    layers = [*(layers[1:-1] if isinstance(model, PointNet) else layers[1:]), x]
    *shared, last = model.wide
    for layer in shared:
        layers.append(pointwise(layer, layers[-1], training))
    return torch.cat(layers, dim=2), pointwise(last, layers[-1], training).max(dim=1).values


def part_head(
    head: PartHead,
    per_point: Float[Tensor, "B N L"],
    cloud: Float[Tensor, "B D"],
    category: Int64[Tensor, " B"],
    training: bool,
) -> Float[Tensor, "B N Q"]:
    """The logits of `PartHead`: all its input side by side at every point; dropout by torch's own generator."""
    one_hot = F.one_hot(category, head.categories).to(cloud)
    if head.category is not None:
        one_hot = pointwise(head.category, one_hot, training)
    if head.point_norm is not None and head.cloud_norm is not None:
        per_point = _batch_norm(per_point, head.point_norm, training)
        cloud = _batch_norm(cloud, head.cloud_norm, training)
    repeated = torch.cat([cloud, one_hot], dim=1)[:, None].expand(-1, per_point.shape[1], -1)
    x = F.linear(torch.cat([repeated, per_point], dim=2), head.first.weight, head.first.bias)
    if head.norm is None or head.last is None:
        return x
    x = F.dropout(F.leaky_relu(_batch_norm(x, head.norm, training), head.slope), head.dropout, training)
    for number, layer in enumerate(head.hidden):
        x = F.dropout(pointwise(layer, x, training), head.dropout, training and number == 0)
    logits: Tensor = head.last(x)
    return logits


def segmenter(
    model: Segmenter,
    points: Float[Tensor, "B N 3"],
    category: Int64[Tensor, " B"],
    training: bool,
    neighbours: Graphs = reference.knn,
) -> Float[Tensor, "B N Q"]:
    """The logits of `Segmenter`; arguments as of `dgcnn` and `part_head`."""
    return part_head(model.head, *local(model.encoder, points, training, neighbours), category, training)
