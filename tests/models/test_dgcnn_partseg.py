import copy
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from crosspoint3d.config import PretrainConfig
from crosspoint3d.models import (
    DGCNNPartSeg,
    ProjectionHead,
    Tower,
    build_crosspoint,
    load_encoder,
    load_tower,
    reference,
    save_tower,
)
from crosspoint3d.models.dgcnn_partseg import SpatialTransformer
from crosspoint3d.models.tower import seeded_weights
from crosspoint3d.ops.reference import ordered_knn


def clouds(batch: int, count: int, seed: int = 0) -> Tensor:
    points = torch.randn(batch, count, 3, generator=torch.Generator().manual_seed(seed))
    return points / points.norm(dim=2).amax(1)[:, None, None]


def trained(model: DGCNNPartSeg) -> DGCNNPartSeg:
    """With weights as training leaves them: the transformer turns, and gammas differ."""
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        model.transform.matrix.weight.normal_(std=0.05, generator=generator)
        for norm in model.modules():
            if isinstance(norm, nn.BatchNorm1d):
                norm.weight.normal_(1, 0.3, generator=generator)
    return model


@pytest.mark.parametrize("training", [True, False])
def test_is_the_published_network(training: bool) -> None:
    shares = []
    for seed in range(5):
        with seeded_weights(seed):
            model = trained(DGCNNPartSeg(k=10, emb_dims=128)).train(training)
        points = clouds(4, 150, seed)
        with torch.no_grad():
            features = model(points)
            exact = copy.deepcopy(model).double()
            expected = reference.dgcnn_partseg(exact, points.double(), training, ordered_knn)
        shares.append(((features - expected).abs() < 1e-4 * expected.abs().max()).double().mean().item())
        assert features.shape == (4, 128) and model.features == 128
    # A neighbour at almost the same distance may be swapped for another, which moves a whole cloud here and there.
    assert sorted(shares)[2] > 0.99


def test_transformer_begins_as_the_identity() -> None:
    points = clouds(2, 50)
    torch.testing.assert_close(SpatialTransformer().eval()(points, 8), points)


def test_layers_are_the_published_ones() -> None:
    shapes = [tuple(p.shape) for name, p in DGCNNPartSeg().named_parameters() if p.ndim == 2]
    assert shapes[:6] == [(128, 64), (64, 6), (1024, 128), (512, 1024), (256, 512), (9, 256)]
    assert shapes[6:] == [(64, 64), (64, 6), (64, 64), (64, 128), (64, 128), (1024, 192)]
    assert DGCNNPartSeg().config() == {"k": 40, "emb_dims": 1024}
    assert DGCNNPartSeg(5, 16).config() == {"k": 5, "emb_dims": 16}


def test_features_of_points_and_of_clouds() -> None:
    model, points = trained(DGCNNPartSeg(k=8, emb_dims=64)).eval(), clouds(2, 100)
    local, features = model.local(points)
    assert local.shape == (2, 100, 192) and torch.equal(features, model(points))
    order = torch.randperm(100, generator=torch.Generator().manual_seed(0))
    again, same = model.local(points[:, order])
    # In another order of summation a neighbour may give way to one at almost the same distance.
    assert ((again - local[:, order]).abs() < 1e-4).double().mean() > 0.99
    assert ((same - features).abs() < 1e-4).double().mean() > 0.97


def test_a_batch_of_one_is_a_row_of_a_batch() -> None:
    model, points = trained(DGCNNPartSeg(k=8, emb_dims=64)).eval(), clouds(3, 100)
    torch.testing.assert_close(model(points[:1]), model(points)[:1], rtol=1e-4, atol=1e-5)


def test_every_parameter_learns() -> None:
    model = trained(DGCNNPartSeg(k=5, emb_dims=32))
    model(clouds(3, 50)).square().sum().backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None and parameter.grad.abs().sum() > 0, name


def test_bfloat16_autocast_stays_close() -> None:
    model, points = DGCNNPartSeg(k=8, emb_dims=64).eval(), clouds(2, 100)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        half = model(points)
        aligned = model.transform(points, 8)
    torch.testing.assert_close(half.float(), model(points), rtol=0.05, atol=0.02)
    assert aligned.dtype == torch.float32


def test_refusals_name_the_cause() -> None:
    with pytest.raises(ValueError, match=r"k=40 must be between 1 and the clouds' 10 points"):
        DGCNNPartSeg()(clouds(2, 10))
    with pytest.raises(ValueError, match="k=0"):
        DGCNNPartSeg(k=0)
    with pytest.raises(ValueError, match="at least 2 rows"):
        DGCNNPartSeg(k=4, emb_dims=8)(clouds(1, 10))


def test_it_is_kept_and_loaded_like_the_others(tmp_path: Path) -> None:
    tower, points = Tower(trained(DGCNNPartSeg(k=6, emb_dims=16)), ProjectionHead(16, 16, 4, bias=True)), clouds(3, 30)
    tower(points)  # moves the running statistics
    save_tower(tower, tmp_path, {})
    loaded = load_tower(tmp_path)
    assert loaded.config()["kind"] == "dgcnn-partseg" and loaded.k == 6
    assert torch.equal(loaded(points), tower.eval()(points))
    assert load_encoder(tmp_path, k=5).k == 5


def test_pretraining_builds_it_with_the_published_head() -> None:
    config = PretrainConfig(data=(), out=Path(), encoder="dgcnn-partseg", k=4, image_encoder="resnet18")
    tower = build_crosspoint(config).point_tower
    assert isinstance(tower.encoder, DGCNNPartSeg) and tower.k == 4 and tower.head is not None
    assert tower.head.config() == {"in_dims": 1024, "hidden_dims": 1024, "out_dims": 256, "bias": True}
    head = load_encoder("random:dgcnn-partseg").head
    assert head is not None and head.config() == tower.head.config()
