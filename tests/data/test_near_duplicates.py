"""Near-duplicates: found however they are turned, mirrored, scaled and sampled; other shapes are not."""

import runpy
import sys
from pathlib import Path

import numpy as np
import pytest

from crosspoint3d import geometry
from crosspoint3d.config import PrepareConfig
from crosspoint3d.data.near_duplicates import near_duplicates
from crosspoint3d.data.prepare import prepare
from crosspoint3d.data.shapes import procedural_shape
from tests.data.part_sets import hdf5_folder

POINTS = 1024


def cloud(index: int, seed: int) -> np.ndarray:
    mesh, _ = procedural_shape(index)
    points, _, _ = geometry.sample_surface(mesh.vertices, mesh.faces, POINTS, np.random.default_rng(seed))
    return points.astype(np.float64)


def turned(points: np.ndarray, seed: int) -> np.ndarray:
    generator = np.random.default_rng(seed)
    turn = np.linalg.qr(generator.normal(size=(3, 3)))[0]  # a rotation or a reflection
    return generator.uniform(0.2, 5) * points @ turn + generator.normal(size=3)


@pytest.mark.parametrize("seed", [0, 1])
def test_a_copy_is_found_and_others_are_not(seed: int) -> None:
    shapes = np.stack([cloud(index, 100 + seed) for index in range(5)])
    query = turned(cloud(3, 200 + seed), seed)[None]
    found = near_duplicates(shapes, query, ratio=1.2, seed=seed)
    assert [(match.shape, match.query) for match in found] == [(3, 0)]
    assert 0.8 < found[0].ratio < 1.2


def test_a_larger_ratio_finds_more_nearest_first() -> None:
    shapes = np.stack([cloud(index, 1) for index in range(4)])
    few, many = (near_duplicates(shapes, cloud(2, 2)[None], ratio=ratio) for ratio in (1.2, 20.0))
    assert [match.shape for match in few] == [2] and sorted(match.shape for match in many) == [0, 1, 2, 3]
    assert [match.ratio for match in many] == sorted(match.ratio for match in many)


def test_too_few_points_are_refused() -> None:
    with pytest.raises(ValueError, match="1,024 at least"):
        near_duplicates(np.zeros((1, 512, 3)), np.zeros((1, 512, 3)), ratio=1.5)


def test_the_example_takes_as_many_points_of_both_sets(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    ball = np.random.default_rng(0).normal(size=(1200, 3)).astype(np.float32)  # as the clouds of the data are
    (tmp_path / "in").mkdir()
    np.save(tmp_path / "in" / "ball.npy", ball)
    np.save(tmp_path / "in" / "rod.npy", ball * np.float32([1, 9, 1]))
    example = Path(__file__).parents[2] / "examples" / "near_duplicates.py"
    for points in (1200, 1000):
        prepare(PrepareConfig(str(tmp_path / "in"), tmp_path / f"{points}", points=points, views=1, image_size=16))
    data = f"shapenetpart:{hdf5_folder(tmp_path, shapes=2, points=1024)}"
    monkeypatch.setattr(sys, "argv", ["", str(tmp_path / "1200"), data, "--out", str(tmp_path / "found.txt")])
    runpy.run_path(str(example))
    assert (tmp_path / "found.txt").read_text().startswith("ball.npy\t") and "1 of 2" in capsys.readouterr().out
    monkeypatch.setattr(sys, "argv", ["", str(tmp_path / "1000"), data, "--out", str(tmp_path / "found.txt")])
    with pytest.raises(SystemExit, match="2"):
        runpy.run_path(str(example))
    assert "table has 1000 points a shape, data 1024: both need 1,024 or more" in capsys.readouterr().err
