import io

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from crosspoint3d.config import UsageError
from crosspoint3d.evaluation.features import compute_features, compute_image_features, project, subsample
from crosspoint3d.models import PointNet, ProjectionHead, Tower
from tests.evaluation.fakes import Radii


class MeanColour(nn.Module):
    features = 3

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return images.mean((2, 3))


def cloud(count: int = 5, points: int = 10, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(count, points, 3)).astype(np.float32)


def encoded(colour: tuple[int, int, int], size: int = 16, form: str = "PNG") -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (size, size), colour).save(buffer, form)
    return buffer.getvalue()


def test_all_points_are_returned_unchanged() -> None:
    points = cloud()
    assert subsample(points, 10, seed=0) is points


def test_a_subset_is_drawn_from_each_cloud_without_repeats() -> None:
    points = cloud()
    picked = subsample(points, 4, seed=0)
    places = []
    for whole, part in zip(points, picked, strict=True):
        rows = [int(np.flatnonzero((whole == point).all(axis=1))[0]) for point in part]
        assert len(set(rows)) == 4
        places.append(tuple(rows))
    assert len(set(places)) > 1
    assert np.array_equal(picked, subsample(points, 4, seed=0))
    assert not np.array_equal(picked, subsample(points, 4, seed=1))


@pytest.mark.parametrize("count", [0, 11])
def test_a_count_out_of_range_is_named(count: int) -> None:
    with pytest.raises(UsageError, match=f"--points {count}: the clouds have 10 points"):
        subsample(cloud(), count, seed=0)


def test_features_do_not_depend_on_the_batch_size_and_use_eval_mode() -> None:
    tower = nn.Sequential(Radii(1.0), nn.BatchNorm1d(3), nn.Dropout(0.5)).train()
    points = cloud(7)
    runs = [compute_features(tower, points, batch_size=size, device="cpu") for size in (1, 3, 100)]
    assert runs[0].dtype == np.float32
    assert runs[0].shape == (7, 3)
    assert all(np.allclose(run, runs[0], atol=1e-6) for run in runs)
    assert not tower.training
    assert tower[1].num_batches_tracked == 0
    assert np.allclose(runs[0], 1 + np.abs(points).mean(axis=1), atol=1e-4)


def test_features_that_are_not_finite_are_an_error() -> None:
    with pytest.raises(UsageError, match="not finite for 5 of 5 shapes"):
        compute_features(Radii(float("nan")), cloud(), batch_size=2, device="cpu")
    points = cloud()
    points[3, 0, 0] = np.inf
    with pytest.raises(UsageError, match=r"1 of 5 shapes.*number 3"):
        compute_features(Radii(1.0), points, batch_size=2, device="cpu")


def test_nothing_to_compute_is_an_error() -> None:
    with pytest.raises(UsageError, match="no shape"):
        compute_features(Radii(1.0), cloud(0), batch_size=2, device="cpu")


@pytest.mark.parametrize("form", ["PNG", "JPEG", "WEBP"])
def test_pictures_are_decoded_in_order(form: str) -> None:
    colours = [(250, 10, 10), (10, 250, 10), (10, 10, 250), (128, 128, 128), (0, 0, 0)]
    found = compute_image_features(
        MeanColour(), [encoded(c, form=form) for c in colours], image_size=8, batch_size=2, device="cpu"
    )
    expected = (np.array(colours) / 255 - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225]
    assert np.abs(found - expected).max() < 0.1


def test_pictures_of_different_sizes_go_together() -> None:
    pictures = [encoded((200, 0, 0), 16), encoded((200, 0, 0), 31)]
    found = compute_image_features(MeanColour(), pictures, image_size=8, batch_size=2, device="cpu")
    assert np.allclose(found[0], found[1], atol=1e-5)


def test_a_broken_picture_is_named() -> None:
    pictures = [encoded((0, 0, 0)), encoded((0, 0, 0))[:40]]
    with pytest.raises(UsageError, match="picture 1 cannot be decoded"):
        compute_image_features(MeanColour(), pictures, image_size=8, batch_size=2, device="cpu")


def test_project_is_the_towers_own() -> None:
    tower = Tower(PointNet(emb_dims=8), ProjectionHead(8, 8, 4, bias=True)).eval()
    features = np.random.default_rng(0).normal(size=(6, 8)).astype(np.float32)
    with torch.no_grad():
        expected = tower.project(torch.from_numpy(features)).numpy()
    assert np.array_equal(project(tower, features, device="cpu"), expected)
