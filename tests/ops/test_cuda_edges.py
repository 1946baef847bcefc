"""The Triton kernels on the GPU where there is one, else in Triton's interpreter on the CPU."""

from collections.abc import Iterator

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from crosspoint3d.ops import fallback_edges

pytest.importorskip("triton", reason="no Triton on this system")
from crosspoint3d.ops import cuda_edges

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"


@pytest.fixture
def deterministic() -> Iterator[None]:
    torch.use_deterministic_algorithms(True)
    yield
    torch.use_deterministic_algorithms(False)


def example(clouds: int, count: int, channels: int, k: int, seed: int) -> tuple[Tensor, Tensor, Tensor]:
    """[a | b], neighbours and a gradient, of small whole numbers: ties everywhere, and every sum is exact."""
    generator = torch.Generator().manual_seed(seed)
    ab = torch.randint(-4, 5, (clouds, count, 2 * channels), generator=generator).float()
    indices = torch.randint(0, count, (clouds, count, k), generator=generator)
    gradient = 4 * torch.randint(-4, 5, (clouds, count, channels), generator=generator).float()
    return ab.to(DEVICE), indices.to(DEVICE), gradient.to(DEVICE)


def check(ab: Tensor, indices: Tensor, gradient: Tensor, slope: float) -> None:
    out, winner = cuda_edges.edge_max(ab, indices, slope)
    expected, first = fallback_edges.edge_max(ab.float(), indices, slope)
    assert out.dtype == ab.dtype and torch.equal(winner, first)
    torch.testing.assert_close(out, expected.to(ab.dtype))
    assert torch.equal(cuda_edges.edge_max(ab, indices, slope, with_winner=False)[0], out)
    back = fallback_edges.edge_max_backward(gradient.float(), expected, first, indices, slope)
    result = cuda_edges.edge_max_backward(gradient, out, winner, indices, slope)
    assert result.dtype == gradient.dtype
    torch.testing.assert_close(result, back.to(gradient.dtype))
    for mine, plain in (
        (cuda_edges.neighbour_sum, fallback_edges.neighbour_sum),
        (cuda_edges.neighbour_sum_backward, fallback_edges.neighbour_sum_backward),
    ):
        assert torch.equal(mine(gradient, indices), plain(gradient.float(), indices).to(gradient.dtype))


SHAPES = {
    "clouds": st.integers(0, 3),
    "count": st.integers(1, 20),
    "channels": st.sampled_from([1, 3, 16, 70, 130]),
    "k": st.integers(1, 8),
    "slope": st.sampled_from([0.0, 0.25]),
    "seed": st.integers(0, 2**16),
}


@settings(max_examples=15, deadline=None)
@given(dtype=st.sampled_from([torch.float32, torch.bfloat16, torch.float16]), **SHAPES)
def test_is_the_plain_pass(
    dtype: torch.dtype, clouds: int, count: int, channels: int, k: int, slope: float, seed: int
) -> None:
    ab, indices, gradient = example(clouds, count, channels, k, seed)
    check(ab.to(dtype), indices, gradient.to(dtype), slope)


@pytest.mark.usefixtures("deterministic")
@pytest.mark.parametrize(
    ("clouds", "count", "channels", "k"), [(2, 15, 20, 4), (1, 1, 1, 1), (3, 9, 130, 9), (0, 4, 4, 2)]
)
def test_without_atomics_it_is_the_same(clouds: int, count: int, channels: int, k: int) -> None:
    check(*example(clouds, count, channels, k, seed=0), slope=0.25)


@pytest.mark.usefixtures("deterministic")
def test_without_atomics_two_runs_are_equal_in_every_bit() -> None:
    ab, indices, _ = example(2, 16, 40, 6, seed=1)
    indices[:, :, 1:] = 0  # all lead to one point, as after point dropping
    gradient = torch.randn(2, 16, 40, generator=torch.Generator().manual_seed(0)).to(DEVICE)
    out, winner = cuda_edges.edge_max(ab, indices, 0.2)
    first = cuda_edges.edge_max_backward(gradient, out, winner, indices, 0.2)
    assert torch.equal(first, cuda_edges.edge_max_backward(gradient, out, winner, indices, 0.2))
    sums = cuda_edges.neighbour_sum_backward(gradient, indices)
    assert torch.equal(sums, cuda_edges.neighbour_sum_backward(gradient, indices))


def test_memory_layout_does_not_matter() -> None:
    ab, indices, gradient = example(2, 12, 18, 3, seed=2)
    channels_last, k_last = ab.mT.contiguous().mT, indices.mT.contiguous().mT
    assert not channels_last.is_contiguous() and not k_last.is_contiguous()
    check(channels_last, k_last, gradient.mT.contiguous().mT, 0.25)
    check(torch.cat([ab, ab], 2)[:, :, 10:46], indices, gradient, 0.25)


def test_sums_are_in_float32_whatever_the_input() -> None:
    values = torch.full((1, 200, 8), 1.0, dtype=torch.bfloat16, device=DEVICE)
    values[:, 1] = 1 / 128
    indices = torch.tensor([0] + [1] * 128, device=DEVICE).expand(1, 200, 129).contiguous()
    assert torch.equal(cuda_edges.neighbour_sum(values, indices), torch.full_like(values, 2.0))


def test_values_that_are_not_finite_stay_where_they_are() -> None:
    ab, indices, gradient = example(1, 10, 6, 3, seed=3)
    ab[0, 4], indices[indices == 4] = torch.nan, 5
    out, winner = cuda_edges.edge_max(ab, indices, 0.2)
    assert out[0, 4].isnan().all() and out[0, [0, 1, 2, 3, 5, 6, 7, 8, 9]].isfinite().all() and winner.max() < 3
    result = cuda_edges.edge_max_backward(gradient, out, winner, indices, 0.2)
    assert result.shape == ab.shape and result.isfinite().all()
