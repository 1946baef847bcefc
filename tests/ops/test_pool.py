import copy

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from crosspoint3d.ops import PooledLinear, cpu_pool, fallback_pool


def random_layer(in_dims: int, out_dims: int, seed: int, slope: float = 0.2, mean: bool = True) -> PooledLinear:
    generator = torch.Generator().manual_seed(seed)
    layer = PooledLinear(in_dims, out_dims, slope, mean)
    with torch.no_grad():
        layer.linear.weight.normal_(generator=generator)
        layer.norm.weight.normal_(generator=generator)  # negative gammas too
        layer.norm.bias.normal_(generator=generator)
        layer.norm.running_mean.normal_(generator=generator)
        layer.norm.running_var.uniform_(0.5, 2.0, generator=generator)
    return layer


def definition(layer: PooledLinear, x: Tensor) -> Tensor:
    rows = nn.functional.leaky_relu(layer.norm(layer.linear(x).mT).mT, layer.slope)
    largest = rows.max(1).values
    return torch.cat([largest, rows.mean(1)], 1) if layer.mean else largest


def compare(layer: PooledLinear, x: Tensor) -> None:
    plain = copy.deepcopy(layer).double()
    mine, exact = x.clone().requires_grad_(), x.double().requires_grad_()
    result, expected = layer(mine), definition(plain, exact)
    torch.testing.assert_close(result.double(), expected, rtol=1e-5, atol=1e-5)
    for (name, value), wanted in zip(layer.named_buffers(), plain.buffers(), strict=True):
        torch.testing.assert_close(value.double(), wanted.double(), rtol=1e-5, atol=1e-6, msg=name)
    direction = torch.randn(result.shape, generator=torch.Generator().manual_seed(0))
    inputs = [mine, *layer.parameters()]
    gradients = torch.autograd.grad((result * direction.to(result)).sum(), inputs)
    wanted = torch.autograd.grad((expected * direction.double()).sum(), [exact, *plain.parameters()])
    for got, right in zip(gradients, wanted, strict=True):
        torch.testing.assert_close(got.double(), right, rtol=1e-4, atol=1e-4 * max(1.0, right.abs().max().item()))


@settings(max_examples=40, deadline=None)
@given(
    clouds=st.integers(1, 4),
    count=st.integers(2, 150),
    in_dims=st.integers(1, 8),
    out_dims=st.integers(1, 150),
    slope=st.sampled_from([0.0, 0.2]),
    mean=st.booleans(),
    training=st.booleans(),
    double=st.booleans(),
    seed=st.integers(0, 2**16),
)
def test_is_the_plain_layer(
    clouds: int,
    count: int,
    in_dims: int,
    out_dims: int,
    slope: float,
    mean: bool,
    training: bool,
    double: bool,
    seed: int,
) -> None:
    x = torch.randn(clouds, count, in_dims, generator=torch.Generator().manual_seed(seed))
    layer = random_layer(in_dims, out_dims, seed, slope, mean).train(training)
    compare(layer.double() if double else layer, x.double() if double else x)


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 4), st.integers(1, 60), st.integers(1, 70), st.integers(0, 2**16))
def test_plain_torch_does_the_same(clouds: int, count: int, channels: int, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    y = torch.randn(clouds, count, channels, generator=generator)
    y[:, -1] = y[:, 0]  # a tie: the first one counts
    columns = torch.randn(4, channels, generator=generator).unbind()
    columns[1].abs_()
    for mine, plain in zip(cpu_pool.moments(y), fallback_pool.moments(y), strict=True):
        torch.testing.assert_close(mine, plain, rtol=1e-5, atol=1e-4)
    for mine, plain in zip(cpu_pool.pool(y, *columns, 0.2), fallback_pool.pool(y, *columns, 0.2), strict=True):
        torch.testing.assert_close(mine, plain, rtol=1e-5, atol=1e-5)
    flow = torch.randn(clouds, channels, generator=generator)
    rest = torch.randn(2, channels, generator=generator).unbind()
    torch.testing.assert_close(
        cpu_pool.backward(y, *columns, 0.2, flow, *rest), fallback_pool.backward(y, *columns, 0.2, flow, *rest)
    )


def test_far_values_keep_exact_statistics() -> None:
    x = 1 + 1e-3 * torch.randn(3, 200, 2, generator=torch.Generator().manual_seed(0))
    layer, plain = random_layer(2, 5, 0).train(), random_layer(2, 5, 0).double().train()
    layer(x), definition(plain, layer.linear(x).detach().double() @ torch.linalg.pinv(plain.linear.weight).mT)
    y = layer.linear(x).detach().double().flatten(0, 1)
    fresh = random_layer(2, 5, 0).norm
    expected = 0.9 * fresh.running_var.double() + 0.1 * y.var(0)
    torch.testing.assert_close(layer.norm.running_var.double(), expected, rtol=1e-6, atol=0)


def test_bfloat16_autocast_stays_close_and_learns() -> None:
    x = torch.randn(2, 80, 16, generator=torch.Generator().manual_seed(0), requires_grad=True)
    layer = random_layer(16, 32, 0).train()
    with torch.autocast("cpu", torch.bfloat16):
        half = layer(x)
    half.sum().backward()
    torch.testing.assert_close(half.float(), random_layer(16, 32, 0).train()(x), rtol=0.1, atol=0.1)
    assert x.grad is not None and x.grad.isfinite().all()


def test_one_point_and_no_clouds() -> None:
    layer = random_layer(4, 6, 0)
    with pytest.raises(ValueError, match="at least 2 points"):
        layer.train()(torch.zeros(1, 1, 4))
    with pytest.raises(ValueError, match="at least 2 points"):
        layer(torch.zeros(0, 5, 4))
    assert layer.eval()(torch.zeros(1, 1, 4)).shape == (1, 12)
    assert layer(torch.zeros(0, 5, 4)).shape == (0, 12)


@pytest.mark.parametrize("training", [True, False])
def test_not_a_number_stays_visible(training: bool) -> None:
    x = torch.randn(2, 9, 4, generator=torch.Generator().manual_seed(0))
    x[1, 5, 2] = torch.nan
    result = random_layer(4, 6, 0, mean=False).train(training)(x)
    assert result[1].isnan().all() and (training or result[0].isfinite().all())


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_networks_keep_their_type(dtype: torch.dtype) -> None:
    x = torch.randn(2, 9, 4, generator=torch.Generator().manual_seed(0))
    layer = random_layer(4, 6, 0).eval()
    expected = layer(x)
    result = layer.to(dtype)(x.to(dtype))
    assert result.dtype == dtype
    torch.testing.assert_close(result.float(), expected, rtol=0.1, atol=0.1)
