"""Rows that are there are whole, wherever a run was killed."""

from pathlib import Path

import pytest

from crosspoint3d.config import UsageError
from crosspoint3d.labelling.row_file import RowFile, read_rows

COLUMNS = ("id", "source", "words")
ROWS = [
    {"id": f"a/{i}", "source": f"s{i}", "words": words} for i, words in enumerate(["x", 'a "b", c', "one\ntwo", "é"])
]


def written(path: Path, rows: list[dict[str, str]], *, keep: bool = False) -> dict[str, str]:
    with RowFile(path, COLUMNS, keep=keep) as file:
        for row in rows:
            file.append(row)
        return file.kept


def test_rows_come_back(tmp_path: Path) -> None:
    written(tmp_path / "a.csv", ROWS)
    expected = [row | {"words": row["words"].replace("\n", " ")} for row in ROWS]
    assert list(read_rows(tmp_path / "a.csv")) == expected


def test_cut_anywhere_only_whole_rows_are_kept_and_the_rest_can_follow(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    written(path, ROWS)
    whole = path.read_bytes()
    header = whole.index(b"\n") + 1
    for cut in range(header, len(whole) + 1):
        path.write_bytes(whole[:cut])
        lines = whole[header:cut].count(b"\n")
        kept = written(path, ROWS[lines:], keep=True)
        assert kept == {row["id"]: row["source"] for row in ROWS[:lines]}
        assert path.read_bytes() == whole


def test_without_keep_a_file_begins_anew(tmp_path: Path) -> None:
    written(tmp_path / "a.csv", ROWS)
    assert written(tmp_path / "a.csv", ROWS[:1]) == {}
    assert len(list(read_rows(tmp_path / "a.csv"))) == 1


def test_another_header_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("id,other\n1,2\n")
    with pytest.raises(UsageError, match="other columns"):
        RowFile(tmp_path / "a.csv", COLUMNS, keep=True)
