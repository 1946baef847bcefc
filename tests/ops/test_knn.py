import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from crosspoint3d.ops import cpu_knn, fallback_knn, knn, reference


def brute_force(points: Tensor, k: int) -> list[list[list[int]]]:
    """By sorting tuples (is another point, distance, index) in float64."""
    result = []
    for cloud in points.double().tolist():
        rows = []
        for i, x in enumerate(cloud):
            keys = sorted(
                (j != i, sum((a - b) ** 2 for a, b in zip(x, y, strict=True)), j) for j, y in enumerate(cloud)
            )
            rows.append([j for _, _, j in keys[:k]])
        result.append(rows)
    return result


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_is_brute_force_on_grids_full_of_ties(data: st.DataObject) -> None:
    clouds, count, channels = data.draw(st.tuples(st.integers(1, 3), st.integers(1, 40), st.integers(1, 6)))
    k = data.draw(st.integers(1, count))
    seed = data.draw(st.integers(0, 2**16))
    spread = data.draw(st.integers(1, 4))
    points = torch.randint(
        -spread, spread + 1, (clouds, count, channels), generator=torch.Generator().manual_seed(seed)
    )
    # Multiples of 1/8 whose mean is exact as well, so that float32 is exact and every tie is one.
    points = torch.cat([points, -points], dim=1).float()[:, : 2 * count] / 8
    assert knn(points, k).tolist() == brute_force(points, k)


