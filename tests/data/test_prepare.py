"""prepare: the same table for any number of workers, failures as rows, a second run does only what is missing."""

import dataclasses
import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import trimesh

from crosspoint3d import cli
from crosspoint3d.config import PrepareConfig, UsageError
from crosspoint3d.data.batches import decode
from crosspoint3d.data.prepare import prepare
from crosspoint3d.data.table import ShapeTable
from crosspoint3d.geometry import camera_matrix

SMALL = {"points": 64, "views": 3, "image_size": 32}


def folder_of_shapes(root: Path) -> Path:
    for category, split, mesh in [
        ("box", "train", trimesh.creation.box()),
        ("box", "test", trimesh.creation.box([1, 2, 3])),
        ("ball", "train", trimesh.creation.icosphere()),
        ("ball", "test", trimesh.creation.icosphere(radius=3)),
    ]:
        path = root / category / split / f"{category}.off"
        path.parent.mkdir(parents=True, exist_ok=True)
        mesh.export(path)
    return root


def everything(path: Path) -> dict[str, object]:
    table = ShapeTable(path)
    rows = table.select()
    taken = table.take(rows, ["points", "normals", "view_poses"])
    names = ("id", "category", "split", "status", "faces", "area", "parts", "views")
    plain = {name: table.column(name) for name in names}
    return plain | {name: values.tolist() for name, values in taken.items()}


def test_a_folder_becomes_a_table(tmp_path: Path) -> None:
    summary = prepare(PrepareConfig(str(folder_of_shapes(tmp_path / "in")), tmp_path / "t", workers=1, **SMALL))
    assert (summary.taken, summary.refused, summary.exit_code) == (4, 0, 0)
    table = ShapeTable(tmp_path / "t")
    assert table.column("category") == ["ball", "ball", "box", "box"]
    assert table.column("split") == ["test", "train", "test", "train"]
    assert table.column("faces") == [1280, 1280, 12, 12]
    np.testing.assert_allclose(table.column("area")[2:], [22.0, 6.0], rtol=1e-5)
    taken = table.take(table.select(), ["points", "normals", "views"])
    radius = np.linalg.norm(taken["points"], axis=2)
    np.testing.assert_allclose(radius.max(1), 1, atol=2e-3)
    np.testing.assert_allclose(taken["points"].mean(1), 0, atol=2e-3)
    np.testing.assert_allclose(np.linalg.norm(taken["normals"], axis=2), 1, atol=2e-3)
    assert [len(views) for views in taken["views"]] == [3] * 4
    assert decode(taken["views"][0][0]).shape == (32, 32, 3)


def test_views_and_points_share_one_frame(tmp_path: Path) -> None:
    """A red ball far from a grey box: where the cloud says the ball is, the picture is red."""
    ball = trimesh.creation.icosphere(radius=0.3).apply_translation([0, 1.5, 0])
    ball.visual.vertex_colors = [255, 0, 0, 255]
    box = trimesh.creation.box([2, 0.2, 2])
    box.visual.vertex_colors = [128, 128, 128, 255]
    (tmp_path / "in").mkdir()
    trimesh.util.concatenate([box, ball]).export(tmp_path / "in" / "a.ply")
    prepare(PrepareConfig(str(tmp_path / "in"), tmp_path / "t", points=2048, views=4, image_size=64, workers=1))
    row = ShapeTable(tmp_path / "t").take([0], ["points", "views", "view_poses"])
    points = row["points"][0]
    top = points[points[:, 1] > 0.5].mean(0)
    assert np.isfinite(top).all()
    for encoded, pose in zip(row["views"][0], row["view_poses"][0], strict=True):
        x, y, depth = (camera_matrix(pose) @ [*top, 1])[:3]
        half = np.tan(np.radians(20)) * -depth
        column, line = (int(32 * (1 + x / half)), int(32 * (1 - y / half)))
        red, green, blue = decode(encoded)[line, column].astype(int)
        assert red > green + 60 and red > blue + 60


