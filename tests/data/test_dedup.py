"""Duplicates: what counts as the same geometry, and who is refused whatever the workers and however often resumed."""

import dataclasses
from pathlib import Path
from typing import Any

import lance
import numpy as np
import pytest
import trimesh
from hypothesis import given
from hypothesis import strategies as st

from crosspoint3d.config import PrepareConfig, UsageError
from crosspoint3d.data import table as table_module
from crosspoint3d.data.dedup import Duplicates, content_hash, same_geometry
from crosspoint3d.data.mesh import Mesh
from crosspoint3d.data.prepare import prepare
from crosspoint3d.data.table import ShapeTable

SMALL: dict[str, Any] = {"points": 32, "views": 1, "image_size": 16, "supersample": 1}


def blob(seed: int, faces: int = 40) -> Mesh:
    generator = np.random.default_rng(seed)
    vertices = generator.normal(size=(30, 3)).astype(np.float32)
    return Mesh(vertices, generator.permuted(np.tile(np.arange(30), (faces, 1)), axis=1)[:, :3].astype(np.int32))


@given(st.integers(0, 2**20))
def test_the_order_in_a_file_does_not_matter(seed: int) -> None:
    mesh, generator = blob(seed), np.random.default_rng(seed + 1)
    order = generator.permutation(30)
    moved = Mesh(mesh.vertices[order], np.argsort(order)[mesh.faces].astype(np.int32))
    moved = dataclasses.replace(moved, faces=generator.permuted(generator.permutation(moved.faces), axis=1))
    soup = Mesh(mesh.vertices[mesh.faces].reshape(-1, 3), np.arange(3 * len(mesh.faces), dtype=np.int32).reshape(-1, 3))
    assert content_hash(moved) == content_hash(soup) == content_hash(mesh)
    cloud = Mesh(mesh.vertices, np.zeros((0, 3), np.int32))
    turned = Mesh(mesh.vertices[order], np.zeros((0, 3), np.int32))
    assert content_hash(cloud) == content_hash(turned) != content_hash(mesh)


@given(st.integers(0, 2**20), st.integers(0, 89))
def test_the_last_bit_of_any_coordinate_matters(seed: int, place: int) -> None:
    mesh = blob(seed, faces=200)
    assert len(np.unique(mesh.faces)) == 30
    changed = mesh.vertices.copy()
    changed.flat[place] = np.nextafter(changed.flat[place], np.float32(np.inf))
    assert content_hash(dataclasses.replace(mesh, vertices=changed)) != content_hash(mesh)
    fewer = dataclasses.replace(mesh, faces=mesh.faces[1:])
    swapped = dataclasses.replace(mesh, vertices=mesh.vertices[:, [1, 0, 2]])
    assert len({content_hash(each) for each in (mesh, fewer, swapped)}) == 3


def test_zero_has_no_sign_and_colours_do_not_count() -> None:
    mesh = Mesh(np.float32([[0, 0, 0], [1, 0, 0], [0, 1, 0]]), np.int32([[0, 1, 2]]))
    other = dataclasses.replace(mesh, vertices=np.float32([[-0.0, 0, -0.0], [1, -0.0, 0], [0, 1, 0]]))
    red = dataclasses.replace(other, corner_colors=np.full((1, 3, 3), 7, np.uint8))
    assert content_hash(mesh) == content_hash(other) == content_hash(red)


def test_the_first_row_wins_and_failed_ones_do_not_count() -> None:
    rows = [("a", "ok", "1"), ("b", "broken", None), ("c", "ok", "2")]
    duplicates = Duplicates(*map(list, zip(*rows, strict=True)))
    assert duplicates.checked({"id": "d", "status": "ok", "content": "2", "points": 1})["status"] == "duplicate of c"
    assert "points" not in duplicates.checked({"id": "e", "status": "ok", "content": "1", "points": 1})
    assert duplicates.checked({"id": "f", "status": "empty file"}) == {"id": "f", "status": "empty file"}
    assert duplicates.checked({"id": "g", "status": "ok", "content": "3"})["status"] == "ok"
    assert duplicates.checked({"id": "h", "status": "ok", "content": "3"})["status"] == "duplicate of g"
    kept = same_geometry(["a", "b", "c", "d"], ["ok", "ok", "duplicate of a", "x"], ["1", "1", "1", "1"])
    assert kept == {"b": "a", "c": "a"}


