import copy
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from crosspoint3d.models import PartHead, reference
from crosspoint3d.models.tower import seeded_weights

HEADS: dict[str, dict[str, Any]] = {
    "published": {},
    "pointnet's": {"category_dims": 0, "slope": 0.0},
    "light": {"widths": (16,), "category_dims": 0},
    "linear": {"widths": (), "category_dims": 0},
    "linear with a layer for the category": {"widths": (), "category_dims": 6},
}
Given = tuple[Tensor, Tensor, Tensor]


def head(name: str, seed: int = 0, dropout: float = 0.0) -> PartHead:
    """For 12 features of points, 20 of clouds, 5 categories and 7 parts, with weights as training leaves them."""
    with seeded_weights(seed):
        result = PartHead(12, 20, 5, 7, dropout=dropout, **HEADS[name])
    generator = torch.Generator().manual_seed(seed)
    for norm in result.modules():
        if isinstance(norm, nn.BatchNorm1d):
            assert norm.running_mean is not None and norm.running_var is not None
            norm.running_mean.normal_(0, 0.3, generator=generator)
            norm.running_var.uniform_(0.5, 2, generator=generator)
            if norm.affine:
                nn.init.normal_(norm.weight, 0.8, 0.4, generator=generator)
                nn.init.normal_(norm.bias, 0, 0.3, generator=generator)
    return result


def given(seed: int = 0, batch: int = 4, dtype: torch.dtype = torch.float64) -> Given:
    generator = torch.Generator().manual_seed(seed)
    per_point = torch.randn(batch, 9, 12, generator=generator, dtype=dtype).requires_grad_()
    cloud = torch.randn(batch, 20, generator=generator, dtype=dtype).add(1).requires_grad_()
    return per_point, cloud, torch.randint(5, (batch,), generator=generator)


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("name", HEADS)
def test_is_the_plain_definition_with_its_gradients(name: str, training: bool) -> None:
    model, (per_point, cloud, category) = head(name).double().train(training), given()
    wanted = [per_point, cloud, *model.parameters()]
    expected = reference.part_head(model, per_point, cloud, category, training)
    logits = model(per_point, cloud, category)
    assert logits.shape == (4, 9, 7)
    torch.testing.assert_close(logits, expected, rtol=1e-9, atol=1e-12)
    direction = torch.randn(logits.shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    for ours, plain in zip(*(torch.autograd.grad(y, wanted, direction) for y in (logits, expected)), strict=True):
        torch.testing.assert_close(ours, plain, rtol=1e-8, atol=1e-10)


def test_running_statistics_are_those_of_all_rows() -> None:
    model, (per_point, cloud, category) = head("light").double(), given()
    repeated = torch.cat([cloud, nn.functional.one_hot(category, 5)], dim=1)[:, None].expand(-1, 9, -1)
    rows = (torch.cat([repeated, per_point], dim=2) @ model.first.weight.T).flatten(0, 1)
    norm = model.norm
    assert norm is not None and norm.running_mean is not None and norm.running_var is not None
    mean = 0.9 * norm.running_mean + 0.1 * rows.mean(0)
    variance = 0.9 * norm.running_var + 0.1 * rows.var(0)
    model(per_point, cloud, category)
    torch.testing.assert_close(norm.running_mean, mean)
    torch.testing.assert_close(norm.running_var, variance)


def test_the_features_of_clouds_are_not_repeated() -> None:
    model, points = PartHead(12, 512, 5, 7, widths=(16, 16)), 100
    kept: list[int] = []

    def pack(value: Tensor) -> Tensor:
        kept.append(value.numel())
        return value

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda value: value):
        model(torch.randn(3, points, 12), torch.randn(3, 512), torch.tensor([0, 1, 2]))
    assert max(kept) < 3 * points * 64


def test_dropout_is_the_generators() -> None:
    model, (per_point, cloud, category) = head("published", dropout=0.5), given(dtype=torch.float32)

    def logits(seed: int) -> Tensor:
        result: Tensor = model(per_point, cloud, category, torch.Generator().manual_seed(seed))
        return result

    state = torch.get_rng_state()
    one, again, other = logits(0), logits(0), logits(1)
    assert torch.equal(state, torch.get_rng_state())
    assert torch.equal(one, again) and not torch.equal(one, other)
    model.eval()
    assert torch.equal(logits(0), logits(1))
    torch.testing.assert_close(logits(0), reference.part_head(model, per_point, cloud, category, False))


def test_bfloat16_autocast_stays_close() -> None:
    for name in HEADS:
        model, (per_point, cloud, category) = head(name), given(dtype=torch.float32)
        for training in (True, False):
            twin = copy.deepcopy(model).train(training)
            with torch.autocast("cpu", dtype=torch.bfloat16):
                half = twin(per_point, cloud, category)
            expected = reference.part_head(model, per_point, cloud, category, training)
            assert (half.float() - expected).abs().max() < 0.05 * expected.abs().max(), name
            torch.autograd.backward(half.float().sum())


@pytest.mark.parametrize("name", HEADS)
def test_config_builds_the_same_head(name: str) -> None:
    model, inputs = head(name).eval(), given(dtype=torch.float32)
    twin = PartHead(**model.config()).eval()
    twin.load_state_dict(model.state_dict())
    assert torch.equal(twin(*inputs), model(*inputs)) and twin.config() == model.config()


def test_published_widths() -> None:
    shapes = {name: tuple(value.shape) for name, value in PartHead(192, 1024, 16, 50).named_parameters()}
    linear = {name: shape for name, shape in shapes.items() if "norm" not in name}
    assert linear == {
        "category.linear.weight": (64, 16),
        "first.weight": (256, 1280),
        "hidden.0.linear.weight": (256, 256),
        "hidden.1.linear.weight": (128, 256),
        "last.weight": (50, 128),
    }


def test_refusals_name_the_cause() -> None:
    for wrong in ({"widths": (8, 0)}, {"dropout": 1.0}, {"category_dims": -1}, {"parts": 0}):
        with pytest.raises(ValueError, match=r"PartHead: .*must be positive"):
            PartHead(**{"point_dims": 3, "cloud_dims": 4, "categories": 2, "parts": 5} | wrong)
    per_point, cloud, category = given(dtype=torch.float32)
    for name in ("published", "linear"):
        with pytest.raises(ValueError, match="at least 2 rows"):
            head(name)(per_point[:1], cloud[:1], category[:1])
    assert head("light")(per_point[:1], cloud[:1], category[:1]).isfinite().all()
