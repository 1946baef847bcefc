"""The clouds and pictures of a batch, read from tables into arrays; without torch, for small reader processes."""

import io
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Literal, NamedTuple

import numpy as np
from PIL import Image, UnidentifiedImageError

from crosspoint3d.config import RunError, UsageError
from crosspoint3d.data.order import Draw
from crosspoint3d.data.table import ShapeTable

Pictures = Literal["colour", "grey", "depth"]
UNDECODABLE = (OSError, SyntaxError, ValueError, Image.DecompressionBombError)
"""What Pillow raises for pictures that are broken."""


class Batch(NamedTuple):
    """Clouds (B, P, 3) in float16, as tables hold them; V pictures of each shape (B, V, H, W, 3) in uint8, or none."""

    points: np.ndarray
    images: np.ndarray | None


class Encoded(NamedTuple):
    """A picture that is still to be decoded, and where it comes from."""

    content: bytes | memoryview
    table: str
    row: int


class BatchReader:
    """Reads lists of draws: one Lance take a table and batch, all pictures decoded into one array.

    Args:
        tables: what `Draw.table` counts; with equally many points a shape.
        views: pictures of each shape; 0 reads none.
        pictures: `depth` takes them from the column of that name; `grey` are coloured ones here still.
        threads: that decode pictures.

    Raises:
        UsageError: a table lacks the pictures asked for.
    """

    def __init__(
        self, tables: Sequence[ShapeTable], *, views: int = 1, pictures: Pictures = "colour", threads: int = 1
    ) -> None:
        self.tables, self.views, self.pictures = list(tables), views, pictures
        self._column = "depth" if pictures == "depth" else "views"
        self._threads = threads
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="decode") if threads > 1 else None
        for table in self.tables:
            if views and not table.has(self._column):
                raise UsageError(f"--data {table.path} holds no {self._column} pictures: prepare a table with them")

    def to_dict(self) -> dict[str, Any]:
        """What `from_dict` makes the same reader from, in another process and with one thread; plain values."""
        tables = [table.__getstate__() for table in self.tables]
        return {"tables": tables, "views": self.views, "pictures": self.pictures}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "BatchReader":
        """The reader that `to_dict` described, of the same versions of the tables."""
        tables = [ShapeTable.__new__(ShapeTable) for _ in values["tables"]]
        for table, state in zip(tables, values["tables"], strict=True):
            table.__setstate__(state)
        return cls(tables, views=values["views"], pictures=values["pictures"])

    def read(self, draws: Sequence[Draw]) -> Batch:
        """Clouds and pictures in the order of the draws.

        Raises:
            RunError: a table is broken, or a picture cannot be decoded.
            UsageError: the pictures are of different sizes, or a shape has none.
        """
        points = np.empty((len(draws), self.tables[0].points, 3), dtype=np.float16)
        encoded: list[Encoded] = [Encoded(b"", "", -1)] * (len(draws) * self.views)
        for number, table in enumerate(self.tables):
            mine = [place for place, draw in enumerate(draws) if draw.table == number]
            if not mine:
                continue
            rows, back = np.unique([draws[place].row for place in mine], return_inverse=True)
            columns = table.take_arrow(rows, ["points", self._column] if self.views else ["points"])
            clouds = columns["points"].combine_chunks()
            if clouds.null_count:
                empty = rows[clouds.is_null().to_numpy(zero_copy_only=False)]
                raise RunError(f"table {table.path} is broken: row {empty[0]} has status ok, but no points")
            points[mine] = clouds.flatten().to_numpy().reshape(len(rows), -1, 3)[back]
            if self.views:
                lists = columns[self._column].combine_chunks()
                starts, contents = lists.offsets.to_numpy(), lists.values
                for place, at in zip(mine, back.tolist(), strict=True):
                    draw, first, available = draws[place], int(starts[at]), int(starts[at + 1] - starts[at])
                    if not available:
                        raise UsageError(f"--data {table.path}: row {draw.row} has no {self._column} pictures")
                    for view, chosen in enumerate(chosen_views(draw.view, self.views, available)):
                        content = memoryview(contents[first + chosen].as_buffer())
                        encoded[place * self.views + view] = Encoded(content, table.path, draw.row)
        return Batch(points, self._decoded(encoded) if self.views else None)

    def _decoded(self, encoded: list[Encoded]) -> np.ndarray:
        """The pictures (B, V, H, W, 3), each thread with every so many of them."""
        first = _decode_one(encoded[0])
        images = np.empty((len(encoded), *first.shape), dtype=np.uint8)
        images[0] = first

        def fill(start: int) -> None:
            for place in range(start, len(encoded), self._threads):
                picture = _decode_one(encoded[place])
                if picture.shape != first.shape:
                    raise UsageError(
                        "--data: the tables hold pictures of different sizes; prepare them with one --image-size"
                    )
                images[place] = picture

        starts = range(1, self._threads + 1)
        for _ in self._pool.map(fill, starts) if self._pool else map(fill, starts):
            pass
        return images.reshape(-1, self.views, *first.shape)


def chosen_views(view: int, count: int, available: int) -> list[int]:
    """Which `count` of a shape's pictures a draw means: `view` modulo those there are, then others in random order.

    None comes twice before each came once. The random order is a function of `view`.
    """
    first = view % available
    if count == 1:
        return [first]
    others = np.random.default_rng(view).permutation(available - 1)
    order = [first, *((first + 1 + others) % available).tolist()]
    return [order[i % available] for i in range(count)]


def decode(encoded: bytes | memoryview) -> np.ndarray:
    """An encoded picture as RGB uint8 `(H, W, 3)`."""
    with Image.open(io.BytesIO(encoded)) as image:
        return np.asarray(image.convert("RGB"))


def _decode_one(encoded: Encoded) -> np.ndarray:
    try:
        return decode(encoded.content)
    except UNDECODABLE as error:
        reason = "no known format" if isinstance(error, UnidentifiedImageError) else error
        raise RunError(f"table {encoded.table}: a picture of row {encoded.row} cannot be decoded ({reason})") from error
