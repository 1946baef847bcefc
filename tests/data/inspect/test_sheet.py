"""The contact sheet: all categories in turn, pictures where they belong, names that fit."""

from collections import Counter
from pathlib import Path

import numpy as np
from PIL import Image

from crosspoint3d.config import InspectConfig
from crosspoint3d.data.inspect import inspect
from crosspoint3d.data.inspect.rows import Rows
from crosspoint3d.data.inspect.sheet import GAP, HEADER, MARGIN, TILE, Tile, choose, draw_sheet
from crosspoint3d.data.rows import encode
from crosspoint3d.data.table import ShapeTable
from tests.data.tables import example_row


def rows_of(category: list[int], ok: list[bool]) -> Rows:
    count = len(category)
    blank = np.zeros(count, np.uint64)
    names = [f"c{i}" for i in range(max(category) + 1)]
    return Rows(np.array(ok), np.array(category, np.int32), np.zeros(count, np.int16), blank, blank, names)


def test_categories_take_turns() -> None:
    rows = rows_of([0] * 50 + [1] * 3 + [2] * 20 + [3] * 5, [True] * 73 + [False] * 5)
    chosen = choose(rows, 15, seed=1)
    assert len(set(chosen)) == 15 and chosen == sorted(chosen)
    assert Counter(rows.category[chosen].tolist()) == {0: 6, 1: 3, 2: 6}
    assert chosen == choose(rows, 15, seed=1) != choose(rows, 15, seed=2)
    assert len(choose(rows, 1000, seed=0)) == 73
    few = [tuple(rows.category[choose(rows, 1, seed=seed)]) for seed in range(20)]
    assert len(set(few)) > 1  # not always the first category


def test_each_tile_shows_its_own_picture(tmp_path: Path) -> None:
    table = ShapeTable.create(tmp_path / "t", points=32, settings={})
    colors = [(250, 10, 10), (10, 250, 10), (10, 10, 250), (250, 250, 10), (10, 250, 250)]
    pictures = [np.broadcast_to(np.uint8(color), (32, 32, 3)).copy() for color in colors]
    views = [[encode(picture), encode(255 - picture)] for picture in pictures]
    views[3][0] = b"no picture"
    table.append([example_row(i) | {"category": "x", "views": views[i]} for i in range(5)])
    inspect(InspectConfig(tmp_path / "t", out=tmp_path / "o"))
    with Image.open(tmp_path / "o" / "contact_sheet.png") as image:
        sheet = np.asarray(image.convert("RGB")).astype(int)
    columns = 3  # of five tiles
    for i, color in enumerate(colors):
        y = HEADER + 12 + i // columns * (TILE + 42 + GAP) + TILE // 3
        x = MARGIN + i % columns * (TILE + GAP) + TILE // 2
        assert np.abs(sheet[y, x] - ((244, 245, 247) if i == 3 else color)).max() < 12


def test_long_names_keep_within_their_tile() -> None:
    tile = Tile("chair/" + "W" * 300 + ".obj", "chair", Image.new("RGB", (8, 8)))
    sheet = np.asarray(draw_sheet([tile] * 2, "T" * 400, "S" * 900))
    gap = sheet[HEADER:, MARGIN + TILE + 1 : MARGIN + TILE + GAP - 1]
    assert (gap == 255).all() and (sheet[:, -MARGIN + 2 :] == 255).all()
    assert (sheet[HEADER + 12 + TILE + 4 :, MARGIN : MARGIN + TILE] < 128).any()