def test_workers_and_order_do_not_matter(tmp_path: Path) -> None:
    source = "procedural:12:5"
    one = prepare(PrepareConfig(source, tmp_path / "one", workers=1, **SMALL))
    two = prepare(PrepareConfig(source, tmp_path / "two", workers=2, **SMALL))
    assert one.taken == two.taken == 12
    assert everything(tmp_path / "one") == everything(tmp_path / "two")


def test_the_seed_decides_points_and_cameras(tmp_path: Path) -> None:
    source = str(folder_of_shapes(tmp_path / "in"))
    tables = [tmp_path / name for name in "abc"]
    for path, seed in zip(tables, (0, 0, 1), strict=True):
        prepare(PrepareConfig(source, path, workers=1, seed=seed, **SMALL))
    a, b, c = (everything(path) for path in tables)
    assert a == b
    assert a["points"] != c["points"] and a["view_poses"] != c["view_poses"]


def test_failures_are_rows_and_a_second_run_does_what_is_missing(tmp_path: Path) -> None:
    source = folder_of_shapes(tmp_path / "in")
    (source / "bad.off").write_text("OFF\n8 12 0\n0 0 0\n")
    (source / "empty.stl").write_text("")
    (source / "notes.blend").write_text("x")
    config = PrepareConfig(str(source), tmp_path / "t", workers=1, **SMALL)
    first = prepare(config)
    assert (first.taken, first.refused, first.new) == (4, 2, 6)
    assert set(first.refused_files) == {"bad.off", "empty.stl"}
    assert first.other == {".blend": 1}
    before = everything(tmp_path / "t")
    trimesh.creation.box().export(source / "box" / "new.off")
    second = prepare(config)
    assert (second.taken, second.refused, second.new) == (5, 2, 1)
    assert everything(tmp_path / "t")["id"][:6] == before["id"]
    trimesh.creation.box().export(source / "bad.off")
    third = prepare(PrepareConfig(str(source), tmp_path / "t", workers=1, retry_failed=True, **SMALL))
    assert (third.taken, third.refused, third.new) == (6, 1, 2)
    written = json.loads((tmp_path / "t" / "prepare.json").read_text())
    assert written["refused_files"] == third.refused_files


