"""Plain definitions of whole networks, on the weights of ours: what tests compare with and benchmarks divide by.

Everything runs in the dtype of the weights and with autograd into them; a `double()` copy of a model is the exact
answer. Axis letters: B clouds, N points, C or O channels, D width of the features, k neighbours.
"""

from collections.abc import Callable, Iterable
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int64
from torch import Tensor, nn

from crosspoint3d.models.dgcnn import DGCNN
from crosspoint3d.models.dgcnn_partseg import DGCNNPartSeg, SpatialTransformer
from crosspoint3d.models.pointnet import PointNet, TNet
from crosspoint3d.ops import EdgeConv, reference
from crosspoint3d.ops.edge_conv2 import TwoLayerEdgeConv

Graphs = Callable[[Tensor, int], Tensor] | Iterable[Tensor]


def _search(neighbours: Graphs) -> Callable[[Tensor, int], Tensor]:
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


def pointwise(layer: Any, x: Float[Tensor, "*points C"], training: bool) -> Float[Tensor, "*points O"]:
    """Linear map, BatchNorm over all rows and LeakyReLU: `PointwiseLinear`, and `PooledLinear` before its maximum."""
    rows = F.linear(x, layer.linear.weight).flatten(0, -2)
    norm = layer.norm
    rows = F.batch_norm(rows, *_statistics(norm), norm.weight, norm.bias, training, eps=norm.eps)
    return F.leaky_relu(rows, layer.slope).reshape(*x.shape[:-1], -1)


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
    search = _search(neighbours)
    layers = [points]
    for conv in (model.conv1, model.conv2, model.conv3, model.conv4):
        layers.append(edge_conv(conv, layers[-1], search(layers[-1], model.k), training))
    x = pointwise(model.conv5, torch.cat(layers[1:], dim=2), training)
    return torch.cat([x.max(dim=1).values, x.mean(dim=1)], dim=1)


def _align(net: TNet | SpatialTransformer, points: Tensor, local: Tensor, training: bool) -> Tensor:
    """The points times the matrix that the maximum over features of points leads to."""
    matrix = net.matrix(_through(net.cloud, local.max(dim=1).values, training))
    aligned: Tensor = points @ matrix.reshape(len(points), points.shape[2], points.shape[2])
    return aligned


def dgcnn_partseg(
    model: DGCNNPartSeg, points: Float[Tensor, "B N 3"], training: bool, neighbours: Graphs = reference.knn
) -> Float[Tensor, "B D"]:
    """The features of `DGCNNPartSeg`; arguments as of `dgcnn`, with four graphs, the transformer's first."""
    search = _search(neighbours)
    net = model.transform
    local = edge_conv(net.edges, points, search(points, model.k), training)
    x = _align(net, points, pointwise(net.points, local, training), training)
    layers = []
    for conv in (model.conv1, model.conv2, model.conv3):
        x = edge_conv(conv, x, search(x, model.k), training)
        layers.append(x)
    return pointwise(model.conv4, torch.cat(layers, dim=2), training).max(dim=1).values


def pointnet(model: PointNet, points: Float[Tensor, "B N 3"], training: bool) -> Float[Tensor, "B D"]:
    """The features of `PointNet`; arguments as of `dgcnn`."""

    def aligned(net: TNet | None, x: Tensor) -> Tensor:
        return x if net is None else _align(net, x, _through(net.points, x, training), training)

    x = _through(model.local, aligned(model.input_t_net, points), training)
    return _through(model.wide, aligned(model.feature_t_net, x), training).max(dim=1).values
