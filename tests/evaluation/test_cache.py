from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from crosspoint3d.config import FewShotConfig, LinearConfig, UsageError
from crosspoint3d.evaluation import cache
from crosspoint3d.evaluation.cache import cache_folder, cached_features, features_key
from crosspoint3d.evaluation.few_shot import few_shot
from crosspoint3d.evaluation.linear_probe import linear
from crosspoint3d.evaluation.protocol import weights_sha256
from crosspoint3d.models import DGCNN, PointNet, Tower
from crosspoint3d.models.callable_encoder import CallableEncoder
from crosspoint3d.models.tower import seeded_weights
from tests.evaluation.fakes import cluster_clouds

CPU = torch.device("cpu")


def extents(points: torch.Tensor) -> torch.Tensor:
    return points.abs().mean(1)


def pointnet(seed: int = 0) -> Tower:
    with seeded_weights(seed):
        return Tower(PointNet(16), None)


def clouds(seed: int = 0, count: int = 5) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(count, 16, 3)).astype(np.float32)


def features(tower: Tower, points: np.ndarray, **changes: Any) -> tuple[np.ndarray, bool]:
    options = {"batch_size": 4, "device": CPU} | changes
    return cached_features(tower, weights_sha256(tower), points, **options)


@pytest.fixture(autouse=True)
def folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setenv(cache.FOLDER, str(tmp_path / "cache"))
    return tmp_path / "cache"


def test_the_folder_is_the_users_unless_the_environment_names_one(
    monkeypatch: pytest.MonkeyPatch, folder: Path, feature_cache: Path
) -> None:
    assert cache_folder() == folder != feature_cache
    monkeypatch.delenv(cache.FOLDER)
    assert cache_folder() == Path.home() / ".cache" / "crosspoint3d" / "features"


def test_the_second_time_they_are_read(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    first, read = features(pointnet(), clouds())
    assert not read and len(list(folder.iterdir())) == 1
    monkeypatch.setattr(cache, "compute_features", None)
    second, read = features(pointnet(), clouds())
    assert read and np.array_equal(first, second) and second.dtype == np.float32


def test_switched_off_it_neither_reads_nor_writes(folder: Path) -> None:
    assert not features(pointnet(), clouds(), enabled=False)[1]
    assert not folder.exists()
    features(pointnet(), clouds())
    assert not features(pointnet(), clouds(), enabled=False)[1]


def test_whatever_decides_the_features_is_in_the_key(monkeypatch: pytest.MonkeyPatch) -> None:
    tower, other = pointnet(), pointnet(1)
    points, digest = clouds(), weights_sha256(tower)
    with seeded_weights(0):
        graphs = [Tower(DGCNN(k, 16, 0.1), None) for k in (2, 3)]
    same = [features_key(pointnet(), digest, points.copy(), CPU), features_key(tower, digest, points, CPU)]
    keys = [
        same[0],
        features_key(other, weights_sha256(other), points, CPU),
        features_key(tower, digest, clouds(1), CPU),
        features_key(tower, digest, clouds(count=4), CPU),
        features_key(tower, digest, points.reshape(10, 8, 3), CPU),
        features_key(tower, digest, points, torch.device("cuda")),
        *(features_key(graph, "same", points, CPU) for graph in graphs),
    ]
    monkeypatch.setattr(cache, "__version__", "another")
    keys.append(features_key(tower, digest, points, CPU))
    assert same[0] == same[1]
    assert None not in keys and len(set(keys)) == len(keys)


@pytest.mark.parametrize("damage", ["cut", "flipped", "empty", "text", "shapes"])
def test_a_damaged_file_is_computed_anew(folder: Path, damage: str) -> None:
    expected, _ = features(pointnet(), clouds())
    (file,) = folder.iterdir()
    content = file.read_bytes()
    flipped = bytearray(content)
    flipped[len(content) // 2] ^= 1
    if damage == "shapes":
        np.savez(file, features=expected[:-1])
    else:
        file.write_bytes({"cut": content[:-100], "flipped": bytes(flipped), "empty": b"", "text": b"text"}[damage])
    with pytest.warns(UserWarning, match="computed anew"):
        found, read = features(pointnet(), clouds())
    assert not read and np.array_equal(found, expected)
    found, read = features(pointnet(), clouds())
    assert read and np.array_equal(found, expected)


def test_a_folder_that_cannot_be_written_to_is_no_obstacle(folder: Path) -> None:
    folder.write_text("a file stands here")
    with pytest.warns(UserWarning, match="not kept"):
        found, read = features(pointnet(), clouds())
    assert not read and found.shape[0] == 5


def test_broken_features_are_not_kept(folder: Path) -> None:
    tower = pointnet()
    with torch.no_grad():
        next(tower.parameters()).fill_(float("nan"))
    with pytest.raises(UsageError, match="not finite"):
        features(tower, clouds())
    assert not folder.exists()


def test_a_function_is_never_cached(folder: Path) -> None:
    tower = Tower(CallableEncoder(f"{__name__}:extents"), None)
    for weights in (None, "known"):
        assert not cached_features(tower, weights, clouds(), batch_size=4, device=CPU)[1]
        assert features_key(tower, weights, clouds(), CPU) is None
    assert not folder.exists()


@pytest.mark.parametrize("evaluate", [linear, few_shot])
def test_an_evaluation_says_where_its_features_came_from(monkeypatch: pytest.MonkeyPatch, evaluate: Any) -> None:
    monkeypatch.setattr("crosspoint3d.evaluation.seeds.load_clouds", cluster_clouds(0.4))
    options: dict[str, Any] = {"encoder": "random:pointnet", "data": "D", "seeds": 2, "points": 16, "device": "cpu"}

    def run(cached: bool) -> Any:
        if evaluate is linear:
            return linear(LinearConfig(**options, cache=cached))
        return few_shot(FewShotConfig(**options, cache=cached, n_way=3, k_shot=3, n_query=4, episodes=2))

    results = [run(True), run(True), run(False)]
    read = [[entry["trained"]["from_cache"] for entry in result.protocol["encoders"]] for result in results]
    assert read == [[False, False], [True, True], [False, False]]
    assert results[0].scores == results[1].scores == results[2].scores
