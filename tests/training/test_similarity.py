"""Similarity statistics equal their plain definitions, whatever the batch, its device type and its size."""

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from crosspoint3d.models.crosspoint import Projections
from crosspoint3d.training.similarity import MOST_SHAPES, effective_rank, mean_cosines, similarity, uniformity


def rows(count: int, width: int, seed: int, spread: float = 1.0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    centre = torch.randn(width, generator=generator)
    return centre + spread * torch.randn(count, width, generator=generator)


def unit(part: Tensor) -> np.ndarray:
    wide = part.double().numpy()
    result: np.ndarray = wide / np.linalg.norm(wide, axis=1, keepdims=True)
    return result


@pytest.mark.parametrize(("count", "width"), [(2, 8), (9, 4), (16, 256)])
def test_every_value_is_its_definition(count: int, width: int) -> None:
    first, second, pictures = (rows(count, width, seed) for seed in range(3))
    values = similarity(Projections(first, second, pictures))
    pairs = {"intra": (unit(first), unit(second)), "cross": (unit((first + second) / 2), unit(pictures))}
    for name, (a, b) in pairs.items():
        cosines = [[float(x @ y) for y in b] for x in a]
        others = [cosines[i][j] for i in range(count) for j in range(count) if i != j]
        assert values[f"{name}_positive_cosine"] == pytest.approx(np.mean([cosines[i][i] for i in range(count)]), 1e-5)
        assert values[f"{name}_negative_cosine"] == pytest.approx(np.mean(others), rel=1e-5, abs=1e-6)
        assert values[f"{name}_alignment"] == pytest.approx(np.mean(np.sum((a - b) ** 2, axis=1)), 1e-5)
    for name, part in (("cloud", pairs["intra"][0]), ("image", pairs["cross"][1])):
        distances = [np.sum((part[i] - part[j]) ** 2) for i in range(count) for j in range(i)]
        assert values[f"{name}_uniformity"] == pytest.approx(math.log(np.mean(np.exp(-2 * np.array(distances)))), 1e-5)
        share = np.linalg.svd(part, compute_uv=False)
        share = share[share > 0] / share.sum()
        assert values[f"{name}_effective_rank"] == pytest.approx(np.exp(-(share * np.log(share)).sum()), 1e-5)


def test_of_several_pictures_it_says_the_mean_over_them() -> None:
    first, second = rows(7, 5, 0), rows(7, 5, 1)
    pictures = torch.stack([rows(7, 5, seed) for seed in (2, 3, 4)], dim=1)
    values = similarity(Projections(first, second, pictures))
    each = [similarity(Projections(first, second, pictures[:, v])) for v in range(3)]
    for name, value in values.items():
        expected = [one[name] for one in each] if name.startswith("cross") else [each[0][name]]
        assert value == pytest.approx(np.mean(expected), rel=1e-5, abs=1e-6), name
    assert similarity(Projections(first, second, pictures[:, :1])) == each[0]


def test_without_pictures_nothing_is_said_of_them() -> None:
    values = similarity(Projections(rows(4, 8, 0), rows(4, 8, 1), None))
    assert {name.split("_")[0] for name in values} == {"intra", "cloud"}


@pytest.mark.parametrize("rank", [1, 3, 8])
def test_effective_rank_of_equal_directions_is_their_number(rank: int) -> None:
    generator = torch.Generator().manual_seed(rank)
    directions, _ = torch.linalg.qr(torch.randn(32, rank, generator=generator))
    assert effective_rank(directions.T.repeat(5, 1)) == pytest.approx(rank, rel=1e-4)


def test_collapsed_projections_show_it() -> None:
    same = rows(1, 64, 0).repeat(16, 1)
    values = similarity(Projections(same, same, torch.zeros(16, 64)))
    assert values["cloud_effective_rank"] == pytest.approx(1, abs=1e-3)
    assert values["intra_negative_cosine"] == pytest.approx(1, abs=1e-5)
    assert values["cloud_uniformity"] == pytest.approx(0, abs=1e-5)
    assert (values["image_effective_rank"], values["image_uniformity"]) == (0, 0)
    assert values["cross_negative_cosine"] == 0
    assert all(math.isfinite(value) for value in values.values())


def test_half_precision_and_gradients_change_nothing() -> None:
    first, second = rows(8, 16, 0).bfloat16(), rows(8, 16, 1).bfloat16()
    found = similarity(Projections(first.clone().requires_grad_(), second, None))
    assert found == similarity(Projections(first.float(), second.float(), None))


def test_a_large_batch_is_judged_by_its_first_shapes() -> None:
    first, second = rows(MOST_SHAPES + 90, 8, 0), rows(MOST_SHAPES + 90, 8, 1)
    found = similarity(Projections(first, second, None))
    assert found == similarity(Projections(first[:MOST_SHAPES], second[:MOST_SHAPES], None))


def test_evenly_spread_rows_are_more_uniform_than_a_cluster() -> None:
    wide, narrow = (torch.nn.functional.normalize(rows(64, 32, 0, spread), dim=1) for spread in (100.0, 0.1))
    assert uniformity(wide) < -3 < -0.5 < uniformity(narrow) < 0
    assert mean_cosines(wide, wide)[0] == pytest.approx(1, abs=1e-5)
