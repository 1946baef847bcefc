"""prepare with part labels: every sampled point has the label of the face it lies on, whatever file says it."""

import dataclasses
import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from crosspoint3d import cli
from crosspoint3d.config import PrepareConfig, UsageError
from crosspoint3d.data.part_clouds import load_part_clouds
from crosspoint3d.data.prepare import prepare
from crosspoint3d.data.summary import PrepareSummary
from crosspoint3d.data.table import ShapeTable
from crosspoint3d.parts_table import PartsTable
from tests.data.shapes_on_disk import CORNERS, QUADS, labelled_ply, npy, rows, write

PLACES = np.array([0.0, 10.0, 30.0])
BOXES = np.concatenate([CORNERS + np.float32([x, 0, 0]) for x in PLACES])
FACES = np.concatenate([QUADS + 8 * i for i in range(3)])
OWNER = np.repeat(np.arange(3), 6)
SMALL: dict[str, Any] = {"points": 96, "views": 1, "image_size": 16, "supersample": 1, "workers": 1}


def boxes(path: Path, seed: int = 0) -> np.ndarray:
    """Three boxes in a row as OFF, their quads shuffled; which box each quad belongs to."""
    order = np.random.default_rng(seed).permutation(18)
    polygons = np.column_stack([np.full(18, 4), FACES[order]])
    write(path.parent, path.name, ("OFF\n24 18 0\n" + rows(BOXES) + rows(polygons)).encode())
    return OWNER[order]


def seg(labels: np.ndarray) -> bytes:
    return "".join(f"{label}\n" for label in labels).encode()


def named(owner: np.ndarray, names: tuple[str, ...]) -> bytes:
    own = [" ".join(str(face + 1) for face in np.flatnonzero(owner == i)) for i in range(len(names))]
    return "".join(f"{name}\n{faces} \n" for name, faces in zip(names, own, strict=True)).encode()


def check(table: ShapeTable, row: int, ids: list[int]) -> None:
    """Along the row of boxes, the points of each have its id; every box has points."""
    taken = table.take([row], ["points", "parts"])
    along, parts = taken["points"][0][:, 0], taken["parts"][0]
    order = np.argsort(along)
    ends = np.sort(np.argsort(np.diff(along[order]))[-2:]) + 1
    pieces = np.split(parts[order], ends)
    assert [np.unique(piece).tolist() for piece in pieces] == [[own] for own in ids]


def run(source: Path, out: Path, **options: Any) -> PrepareSummary:
    return prepare(PrepareConfig(str(source), out, **(SMALL | options)))


@pytest.mark.parametrize("up", ["y", "z"])
def test_labels_of_every_kind_land_on_their_points(up: str, tmp_path: Path) -> None:
    source = tmp_path / "in"
    for kind in ("beside", "gt", "labels", "npy", "points_label"):
        owner = boxes(source / kind / "shapes" / "a.off", 3)
        place = {"beside": "shapes/a.seg", "npy": "shapes/a.npy"}.get(kind, f"{kind}/a.seg")
        labels = np.array([4, 0, 255])[owner]
        write(source / kind, place, npy(labels) if kind == "npy" else seg(labels))
    boxes(source / "none" / "a.off")
    write(source, "ply/a.ply", labelled_ply(FACES.tolist(), np.array([4, 0, 255])[OWNER], points=BOXES))
    write(source, "text/a_labels.off", b"x")
    write(source, "text/orphan.seg", b"1\n")
    summary = run(source, tmp_path / "t", up=up)
    assert (summary.taken, summary.refused, summary.with_parts) == (7, 1, 6)
    assert summary.without_parts == ["none/a.off"] and summary.other == {".seg": 1} and summary.companions == 5
    assert "part labels: 6 shapes, 1 without (first: none/a.off)" in str(summary)
    table = ShapeTable(tmp_path / "t")
    for row, (name, parts) in enumerate(zip(table.column("id"), table.filled("parts"), strict=True)):
        assert parts == (name.split("/")[0] not in ("none", "text"))
        if parts:
            check(table, row, [4, 0, 255])
    assert "parts_table" not in table.settings


