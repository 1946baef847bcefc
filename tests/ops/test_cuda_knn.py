"""The Triton kernels on the GPU where there is one, else in Triton's interpreter on the CPU."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from crosspoint3d.ops import reference

pytest.importorskip("triton", reason="no Triton on this system")
from crosspoint3d.ops import cuda_knn
from crosspoint3d.ops.cuda_candidates import find_candidates

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
DTYPES = [torch.float32, torch.bfloat16, torch.float16]


def grid(clouds: int, count: int, channels: int, seed: int, spread: int = 2) -> Tensor:
    """Multiples of 1/8, exact in every type and full of ties and copies."""
    generator = torch.Generator().manual_seed(seed)
    whole = torch.randint(-spread, spread + 1, (clouds, count, channels), generator=generator)
    return (whole / 8).to(DEVICE)


def real(clouds: int, count: int, channels: int, seed: int = 0) -> Tensor:
    return torch.randn(clouds, count, channels, generator=torch.Generator().manual_seed(seed)).to(DEVICE)


def knn(points: Tensor, k: int, listed: bool) -> Tensor:
    """By lists of candidates, or as small clouds are done; without a warning for infinity less infinity."""
    with pytest.MonkeyPatch.context() as patch, np.errstate(over="ignore", invalid="ignore"):
        patch.setattr(cuda_knn, "SMALL", 0 if listed else 128)
        return cuda_knn.knn(points, k)


def check(points: Tensor, k: int, listed: bool = True) -> None:
    """In the very order of the definition."""
    assert torch.equal(knn(points, k, listed), reference.ordered_knn(points.float(), k))


def check_distances(points: Tensor, k: int, listed: bool = True) -> None:
    """Itself first, no point twice, and every distance within 1e-5 of that of the true neighbour."""
    mine, plain = knn(points, k, listed), reference.ordered_knn(points.double(), k)
    distance = torch.cdist(points.double(), points.double(), compute_mode="donot_use_mm_for_euclid_dist").square()
    torch.testing.assert_close(distance.gather(2, mine), distance.gather(2, plain), rtol=1e-5, atol=0)
    assert torch.equal(mine[:, :, 0], torch.arange(points.shape[1], device=DEVICE).expand(mine.shape[:2]))
    assert (mine.sort(2).values.diff(dim=2) > 0).all()


@settings(max_examples=20, deadline=None)
@given(
    clouds=st.integers(0, 2),
    count=st.integers(1, 50),
    channels=st.sampled_from([1, 2, 3, 5, 40]),
    dtype=st.sampled_from(DTYPES),
    listed=st.booleans(),
    seed=st.integers(0, 2**16),
    data=st.data(),
)
def test_is_the_definition_on_grids_full_of_ties(
    clouds: int, count: int, channels: int, dtype: torch.dtype, listed: bool, seed: int, data: st.DataObject
) -> None:
    k = data.draw(st.integers(1, min(count, 16)))
    spread = data.draw(st.sampled_from([1, 8]))
    check(grid(clouds, count, channels, seed, spread).to(dtype), k, listed)


@pytest.mark.parametrize(("count", "channels", "k"), [(200, 3, 3), (65, 130, 5), (129, 5, 64), (60, 64, 16)])
def test_real_numbers(count: int, channels: int, k: int) -> None:
    points = real(1, count, channels)
    check_distances(points, k)
    _, counts = find_candidates(points, k, 128)
    assert k - 1 <= counts.min() and counts.max() < 2 * k + 12


def test_scale_and_place_of_a_cloud_do_not_matter() -> None:
    points = real(1, 40, 3)
    far = torch.cat([points[:, :39], 1e8 * points[:, 39:]], 1)
    check_distances(torch.cat([1e-6 * far, points + 100, far]), 9)


@pytest.mark.parametrize("listed", [False, True])
def test_copies_of_a_point_come_in_the_order_of_their_index(listed: bool) -> None:
    points = real(1, 80, 20)
    dropped = torch.rand(1, 80, 1, generator=torch.Generator().manual_seed(1)).to(DEVICE) < 0.87
    points = torch.where(dropped, points[:, :1], points)
    points[:, ::7] *= -1  # copies of another, and of 0 with either sign
    points[:, :40:13] = 0.0
    points[:, 1:40:13] = -0.0
    indices = knn(points, 10, listed)
    assert torch.equal(indices, reference.ordered_knn(points, 10))
    copies = (points[0] == points[0, 2]).all(1).nonzero().flatten().tolist()
    assert len(copies) > 32
    assert indices[0, copies[-1]].tolist() == [copies[-1], *copies[:9]]
    _, counts = find_candidates(points, 10, 32)
    assert counts.max() <= 32


@pytest.mark.parametrize("listed", [False, True])
def test_equal_points_only(listed: bool) -> None:
    check(torch.ones(1, 60, 8, device=DEVICE), 16, listed)


def test_overflowing_lists_give_way_to_an_exact_search() -> None:
    points = real(1, 50, 4)
    points[:, :40] = 1e-4 * points[:, :40] + torch.tensor([9.0, 0, 0, 0], device=DEVICE)
    _, counts = find_candidates(points, 5, 32)
    assert (counts[:40] > 32).all() and (counts[40:] <= 32).all()
    check_distances(points, 5)


def test_neighbours_that_share_their_groups_overflow_and_are_found() -> None:
    """All 45 near points lie in the same 15 of 128 groups, so that the 16th smallest minimum is far away."""
    points = 100 * torch.nn.functional.normalize(real(1, 300, 3), dim=2)
    tile, lane = torch.arange(3)[:, None], torch.arange(15)
    columns = (tile * 128 + (lane // 8 + 5 * tile) % 16 * 8 + lane % 8).flatten()
    columns = columns[columns < 300].to(DEVICE)
    points[:, columns] = real(1, len(columns), 3, seed=1)
    _, counts = find_candidates(points, 16, 32)
    assert (counts[columns] > 32).all()
    check_distances(points, 16)


@pytest.mark.parametrize("listed", [False, True])
def test_values_that_are_not_finite_are_infinitely_far(listed: bool) -> None:
    points = grid(1, 50, 4, seed=0, spread=8)
    points[0, 3:6, 1] = torch.tensor([torch.nan, torch.inf, -torch.inf])
    points[0, 6] = torch.nan
    check(points, 7, listed)
    points[0, 4:] = torch.nan
    check(points, 7, listed)


@pytest.mark.parametrize("listed", [False, True])
def test_numbers_too_large_to_square(listed: bool) -> None:
    points = grid(1, 40, 3, seed=0, spread=8)
    points[0, ::3] *= 2.0**120
    check(points, 6, listed)


@pytest.mark.parametrize("listed", [False, True])
def test_memory_layout_does_not_matter(listed: bool) -> None:
    points = grid(2, 40, 5, seed=3, spread=8)
    channels_first, points_first = points.mT.contiguous().mT, points.transpose(0, 1).contiguous().transpose(0, 1)
    assert not channels_first.is_contiguous() and not points_first.is_contiguous()
    check(channels_first, 9, listed)
    check(points_first[:, :, 1:4], 9, listed)
    check(points[:1, :, ::2].expand(2, -1, -1), 9, listed)


def test_a_cloud_of_one_point_and_no_clouds() -> None:
    check(real(3, 1, 4), 1)
    assert cuda_knn.knn(torch.zeros(0, 300, 3, device=DEVICE), 4).shape == (0, 300, 4)
