"""Whether the large columns hold what they should: clouds that are finite and of unit radius, pictures that decode."""

import io
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
from PIL import Image

from crosspoint3d.data.batches import UNDECODABLE
from crosspoint3d.data.inspect.read import Fragment, read_all, read_rows

LARGE = ("points", "normals", "parts", "views", "depth", "view_poses", "faces", "area")
BATCH_ROWS = 64
MOST_SAMPLED = 500
MOST_LISTED = 10
_RADIUS_ERROR = 0.01  # of float16 and of clouds with repeated points


@dataclass
class Contents:
    """What was found in the rows looked at.

    Attributes:
        checked: rows looked at.
        views: shapes by their number of pictures.
        picture_sizes: pictures by "width x height".
        normals, parts: shapes that have them.
        wrong: number of rows with something wrong; `problems` tells of the first ones.
    """

    checked: int = 0
    views: Counter[int] = field(default_factory=Counter)
    picture_sizes: Counter[str] = field(default_factory=Counter)
    normals: int = 0
    parts: int = 0
    wrong: int = 0
    problems: list[str] = field(default_factory=list)

    def complain(self, row: int, text: str) -> None:
        """Note that a row is wrong."""
        self.wrong += 1
        if len(self.problems) < MOST_LISTED:
            self.problems.append(f"row {row:,}: {text}")


def look_into(fragments: Sequence[Fragment], ok: np.ndarray, names: Sequence[str], *, everything: bool) -> Contents:
    """Read the large columns of all shapes, or of the first and the last one of every fragment (of up to 500).

    Args:
        fragments: of the table.
        ok: whether a row holds a shape.
        names: columns of the table.
        everything: read every row.
    """
    contents = Contents()
    columns = [name for name in LARGE if name in names]
    every = 1 if everything else -(-len(fragments) // MOST_SAMPLED)
    for fragment in fragments[::every]:
        own = np.flatnonzero(ok[fragment.first : fragment.first + fragment.rows])
        places = own if everything else np.unique(own[[0, -1]]) if len(own) else own
        contents.checked += len(places)
        for name in columns:
            for row, value in _values(fragment, places, name, everything=everything):
                _look(contents, name, row, value)
    return contents


def _values(fragment: Fragment, places: np.ndarray, name: str, *, everything: bool) -> Iterator[tuple[int, pa.Scalar]]:
    if not everything:
        values = read_rows(fragment, places.tolist(), name) if len(places) else []
        yield from zip((fragment.first + places).tolist(), values, strict=False)
        return
    wanted = np.zeros(fragment.rows, dtype=bool)
    wanted[places] = True
    for place, value in enumerate(read_all(fragment, name, BATCH_ROWS)):
        if wanted[place]:
            yield fragment.first + place, value


def _look(contents: Contents, name: str, row: int, value: pa.Scalar) -> None:
    if name == "points":
        if not value.is_valid:
            contents.complain(row, "status ok, but no points")
            return
        points = value.values.to_numpy(zero_copy_only=False).astype(np.float32).reshape(-1, 3)
        if not np.isfinite(points).all():
            contents.complain(row, "points are not finite")
        elif abs(float(np.linalg.norm(points, axis=1).max()) - 1) > _RADIUS_ERROR:
            contents.complain(row, f"points reach {np.linalg.norm(points, axis=1).max():.3f} from the origin, not 1")
    elif name == "normals":
        contents.normals += value.is_valid
    elif name == "parts":
        contents.parts += value.is_valid
    elif name == "views":
        pictures: list[bytes] = value.as_py() or []
        contents.views[len(pictures)] += 1
        if not pictures:
            contents.complain(row, "status ok, but no pictures")
        for number, encoded in enumerate(pictures):
            try:
                width, height = decoded(encoded).size
                contents.picture_sizes[f"{width} x {height}"] += 1
            except UNDECODABLE as error:
                contents.complain(row, f"picture {number} cannot be decoded ({error})")
    elif name == "depth":
        for number, encoded in enumerate(value.as_py() or []):
            try:
                decoded(encoded)
            except UNDECODABLE as error:
                contents.complain(row, f"depth picture {number} cannot be decoded ({error})")


def decoded(encoded: bytes) -> Image.Image:
    """A picture, read to its end.

    Raises:
        OSError, ValueError, SyntaxError, DecompressionBombError: it is broken.
    """
    with Image.open(io.BytesIO(encoded)) as image:
        picture: Image.Image = image.convert("RGB")
    return picture