def test_named_parts_make_the_table_of_parts(tmp_path: Path) -> None:
    source = tmp_path / "in"
    for i, split in enumerate(["train"] * 3 + ["val", "test"]):
        for category, names in (("pen", ("tip", "body", "cap")), ("bug", ("head", "body", "tail"))):
            owner = boxes(source / category / split / f"{i}.off", i)
            write(source, f"{category}/{split}/{i}_labels.txt", named(owner, names))
    for workers in (1, 2):
        summary = run(source, tmp_path / f"t{workers}", workers=workers)
        assert (summary.taken, summary.with_parts, summary.without_parts) == (10, 10, [])
        table = ShapeTable(tmp_path / f"t{workers}")
        assert PartsTable.from_dict(table.settings["parts_table"]) == PartsTable(
            ("bug", "pen"), ((0, 1, 2), (3, 4, 5)), ("body", "head", "tail", "body", "cap", "tip")
        )
        for row, category in enumerate(table.column("category")):
            check(table, row, [1, 0, 2] if category == "bug" else [5, 3, 4])
    taken = [ShapeTable(tmp_path / name).take(range(10), ["points", "parts"]) for name in ("t1", "t2")]
    np.testing.assert_array_equal(taken[0]["parts"], taken[1]["parts"])
    np.testing.assert_array_equal(taken[0]["points"], taken[1]["points"])
    clouds = load_part_clouds(str(tmp_path / "t1"), seed=0)
    assert clouds.table.names == ("body", "head", "tail", "body", "cap", "tip")
    assert (len(clouds.train), len(clouds.val), len(clouds.test)) == (6, 2, 2)


def test_a_table_keeps_its_parts_and_a_second_run_says_what_does_not_fit(tmp_path: Path) -> None:
    source, out = tmp_path / "in", tmp_path / "t"
    owner = boxes(source / "pen" / "a.off")
    file = write(source, "pen/a_labels.txt", named(owner, ("tip", "body", "cap")))
    boxes(source / "pen" / "plain.off")
    assert run(source, out).with_parts == 1
    kept = ShapeTable(out).settings
    for name, parts in (("b", ("cap", "tip", "body")), ("c", ("tip", "body", "clip"))):
        write(source, f"pen/{name}_labels.txt", named(boxes(source / "pen" / f"{name}.off"), parts))
    summary = run(source, out)
    assert (summary.new, summary.with_parts, summary.outdated) == (2, 2, [])
    reason = "part labels outside the category's parts (clip; pen has body, cap, tip)"
    assert summary.refused_files == {"pen/c.off": reason}
    assert summary.reasons == {"part labels outside the category's parts": 1}
    table = ShapeTable(out)
    assert table.settings == kept
    check(table, table.column("id").index("pen/b.off"), [1, 2, 0])

    later = (out / "prepare.json").stat().st_mtime + 5
    os.utime(file, (later, later))
    summary = run(source, out)
    assert summary.outdated == json.loads((out / "prepare.json").read_text())["outdated"] == ["pen/a.off"]
    assert "label files changed since the last run: 1 (first: pen/a.off); these shapes keep" in str(summary)

    parts = write(tmp_path, "parts.yaml", b"pen: [tip, body, cap]\n")
    with pytest.raises(UsageError, match="was made with other parts: use the same values to go on, or another --out"):
        run(source, out, parts=parts)
    with pytest.raises(UsageError, match="part_labels 'auto', now 'required'"):
        run(source, out, part_labels="required")
    write(source, "pen/plain.seg", seg(owner))
    with pytest.raises(UsageError, match=r"1 of these shapes without the part labels .*first: pen/plain.off"):
        run(source, out)


def test_numbers_are_named_by_a_file_of_parts(tmp_path: Path) -> None:
    """The layout of ShapeNetPart's clouds, whose labels count from 1 within a category."""
    source = tmp_path / "in"
    rng = np.random.default_rng(5)
    owner = rng.integers(0, 3, 200)
    points = rng.uniform(0, 1, (200, 3)) + PLACES[owner][:, None] * [1, 0, 0]
    for i, category in enumerate(["02691156", "03001627", "03001627"]):
        write(source, f"{category}/points/{i}.pts", rows(points).encode())
        write(source, f"{category}/points_label/{i}.seg", seg(owner + 1 + (i == 2)))
    parts = write(
        tmp_path, "parts.yaml", b'"02691156": {1: body, 2: wing, 3: tail}\n"03001627": {3: seat, 1: leg, 2: back}\n'
    )
    summary = run(source, tmp_path / "t", parts=parts)
    assert summary.reasons == {"part labels outside the category's parts": 1} and summary.with_parts == 2
    assert summary.refused_files["03001627/points/2.pts"].endswith("(4; expected 03001627: 3, 1, 2)")
    table = ShapeTable(tmp_path / "t")
    assert table.settings["parts_table"]["names"] == ["body", "wing", "tail", "seat", "leg", "back"]
    check(table, 0, [0, 1, 2])
    check(table, 1, [4, 5, 3])
    assert run(source, tmp_path / "t").new == run(source, tmp_path / "t", parts=parts).new == 0


def test_one_category_needs_no_folder(tmp_path: Path) -> None:
    owner = boxes(tmp_path / "in" / "a.off")
    write(tmp_path, "in/a_labels.txt", named(owner, ("tip", "body", "cap")))
    summary = run(tmp_path / "in", tmp_path / "t")
    assert summary.reasons == {"part labels are names of parts of no category": 1}
    parts = write(tmp_path, "parts.json", b'{"pen": ["tip", "body", "cap"]}')
    for _ in range(2):
        assert run(tmp_path / "in", tmp_path / "u", parts=parts).with_parts == 1
    table = ShapeTable(tmp_path / "u")
    assert table.column("category") == ["pen"]
    check(table, 0, [0, 1, 2])


