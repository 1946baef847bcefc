"""Batches read from tables: the rows and pictures that were asked for, whatever their order."""

import io
from collections.abc import Sequence
from pathlib import Path

import lance
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from crosspoint3d.config import RunError, UsageError
from crosspoint3d.data.batches import BatchReader, chosen_views, decode
from crosspoint3d.data.order import Draw
from crosspoint3d.data.table import ShapeTable
from tests.data.tables import example_row, example_table


def random_draws(sizes: Sequence[int], count: int, seed: int) -> list[Draw]:
    generator = np.random.default_rng(seed)
    tables = generator.integers(len(sizes), size=count).tolist()
    return [Draw(t, int(generator.integers(sizes[t])), int(generator.integers(2**31))) for t in tables]


def with_pictures(path: Path, pictures: list[list[bytes]], column: str = "views") -> ShapeTable:
    """A table whose rows hold these pictures, in a column that may be a new one."""
    table = example_table(path, len(pictures))
    ids = [f"shape/{i}" for i in range(len(pictures))]
    columns = pa.table({"id": ids, column: pa.array(pictures, pa.list_(pa.binary()))})
    dataset = table.dataset
    if column in dataset.schema.names:
        dataset.drop_columns([column])
    lance.dataset(str(path)).merge(columns, "id")
    return ShapeTable(path)


def png(value: int, mode: str = "L", size: int = 32) -> bytes:
    buffer = io.BytesIO()
    Image.new(mode, (size, size), value).save(buffer, "PNG")
    return buffer.getvalue()


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("views", [0, 1, 2, 4])
def test_a_batch_holds_what_was_drawn_row_by_row(views: int, threads: int, tmp_path: Path) -> None:
    tables = [example_table(tmp_path / "a", 8, views=3), example_table(tmp_path / "b", 4, views=5)]
    draws = random_draws([8, 4], 11, seed=views)
    batch = BatchReader(tables, views=views, threads=threads).read(draws)
    assert batch.points.dtype == np.float16 and (batch.images is None) == (views == 0)
    for place, draw in enumerate(draws):
        row = tables[draw.table].take([draw.row], ["points", "views"])
        np.testing.assert_array_equal(batch.points[place].astype(np.float32), row["points"][0])
        if batch.images is not None:
            wanted = chosen_views(draw.view, views, len(row["views"][0]))
            pictures = [decode(row["views"][0][view]) for view in wanted]
            np.testing.assert_array_equal(batch.images[place], np.stack(pictures))


def test_what_to_dict_says_makes_the_same_reader(tmp_path: Path) -> None:
    tables = [example_table(tmp_path / "a", 8), example_table(tmp_path / "b", 4)]
    reader = BatchReader(tables, views=2)
    other = BatchReader.from_dict(reader.to_dict())
    tables[0].append([example_row(99)])  # a later version of the table, which the other does not see
    draws = random_draws([8, 4], 6, seed=0)
    for one, two in zip(reader.read(draws), other.read(draws), strict=True):
        np.testing.assert_array_equal(one, two)
    assert len(other.tables[0]) == 8


@given(st.integers(0, 2**31), st.integers(1, 9), st.integers(1, 12))
def test_pictures_are_repeated_only_when_there_are_fewer(view: int, count: int, available: int) -> None:
    chosen = chosen_views(view, count, available)
    assert chosen[0] == view % available and len(chosen) == count
    assert set(chosen) <= set(range(available)) and len(set(chosen)) == min(count, available)
    assert chosen == chosen_views(view, count, available)
    assert chosen[:-1] == chosen_views(view, count, available)[:-1]


def test_every_pair_of_pictures_comes_equally_often() -> None:
    pairs = [tuple(chosen_views(view, 2, 4)) for view in np.random.default_rng(0).integers(2**31, size=2400).tolist()]
    counts = [pairs.count((one, two)) for one in range(4) for two in range(4) if one != two]
    assert sum(counts) == 2400 and min(counts) > 130 and max(counts) < 280


def test_depth_pictures_come_with_three_equal_channels(tmp_path: Path) -> None:
    table = with_pictures(tmp_path / "t", [[png(10 * row + view) for view in range(2)] for row in range(4)], "depth")
    draws = [Draw(0, 3, 1), Draw(0, 0, 0)]
    images = BatchReader([table], pictures="depth").read(draws).images
    assert images is not None and images.shape == (2, 1, 32, 32, 3)
    assert (images[0] == 31).all() and (images[1] == 0).all()
    with pytest.raises(UsageError, match="holds no depth pictures"):
        BatchReader([table, example_table(tmp_path / "u", 2)], pictures="depth")
    BatchReader([example_table(tmp_path / "v", 2)], views=0, pictures="depth")


def test_pictures_of_different_sizes_are_refused(tmp_path: Path) -> None:
    tables = [example_table(tmp_path / "a", 2), example_table(tmp_path / "b", 2, size=48)]
    with pytest.raises(UsageError, match="different sizes"):
        BatchReader(tables).read([Draw(0, 0, 0), Draw(1, 0, 0)])


@pytest.mark.parametrize("content", [b"", b"no picture", png(5)[:-40]], ids=["empty", "other", "cut"])
def test_a_broken_picture_is_named(content: bytes, tmp_path: Path) -> None:
    table = with_pictures(tmp_path / "t", [[png(1)], [png(2), content]])
    BatchReader([table]).read([Draw(0, 0, 3), Draw(0, 1, 2)])
    with pytest.raises(RunError, match=r"t: a picture of row 1 cannot be decoded"):
        BatchReader([table]).read([Draw(0, 0, 3), Draw(0, 1, 1)])


def test_a_shape_without_points_is_named(tmp_path: Path) -> None:
    table = example_table(tmp_path / "t", 3)
    table.append([{"id": "bare", "source": "x", "status": "ok"}])
    with pytest.raises(RunError, match=r"t is broken: row 3 has status ok, but no points"):
        BatchReader([table]).read([Draw(0, 3, 0), Draw(0, 1, 0)])


def test_a_shape_without_pictures_is_named(tmp_path: Path) -> None:
    table = with_pictures(tmp_path / "t", [[png(1)], []])
    with pytest.raises(UsageError, match=r"row 1 has no views pictures"):
        BatchReader([table]).read([Draw(0, 1, 1)])
