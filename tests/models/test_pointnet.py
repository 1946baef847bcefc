import pytest
import torch

from crosspoint3d.models import PointNet
from crosspoint3d.models.pointnet import TNet


def points(batch: int = 3, count: int = 40) -> torch.Tensor:
    return torch.randn(batch, count, 3, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("t_nets", [False, True])
def test_order_and_copies_of_points_do_not_matter(t_nets: bool) -> None:
    model = PointNet(64, t_nets).eval()
    cloud = points()
    order = torch.randperm(40, generator=torch.Generator().manual_seed(0))
    again = torch.cat([cloud[:, order], cloud[:, :7]], dim=1)
    torch.testing.assert_close(model(again), model(cloud))
    assert model(cloud).shape == (3, 64) and model.features == 64
    assert model.config() == {"emb_dims": 64, "t_nets": t_nets}


def test_widths_are_the_papers() -> None:
    shapes = [tuple(p.shape) for name, p in PointNet().named_parameters() if name.endswith("linear.weight")]
    assert shapes == [(64, 3), (64, 64), (64, 64), (128, 64), (1024, 128)]


def test_t_net_begins_as_the_identity() -> None:
    torch.testing.assert_close(TNet(3).eval()(points()), points())


def test_one_row_has_no_variance() -> None:
    assert PointNet(16)(points(1, 2)).isfinite().all()
    with pytest.raises(ValueError, match="at least 2 rows"):
        PointNet(16)(points(1, 1))
    assert PointNet(16).eval()(points(1, 1)).shape == (1, 16)
