from pathlib import Path

import pytest
import torch

from crosspoint3d.config import PretrainConfig
from crosspoint3d.models import PointNetPartSeg, build_crosspoint, load_encoder, load_tower, save_tower, untrained


def points(batch: int = 3, count: int = 40) -> torch.Tensor:
    return torch.randn(batch, count, 3, generator=torch.Generator().manual_seed(0))


def test_widths_are_the_papers() -> None:
    model = PointNetPartSeg()
    shapes = {name: tuple(p.shape) for name, p in model.named_parameters() if p.ndim == 2 and "t_net" not in name}
    assert list(shapes.values()) == [(64, 3), (128, 64), (128, 128), (512, 128), (2048, 512)]
    assert (model.input_t_net.dims, model.feature_t_net.dims) == (3, 128)
    assert model.features + model.point_features + 16 == 3024  # what the paper's figure 9 writes
    assert model.config() == {"emb_dims": 2048} and PointNetPartSeg(16).config() == {"emb_dims": 16}


def test_order_and_copies_of_points_do_not_matter() -> None:
    model, cloud = PointNetPartSeg(32).eval(), points()
    order = torch.randperm(40, generator=torch.Generator().manual_seed(0))
    again = torch.cat([cloud[:, order], cloud[:, :7]], dim=1)
    torch.testing.assert_close(model(again), model(cloud))
    torch.testing.assert_close(model(again, per_point=True)[:, :40], model(cloud, per_point=True)[:, order])


def test_every_parameter_learns() -> None:
    model = PointNetPartSeg(16)
    with torch.no_grad():
        for net in (model.input_t_net, model.feature_t_net):
            net.matrix.weight.normal_(std=0.05, generator=torch.Generator().manual_seed(0))
    model(points(8)).square().sum().backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None and parameter.grad.abs().sum() > 0, name


def test_refusals_name_the_cause() -> None:
    with pytest.raises(ValueError, match="emb_dims=0"):
        PointNetPartSeg(0)
    with pytest.raises(ValueError, match="at least 2 rows"):
        PointNetPartSeg(8)(points(1))


def test_it_is_pretrained_kept_and_loaded_like_the_others(tmp_path: Path) -> None:
    config = PretrainConfig(data=(), out=Path(), encoder="pointnet-partseg", emb_dims=32, image_encoder="resnet18")
    tower = build_crosspoint(config).point_tower
    assert isinstance(tower.encoder, PointNetPartSeg) and tower.features == 32 and tower.k is None
    tower.project(tower(points()))  # moves the running statistics
    save_tower(tower, tmp_path, {})
    loaded = load_tower(tmp_path)
    assert loaded.config()["kind"] == "pointnet-partseg"
    assert torch.equal(loaded(points()), tower.eval()(points()))
    fresh = load_encoder("random:pointnet-partseg", seed=3)
    assert fresh.features == 2048 and fresh.project(fresh(points())).shape == (3, 256)
    assert torch.equal(fresh(points()), untrained("random:pointnet-partseg", seed=3)(points()))
