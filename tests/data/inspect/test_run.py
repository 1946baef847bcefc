"""inspect: the counts are those of the table, what is broken is named, and a healthy table exits with 0."""

import json
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from crosspoint3d import cli
from crosspoint3d.config import InspectConfig, RunError, UsageError
from crosspoint3d.data.inspect import inspect
from crosspoint3d.data.inspect.result import Inspection
from crosspoint3d.data.table import ShapeTable
from tests.data.tables import example_row, example_table


def mixed_table(path: Path) -> ShapeTable:
    """Two fragments of 6 and 5 rows: 9 shapes, two refused, two pairs of the same geometry, one with a note."""
    table = ShapeTable.create(path, points=32, settings={"seed": 3, "origin": "/meshes", "image_size": 32})
    rows = [example_row(i) | {"content": f"{i + 1:032x}"[::-1]} for i in range(9)]
    rows[4] |= {"content": rows[0]["content"], "parts": None}  # 4 is in test, 0 in train
    rows[7] |= {"content": rows[5]["content"], "notes": "03.png: truncated"}
    bad = {"source": "x", "category": "long", "status": "broken ply file (X: y)"}
    same = {"source": "x", "category": "round", "status": "duplicate of shape/2", "content": rows[2]["content"]}
    table.append([*rows[:5], bad | {"id": "bad"}])
    table.append([*rows[5:], same | {"id": "same"}])
    return table


def files_of(table: ShapeTable) -> list[Path]:
    return [Path(table.path) / "data" / each.data_files()[0].path for each in table.dataset.get_fragments()]


def look(path: Path, **options: Any) -> Inspection:
    return inspect(InspectConfig(path, **options))


@pytest.mark.parametrize("check", [False, True])
def test_the_counts_are_those_of_the_table(check: bool, tmp_path: Path) -> None:
    mixed_table(tmp_path / "t")
    found = look(tmp_path / "t", check=check)
    assert (found.rows, found.taken, found.refused, found.exit_code) == (11, 9, 2, 0)
    assert found.by_category == {"long": {"test": 1, "train": 4}, "round": {"train": 4}}
    assert found.reasons == {"broken ply file": 1, "duplicate": 1}
    assert found.examples["broken ply file"] == {"bad": "broken ply file (X: y)"}
    assert found.refused_in == {"long": 1, "round": 1}
    assert found.checked == (9 if check else 4)
    assert found.views == {2: found.checked} and found.picture_sizes == {"32 x 32": 2 * found.checked}
    assert found.with_parts == (8 if check else 3) and found.with_normals == found.checked
    assert found.notes == {"shape/7": "03.png: truncated"}
    same = found.duplicates
    assert same is not None
    assert (same.kept, same.groups, same.left_out, same.across_splits, same.across_categories) == (2, 2, 1, 1, 0)
    assert same.examples == [["shape/0", "shape/4"], ["shape/5", "shape/7"]]
    assert (found.origin, found.settings) == ("/meshes", {"seed": 3})
    assert found.files == 2 and found.versions == 3
    assert found.bytes == sum(file.stat().st_size for file in (tmp_path / "t").rglob("*") if file.is_file())
    sizes = found.bytes_by_column
    assert next(iter(sizes)) == "views" and sum(sizes.values()) <= found.bytes
    assert sizes["points"] >= 9 * 32 * 6


