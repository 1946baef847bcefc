"""The columns of a ShapeTable: their types, and how values go into them and come out."""

import json
from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa

TABLE_VERSION = 1
_KEY = b"crosspoint3d"
_NUMPY = {pa.float16(): np.float16, pa.float32(): np.float32, pa.uint8(): np.uint8}


def schema_of(points: int, settings: dict[str, Any]) -> pa.Schema:
    """The columns of a new table whose shapes have `points` points; its settings are kept with them."""
    header = json.dumps({"version": TABLE_VERSION, "settings": settings | {"points": points}})
    depth = [pa.field("depth", pa.list_(pa.binary()))] if settings.get("depth") else []
    return pa.schema(
        [
            pa.field("id", pa.string(), nullable=False),
            pa.field("source", pa.string(), nullable=False),
            pa.field("category", pa.string()),
            pa.field("split", pa.string()),
            pa.field("points", pa.list_(pa.float16(), points * 3)),
            pa.field("normals", pa.list_(pa.float16(), points * 3)),
            pa.field("parts", pa.list_(pa.uint8(), points)),
            pa.field("views", pa.list_(pa.binary())),
            *depth,
            pa.field("view_poses", pa.list_(pa.float32())),
            pa.field("faces", pa.int32()),
            pa.field("area", pa.float32()),
            pa.field("status", pa.string(), nullable=False),
            pa.field("content", pa.string()),
            pa.field("notes", pa.string()),
        ],
        metadata={_KEY: header.encode()},
    )


def header_of(schema: pa.Schema) -> tuple[int, dict[str, Any]]:
    """Version and settings of the table that has these columns.

    Raises:
        TypeError, KeyError, ValueError: it is no ShapeTable's schema.
    """
    header = json.loads(schema.metadata[_KEY])
    return header["version"], header["settings"]


def packed(rows: Sequence[dict[str, Any]], schema: pa.Schema) -> pa.Table:
    """Rows as columns: missing ones are null; arrays may be of any float type and shape."""
    columns = {f.name: pa.array([_flat(row.get(f.name), f.type) for row in rows], type=f.type) for f in schema}
    return pa.table(columns, schema=schema)


def unpacked(name: str, array: pa.Array, order: np.ndarray, points: int) -> Any:
    """Values of a column in another order, with repeats: arrays as `ShapeTable.take` gives them, or a list.

    Args:
        name: of the column.
        array: its values.
        order: places in `array`.
        points: points a shape.

    Raises:
        ValueError: an array is null, or rows have different numbers of cameras.
    """
    if name in ("points", "normals", "parts", "view_poses"):
        if array.null_count:
            raise ValueError(f"column {name!r} is null in {array.null_count} of the rows asked for")
        if name == "view_poses" and len(np.unique(np.diff(array.offsets.to_numpy()))) > 1:
            raise ValueError("column 'view_poses': the rows asked for have different numbers of views")
        flat = array.flatten().to_numpy(zero_copy_only=False)
        if name == "parts":
            return flat.reshape(-1, points)[order]
        rest = points if name != "view_poses" else len(flat) // (3 * max(len(array), 1))
        return flat.astype(np.float32).reshape(len(array), rest, 3)[order]
    values = array.to_pylist()
    return [values[i] for i in order]


def _flat(value: Any, kind: pa.DataType) -> Any:
    if not isinstance(value, np.ndarray):
        return value
    return value.ravel().astype(_NUMPY[kind.value_type], copy=False)