def test_only_broken_files_and_none_at_all(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = tmp_path / "in"
    source.mkdir()
    arguments = ["prepare", str(source), "--out", str(tmp_path / "t"), "--workers", "1", "--views", "2"]
    assert cli.run(arguments) == 1
    assert "no shapes found" in capsys.readouterr().out
    assert not (tmp_path / "t").exists()
    (source / "a.off").write_text("OFF\n1")
    assert cli.run(arguments) == 1
    assert "a.off" in capsys.readouterr().out
    assert ShapeTable(tmp_path / "t").select().size == 0


@pytest.mark.parametrize(("name", "value"), [("points", 128), ("seed", 1), ("up", "z"), ("image_size", 48)])
def test_another_setting_for_the_same_table_is_refused(name: str, value: object, tmp_path: Path) -> None:
    source = str(folder_of_shapes(tmp_path / "in"))
    prepare(PrepareConfig(source, tmp_path / "t", workers=1, **SMALL))
    with pytest.raises(UsageError, match=name):
        prepare(PrepareConfig(source, tmp_path / "t", workers=1, **(SMALL | {name: value})))
    with pytest.raises(UsageError, match="origin"):
        prepare(PrepareConfig("procedural:3", tmp_path / "t", workers=1, **SMALL))


def test_up_turns_files_but_not_gltf(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    tall = trimesh.creation.box([1, 1, 5])
    tall.export(tmp_path / "in" / "a.off")
    tall.export(tmp_path / "in" / "b.glb")
    prepare(PrepareConfig(str(tmp_path / "in"), tmp_path / "t", up="z", workers=1, **SMALL))
    extent = np.ptp(ShapeTable(tmp_path / "t").take([0, 1], ["points"])["points"], axis=1)
    assert extent.argmax(1).tolist() == [1, 2]


def test_points_only_files_are_shapes(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    cloud = np.random.default_rng(0).normal(size=(50, 3))
    np.save(tmp_path / "in" / "few.npy", cloud[:20].astype(np.float32))
    np.savetxt(tmp_path / "in" / "scan.xyz", cloud)
    summary = prepare(PrepareConfig(str(tmp_path / "in"), tmp_path / "t", workers=1, points=32, views=2, image_size=32))
    assert summary.taken == 2
    points = ShapeTable(tmp_path / "t").take([0, 1], ["points"])["points"]
    assert [len(np.unique(cloud, axis=0)) for cloud in points] == [20, 32]
    assert ShapeTable(tmp_path / "t").column("area") == [None, None]


def test_an_unexpected_error_of_one_shape_is_a_row(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def explode(*_: object, **__: object) -> None:
        raise RuntimeError("boom")

    monkeypatch.setattr("crosspoint3d.data.rows.render_views", explode)
    summary = prepare(PrepareConfig("procedural:2", tmp_path / "t", workers=1, **SMALL))
    assert summary.reasons == {"unexpected RuntimeError": 2}
    assert summary.exit_code == 1


def test_ctrl_c_keeps_what_is_done(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "crosspoint3d", "prepare", "procedural:100000", "--out", str(tmp_path / "t")]
    flags = ["--points", "64", "--views", "1", "--image-size", "16", "--workers", "2"]
    with subprocess.Popen([*command, *flags], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline:
            time.sleep(0.5)
            versions = tmp_path / "t" / "_versions"
            if versions.exists() and len(list(versions.iterdir())) > 2:
                break
        process.send_signal(signal.SIGINT)
        output, _ = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "interrupted; run the same command to go on" in output
    table = ShapeTable(tmp_path / "t")
    written = json.loads((tmp_path / "t" / "prepare.json").read_text())
    assert len(table) == len(set(table.column("id"))) == written["taken"]


@pytest.mark.shared
def test_real_meshes(shared_data: Path, tmp_path: Path) -> None:
    files = sorted((shared_data / "princeton_meshes" / "Mug").glob("*.ply"))[:3]
    files += sorted((shared_data / "furniture_cc0" / "gltf").glob("chair*.gltf"))[:2]
    (tmp_path / "list.txt").write_text("\n".join(map(str, files)))
    summary = prepare(PrepareConfig(str(tmp_path / "list.txt"), tmp_path / "t", workers=1, points=256, views=2))
    assert (summary.taken, summary.refused) == (5, 0)
    pictures = [decode(views[0]) for views in ShapeTable(tmp_path / "t").column("views")]
    assert all(picture.std() > 5 and (picture[0] > 250).all() for picture in pictures)


def test_other_labels_for_the_same_table_are_refused(tmp_path: Path) -> None:
    source = folder_of_shapes(tmp_path / "in")
    config = PrepareConfig(str(source), tmp_path / "t", workers=1, **SMALL)
    prepare(config)
    (tmp_path / "l.csv").write_text("path,category\nbox/train/box.off,crate\n")
    with pytest.raises(
        UsageError, match=r"1 of these shapes with another category or split \(first: box/train/box.off"
    ):
        prepare(dataclasses.replace(config, labels=tmp_path / "l.csv"))


@pytest.mark.parametrize("kind", ["file", "folder", "url"])
def test_an_out_that_is_no_table_is_refused(kind: str, tmp_path: Path) -> None:
    out = tmp_path / "t"
    if kind == "file":
        out.write_text("x")
    if kind == "folder":
        out.mkdir()
        (out / "mine.txt").write_text("x")
    out = Path("ftp://host/t") if kind == "url" else out
    with pytest.raises(UsageError, match="--out"):
        prepare(PrepareConfig("procedural:2", out, workers=1, **SMALL))
