"""Reading ahead: clouds as in training, the same for the same seed and id, reasons instead of exceptions."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import trimesh

from crosspoint3d.config import PrepareConfig
from crosspoint3d.data.prepare import prepare
from crosspoint3d.data.table import ShapeTable
from crosspoint3d.labelling.places import find_places
from crosspoint3d.labelling.stream import Broken, Sampling, Shape, batches, in_order, read_shape
from tests.data.part_sets import hdf5_folder, labelled_shapes, write_h5
from tests.labelling.fakes import write_shapes

SAMPLING = Sampling(points=32, draws=4, votes=1, up="y", seed=0)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_shapes(tmp_path_factory.mktemp("stream"))


def read(spec: Path | str, sampling: Sampling = SAMPLING) -> dict[str, Shape | Broken]:
    return {
        place.id: read_shape(place, sampling) for place in find_places([str(spec)], leave_out=Path("o"), seed=0).shapes
    }


def test_clouds_of_a_mesh_lie_on_its_faces_and_are_normalised(folder: Path) -> None:
    shape = read(folder / "box")["a.ply"]
    assert isinstance(shape, Shape)
    assert shape.clouds.shape == (4, 1, 32, 3)  # 80 faces want 320 points, at most 4 draws
    np.testing.assert_allclose(shape.clouds.mean(axis=2), 0, atol=1e-6)
    np.testing.assert_allclose(np.linalg.norm(shape.clouds, axis=3).max(axis=2), 1, atol=1e-6)
    corners = shape.mesh.vertices[shape.mesh.faces[shape.index]].astype(np.float64)
    normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    heights = ((shape.points - corners[:, 0]) * normals).sum(axis=1) / np.linalg.norm(normals, axis=1)
    np.testing.assert_allclose(heights, 0, atol=1e-5)
    draws = shape.points.reshape(4, 32, 3)
    centred = draws - draws.mean(axis=1, keepdims=True)
    radius = np.linalg.norm(centred, axis=2).max(axis=1)
    np.testing.assert_allclose(shape.clouds[:, 0], centred / radius[:, None, None], atol=1e-5)


def test_points_of_a_published_set_are_its_own_and_broken_ones_say_why(tmp_path: Path) -> None:
    folder = hdf5_folder(tmp_path, shapes=2)
    clouds, _, _ = labelled_shapes(7, shapes=2)
    clouds[1, 3, 2] = np.nan
    write_h5(folder / "ply_data_test0.h5", 7, shapes=2, data=clouds)
    found = read(f"shapenetpart:{folder}", replace(SAMPLING, points=12, up="x"))
    shape, broken = found["test/0"], found["test/1"]
    assert isinstance(shape, Shape) and isinstance(broken, Broken)
    assert shape.category == "Airplane" and shape.mesh.is_cloud
    np.testing.assert_array_equal(shape.mesh.vertices, clouds[0])
    np.testing.assert_array_equal(shape.upright, np.eye(3))
    assert sorted(shape.index.tolist()) == list(range(24))
    assert "not finite" in broken.reason


def test_seed_and_id_decide(folder: Path) -> None:
    first, again = read(folder), read(folder)
    other = read(folder, replace(SAMPLING, seed=1))
    for name in ("box/a", "odd/many"):
        assert np.array_equal(first[name].clouds, again[name].clouds)
        assert not np.array_equal(first[name].clouds, other[name].clouds)
    alone = read(folder / "odd")["many"]
    assert not np.array_equal(alone.clouds, first["odd/many"].clouds)


def test_a_large_cloud_is_cut_into_disjoint_draws_and_a_small_one_repeated(folder: Path) -> None:
    shapes = read(folder)
    many, few = shapes["odd/many"], shapes["Lamp-stand/few"]
    assert many.clouds.shape == (4, 1, 32, 3)
    assert len(set(many.index.tolist())) == 128
    assert many.note == ""
    assert few.clouds.shape == (1, 1, 32, 3)
    counts = np.bincount(few.index, minlength=20)
    assert counts.min() == 1
    assert counts.max() == 2
    assert few.note == "20 points, repeated to 32"
    np.testing.assert_array_equal(few.points, few.mesh.vertices[few.index])
    covered = read(folder, replace(SAMPLING, points=300))["odd/many"]
    assert covered.clouds.shape[0] == 2
    assert set(covered.index.tolist()) == set(range(500))


def test_votes_are_stretched_copies(folder: Path) -> None:
    shape = read(folder, replace(SAMPLING, votes=5))["odd/many"]
    factors = shape.clouds / shape.clouds[:, :1]
    assert (shape.clouds[:, 0] == read(folder)["odd/many"].clouds[:, 0]).all()
    spread = np.nanmax(factors, axis=2) - np.nanmin(factors, axis=2)
    assert spread.max() < 1e-4
    assert 0.8 <= factors.min() < 0.95
    assert 1.05 < factors.max() <= 1.25


def test_up_turns_what_the_network_sees_and_not_the_file(tmp_path: Path) -> None:
    tall = trimesh.creation.box([1, 1, 5])
    tall.export(tmp_path / "tall.ply")
    tall.export(tmp_path / "scene.glb")
    shapes = read(tmp_path, replace(SAMPLING, up="z"))
    for name, long in (("tall", 1), ("scene", 2)):
        assert np.ptp(shapes[name].mesh.vertices, axis=0).argmax() == 2
        assert np.ptp(shapes[name].clouds[0, 0], axis=0).argmax() == long
        assert np.ptp(shapes[name].mesh.vertices @ shapes[name].upright.T, axis=0).argmax() == long


def test_what_cannot_be_read_has_a_reason(folder: Path) -> None:
    shapes = read(folder)
    reasons = {name: shape.reason for name, shape in shapes.items() if isinstance(shape, Broken)}
    assert reasons.keys() == {"odd/empty", "odd/cut", "box/flat"}
    assert "empty file" in reasons["odd/empty"]
    assert "truncated" in reasons["odd/cut"]
    assert "area" in reasons["box/flat"]


def test_tables_and_procedural_shapes(folder: Path, tmp_path: Path) -> None:
    prepare(PrepareConfig(str(folder), tmp_path / "t", points=64, views=1, image_size=16, workers=1))
    shapes = read(tmp_path / "t")
    assert sum(isinstance(shape, Broken) for shape in shapes.values()) == 3
    table = ShapeTable(tmp_path / "t")
    row = table.column("id").index("box/a.off")
    shape = shapes["box/a"]
    np.testing.assert_array_equal(shape.mesh.vertices, table.take([row], ["points"])["points"][0])
    assert (shape.category, shape.mesh.is_cloud, shape.clouds.shape) == ("box", True, (2, 1, 32, 3))
    made = read("procedural:1")["procedural/0/00000000"]
    assert made.category is not None
    assert not made.mesh.is_cloud


def test_results_come_in_order_and_not_too_far_ahead() -> None:
    started: list[int] = []

    def work(item: int) -> int:
        started.append(item)
        time.sleep(0.002 * (item % 3))
        return item

    with ThreadPoolExecutor(3) as pool:
        results = in_order(pool, work, iter(range(30)), 4)
        for expected in range(30):
            assert next(results) == expected
            assert max(started) <= expected + 4
        assert next(results, None) is None


def test_batches_fill_with_clouds_and_keep_broken_ones(folder: Path) -> None:
    whole = next(shape for shape in read(folder / "box").values() if isinstance(shape, Shape))
    shapes = [replace(whole, clouds=np.zeros((draws, 2, 32, 3), np.float32)) for draws in (1, 3, 4, 1, 1)]
    mixed = [shapes[0], Broken(whole.place, "cut short"), *shapes[1:]]
    go, halt = threading.Event(), threading.Event()
    halt.set()
    assert [len(batch) for batch in batches(mixed, clouds=8, most=9, stop=go)] == [3, 1, 2]
    assert [len(batch) for batch in batches(mixed, clouds=8, most=2, stop=go)] == [2, 2, 2, 0]
    assert [len(batch) for batch in batches(mixed, clouds=4, most=9, stop=go, draws=1)] == [3, 2, 1]
    together = [shape for batch in batches(mixed, clouds=4, most=9, stop=go) for shape in batch]
    assert all(got is given for got, given in zip(together, mixed, strict=True))
    assert [len(batch) for batch in batches(mixed, clouds=8, most=9, stop=halt)] == [3, 1]


def test_after_a_stop_nothing_more_is_read() -> None:
    stop, done = threading.Event(), []
    with ThreadPoolExecutor(2) as pool:
        for item in in_order(pool, lambda item: item, iter(range(100)), 3, stop):
            done.append(item)
            if item == 5:
                stop.set()
    assert done == list(range(6))
