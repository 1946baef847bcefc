"""The published networks in plain torch, channels first and edge by edge, with the published names of their parts.

Each keeps the graphs that it made, so that another network can be run on the same ones.
"""

from pathlib import Path
from typing import Any, TypeVar

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from crosspoint3d.models import ResNet

Network = TypeVar("Network", bound=nn.Module)


def edge_features(x: Tensor, k: int, graphs: list[Tensor]) -> Tensor:
    """(B, C, N) -> (B, 2C, N, k): `[x_j - x_i ; x_i]` of the k nearest, a point itself included; appends the graph."""
    squares = x.square().sum(1)
    distances = squares[:, :, None] - 2 * x.transpose(1, 2) @ x + squares[:, None, :]
    nearest = distances.topk(k, dim=2, largest=False).indices
    graphs.append(nearest)
    neighbours = torch.stack([cloud[:, places] for cloud, places in zip(x, nearest, strict=True)])
    centre = x[..., None].expand_as(neighbours)
    return torch.cat([neighbours - centre, centre], dim=1)


def layer(conv: nn.Module, norm: nn.Module) -> nn.Sequential:
    return nn.Sequential(conv, norm, nn.LeakyReLU(0.2))


def edge_layer(inside: int, outside: int, norm: nn.Module) -> nn.Sequential:
    return layer(nn.Conv2d(inside, outside, 1, bias=False), norm)


def point_layer(inside: int, outside: int, norm: nn.Module) -> nn.Sequential:
    return layer(nn.Conv1d(inside, outside, 1, bias=False), norm)


def head(features: int, hidden: int, bias: bool) -> nn.Sequential:
    return nn.Sequential(
        nn.Linear(features, hidden, bias=bias), nn.BatchNorm1d(hidden), nn.ReLU(), nn.Linear(hidden, 256, bias=bias)
    )


class PublishedDGCNN(nn.Module):
    def __init__(self, k: int, with_head: bool = False, classes: int = 0) -> None:
        super().__init__()
        self.k = k
        self.graphs: list[Tensor] = []
        self.bn1, self.bn2 = nn.BatchNorm2d(64), nn.BatchNorm2d(64)
        self.bn3, self.bn4 = nn.BatchNorm2d(128), nn.BatchNorm2d(256)
        self.bn5 = nn.BatchNorm1d(1024)
        self.conv1 = edge_layer(6, 64, self.bn1)
        self.conv2 = edge_layer(128, 64, self.bn2)
        self.conv3 = edge_layer(128, 128, self.bn3)
        self.conv4 = edge_layer(256, 256, self.bn4)
        self.conv5 = point_layer(512, 1024, self.bn5)
        if classes:
            self.linear1, self.bn6 = nn.Linear(2048, 512, bias=False), nn.BatchNorm1d(512)
            self.linear2, self.bn7 = nn.Linear(512, 256), nn.BatchNorm1d(256)
            self.linear3 = nn.Linear(256, classes)
            self.dp1, self.dp2 = nn.Dropout(0.5), nn.Dropout(0.5)
        if with_head:
            self.inv_head = head(2048, 1024, bias=True)

    def forward(self, x: Tensor) -> Tensor:
        """(B, 3, N) -> (B, 2048)."""
        layers = []
        for conv in (self.conv1, self.conv2, self.conv3, self.conv4):
            x = conv(edge_features(x, self.k, self.graphs)).amax(3)
            layers.append(x)
        x = self.conv5(torch.cat(layers, dim=1))
        return torch.cat([F.adaptive_max_pool1d(x, 1), F.adaptive_avg_pool1d(x, 1)], dim=1)[..., 0]

    def logits(self, x: Tensor) -> Tensor:
        """(B, 3, N) -> (B, classes)."""
        x = self.dp1(F.leaky_relu(self.bn6(self.linear1(self(x))), 0.2))
        x = self.dp2(F.leaky_relu(self.bn7(self.linear2(x)), 0.2))
        result: Tensor = self.linear3(x)
        return result


class PublishedTransformer(nn.Module):
    def __init__(self, k: int, graphs: list[Tensor]) -> None:
        super().__init__()
        self.k = k
        self.graphs = graphs
        self.bn1, self.bn2 = nn.BatchNorm2d(64), nn.BatchNorm2d(128)
        self.conv1 = edge_layer(6, 64, self.bn1)
        self.conv2 = edge_layer(64, 128, self.bn2)
        self.conv3 = point_layer(128, 1024, nn.BatchNorm1d(1024))
        self.linear1, self.bn3 = nn.Linear(1024, 512, bias=False), nn.BatchNorm1d(512)
        self.linear2, self.bn4 = nn.Linear(512, 256, bias=False), nn.BatchNorm1d(256)
        self.transform = nn.Linear(256, 9)

    def forward(self, x: Tensor) -> Tensor:
        y = self.conv3(self.conv2(self.conv1(edge_features(x, self.k, self.graphs))).amax(3)).amax(2)
        y = F.leaky_relu(self.bn3(self.linear1(y)), 0.2)
        y = F.leaky_relu(self.bn4(self.linear2(y)), 0.2)
        matrix = self.transform(y).view(-1, 3, 3)
        return (x.transpose(1, 2) @ matrix).transpose(1, 2)