def test_where_labels_are_looked_for(tmp_path: Path) -> None:
    source, elsewhere = tmp_path / "in", tmp_path / "human"
    owner = boxes(source / "pen" / "a.off")
    boxes(source / "pen" / "b.off")
    write(source, "pen/a.seg", seg(owner + 7))
    write(elsewhere, "pen/a.seg", seg(owner))
    summary = run(source, tmp_path / "none", part_labels="none")
    assert (summary.taken, summary.with_parts, summary.other) == (2, 0, {".seg": 1})
    assert "part labels" not in str(summary)
    summary = run(source, tmp_path / "required", part_labels="required")
    assert summary.refused_files == {"pen/b.off": "no part labels"}
    check(ShapeTable(tmp_path / "required"), 0, [7, 8, 9])
    for _ in range(2):
        assert run(source, tmp_path / "tree", part_labels=str(elsewhere)).with_parts == 1
    check(ShapeTable(tmp_path / "tree"), 0, [0, 1, 2])
    with pytest.raises(UsageError, match=r"labels of none of the 2 shapes; .* such as .*in/pen/pen/a.seg"):
        run(source, tmp_path / "x", part_labels=str(source / "pen"))
    with pytest.raises(UsageError, match="--part-labels some: give auto, required, none or a folder that is there"):
        run(source, tmp_path / "x", part_labels="some")
    parts = write(tmp_path, "parts.json", b'{"pen": ["tip", "body", "cap"]}')
    with pytest.raises(UsageError, match="--part-labels none reads no labels"):
        run(source, tmp_path / "x", part_labels="none", parts=parts)
    assert cli.run(["prepare", "procedural:2", "--out", str(tmp_path / "x"), "--parts", str(parts)]) == 2
    assert not (tmp_path / "x").exists()


def test_labels_that_no_shape_has_are_missed_aloud(tmp_path: Path) -> None:
    boxes(tmp_path / "in" / "pen" / "a.off")
    parts = write(tmp_path, "parts.json", b'{"pen": ["tip", "body", "cap"]}')
    summary = run(tmp_path / "in", tmp_path / "t", parts=parts)
    assert "part labels: 0 shapes, 1 without (first: pen/a.off)" in str(summary)


def test_wrong_labels_refuse_their_shape_only(tmp_path: Path) -> None:
    source = tmp_path / "in"
    files = {"short": seg(OWNER[:-1]), "word": b"one\n", "huge": seg(OWNER + 300), "less": seg(OWNER - 1)}
    for name, data in files.items():
        boxes(source / "pen" / f"{name}.off")
        write(source, f"pen/{name}.seg", data)
    write(source, "pen/good.seg", seg(boxes(source / "pen" / "good.off", 9)))
    summary = run(source, tmp_path / "t")
    assert (summary.taken, summary.with_parts, summary.exit_code) == (1, 1, 0)
    assert summary.refused_files["pen/short.off"] == "part labels do not fit (17 labels, 18 faces)"
    assert summary.reasons == {
        "part labels outside the category's parts": 2,
        "part labels do not fit": 1,
        "broken part labels": 1,
    }
    write(source, "pen/short.seg", seg(boxes(source / "pen" / "short.off", 4)))
    summary = run(source, tmp_path / "t", retry_failed=True)
    assert summary.with_parts == 2
    table = ShapeTable(tmp_path / "t")
    check(table, table.column("id").index("pen/short.off"), [0, 1, 2])


def test_of_one_model_in_two_formats_the_labelled_one_is_taken(tmp_path: Path) -> None:
    source = tmp_path / "in" / "pen"
    write(source, "off/a.seg", seg(boxes(source / "off" / "a.off")))
    write(source, "ply/a.ply", labelled_ply(FACES.tolist(), np.array([4, 0, 255])[OWNER], points=BOXES))
    summary = run(tmp_path / "in", tmp_path / "t")
    assert summary.same_model == ["pen/ply/a.ply"] and summary.with_parts == 1
    check(ShapeTable(tmp_path / "t"), 0, [0, 1, 2])


def test_tables_of_earlier_versions_go_on(tmp_path: Path) -> None:
    boxes(tmp_path / "in" / "pen" / "a.off")
    config = PrepareConfig(str(tmp_path / "in"), tmp_path / "new", **SMALL)
    prepare(config)
    settings = ShapeTable(tmp_path / "new").settings
    assert settings.pop("part_labels") == "auto"
    ShapeTable.create(tmp_path / "old", points=SMALL["points"], settings=settings)
    write(tmp_path, "in/pen/b.seg", seg(boxes(tmp_path / "in" / "pen" / "b.off")))
    summary = prepare(dataclasses.replace(config, out=tmp_path / "old"))
    assert (summary.taken, summary.with_parts) == (2, 1)
