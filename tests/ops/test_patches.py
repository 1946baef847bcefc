"""Farthest and nearest points: the plain definitions, on both backends, with ties, copies and odd values."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from crosspoint3d import geometry
from crosspoint3d.ops import cpu_patches, fallback_patches, reference
from crosspoint3d.ops.patches import farthest_points, nearest

BACKENDS = {"numba": cpu_patches, "torch": fallback_patches}


def normal(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float32) -> Tensor:
    return torch.randn(*shape, 3, generator=torch.Generator().manual_seed(seed)).to(dtype)


def grid(clouds: int, count: int, spread: int, seed: int) -> Tensor:
    """Points whose distances are exact and full of ties."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(-spread, spread + 1, (clouds, count, 3), generator=generator) / 8


def is_farthest_sampling(cloud: Tensor, chosen: list[int]) -> None:
    """Every choice is the lowest index among the points farthest from those before; then all again."""
    squared = (cloud[:, None].double() - cloud[None].double()).square().sum(2)
    for step in range(1, len(chosen)):
        distance = squared[:, chosen[:step]].amin(1)
        if float(distance.max()) == 0:
            assert chosen[step:] == [chosen[i % step] for i in range(step, len(chosen))]
            return
        assert chosen[step] == int(distance.argmax())


@pytest.mark.parametrize("backend", BACKENDS)
@settings(max_examples=30, deadline=None)
@given(st.data())
def test_farthest_points_with_ties_and_copies(backend: str, data: st.DataObject) -> None:
    clouds, count, spread = data.draw(st.tuples(st.integers(1, 3), st.integers(1, 30), st.integers(0, 3)))
    points = grid(clouds, count, spread, data.draw(st.integers(0, 2**16)))
    wanted = data.draw(st.integers(1, count))
    start = torch.tensor([data.draw(st.integers(0, count - 1)) for _ in range(clouds)])
    chosen = BACKENDS[backend].farthest_points(points, wanted, start)
    assert torch.equal(chosen[:, 0], start)
    for cloud, mine in zip(points, chosen.tolist(), strict=True):
        is_farthest_sampling(cloud, mine)


@pytest.mark.parametrize("seed", range(4))
def test_farthest_points_are_those_of_geometry_and_of_the_plain_definition(seed: int) -> None:
    points = normal(3, 300, seed=seed, dtype=torch.float64)
    for cloud in points:
        starts = np.random.default_rng(seed)
        plain = geometry.farthest_points(cloud.numpy(), 40, starts)
        start = torch.tensor([int(np.random.default_rng(seed).integers(300))])
        assert farthest_points(cloud[None], 40, start)[0].tolist() == plain.tolist()
        assert torch.equal(farthest_points(cloud[None], 40, start)[0], reference.farthest_points(cloud, 40, int(start)))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_backends_agree_bit_for_bit(dtype: torch.dtype) -> None:
    points, places = normal(4, 500, seed=1, dtype=dtype), normal(4, 37, seed=2, dtype=dtype)
    start = torch.tensor([3, 0, 499, 77])
    farthest = [backend.farthest_points(points, 64, start) for backend in BACKENDS.values()]
    assert torch.equal(*farthest)
    near = [backend.nearest(places, points, 32) for backend in BACKENDS.values()]
    assert torch.equal(*near)


def test_the_start_is_the_point_farthest_from_the_mean() -> None:
    points = normal(5, 80)
    expected = (points.double() - points.double().mean(1, keepdim=True)).norm(dim=2).argmax(1)
    assert torch.equal(farthest_points(points, 7)[:, 0], expected)
    moved = points + torch.tensor([4.0, -2.0, 1.0])
    assert torch.equal(farthest_points(moved, 1), farthest_points(points, 1))


def test_the_places_chosen_do_not_depend_on_the_order_of_the_points() -> None:
    points = normal(4, 60)
    points[1, 20:] = points[1, 3]  # fewer different points than are chosen
    points[2] = points[2, :1]
    order = torch.randperm(60, generator=torch.Generator().manual_seed(1))
    one, two = (x.gather(1, farthest_points(x, 32)[:, :, None].expand(-1, -1, 3)) for x in (points, points[:, order]))
    assert torch.equal(one, two)


@pytest.mark.parametrize("backend", BACKENDS)
@settings(max_examples=30, deadline=None)
@given(st.data())
def test_nearest_is_brute_force(backend: str, data: st.DataObject) -> None:
    clouds, count, many = data.draw(st.tuples(st.integers(1, 3), st.integers(1, 40), st.integers(1, 9)))
    k, spread = data.draw(st.integers(1, count)), data.draw(st.integers(1, 4))
    seed = data.draw(st.integers(0, 2**16))
    points, places = grid(clouds, count, spread, seed), grid(clouds, many, spread, seed + 1)
    squared = (places[:, :, None] - points[:, None]).square().sum(3)
    expected = squared.sort(dim=2, stable=True).indices[:, :, :k]
    assert torch.equal(BACKENDS[backend].nearest(places, points, k), expected)


def test_blocks_do_not_change_the_result(monkeypatch: pytest.MonkeyPatch) -> None:
    points, places = normal(5, 50), normal(5, 8, seed=1)
    whole = fallback_patches.nearest(places, points, 6)
    monkeypatch.setattr(fallback_patches, "BLOCK", 900)
    assert torch.equal(fallback_patches.nearest(places, points, 6), whole)


@pytest.mark.parametrize("backend", BACKENDS)
def test_what_is_no_number_is_the_last_choice(backend: str) -> None:
    points, places = normal(2, 20), normal(2, 3, seed=1)
    points[:, 4] = torch.nan
    points[1, 7, 2] = torch.inf
    near = BACKENDS[backend].nearest(places, points, 20)
    assert (near[0, :, -1] == 4).all() and near[1, :, -2:].tolist() == [[4, 7]] * 3
    chosen = BACKENDS[backend].farthest_points(points, 20, torch.zeros(2, dtype=torch.int64))
    assert int(chosen.min()) >= 0 and int(chosen.max()) < 20


def test_half_precision_is_widened_and_nothing_has_a_gradient() -> None:
    points = normal(2, 50).requires_grad_()
    assert torch.equal(farthest_points(points.bfloat16(), 9), farthest_points(points.bfloat16().float(), 9))
    assert torch.equal(nearest(points[:, :5].half(), points, 4)[:, :, 0], torch.arange(5).expand(2, -1))
    assert not farthest_points(points, 9).requires_grad


def test_nothing_to_do() -> None:
    assert farthest_points(normal(0, 5), 3).shape == (0, 3)
    assert nearest(normal(2, 0), normal(2, 5), 3).shape == (2, 0, 3)


def test_arguments_that_cannot_work() -> None:
    with pytest.raises(ValueError, match="farthest_points: count=6 must be between 1 and the clouds' 5 points"):
        farthest_points(normal(1, 5), 6)
    with pytest.raises(ValueError, match="nearest: k=0 must be between 1 and the clouds' 5 points"):
        nearest(normal(1, 2), normal(1, 5), 0)
