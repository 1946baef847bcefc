"""The contact sheet: pictures of some shapes with their names, all categories in turn."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import matplotlib
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from crosspoint3d.config import RunError
from crosspoint3d.data.batches import UNDECODABLE
from crosspoint3d.data.inspect.contents import decoded
from crosspoint3d.data.inspect.rows import NONE, Rows
from crosspoint3d.data.table import ShapeTable

TILE, GAP, MARGIN, TEXT, HEADER = 184, 14, 28, 42, 76
INK, MUTED, LINE, EMPTY = "#1c2733", "#667383", "#e6e9ee", "#f4f5f7"


class Tile(NamedTuple):
    """A shape on the sheet; without a picture where it cannot be read."""

    name: str
    category: str
    picture: Image.Image | None


def choose(rows: Rows, count: int, seed: int) -> list[int]:
    """Numbers of `count` shapes, all categories in turn, drawn by the seed and sorted by category."""
    generator = np.random.default_rng(seed)
    shapes = np.flatnonzero(rows.ok)
    shapes = shapes[generator.permutation(len(shapes))]
    shapes = shapes[np.argsort(rows.category[shapes], kind="stable")]
    own = rows.category[shapes]
    turn = np.arange(len(shapes)) - np.searchsorted(own, own)
    chosen = shapes[np.lexsort((generator.permutation(len(shapes)), turn))][:count]
    return sorted(chosen.tolist(), key=lambda row: (rows.categories[rows.category[row]], row))


def read_tiles(table: ShapeTable, rows: Sequence[int]) -> list[Tile]:
    """Name, category and first picture of each row; a broken one has a tile that says so."""
    tiles = []
    for row in rows:
        try:
            taken = table.take([row], ["id", "category", "views"])
            name, category, views = (taken[column][0] for column in ("id", "category", "views"))
        except RunError:
            tiles.append(Tile(f"row {row}", NONE, None))
            continue
        try:
            picture = decoded(views[0])
        except (*UNDECODABLE, IndexError, TypeError):
            picture = None
        tiles.append(Tile(name, category or "", picture))
    return tiles


def draw_sheet(tiles: Sequence[Tile], title: str, subtitle: str) -> Image.Image:
    """All tiles in rows on white, wider than high."""
    columns = max(1, round(np.sqrt(1.4 * len(tiles))))
    lines = max(1, -(-len(tiles) // columns))
    width = max(2 * MARGIN + columns * (TILE + GAP) - GAP, 520)
    sheet = Image.new("RGB", (width, HEADER + MARGIN + lines * (TILE + TEXT + GAP) - GAP), "white")
    draw = ImageDraw.Draw(sheet)
    draw.text((MARGIN, 22), _fitted(title, _font(22, bold=True), width - 2 * MARGIN), INK, _font(22, bold=True))
    draw.text((MARGIN, 50), _fitted(subtitle, _font(13), width - 2 * MARGIN), MUTED, _font(13))
    for number, tile in enumerate(tiles):
        left = MARGIN + number % columns * (TILE + GAP)
        top = HEADER + 12 + number // columns * (TILE + TEXT + GAP)
        if tile.picture is None:
            draw.rectangle((left, top, left + TILE - 1, top + TILE - 1), EMPTY)
            draw.text((left + TILE / 2, top + TILE / 2), "cannot be read", MUTED, _font(13), anchor="mm")
        else:
            sheet.paste(tile.picture.resize((TILE, TILE), Image.Resampling.LANCZOS), (left, top))
        draw.rectangle((left, top, left + TILE - 1, top + TILE - 1), outline=LINE)
        name = _fitted(_short(tile), _font(13), TILE)
        draw.text((left, top + TILE + 5), name, INK, _font(13))
        draw.text((left, top + TILE + 22), _fitted(tile.category, _font(12), TILE), MUTED, _font(12))
    return sheet


def _font(size: int, *, bold: bool = False) -> ImageFont.FreeTypeFont:
    """DejaVu Sans, which matplotlib brings along and which has letters of many alphabets."""
    name = "DejaVuSans-Bold.ttf" if bold else "DejaVuSans.ttf"
    return ImageFont.truetype(Path(matplotlib.get_data_path()) / "fonts" / "ttf" / name, size)


def _short(tile: Tile) -> str:
    """The name without the category's folder and the file's suffix."""
    name = tile.name.removeprefix(f"{tile.category}/")
    stem, dot, suffix = name.rpartition(".")
    return stem if dot and len(suffix) <= 4 and not suffix.isdigit() else name


def _fitted(text: str, font: ImageFont.FreeTypeFont, width: int) -> str:
    """The text, or its ends with dots between them, not wider than `width` pixels."""
    if font.getlength(text) <= width:
        return text
    kept = len(text) - 1
    while kept > 2 and font.getlength(f"{text[: kept // 3]}…{text[len(text) - (kept - kept // 3) :]}") > width:
        kept -= 1
    return f"{text[: kept // 3]}…{text[len(text) - (kept - kept // 3) :]}"
