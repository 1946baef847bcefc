"""Where shapes are found, and that every one has a name of its own that stays inside the folder of labels."""

from collections.abc import Callable
from pathlib import Path, PurePosixPath

import numpy as np
import pytest
import trimesh

from crosspoint3d.config import PrepareConfig, UsageError
from crosspoint3d.data.prepare import prepare
from crosspoint3d.data.published import read_shapenet_part
from crosspoint3d.labelling.places import Places, find_places
from tests.data.part_sets import hdf5_folder, text_folder


def places(*specs: Path | str, out: str = "out") -> Places:
    return find_places([str(spec) for spec in specs], leave_out=Path(out), seed=3)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = tmp_path / "in"
    for name in ("chair/train/1.off", "chair/1.off", "chair/1.stl", "table/b.v2.ply", "c.ply", "B/C.PLY"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        trimesh.creation.box().export(root / name, file_type=name.split(".")[-1].lower())
    (root / "notes.doc").write_text("x")
    return root


def test_ids_keep_folders_and_clashes_show(folder: Path) -> None:
    found = places(folder, folder / "c.ply", folder / "chair")
    assert [place.id for place in found.shapes] == [
        "B/C", "c", "chair/1", "chair/1.stl", "chair/train/1", "table/b.v2",
        "c.ply", "1", "1.stl", "train/1",
    ]  # fmt: skip
    assert [place.id for place in found.shapes if place.renamed] == ["chair/1.stl", "c.ply", "1.stl"]
    assert found.other == 1
    assert places(folder / "c.ply", folder / "c.ply", folder / "c.ply").shapes[2].id == "c-2"


def test_equal_but_for_case_is_a_clash(folder: Path) -> None:
    (folder / "C.stl").write_bytes((folder / "chair" / "1.stl").read_bytes())
    names = [place.id.casefold() for place in places(folder).shapes]
    assert len(set(names)) == len(names) == 7


def test_the_category_is_the_folder_that_prepare_takes_or_the_one_named(folder: Path) -> None:
    own = {place.id: place.candidate.category for place in places(folder).shapes}
    assert own == {
        "B/C": "B", "c": "in", "chair/1": "chair", "chair/1.stl": "chair", "chair/train/1": "chair",
        "table/b.v2": "table",
    }  # fmt: skip
    assert {place.candidate.category for place in places(folder / "chair").shapes} == {"chair"}
    assert places(folder / "table" / "b.v2.ply").shapes[0].candidate.category == "table"


def test_a_split_or_a_format_is_no_category(folder: Path) -> None:
    for spec in (folder / "chair" / "train", folder / "chair" / "train" / "1.off"):
        assert places(spec).shapes[0].candidate.category == "chair"
    (folder / "chair" / "train" / "OFF").mkdir()
    (folder / "chair" / "train" / "1.off").rename(folder / "chair" / "train" / "OFF" / "1.off")
    assert places(folder / "chair" / "train" / "OFF").shapes[0].candidate.category == "chair"


@pytest.mark.parametrize("layout", [hdf5_folder, text_folder])
def test_a_published_set_of_parts(layout: Callable[[Path], Path], tmp_path: Path) -> None:
    spec = f"shapenetpart:{layout(tmp_path)}"
    splits = read_shapenet_part(spec).splits
    rows = [row for part in ("train", "val", "test") for row in zip(*splits[part][:1], splits[part].ids, strict=True)]
    found = places(spec).shapes
    assert [place.id for place in found] == [name for _, name in rows]
    assert [place.candidate.source for place in found] == [f"{spec}#{name}" for _, name in rows]
    assert [place.candidate.category for place in found[:2]] == ["Airplane", "Bag"]
    for place, (cloud, _) in zip(found, rows, strict=True):
        np.testing.assert_array_equal(place.cloud, cloud)


def test_the_folder_of_labels_is_not_searched(folder: Path) -> None:
    assert [place.id for place in places(folder, out=str(folder / "chair")).shapes] == ["B/C", "c", "table/b.v2"]


def test_names_stay_inside(tmp_path: Path) -> None:
    trimesh.creation.box().export(tmp_path / "a.off")
    (tmp_path / "sub").mkdir()
    lines = [f"{tmp_path}/a.off", "../a.off", "..//a.off#"]
    (tmp_path / "sub" / "list.txt").write_text("\n".join(lines))
    for place in places(tmp_path / "sub" / "list.txt").shapes:
        path = PurePosixPath(place.id)
        assert not path.is_absolute()
        assert ".." not in path.parts


def test_tables_and_procedural_shapes(folder: Path, tmp_path: Path) -> None:
    (folder / "chair" / "bad.off").write_text("OFF\n")
    prepare(PrepareConfig(str(folder), tmp_path / "t", points=16, views=1, image_size=16, workers=1))
    found = places(tmp_path / "t", "procedural:3", "procedural:1:9")
    rows = [place for place in found.shapes if place.table is not None]
    assert len(rows) == 7
    assert {place.id: bool(place.refused) for place in rows}["chair/bad"]
    assert sum(place.refused is not None for place in rows) == 1
    points = rows[0].table.take([rows[0].row], ["points"])["points"]
    assert np.isfinite(points).all()
    assert rows[0].candidate.source == f"{tmp_path / 't'}#{rows[0].candidate.id}"
    assert [place.id for place in found.shapes[7:]] == [
        "procedural/3/00000000", "procedural/3/00000001", "procedural/3/00000002", "procedural/9/00000000",
    ]  # fmt: skip


@pytest.mark.parametrize("text", ['{\n "a": 1\n}', "[]", '["' + 300 * "a" + '.off"]', ""])
def test_a_file_that_is_neither_shape_nor_list_says_so(text: str, folder: Path) -> None:
    (folder / "file.json").write_text(text)
    with pytest.raises(UsageError, match=r"SHAPES .*file\.json: no shape, and no list of paths.*give .*\.off"):
        places(folder / "file.json")
    (folder / "file.json").write_text("c.ply\ngone.ply\n")
    assert [place.id for place in places(folder / "file.json").shapes] == ["c", "gone"]


@pytest.mark.parametrize("specs", [[], ["nowhere"], ["procedural:x"], ["shapenetpart:nowhere"]])
def test_wrong_sources_say_so(specs: list[str]) -> None:
    with pytest.raises(UsageError, match=r"SHAPES|procedural"):
        places(*specs)
