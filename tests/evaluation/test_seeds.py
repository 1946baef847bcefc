from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from crosspoint3d.config import LinearConfig, UsageError
from crosspoint3d.evaluation.seeds import limited, seed_features
from tests.evaluation.fakes import Radii, cluster_clouds, use_encoders


def config(**changes: object) -> LinearConfig:
    values = {"encoder": "run", "data": "somewhere", "seeds": 2, "points": 16, "device": "cpu"}
    return LinearConfig(**(values | changes))  # type: ignore[arg-type]


def test_limit_takes_the_same_share_of_every_category() -> None:
    whole = cluster_clouds(train=30, test=12)("somewhere", seed=0)
    half, again = limited(whole, 0.5), limited(whole, 0.5)
    assert np.bincount(half.train_labels).tolist() == [5, 5, 5]
    assert np.bincount(half.test_labels).tolist() == [2, 2, 2]
    for row, name in enumerate(half.train_ids):
        place = whole.train_ids.index(name)
        assert np.array_equal(half.train_points[row], whole.train_points[place])
        assert half.train_labels[row] == whole.train_labels[place]
    assert half.record["split_sha256"] == again.record["split_sha256"] != whole.record["split_sha256"]
    assert half.record["train_shapes"] == 15
    assert any("share of 0.5" in note for note in half.record["notes"])
    assert limited(whole, 1.0) is whole


def test_a_tiny_limit_keeps_two_train_shapes_and_a_test_shape() -> None:
    tiny = limited(cluster_clouds()("somewhere", seed=0), 0.001)
    assert np.bincount(tiny.train_labels).tolist() == [2, 2, 2]
    assert np.bincount(tiny.test_labels).tolist() == [1, 1, 1]


@pytest.mark.parametrize(("drawn", "points"), [(True, 16), (False, 8)])
def test_what_the_seed_changes_is_computed_anew(monkeypatch: pytest.MonkeyPatch, drawn: bool, points: int) -> None:
    calls = use_encoders(monkeypatch, trained=Radii(1.0), untrained=Radii(0.5))
    monkeypatch.setattr("crosspoint3d.evaluation.seeds.load_clouds", cluster_clouds(0.3, drawn=drawn))
    first, second = seed_features(config(points=points))
    assert calls.count("trained") == 2
    assert not np.array_equal(first.clouds.train_points, second.clouds.train_points)
    assert first.trained is not second.trained


def test_splits_of_different_sizes_are_both_recorded(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = cluster_clouds()("somewhere", seed=0)
    clouds = replace(whole, train_points=whole.train_points[:, :8])
    use_encoders(monkeypatch, trained=Radii(1.0), untrained=Radii(0.5))
    monkeypatch.setattr("crosspoint3d.evaluation.seeds.load_clouds", lambda *_, **__: clouds)
    (item,) = seed_features(config(seeds=1, points=0))
    assert item.clouds.record["points_picked"] == (
        "train: all 8 points, nothing drawn; test: 8 of 16 points, drawn at random from the seed"
    )


def test_what_it_does_not_change_is_shared(monkeypatch: pytest.MonkeyPatch) -> None:
    use_encoders(monkeypatch, trained=Radii(1.0), untrained=Radii(0.5))
    monkeypatch.setattr("crosspoint3d.evaluation.seeds.load_clouds", cluster_clouds())
    first, second = seed_features(config())
    assert first.trained is second.trained
    assert first.untrained is not second.untrained
    assert first.trained.record["sha256"] != first.untrained.record["sha256"]
    assert first.trained.test.shape == (12, 3)
    (test_only,) = seed_features(config(seeds=1), ["test"])
    assert np.array_equal(test_only.trained.test, first.trained.test) and test_only.trained.train.shape == (0, 3)
    (train_only,) = seed_features(config(seeds=1), ["train"])
    assert train_only.trained.test.shape == (0, 3)


def test_a_folder_that_cannot_be_written_to_is_refused_before_anything_is_computed(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for out in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(UsageError, match=r"--out .*file is no folder that can be written to"):
            next(seed_features(config(out=out)))