def folder(root: Path) -> Path:
    """Nine files of three geometries, in several formats and orders of vertices."""
    shapes = [trimesh.creation.box([1, 2, 3]), trimesh.creation.icosphere(1), trimesh.creation.cone(1, 2)]
    for i in range(9):
        mesh = shapes[i % 3]
        order = np.random.default_rng(i).permutation(len(mesh.faces))
        vertices = mesh.vertices.round(4).astype(np.float32)
        path = root / f"{'abc'[i // 3]}" / f"{i}.{('ply', 'off', 'stl')[i // 3]}"
        path.parent.mkdir(parents=True, exist_ok=True)
        trimesh.Trimesh(vertices, mesh.faces[order], process=False).export(path)
    return root


def columns(path: Path) -> dict[str, list[Any]]:
    table = ShapeTable(path)
    return {name: table.column(name) for name in ("id", "status", "content", "views", "points")}


def test_prepare_counts_them_and_drops_them_when_asked(tmp_path: Path) -> None:
    source = str(folder(tmp_path / "in"))
    kept = prepare(PrepareConfig(source, tmp_path / "kept", workers=1, **SMALL))
    assert (kept.taken, kept.refused, len(kept.duplicates)) == (9, 0, 6)
    assert "same geometry as a shape before: 6, kept (--drop-duplicates" in str(kept)
    dropped = prepare(PrepareConfig(source, tmp_path / "dropped", workers=1, drop_duplicates=True, **SMALL))
    assert (dropped.taken, dropped.reasons) == (3, {"duplicate": 6})
    assert "same geometry as a shape before: 6, left out" in str(dropped)
    assert dropped.duplicates == kept.duplicates
    assert dropped.duplicates["c/8.stl"] == "a/2.ply"
    with pytest.raises(UsageError, match="drop_duplicates True, now False"):
        prepare(PrepareConfig(source, tmp_path / "dropped", workers=1, **SMALL))


def test_the_same_are_dropped_by_two_workers_and_after_a_stop(tmp_path: Path) -> None:
    source = folder(tmp_path / "in")
    config = PrepareConfig(str(source), tmp_path / "one", workers=1, drop_duplicates=True, **SMALL)
    prepare(config)
    prepare(dataclasses.replace(config, out=tmp_path / "two", workers=2))
    late = [source / "b" / "4.off", source / "c" / "6.stl", source / "c" / "8.stl"]
    hidden = [path.rename(tmp_path / path.name) for path in late]
    parts = dataclasses.replace(config, out=tmp_path / "parts")
    assert prepare(parts).taken == 3
    for path, place in zip(hidden, late, strict=True):
        path.rename(place)
    assert prepare(dataclasses.replace(parts, retry_failed=True)).new == 3
    assert columns(tmp_path / "one") == columns(tmp_path / "two")
    one, resumed = (columns(tmp_path / name) for name in ("one", "parts"))
    statuses = [dict(zip(rows["id"], rows["status"], strict=True)) for rows in (one, resumed)]
    assert statuses[0] == statuses[1]


def test_a_table_without_hashes_goes_on_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    schema = table_module.schema_of
    old = lambda *arguments: schema(*arguments).remove(13).remove(12)  # noqa: E731
    source = folder(tmp_path / "in")
    config = PrepareConfig(str(source), tmp_path / "t", workers=1, **SMALL)
    with monkeypatch.context() as patch:
        patch.setattr(table_module, "schema_of", old)
        prepare(config)
    assert lance.dataset(str(tmp_path / "t")).schema.names[-1] == "status"
    trimesh.creation.box().export(source / "new.off")
    summary = prepare(config)
    assert (summary.new, summary.taken, summary.duplicates) == (1, 10, {})
