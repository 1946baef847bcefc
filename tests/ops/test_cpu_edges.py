import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from crosspoint3d.ops import cpu_edges, fallback_edges


def graph(clouds: int, count: int, k: int, generator: torch.Generator) -> Tensor:
    return torch.randint(0, count, (clouds, count, k), generator=generator)


@settings(max_examples=50, deadline=None)
@given(
    clouds=st.integers(0, 4),
    count=st.integers(1, 40),
    channels=st.integers(1, 150),
    k=st.integers(1, 12),
    dtype=st.sampled_from([torch.float32, torch.float64]),
    slope=st.sampled_from([0.0, 0.2]),
    seed=st.integers(0, 2**16),
)
def test_compiled_and_plain_passes_agree(
    clouds: int, count: int, channels: int, k: int, dtype: torch.dtype, slope: float, seed: int
) -> None:
    generator = torch.Generator().manual_seed(seed)
    indices = graph(clouds, count, k, generator)
    # Small whole numbers: ties everywhere, and every sum is exact.
    ab = torch.randint(-4, 5, (clouds, count, 2 * channels), generator=generator).to(dtype)
    gradient = torch.randint(-4, 5, (clouds, count, channels), generator=generator).to(dtype) * 5
    assert torch.equal(cpu_edges.neighbour_sum(gradient, indices), fallback_edges.neighbour_sum(gradient, indices))
    assert torch.equal(
        cpu_edges.neighbour_sum_backward(gradient, indices), fallback_edges.neighbour_sum_backward(gradient, indices)
    )
    out, winner = cpu_edges.edge_max(ab, indices, slope)
    expected, first = fallback_edges.edge_max(ab, indices, slope)
    assert torch.equal(out, expected) and torch.equal(winner, first)
    for kernels in (cpu_edges, fallback_edges):
        assert torch.equal(kernels.edge_max(ab, indices, slope, with_winner=False)[0], out)
    torch.testing.assert_close(
        cpu_edges.edge_max_backward(gradient, out, winner, indices, slope),
        fallback_edges.edge_max_backward(gradient, out, winner, indices, slope),
    )


def test_memory_layout_does_not_matter() -> None:
    generator = torch.Generator().manual_seed(0)
    wide = torch.randn(3, 20, 60, generator=generator)
    indices = graph(3, 20, 5, generator).mT.contiguous().mT
    part, gradient = wide[:, :, 7:27], wide.mT.contiguous().mT[:, :, :10]
    out, winner = cpu_edges.edge_max(part, indices, 0.2)
    assert torch.equal(out, cpu_edges.edge_max(part.contiguous(), indices.contiguous(), 0.2)[0])
    expected = cpu_edges.edge_max_backward(gradient.contiguous(), out, winner, indices.contiguous(), 0.2)
    assert torch.equal(cpu_edges.edge_max_backward(gradient, out, winner, indices, 0.2), expected)
    assert torch.equal(cpu_edges.neighbour_sum(part, indices), cpu_edges.neighbour_sum(part.contiguous(), indices))


@pytest.mark.parametrize("threads", [1, 3])
def test_the_number_of_threads_does_not_matter(threads: int) -> None:
    generator = torch.Generator().manual_seed(0)
    values, indices = torch.randn(2, 30, 200, generator=generator), graph(2, 30, 7, generator)
    expected = cpu_edges.neighbour_sum_backward(values, indices)
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        assert torch.equal(cpu_edges.neighbour_sum_backward(values, indices), expected)
    finally:
        torch.set_num_threads(before)
