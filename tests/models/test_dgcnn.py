import copy

import pytest
import torch
from torch import Tensor, nn

from crosspoint3d.models import DGCNN, reference
from crosspoint3d.models.tower import seeded_weights
from crosspoint3d.ops.reference import ordered_knn


def clouds(batch: int, count: int, seed: int = 0) -> Tensor:
    points = torch.randn(batch, count, 3, generator=torch.Generator().manual_seed(seed))
    return points / points.norm(dim=2).amax(1)[:, None, None]


@pytest.mark.parametrize("training", [True, False])
def test_is_the_published_network(training: bool) -> None:
    shares = []
    for seed in range(5):
        with seeded_weights(seed):
            model, points = DGCNN(k=10, emb_dims=128).train(training), clouds(3, 200, seed)
        with torch.no_grad():
            for norm in model.modules():
                if isinstance(norm, nn.BatchNorm1d):
                    norm.weight.normal_(1, 0.3, generator=torch.Generator().manual_seed(1))
            features = model(points)
            expected = reference.dgcnn(copy.deepcopy(model).double(), points.double(), training, ordered_knn)
        shares.append(((features - expected).abs() < 1e-4 * expected.abs().max()).double().mean().item())
        assert features.shape == (3, 256) and model.features == 256
    # A neighbour at almost the same distance may be swapped for another in a later graph.
    assert sorted(shares)[2] > 0.99


def test_order_of_points_does_not_matter() -> None:
    model, points = DGCNN(k=8, emb_dims=64, width=0.5).eval(), clouds(2, 100)
    order = torch.randperm(100, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(model(points[:, order]), model(points), rtol=1e-4, atol=1e-5)


def test_a_batch_of_one_is_a_row_of_a_batch() -> None:
    model, points = DGCNN(k=8, emb_dims=64, width=0.5).eval(), clouds(3, 100)
    torch.testing.assert_close(model(points[:1]), model(points)[:1], rtol=1e-4, atol=1e-5)
    assert model.train()(points[:1]).isfinite().all()


def test_every_parameter_learns() -> None:
    model = DGCNN(k=5, emb_dims=32, width=0.25)
    model(clouds(2, 50)).square().sum().backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None and parameter.grad.abs().sum() > 0, name


def test_widths_are_multiples_of_eight() -> None:
    model = DGCNN(width=0.3)
    widths = [conv.weight.shape[0] for conv in (model.conv1, model.conv2, model.conv3, model.conv4)]
    assert widths == [16, 16, 40, 80] and DGCNN(width=0.01).conv4.weight.shape[0] == 8
    assert model.config() == {"k": 20, "emb_dims": 1024, "width": 0.3}


def test_bfloat16_autocast_stays_close() -> None:
    model, points = DGCNN(k=8, emb_dims=64).eval(), clouds(2, 100)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        half = model(points)
    torch.testing.assert_close(half.float(), model(points), rtol=0.05, atol=0.02)


def test_refusals_name_the_cause() -> None:
    with pytest.raises(ValueError, match=r"k=20 must be between 1 and the clouds' 10 points"):
        DGCNN()(clouds(2, 10))
    with pytest.raises(ValueError, match="k=0"):
        DGCNN(k=0)