@pytest.mark.parametrize("channels", [3, 64])
@pytest.mark.parametrize("count", [1000, 1024, 1500])
def test_agrees_with_the_definition_on_real_numbers(channels: int, count: int) -> None:
    points = torch.randn(2, count, channels, generator=torch.Generator().manual_seed(count))
    mine, plain = knn(points, 20), reference.ordered_knn(points, 20)
    # Another order of summation may swap two neighbours at almost the same distance.
    assert (mine == plain).double().mean() > 0.9995
    distance = (points[:, :, None] - points[:, None]).square().sum(3)
    torch.testing.assert_close(distance.gather(2, mine), distance.gather(2, plain), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("channels", [3, 32])
def test_copies_of_a_point_come_in_the_order_of_their_index(channels: int) -> None:
    generator = torch.Generator().manual_seed(0)
    points = torch.randn(2, 600, channels, generator=generator)
    dropped = torch.rand(2, 600, 1, generator=generator) < 0.87
    points = torch.where(dropped, points[:, :1], points)
    indices = knn(points, 20)
    assert torch.equal(indices[:, :, 0], torch.arange(600).expand(2, -1))
    for cloud in range(2):
        copies = (points[cloud] == points[cloud, 0]).all(1).nonzero().flatten().tolist()
        for i in (copies[0], copies[7], copies[-1]):
            expected = [i] + [j for j in copies if j != i]
            assert indices[cloud, i].tolist() == expected[:20]
    assert (indices == reference.ordered_knn(points, 20)).double().mean() > 0.999


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_other_precisions(dtype: torch.dtype) -> None:
    points = torch.randint(-4, 5, (2, 30, 5), generator=torch.Generator().manual_seed(1)).to(dtype)
    points = torch.cat([points, -points], 1)
    assert torch.equal(knn(points, 9), reference.ordered_knn(points.double(), 9))


def test_far_from_the_origin_distances_stay_accurate() -> None:
    points = torch.randn(1, 200, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    moved = (points + 512).float()
    assert (knn(moved, 8) == reference.ordered_knn(moved.double(), 8)).double().mean() > 0.999


def test_no_gradient_and_no_autocast() -> None:
    points = torch.randn(1, 50, 16, generator=torch.Generator().manual_seed(3), requires_grad=True)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        indices = knn(points, 5)
    assert not indices.requires_grad
    assert torch.equal(indices, knn(points, 5))


def test_no_clouds_give_no_neighbours() -> None:
    assert knn(torch.zeros(0, 8, 3), 4).shape == (0, 8, 4)


@pytest.mark.parametrize(("count", "k"), [(5, 6), (5, 0), (0, 1), (5, -1)])
def test_impossible_k_is_named(count: int, k: int) -> None:
    with pytest.raises(ValueError, match=rf"k={k} must be between 1 and the clouds' {count} points"):
        knn(torch.zeros(1, count, 3), k)


def torch_and_compiled(points: Tensor, k: int) -> list[Tensor]:
    return [knn(points, k), fallback_knn.knn(points, k)]


@settings(max_examples=40, deadline=None)
@given(
    clouds=st.integers(1, 4),
    count=st.integers(1, 300),
    channels=st.sampled_from([1, 2, 3, 4, 10, 64]),
    kept=st.floats(0.05, 1.0),
    seed=st.integers(0, 2**16),
    data=st.data(),
)
def test_every_neighbour_is_as_near_as_the_true_one(
    clouds: int, count: int, channels: int, kept: float, seed: int, data: st.DataObject
) -> None:
    """With copies of the first point, as augmentation makes them."""
    k = data.draw(st.integers(1, min(count, 64)))
    generator = torch.Generator().manual_seed(seed)
    points = torch.randn(clouds, count, channels, generator=generator)
    dropped = torch.rand(clouds, count, 1, generator=generator) > kept
    points = torch.where(dropped, points[:, :1], points)
    exact = points.double()
    distance = (exact[:, :, None] - exact[:, None]).square().sum(3)
    wanted = distance.gather(2, reference.ordered_knn(exact, k))
    for indices in torch_and_compiled(points, k):
        assert torch.equal(indices[:, :, 0], torch.arange(count).expand(clouds, -1))
        assert all(len(set(row)) == k for cloud in indices.tolist() for row in cloud)
        torch.testing.assert_close(distance.gather(2, indices), wanted, rtol=1e-5, atol=1e-5)


def test_blocks_and_threads_do_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    points = torch.randn(5, 90, 7, generator=torch.Generator().manual_seed(0))
    points[2, 30:50] = points[2, :1]
    expected = knn(points, 11)
    before = torch.get_num_threads()
    for block, threads in ((1, 1), (1000, 3), (2 * 90**2, 2)):
        monkeypatch.setattr(cpu_knn, "BLOCK", block)
        torch.set_num_threads(threads)
        result = knn(points, 11)
        torch.set_num_threads(before)
        assert torch.equal(result, expected)


def test_a_long_list_of_candidates_is_still_in_order() -> None:
    """Most points of one group nearest of all: the bound lets hundreds through."""
    count = 2048
    points = torch.randn(1, count, 3, generator=torch.Generator().manual_seed(0))
    near = torch.arange(count) % 128 < 40
    points[0, near] = points[0, near] * 1e-3
    assert torch.equal(knn(points, 20), reference.ordered_knn(points, 20))


@pytest.mark.parametrize("channels", [3, 16])
@pytest.mark.parametrize("bad", [torch.nan, torch.inf, -torch.inf])
def test_values_that_are_not_finite_give_valid_neighbours(bad: float, channels: int) -> None:
    points = torch.randn(2, 150, channels, generator=torch.Generator().manual_seed(0))
    points[0, 3, 1] = bad
    points[0, 9, :] = bad
    for indices in torch_and_compiled(points, 20):
        assert indices.min() >= 0 and indices.max() < 150
        assert torch.equal(indices[:, :, 0], torch.arange(150).expand(2, -1))
        assert all(len(set(row)) == 20 for cloud in indices.tolist() for row in cloud)
        assert torch.equal(indices[1], knn(points[1:], 20)[0])
    if channels == 3:
        assert not {3, 9} & set(knn(points, 20)[0, 10:].flatten().tolist())


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16, torch.float64])
def test_memory_layout_does_not_matter(dtype: torch.dtype) -> None:
    points = torch.randn(6, 2, 50, generator=torch.Generator().manual_seed(0)).to(dtype).permute(1, 2, 0)
    assert not points.is_contiguous()
    assert torch.equal(knn(points, 7), knn(points.contiguous(), 7))


@pytest.mark.parametrize("spread", [0.1, 1e-2, 1e-3])
@pytest.mark.parametrize("channels", [16, 64, 128])
def test_near_points_far_from_the_middle_keep_their_order(channels: int, spread: float) -> None:
    """Distances from products alone lose these digits."""
    generator = torch.Generator().manual_seed(0)
    centres = torch.randn(2, 8, channels, generator=generator).repeat_interleave(40, dim=1)
    points = centres + spread * torch.randn(2, 320, channels, generator=generator)
    exact = points.double()
    distance = (exact[:, :, None] - exact[:, None]).square().sum(3)
    wanted = distance.gather(2, reference.ordered_knn(exact, 20))
    torch.testing.assert_close(distance.gather(2, knn(points, 20)), wanted, rtol=1e-5, atol=0)
