import pytest
import torch

from crosspoint3d.models.pointwise import PointwiseLinear, dropped, normalised


@pytest.mark.parametrize("probability", [0.5, 0.2, 0.9])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_dropout_keeps_the_share_and_the_mean(probability: float, dtype: torch.dtype) -> None:
    x = torch.full((4001, 25), 3.0, dtype=dtype, requires_grad=True)
    result = dropped(x, probability, torch.Generator().manual_seed(0))
    kept = result != 0
    deviation = (probability * (1 - probability) / x.numel()) ** 0.5
    assert abs(kept.double().mean() - (1 - probability)) < 4 * deviation
    torch.testing.assert_close(result[kept], x[kept] / (1 - probability), rtol=1e-2, atol=0)
    result.sum().backward()
    assert x.grad is not None and torch.equal(x.grad != 0, kept)
    torch.testing.assert_close(x.grad[kept], result[kept] / 3, rtol=1e-2, atol=0)


def test_dropout_of_one_value_says_nothing_of_the_next() -> None:
    kept = dropped(torch.ones(400_000), 0.5, torch.Generator().manual_seed(1)) - 1
    assert all(abs((kept[step:] * kept[:-step]).mean()) < 0.01 for step in range(1, 9))


def test_dropout_is_the_generators_and_may_be_none() -> None:
    x, generator = torch.ones(7, 3), torch.Generator().manual_seed(0)
    first, second = dropped(x, 0.5, generator), dropped(x, 0.5, generator)
    assert not torch.equal(first, second)
    assert torch.equal(first, dropped(x, 0.5, torch.Generator().manual_seed(0)))
    assert dropped(x, 0.0, generator) is x
    torch.manual_seed(4)
    own = dropped(x, 0.5, None)
    torch.manual_seed(4)
    assert torch.equal(own, dropped(x, 0.5, None))


def test_a_bias_is_taken_away_by_batch_norm() -> None:
    layer, x = PointwiseLinear(5, 4, 0.2, bias=True), torch.randn(2, 9, 5, generator=torch.Generator().manual_seed(0))
    shifted = PointwiseLinear(5, 4, 0.2)
    shifted.load_state_dict({name: v for name, v in layer.state_dict().items() if name != "linear.bias"})
    torch.testing.assert_close(layer(x), shifted(x))
    assert not torch.allclose(layer.eval()(x), shifted.eval()(x))


def test_one_row_has_no_variance() -> None:
    norm = torch.nn.BatchNorm1d(3, affine=False)
    with pytest.raises(ValueError, match="at least 2 rows"):
        normalised(torch.ones(1, 1, 3), norm)
    assert normalised(torch.ones(1, 2, 3), norm).shape == (1, 2, 3)
