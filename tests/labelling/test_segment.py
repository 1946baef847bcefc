"""segment: right labels on every face and point, files that others read, broken shapes passed over, resume, Ctrl-C."""

import csv
import json
import os
import signal
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from crosspoint3d import cli, models
from crosspoint3d.config import SegmentConfig, UsageError
from crosspoint3d.data.meshes import read_mesh
from crosspoint3d.labelling import segment as verb
from crosspoint3d.labelling.run import points_for
from crosspoint3d.labelling.segment import segment
from crosspoint3d.models import DGCNN, build_segmenter
from crosspoint3d.part_colours import part_colours
from crosspoint3d.parts_table import PartsTable
from tests.labelling.fakes import TABLE, by_side, random_segmenter, two_boxes, write_shapes

COLOURS = part_colours(TABLE)


@pytest.fixture
def side(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(models, "load_segmenter", lambda spec, k=None: by_side())


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_shapes(tmp_path_factory.mktemp("in"))


def config(out: Path, *shapes: Path | str, **options: object) -> SegmentConfig:
    return replace(SegmentConfig("M", tuple(map(str, shapes)), out, device="cpu", pictures=False), **options)


def rows(path: Path) -> dict[str, dict[str, str]]:
    with path.open(newline="") as file:
        return {row["id"]: row for row in csv.DictReader(file)}


@pytest.mark.usefixtures("side")
@pytest.mark.parametrize("smooth", [0, 2])
def test_every_face_gets_the_part_of_its_side_even_tiny_ones(tmp_path: Path, smooth: int) -> None:
    boxes = two_boxes(5)
    areas = boxes.area_faces
    assert areas.min() < 1e-3 * areas.max()
    boxes.export(tmp_path / "boxes.ply")
    summary = segment(config(tmp_path / "out", tmp_path / "boxes.ply", category="box", smooth=smooth))
    assert (summary.labelled, summary.failed, summary.exit_code) == (1, 0, 0)
    back, labels = read_mesh(tmp_path / "out" / "boxes.ply"), np.load(tmp_path / "out" / "boxes.npz")
    original = read_mesh(tmp_path / "boxes.ply")
    np.testing.assert_array_equal(back.vertices, original.vertices)
    np.testing.assert_array_equal(back.faces, original.faces)
    right = np.where(back.vertices[back.faces].mean(axis=1)[:, 0] > 0, 4, 3)
    np.testing.assert_array_equal(labels["face_parts"], right)
    np.testing.assert_array_equal(back.corner_colors, np.repeat(COLOURS[right][:, None], 3, axis=1))
    np.testing.assert_array_equal(labels["parts"], np.where(labels["points"][:, 0] > 0, 4, 3))
    np.testing.assert_array_equal(labels["parts"], right[labels["point_faces"]])
    assert labels["parts"].dtype == np.int16
    assert labels["probabilities"].dtype == labels["face_probabilities"].dtype == np.float16
    assert labels["probabilities"].min() > 0.99
    row = rows(tmp_path / "out" / "shapes.csv")["boxes"]
    assert row["parts"] == "left 0.5000; right 0.5000"
    assert (row["category"], row["category_from"], int(row["faces"])) == ("box", "option", len(original.faces))


@pytest.mark.usefixtures("side")
def test_every_point_of_a_cloud_is_labelled_in_the_order_and_place_of_its_file(folder: Path, tmp_path: Path) -> None:
    segment(config(tmp_path / "out", folder / "odd", folder / "Lamp-stand", category="lampstand", draws=8))
    for name, file in (("many", "odd/many"), ("few", "Lamp-stand/few")):
        points, labels = np.load(folder / f"{file}.npy"), np.load(tmp_path / "out" / f"{name}.npz")
        np.testing.assert_array_equal(labels["points"], points)
        sides = np.where(points[:, 0] < points[:, 0].mean(), 0, 1)
        clear = np.abs(points[:, 0] - points[:, 0].mean()) > 0.5
        np.testing.assert_array_equal(labels["parts"][clear], sides[clear])
        back = read_mesh(tmp_path / "out" / f"{name}.ply")
        np.testing.assert_array_equal(back.vertex_colors, COLOURS[labels["parts"]])
        assert str(labels["category"]) == "Lamp Stand"
        assert "face_parts" not in labels
    assert rows(tmp_path / "out" / "shapes.csv")["few"]["note"] == "20 points, repeated to 64"


@pytest.mark.usefixtures("side")
def test_a_mixed_folder_is_labelled_past_broken_files(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    summary = segment(config(out, folder, "procedural:1:5", batch_size=3))
    assert (summary.labelled, summary.failed, summary.exit_code) == (5, 3, 0)
    found = rows(out / "shapes.csv")
    assert list(found) == ["Lamp-stand/few", "box/a", "box/a.ply", "odd/many", "procedural/5/00000000"]
    assert summary.renamed == ("box/a.ply",)
    ways = {name: (row["category"], row["category_from"], bool(row["fit"])) for name, row in found.items()}
    assert ways["Lamp-stand/few"] == ("Lamp Stand", "name", False)
    assert ways["box/a"] == ways["box/a.ply"] == ("box", "name", False)
    assert ways["odd/many"][1:] == ways["procedural/5/00000000"][1:] == ("fit", True)
    failed = rows(out / "failed.csv")
    assert {name: row["reason"].split(":")[0] for name, row in failed.items()} == {
        "box/flat": "zero surface area", "odd/cut": "truncated", "odd/empty": "empty file",
    }  # fmt: skip
    for name in found:
        assert (out / f"{name}.npz").is_file()
        assert (out / f"{name}.ply").is_file()
    text = str(summary)
    for words in ("5 shapes labelled, 3 failed", "failed 1 x truncated", "2 by best fit"):
        assert words in text
    assert "1 shape renamed, as a shape before has the name: box/a.ply\n  not shapes: 1 file" in text
    parts = json.loads((out / "parts.json").read_text())["categories"]
    assert [category["name"] for category in parts] == list(TABLE.categories)
    assert parts[1]["parts"][0]["id"] == 3
    assert not list(out.rglob(".*"))


def test_batches_and_votes_of_a_real_network_decide_nothing_but_the_votes(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(models, "load_segmenter", lambda spec, k=None: random_segmenter())
    found = {}
    for batch_size, votes in ((1, 1), (7, 1), (64, 1), (7, 3)):
        out = tmp_path / f"{batch_size}-{votes}"
        segment(config(out, folder, batch_size=batch_size, votes=votes))
        found[batch_size, votes] = np.load(out / "box" / "a.npz")["face_probabilities"].astype(float)
    np.testing.assert_allclose(found[1, 1], found[64, 1], atol=1e-3)
    np.testing.assert_allclose(found[1, 1], found[7, 1], atol=1e-3)
    assert np.abs(found[7, 1] - found[7, 3]).max() > 0


@pytest.mark.usefixtures("side")
def test_resume_labels_only_what_is_missing_and_ends_as_if_never_stopped(folder: Path, tmp_path: Path) -> None:
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    segment(config(whole, folder))
    segment(config(cut, folder))
    lines = (cut / "shapes.csv").read_bytes().splitlines(keepends=True)
    (cut / "shapes.csv").write_bytes(b"".join(lines[:3]) + lines[3][:9])
    before = (cut / "Lamp-stand" / "few.npz").stat().st_mtime_ns
    summary = segment(config(cut, folder, resume=True))
    assert (summary.labelled, summary.kept, summary.failed) == (4, 2, 3)
    assert (cut / "Lamp-stand" / "few.npz").stat().st_mtime_ns == before
    assert (cut / "shapes.csv").read_bytes() == (whole / "shapes.csv").read_bytes()
    assert (cut / "failed.csv").read_bytes() == (whole / "failed.csv").read_bytes()
    again = segment(config(cut, folder, resume=True))
    assert (again.labelled, again.kept, again.exit_code) == (4, 4, 0)


@pytest.mark.usefixtures("side")
def test_a_folder_in_use_and_other_options_are_refused(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    few = folder / "Lamp-stand"
    segment(config(out, few))
    with pytest.raises(UsageError, match="in use"):
        segment(config(out, few))
    with pytest.raises(UsageError, match="seed 0, now 1"):
        segment(config(out, few, seed=1, resume=True))
    other = tmp_path / "other"
    other.mkdir()
    (other / "few.npy").write_bytes((few / "few.npy").read_bytes())
    with pytest.raises(UsageError, match="label of few is that of"):
        segment(config(out, other, resume=True))
    (tmp_path / "foreign").mkdir()
    (tmp_path / "foreign" / "letter.txt").write_text("dear")
    with pytest.raises(UsageError, match=r"holds no config\.yaml"):
        segment(config(tmp_path / "foreign", few, resume=True))


@pytest.mark.usefixtures("side")
def test_wrong_usage(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    with pytest.raises(UsageError, match="did you mean 'Lamp Stand'"):
        segment(config(out, folder, category="lampstan"))
    with pytest.raises(UsageError, match="SHAPES 'nowhere'"):
        segment(config(out, "nowhere"))
    (tmp_path / "none").mkdir()
    (tmp_path / "none" / "notes.doc").write_text("x")
    with pytest.raises(UsageError, match=r"SHAPES .*none: no shapes found, files of other kinds: 1; give .*\.off"):
        segment(config(out, tmp_path / "none"))
    for name in ("votes", "draws", "batch_size"):
        with pytest.raises(UsageError, match="must be at least 1"):
            segment(config(out, folder, **{name: 0}))
    assert not out.exists()


def test_fewer_points_than_neighbours() -> None:
    network = build_segmenter(DGCNN(k=40, emb_dims=8, width=0.125), TABLE, "linear", 0)
    network.points = 32
    assert points_for(network, 40, 2048) == 40
    for asked, words in (
        (0, r"--points 32 \(by default\): .*give 40 points .* --k 32"),
        (39, "--points 39: .* --k 39"),
    ):
        with pytest.raises(UsageError, match=words):
            points_for(network, asked, 2048)


def test_weights_that_do_not_say_whose_their_parts_are(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    unnamed = random_segmenter()
    unnamed.table = PartsTable(("0", "1"), ((0, 1, 2, 3, 4), ()), tuple("abcde"))
    monkeypatch.setattr(models, "load_segmenter", lambda spec, k=None: unnamed)
    with pytest.raises(UsageError, match=r"which of their 5 parts belong to which of their 2 categories"):
        segment(config(tmp_path / "out", folder))
    assert not (tmp_path / "out").exists()


@pytest.mark.usefixtures("side")
def test_with_broken_shapes_only_the_exit_code_is_1(tmp_path: Path) -> None:
    (tmp_path / "none").mkdir()
    (tmp_path / "none" / "bad.obj").write_text("")
    summary = segment(config(tmp_path / "b", tmp_path / "none"))
    assert (summary.exit_code, summary.failed) == (1, 1)


@pytest.mark.usefixtures("side")
def test_ctrl_c_keeps_whole_rows_and_resume_goes_on(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, calls = verb.write_labels, []

    def interrupt(answer: object, **options: object) -> dict[str, object]:
        calls.append(answer)
        if len(calls) == 2:
            os.kill(os.getpid(), signal.SIGINT)
        return real(answer, **options)

    monkeypatch.setattr(verb, "write_labels", interrupt)
    out = tmp_path / "out"
    summary = segment(config(out, "procedural:40", batch_size=1, points=16, draws=1))
    assert (summary.interrupted, summary.exit_code) == (True, 130)
    assert 2 <= summary.labelled < 40
    assert "--resume" in str(summary)
    for name in rows(out / "shapes.csv"):
        np.load(out / f"{name}.npz")["parts"]
        read_mesh(out / f"{name}.ply")
    summary = segment(config(out, "procedural:40", batch_size=8, points=16, draws=1, resume=True))
    assert (summary.labelled, summary.exit_code) == (40, 0)
    assert list(rows(out / "shapes.csv")) == [f"procedural/0/{i:08d}" for i in range(40)]


def test_the_command_on_a_saved_network(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    models.save_segmenter(random_segmenter(), tmp_path / "run" / "segmenter", {})
    out = tmp_path / "out"
    arguments = ["segment", str(tmp_path / "run"), str(folder), "--out", str(out), "--device", "cpu"]
    assert cli.run(arguments) == 0
    assert "4 shapes labelled, 3 failed" in capsys.readouterr().out
    assert cli.run(arguments) == 2
    assert cli.run(["segment", "--out", str(out), "--resume"]) == 0
    with Image.open(out / "box" / "a.png") as picture:
        assert picture.size[0] == 800
    page = (out / "index.html").read_text()
    assert page.count("<figure>") == 4
    assert 'src="box/a.ply.png"' in page


@pytest.mark.usefixtures("side")
def test_polygons_and_dropped_points_have_labels_in_the_order_of_the_file(tmp_path: Path) -> None:
    corners = "".join(f"v {x} {y} {z}\n" for x in (-2, -1, 1, 2) for y in (-1, 1) for z in (-1, 1))
    quads = [base + np.array(quad) for base in (8, 0) for quad in ([1, 2, 4, 3], [5, 6, 8, 7], [1, 2, 6, 5])]
    lines = [f"f {a} {b} {c} {d}" for a, b, c, d in quads]
    # Two materials in turns: readers that group by material reorder the faces.
    text = corners + "".join(f"usemtl m{number % 2}\n{line}\n" for number, line in enumerate(lines))
    (tmp_path / "quads.obj").write_text(text)
    points = np.random.default_rng(0).normal(size=(90, 3)).astype(np.float32)
    points[:, 0] += np.where(points[:, 0] > 0, 2, -2)
    points[[3, 40]] = np.nan
    np.save(tmp_path / "holes.npy", points)
    segment(config(tmp_path / "out", tmp_path, category="box"))
    quads_out, holes = np.load(tmp_path / "out" / "quads.npz"), np.load(tmp_path / "out" / "holes.npz")
    assert quads_out["file_face_parts"].tolist() == [4, 4, 4, 3, 3, 3]
    assert len(quads_out["face_parts"]) == 12
    expected = np.where(points[:, 0] > 0, 4, 3)
    expected[[3, 40]] = -1
    np.testing.assert_array_equal(holes["file_parts"], expected)
    assert len(holes["parts"]) == 88
