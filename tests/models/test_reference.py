import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from crosspoint3d.models import DGCNN, DGCNNPartSeg, PointNet, PointNetPartSeg, reference
from crosspoint3d.models.tower import seeded_weights
from crosspoint3d.ops import knn
from crosspoint3d.ops.reference import ordered_knn

NETWORKS: list[tuple[Callable[[], Any], Callable[..., Tensor]]] = [
    (lambda: DGCNN(k=8, emb_dims=64), reference.dgcnn),
    (lambda: DGCNNPartSeg(k=8, emb_dims=64), reference.dgcnn_partseg),
    (lambda: PointNet(64), reference.pointnet),
    (lambda: PointNet(64, t_nets=True), reference.pointnet),
    (lambda: PointNetPartSeg(64), reference.pointnet),
]
NAMES = ["dgcnn", "dgcnn-partseg", "pointnet", "pointnet with t-nets", "pointnet-partseg"]


def points(seed: int) -> Tensor:
    return torch.randn(16, 40, 3, generator=torch.Generator().manual_seed(seed))


def trained(build: Callable[[], Any], seed: int) -> Any:
    """A network with weights such as training leaves."""
    with seeded_weights(seed):
        model = build()
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for module in model.modules():
            if isinstance(module, nn.BatchNorm1d):
                module.weight.normal_(1, 0.3, generator=generator)
                module.bias.normal_(0, 0.3, generator=generator)
                module.running_mean.normal_(0, 0.2, generator=generator)
                module.running_var.uniform_(0.5, 2, generator=generator)
            elif isinstance(module, nn.Linear) and module.bias is not None:
                module.weight.normal_(std=0.02, generator=generator)  # of the aligning matrix
    return model


def graphs_of(exact: Any, plain: Callable[..., Tensor], x: Tensor, training: bool) -> list[Tensor]:
    """The graphs that the exact network makes."""
    graphs: list[Tensor] = []

    def keep(x: Tensor, k: int) -> Tensor:
        graphs.append(ordered_knn(x, k))
        return graphs[-1]

    if plain is not reference.pointnet:
        with torch.no_grad():
            plain(exact, x, training, keep)
    return graphs


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize(("build", "plain"), NETWORKS, ids=NAMES)
def test_on_the_same_graphs_ours_are_the_plain_networks(
    build: Callable[[], Any], plain: Callable[..., Tensor], training: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    farthest = []
    for seed in range(3):
        model, x = trained(build, seed).train(training), points(seed)
        exact = copy.deepcopy(model).double()
        graphs = graphs_of(exact, plain, x.double(), training)
        for module in ("dgcnn", "dgcnn_partseg"):
            given = iter(graphs)
            monkeypatch.setattr(f"crosspoint3d.models.{module}.knn", lambda x, k, given=given: next(given))
        expected = plain(exact, x.double(), training, *([graphs] if graphs else []))
        features = model(x)
        assert (features - expected).abs().max() <= 1e-5 * expected.abs().max()
        direction = torch.randn(features.shape, generator=torch.Generator().manual_seed(seed))
        (features * direction).sum().backward()
        (expected * direction).sum().backward()
        gradients = [
            (ours.grad, theirs.grad) for ours, theirs in zip(model.parameters(), exact.parameters(), strict=True)
        ]
        farthest.append(max(((ours - theirs).norm() / theirs.norm()).item() for ours, theirs in gradients))
    # A value at a bend of LeakyReLU, or a maximum that two points share, may round to the other side, but rarely.
    assert min(farthest) < 1e-4


@pytest.mark.parametrize(("build", "plain"), NETWORKS, ids=NAMES)
def test_it_leaves_the_model_as_it_is(build: Callable[[], Any], plain: Callable[..., Tensor]) -> None:
    model = trained(build, 0)
    before = copy.deepcopy(model.state_dict())
    features = plain(model, points(0), training=True)
    assert features.shape == (16, model.features) and features.dtype == torch.float32
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    features.sum().backward()
    assert all(parameter.grad is not None for parameter in model.parameters())


def test_neighbours_by_any_search() -> None:
    model, x = trained(lambda: DGCNN(k=8, emb_dims=16), 0).double(), points(0).double()
    expected = reference.dgcnn(model, x, False)
    for search in (knn, ordered_knn):
        torch.testing.assert_close(reference.dgcnn(model, x, False, search), expected)