def test_text_and_json_say_the_same(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    mixed_table(tmp_path / "t")
    assert cli.run(["inspect", str(tmp_path / "t"), "--json"]) == 0
    values = json.loads(capsys.readouterr().out)
    assert values["by_category"]["long"] == {"test": 1, "train": 4} and values["problems"] == []
    assert cli.run(["inspect", str(tmp_path / "t")]) == 0
    text = capsys.readouterr().out
    for words in (
        "9 shapes taken, 2 refused", "/meshes", "32 points, normals, part labels (75 %), 2 pictures of 32 x 32 px",
        "1 x broken ply file, 1 x duplicate", "bad: broken ply file (X: y)", "2 shapes have exactly the geometry",
        "shape/0 = shape/4", "--check reads all", "nothing broken found",
    ):  # fmt: skip
        assert words in text
    assert [line.split() for line in text.splitlines() if line.startswith("    all")] == [["all", "8", "1", "2"]]


@pytest.mark.parametrize("damage", ["truncated", "missing", "garbled"])
def test_a_broken_fragment_is_named(damage: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    table = mixed_table(tmp_path / "t")
    victim = files_of(table)[1]
    whole = victim.read_bytes()
    if damage == "missing":
        victim.unlink()
    elif damage == "truncated":
        victim.write_bytes(whole[: len(whole) // 2])
    else:
        noise = np.random.default_rng(0).bytes(len(whole) // 2)
        victim.write_bytes(noise + whole[len(noise) :])
    assert cli.run(["inspect", str(tmp_path / "t"), "--out", str(tmp_path / "o"), "--check"]) == 1
    text, error = capsys.readouterr()
    assert not error
    assert f"BROKEN: data/{victim.name} (fragment 1, rows 6 to 10)" in text
    assert ".rs:" not in text
    assert (tmp_path / "o" / "contact_sheet.png").is_file()
    if damage != "garbled":
        assert "5 shapes taken, 1 refused" in text
        with pytest.raises(RunError, match=r"is broken .*crosspoint3d inspect .* says where"):
            ShapeTable(tmp_path / "t").take([8], ["points"])
        with pytest.raises(RunError, match="is broken"):
            ShapeTable(tmp_path / "t").select()
    victim.write_bytes(whole)
    assert look(tmp_path / "t").exit_code == 0


def test_no_table_and_a_broken_manifest(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["inspect", str(tmp_path / "none")]) == 2
    assert "no table at" in capsys.readouterr().err
    table = mixed_table(tmp_path / "t")
    newest = min((Path(table.path) / "_versions").iterdir(), key=lambda path: path.name)  # names count down
    newest.write_bytes(newest.read_bytes()[:10])
    assert cli.run(["inspect", str(tmp_path / "t")]) == 1
    assert "its newest manifest" in capsys.readouterr().err
    newest.unlink()
    assert look(tmp_path / "t").rows == 6
    with pytest.raises(UsageError, match="--shapes 0"):
        look(tmp_path / "t", shapes=0)


def huge_picture() -> bytes:
    """A PNG of a few bytes that says it is 60,000 pixels wide and high."""
    header = b"IHDR" + struct.pack(">IIBBBBB", 60_000, 60_000, 8, 0, 0, 0, 0)
    data = b"IDAT" + zlib.compress(b"")
    chunks = (struct.pack(">I", len(each) - 4) + each + struct.pack(">I", zlib.crc32(each)) for each in (header, data))
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


def test_wrong_contents_are_named(tmp_path: Path) -> None:
    table = ShapeTable.create(tmp_path / "t", points=32, settings={})
    rows = [example_row(i) for i in range(8)]
    rows[1]["points"] = rows[1]["points"] * np.float16(np.nan)
    rows[2]["points"] = rows[2]["points"] * np.float16(2)
    rows[3]["views"] = [rows[3]["views"][0][:200], rows[3]["views"][1]]
    rows[4]["views"] = []
    rows[5]["points"] = None
    rows[6]["id"] = rows[0]["id"]
    rows[7]["views"] = [huge_picture()]
    table.append(rows)
    problems = look(tmp_path / "t", check=True).problems
    assert problems[0] == "id 'shape/0' is in rows 0, 6"
    wrong = {
        1: "not finite",
        2: "reach 2.0",
        3: "picture 0 cannot be decoded",
        4: "no pictures",
        7: "bomb",
    }
    for number, words in wrong.items():
        assert [words in line for line in problems if line.startswith(f"row {number}:")] == [True]
    assert "row 5: status ok, but no points" in problems
    assert len(problems) == 7
    assert len(look(tmp_path / "t", out=tmp_path / "sheet").problems) == 2


def test_an_empty_table_and_rows_that_were_deleted(tmp_path: Path) -> None:
    ShapeTable.create(tmp_path / "empty", points=32, settings={})
    found = look(tmp_path / "empty", out=tmp_path / "o", check=True)
    assert (found.rows, found.exit_code) == (0, 0) and str(found)
    table = mixed_table(tmp_path / "t")
    table.delete_failed()
    found = look(tmp_path / "t", check=True)
    assert (found.rows, found.taken, found.checked, found.problems) == (9, 9, 9, [])


def test_a_table_without_hashes(tmp_path: Path) -> None:
    example_table(tmp_path / "t", 4)
    table = ShapeTable(tmp_path / "t")
    table.dataset.drop_columns(["content", "notes"])
    found = look(tmp_path / "t")
    assert found.duplicates is None and "not known" in str(found)
    assert ShapeTable(tmp_path / "t").select().tolist() == [0, 1, 2, 3]


def test_out_that_cannot_be_written(tmp_path: Path) -> None:
    example_table(tmp_path / "t", 2)
    (tmp_path / "file").write_text("x")
    with pytest.raises(RunError, match="--out"):
        look(tmp_path / "t", out=tmp_path / "file")