class PublishedPartSeg(nn.Module):
    def __init__(self, k: int, with_head: bool = False, parts: int = 50, categories: int = 16) -> None:
        super().__init__()
        self.k = k
        self.graphs: list[Tensor] = []
        self.transform_net = PublishedTransformer(k, self.graphs)
        self.bn1, self.bn2, self.bn3, self.bn4, self.bn5 = (nn.BatchNorm2d(64) for _ in range(5))
        self.bn6 = nn.BatchNorm1d(1024)
        self.conv1, self.conv2 = edge_layer(6, 64, self.bn1), edge_layer(64, 64, self.bn2)
        self.conv3, self.conv4 = edge_layer(128, 64, self.bn3), edge_layer(64, 64, self.bn4)
        self.conv5 = edge_layer(128, 64, self.bn5)
        self.conv6 = point_layer(192, 1024, self.bn6)
        if parts:
            self.bn7, self.bn8 = nn.BatchNorm1d(64), nn.BatchNorm1d(256)
            self.bn9, self.bn10 = nn.BatchNorm1d(256), nn.BatchNorm1d(128)
            self.conv7, self.conv8 = point_layer(categories, 64, self.bn7), point_layer(1280, 256, self.bn8)
            self.conv9, self.conv10 = point_layer(256, 256, self.bn9), point_layer(256, 128, self.bn10)
            self.conv11 = nn.Conv1d(128, parts, 1, bias=False)
            self.dp1, self.dp2 = nn.Dropout(0.5), nn.Dropout(0.5)
        if with_head:
            self.inv_head = head(1024, 1024, bias=True)

    def forward(self, x: Tensor) -> Tensor:
        """(B, 3, N) -> (B, 1024)."""
        return self.features(x)[1]

    def logits(self, x: Tensor, one_hot: Tensor) -> Tensor:
        """(B, 3, N), (B, categories) -> (B, parts, N)."""
        local, cloud = self.features(x)
        repeated = torch.cat([cloud[:, :, None], self.conv7(one_hot[:, :, None])], dim=1).repeat(1, 1, x.shape[2])
        x = self.dp2(self.conv9(self.dp1(self.conv8(torch.cat([repeated, local], dim=1)))))
        result: Tensor = self.conv11(self.conv10(x))
        return result

    def features(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """(B, 192, N) of points and (B, 1024) of clouds."""
        x = self.transform_net(x)
        x1 = self.conv2(self.conv1(edge_features(x, self.k, self.graphs))).amax(3)
        x2 = self.conv4(self.conv3(edge_features(x1, self.k, self.graphs))).amax(3)
        x3 = self.conv5(edge_features(x2, self.k, self.graphs)).amax(3)
        local = torch.cat([x1, x2, x3], dim=1)
        return local, self.conv6(local).amax(2)


class PublishedImageBranch(nn.Module):
    """For its names; what it computes is read off them in `test_resnet`."""

    def __init__(self) -> None:
        super().__init__()
        self.resnet = ResNet("resnet50")
        self.inv_head = head(2048, 512, bias=False)


def trained(network: Network, seed: int = 0) -> Network:
    """The network with weights as training leaves them (gammas differ, some are negative), in eval mode."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for module in network.modules():
            if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
                module.weight.normal_(0.8, 0.4, generator=generator)
                module.bias.normal_(0, 0.3, generator=generator)
                module.running_mean.normal_(0, 0.2, generator=generator)
                module.running_var.uniform_(0.5, 2, generator=generator)
                module.num_batches_tracked.fill_(seed + 7)
    return network.eval()


def clouds(batch: int, count: int, seed: int = 0) -> Tensor:
    """(B, N, 3), centred, radius 1."""
    points = torch.randn(batch, count, 3, generator=torch.Generator().manual_seed(seed))
    points -= points.mean(1, keepdim=True)
    return points / points.norm(dim=2).amax(1)[:, None, None]


def saved(weights: Any, path: Path) -> Path:
    torch.save(weights, path)
    return path


def on_the_graphs_of(exact: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let ours take the graphs that the other network just made."""
    for module in ("dgcnn", "dgcnn_partseg"):
        given = iter(list(exact.graphs))
        monkeypatch.setattr(f"crosspoint3d.models.{module}.knn", lambda x, k, given=given: next(given))
