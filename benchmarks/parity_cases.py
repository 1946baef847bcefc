"""What `parity.py` compares: edge passes, layers in both modes and whole trunks, each with its plain definition."""

import copy
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from crosspoint3d.models import DGCNN, DGCNNPartSeg, reference
from crosspoint3d.models.tower import seeded_weights
from crosspoint3d.ops import EdgeConv, PooledLinear, knn
from crosspoint3d.ops import reference as plain_ops
from crosspoint3d.ops.edge_conv2 import TwoLayerEdgeConv
from crosspoint3d.ops.edges import edge_max, neighbour_sum


@dataclass(frozen=True)
class Case:
    """An operation and its input; `ours` and `plain` take the module (None for a bare function) and the input."""

    name: str
    module: Any
    points: Tensor
    ours: Callable[[Any, Tensor], Tensor]
    plain: Callable[[Any, Tensor], Tensor]
    graphs: list[Tensor] = field(default_factory=list)
    """What a trunk of ours is to take for neighbours."""


class Cases:
    """Builds cases on a device from one seed; clouds are 4 of `points` points."""

    def __init__(self, points: int, device: torch.device, seed: int) -> None:
        self.points = points
        self.device = device
        self.seed = seed
        self.generator = torch.Generator().manual_seed(seed)

    def random(self, channels: int) -> Tensor:
        """Features (4, points, channels)."""
        return torch.randn(4, self.points, channels, generator=self.generator).to(self.device)

    def __iter__(self) -> Iterator[Case]:
        yield from self.passes()
        with seeded_weights(self.seed):
            convs = [EdgeConv(3, 64), EdgeConv(64, 128), TwoLayerEdgeConv(3, 64, 128), TwoLayerEdgeConv(64, 64, 64)]
            pools = [PooledLinear(512, 1024, slope=0.2, mean=True), PooledLinear(128, 1024)]
            trunks: list[tuple[Any, Any]] = [
                (DGCNN(k=20), reference.dgcnn),
                (DGCNNPartSeg(k=40), reference.dgcnn_partseg),
            ]
        for training in (True, False):
            mode = "training" if training else "evaluation"
            for conv in convs:
                yield self.edge_conv(self.as_trained(conv, training), mode)
            for pool in pools:
                yield self.pool(self.as_trained(pool, training), mode)
            for trunk, plain in trunks:
                yield self.trunk(self.as_trained(trunk, training), plain, mode)

    def as_trained(self, module: Any, training: bool) -> Any:
        """The module with norms as training might leave them, negative gains among them."""
        with torch.no_grad():
            for part in module.cpu().modules():
                if isinstance(part, nn.BatchNorm1d):
                    part.weight.normal_(0.6, 0.6, generator=self.generator)
                    part.bias.normal_(0, 0.3, generator=self.generator)
                    part.get_buffer("running_mean").normal_(0, 0.2, generator=self.generator)
                    part.get_buffer("running_var").uniform_(0.5, 2, generator=self.generator)
                elif isinstance(part, nn.Linear) and part.bias is not None:  # of the aligning matrix
                    part.weight.normal_(std=0.02, generator=self.generator)
        return module.to(self.device).train(training)

    def passes(self) -> Iterator[Case]:
        """The differentiable passes over edges."""
        x = self.random(128)
        graph = knn(x, 20)
        cloud = torch.arange(len(x), device=self.device)[:, None, None]
        places = torch.arange(graph.shape[2], device=self.device)[:, None]

        def plain_max(_: None, ab: Tensor) -> Tensor:
            a, b = ab.chunk(2, dim=2)
            values = a[cloud, graph]
            equal = values == values.amax(2, keepdim=True)  # the first of them has the gradient
            first = torch.where(equal, places, len(places)).amin(2, keepdim=True)
            return F.leaky_relu(values.gather(2, first)[:, :, 0] + b, 0.2)

        yield Case("neighbour_sum", None, x, lambda _, x: neighbour_sum(x, graph), lambda _, x: x[cloud, graph].sum(2))
        yield Case("edge_max", None, x, lambda _, x: edge_max(x, graph, 0.2), plain_max)

    def edge_conv(self, conv: EdgeConv | TwoLayerEdgeConv, mode: str) -> Case:
        """An edge convolution on neighbours given."""
        layers: list[EdgeConv | TwoLayerEdgeConv] = [conv] if isinstance(conv, EdgeConv) else [conv.first, conv]
        x = self.random(layers[0].weight.shape[1] // 2)
        graph = knn(x, 20)
        widths = "-".join(str(width) for width in (x.shape[2], *(len(layer.weight) for layer in layers)))
        return Case(
            f"{type(conv).__name__} {widths}, {mode}",
            conv,
            x,
            lambda conv, x: conv(x, graph),
            lambda conv, x: reference.edge_conv(conv, x, graph, conv.training),
        )

    def pool(self, pool: PooledLinear, mode: str) -> Case:
        """A linear map with its norm and pool."""

        def plain(pool: PooledLinear, x: Tensor) -> Tensor:
            values = reference.pointwise(pool, x, pool.training)
            largest = values.max(1).values
            return torch.cat([largest, values.mean(1)], dim=1) if pool.mean else largest

        name = f"PooledLinear {pool.linear.in_features}-{pool.linear.out_features}, {mode}"
        return Case(name, pool, self.random(pool.linear.in_features), lambda pool, x: pool(x), plain)

    def trunk(self, model: Any, plain: Callable[..., Tensor], mode: str) -> Case:
        """A whole network on the graphs that the exact one makes."""
        x, graphs = self.random(3), []

        def keep(x: Tensor, k: int) -> Tensor:
            graphs.append(plain_ops.knn(x, k))
            return graphs[-1]

        with torch.no_grad():
            plain(copy.deepcopy(model).double(), x.double(), model.training, keep)
        return Case(
            f"{type(model).__name__}, {mode}",
            model,
            x,
            lambda model, x: model(x),
            lambda model, x: plain(model, x, model.training, graphs),
            graphs,
        )
