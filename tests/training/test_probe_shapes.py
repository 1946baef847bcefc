"""Which shapes probes hold out: by id and seed alone, a tenth of them; and which labelled ones they fit on."""

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from crosspoint3d.data.id_hash import hashed_ids
from crosspoint3d.data.row_index import RowIndex
from crosspoint3d.data.table import ShapeTable
from crosspoint3d.training import probe_shapes
from crosspoint3d.training.excluded import training_rows
from crosspoint3d.training.probe_shapes import some_labelled, split_rows
from tests.data.tables import example_row, example_table


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("data") / "table"
    example_table(path, 60)
    return path


def table_of(path: Path, rows: list[dict[str, Any]]) -> ShapeTable:
    table = ShapeTable.create(path, points=32, settings={})
    table.append(rows)
    return table


def numbers(rows: RowIndex) -> np.ndarray:
    return rows[np.arange(len(rows))]


def ids(tables: list[ShapeTable], rows: tuple[np.ndarray, ...]) -> list[set[str]]:
    return [set(table.column("id", mine)) for table, mine in zip(tables, rows, strict=True)]


@pytest.mark.parametrize("seed", [0, 5])
def test_a_tenth_of_the_train_shapes_is_held_out(data: Path, seed: int) -> None:
    tables = [ShapeTable(data)]
    rows = training_rows(tables, None)
    train, held_out = split_rows(tables, rows, seed)
    assert len(held_out[0]) == round(0.1 * len(rows[0]))
    assert np.array_equal(np.sort(np.concatenate([numbers(train[0]), held_out[0]])), numbers(rows[0]))
    assert set(tables[0].column("split", held_out[0])) == {"train"}
    assert not np.array_equal(held_out[0], split_rows(tables, rows, seed + 1)[1][0])


def test_order_and_tables_do_not_matter_and_a_shape_in_two_tables_is_held_out_of_both(tmp_path: Path) -> None:
    shapes = [example_row(i) | {"split": "train"} for i in range(40)]
    one = [table_of(tmp_path / "a", shapes)]
    two = [table_of(tmp_path / "b", shapes[:25:-1]), table_of(tmp_path / "c", shapes[:30])]
    (wanted,) = ids(one, split_rows(one, training_rows(one, None), 3)[1])
    train, held_out = split_rows(two, training_rows(two, None), 3)
    assert len(wanted) == 4 and set().union(*ids(two, held_out)) == wanted
    assert not set().union(*ids(two, tuple(numbers(rows) for rows in train))) & wanted


def test_of_many_shapes_as_many_as_are_allowed_wherever_they_stand(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The stream is cut to its smallest hashes again and again, and loses none of them."""
    tables = [ShapeTable(data)] * 3
    rows = training_rows(tables, None)
    wanted = split_rows(tables, rows, 1)[1][0][:4]
    monkeypatch.setattr(probe_shapes, "MOST_HELD_OUT", 4)
    monkeypatch.setattr(probe_shapes, "SHARE", 0.5)
    found = split_rows(tables, rows, 1)[1]
    names = tables[0].column("id")
    key = probe_shapes.key_of(1, 0x70726F62)
    hashes = hashed_ids(pa.array(names), key)
    plain = sorted(numbers(rows[0]).tolist(), key=lambda row: hashes[row])[:4]
    assert all(mine.tolist() == sorted(plain) for mine in found) and set(wanted) & set(plain)


def test_every_shape_is_held_out_as_often(data: Path) -> None:
    tables = [ShapeTable(data)]
    rows = training_rows(tables, None)
    held = Counter(row for seed in range(300) for row in split_rows(tables, rows, seed)[1][0].tolist())
    assert stats.chisquare([held[row] for row in numbers(rows[0]).tolist()]).pvalue > 1e-4


def test_nothing_to_hold_out(data: Path) -> None:
    tables = [ShapeTable(data)]
    train, held_out = split_rows(tables, (RowIndex.of([np.zeros(60, dtype=bool)]),), 0)
    assert len(train[0]) == len(held_out[0]) == 0


def test_labelled_shapes_are_drawn_from_all_tables(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kinds = ["a", None, "", "b"]
    other = table_of(tmp_path / "t", [example_row(i) | {"category": kinds[i % 4], "split": None} for i in range(40)])
    tables = [other, ShapeTable(data)]
    rows = training_rows(tables, None)
    found = some_labelled(tables, rows, 0)
    assert found[0].tolist() == [row for row in range(40) if row % 4 in (0, 3)]
    assert found[1].tolist() == numbers(rows[1]).tolist()
    monkeypatch.setattr(probe_shapes, "MOST_FITTED", 20)
    few = [some_labelled(tables, rows, seed) for seed in range(20)]
    assert all(len(first) + len(second) == 20 for first, second in few)
    assert 80 < sum(len(first) for first, _ in few) < 200  # 118 expected: 20 of 68 are the other table's


@settings(deadline=None)
@given(st.lists(st.text(max_size=12), max_size=12), st.integers(0, 5), st.integers(0, 2**63))
def test_hashes_of_ids_are_the_plain_definition(names: list[str], start: int, key: int) -> None:
    mask = 2**64 - 1
    expected = []
    for name in names[start:]:
        value = 0xCBF29CE484222325
        for byte in name.encode():
            value = (value ^ byte) * 0x100000001B3 & mask
        value = (value * 0x9E3779B97F4A7C15 + key) & mask
        value = (value ^ value >> 30) * 0xBF58476D1CE4E5B9 & mask
        value = (value ^ value >> 27) * 0x94D049BB133111EB & mask
        expected.append(value ^ value >> 31)
    assert hashed_ids(pa.array(names, pa.string())[start:], key).tolist() == expected
