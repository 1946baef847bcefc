"""Files of points without faces: NPY, NPZ, text (XYZ, TXT, PTS) and PCD."""

import io
import re
import zipfile

import numpy as np

from crosspoint3d.data.assemble import Array, MeshError, cloud
from crosspoint3d.data.mesh import Mesh
from crosspoint3d.data.off import numbers

_KEYS = ("points", "data", "xyz")
_PCD_TYPES = {
    ("F", 4): "<f4",
    ("F", 8): "<f8",
    ("U", 1): "<u1",
    ("U", 2): "<u2",
    ("U", 4): "<u4",
    ("U", 8): "<u8",
}
_PCD_TYPES |= {("I", 1): "<i1", ("I", 2): "<i2", ("I", 4): "<i4", ("I", 8): "<i8"}


def read_npy(data: bytes) -> Mesh:
    """An array (N, 3 or more) of NumPy's own format; nothing is unpickled."""
    try:
        return _table(np.load(io.BytesIO(data), allow_pickle=False))
    except (EOFError, ValueError) as error:
        if isinstance(error, MeshError):
            raise
        raise MeshError(f"truncated or not an array file: {str(error)[:80]}") from error


def read_npz(data: bytes) -> Mesh:
    """The array `points`, `data` or `xyz` of an NPZ file, or the only one; its `normals` and `colors`."""
    try:
        with np.load(io.BytesIO(data), allow_pickle=False) as archive:
            names = list(archive.files)
            name = next((key for key in _KEYS if key in names), names[0] if len(names) == 1 else None)
            if name is None:
                raise MeshError(f"none of points, data, xyz among its arrays ({', '.join(names)[:60]})")
            points = archive[name]
            extra = {key: archive[key] for key in ("normals", "colors") if key in names}
    except (EOFError, zipfile.BadZipFile, ValueError, KeyError) as error:
        if isinstance(error, MeshError):
            raise
        raise MeshError(f"truncated or not an array file: {str(error)[:80]}") from error
    right = {key: value for key, value in extra.items() if value.shape == (len(points), 3)}
    return _table(points, right.get("colors"), right.get("normals"))


def read_text(data: bytes) -> Mesh:
    """One point a line: x y z and perhaps normals or colours; separated by blanks, commas or semicolons.

    Lines before the first one with three numbers (a title, the count of a PTS file) and comments are skipped.
    """
    data = re.sub(rb"(#|//)[^\n]*", b"", data).replace(b",", b" ").replace(b";", b" ")
    lines = [line for line in data.splitlines() if line.strip()]
    start = next((i for i, line in enumerate(lines[:20]) if _is_row(line)), None)
    if start is None:
        raise MeshError("no line with three numbers")
    announced = int(lines[0]) if start == 1 and lines[0].strip().isdigit() else len(lines) - start
    if announced > len(lines) - start:
        raise MeshError(f"truncated: {announced} points announced, {len(lines) - start} found")
    width = len(lines[start].split())
    if any(len(line.split()) != width for line in lines[start:]):
        raise MeshError("lines of different lengths")
    return _table(numbers(b" ".join(lines[start:])).reshape(-1, width))


def read_pcd(data: bytes) -> Mesh:
    """A cloud of the Point Cloud Library, ASCII or binary (https://pointclouds.org, file format v0.7)."""
    end = re.search(rb"^DATA[ \t]+(\w+)[^\n]*\n", data, re.MULTILINE)
    if end is None:
        raise MeshError("truncated: no DATA line")
    header = {
        words[0].upper(): words[1:]
        for words in (line.split() for line in data[: end.start()].decode("latin-1").splitlines())
        if words and not words[0].startswith("#")
    }
    kind, body = end[1].decode("latin-1").lower(), data[end.end() :]
    names, count = header["FIELDS"], int(header["POINTS"][0])
    repeats = [int(value) for value in header.get("COUNT", ["1"] * len(names))]
    types = [_PCD_TYPES[key, int(size)] for key, size in zip(header["TYPE"], header["SIZE"], strict=True)]
    fields = list(zip([f"{i}" for i in range(len(names))], types, [(value,) for value in repeats], strict=True))
    if kind == "binary":
        dtype = np.dtype(fields)
        if len(body) < count * dtype.itemsize:
            raise MeshError(f"truncated: {count} points announced, {len(body) // dtype.itemsize} found")
        rows = np.frombuffer(body, dtype, count)
        columns = {name: rows[f"{i}"][:, 0] for i, name in enumerate(names)}
    elif kind == "ascii":
        flat, width = numbers(body), sum(repeats)
        if flat.size < count * width:
            raise MeshError(f"truncated: {count} points announced, {flat.size // width} found")
        table = flat[: count * width].reshape(count, width)
        firsts = np.cumsum([0, *repeats])
        columns = {name: table[:, firsts[i]] for i, name in enumerate(names)}
    else:
        raise MeshError(f"pcd data of the kind {kind} is not supported")
    if not all(name in columns for name in "xyz"):
        raise MeshError("points without x, y and z")
    points = np.stack([columns[name] for name in "xyz"], axis=1)
    normals = None
    if "normal_x" in columns:
        normals = np.stack([columns[f"normal_{name}"] for name in "xyz"], axis=1)
    return cloud(points, _packed_rgb(columns.get("rgb", columns.get("rgba")), kind), normals)


def _packed_rgb(values: Array | None, kind: str) -> Array | None:
    """Colours packed as 0xRRGGBB, which PCL often stores in the bits of a float."""
    if values is None:
        return None
    if kind == "binary" and values.dtype == np.dtype("<f4"):
        bits = np.ascontiguousarray(values).view("<u4")
    elif np.all(values == np.floor(values)):
        bits = values.astype(np.uint32)
    else:
        bits = values.astype("<f4").view("<u4")
    return np.stack([(bits >> shift) & 255 for shift in (16, 8, 0)], axis=1).astype(np.uint8)


def _is_row(line: bytes) -> bool:
    try:
        return len([float(word) for word in line.split()]) >= 3
    except ValueError:
        return False


def _table(array: Array, colors: Array | None = None, normals: Array | None = None) -> Mesh:
    """Points from the first three columns; further threes are normals (of length 1) or colours (0 to 255)."""
    if array.ndim != 2 or array.shape[1] < 3 or array.dtype.kind not in "fiu":
        raise MeshError(f"expected numbers of shape (points, 3 or more), found {array.dtype} {array.shape}")
    first = 4 if array.shape[1] == 7 else 3
    for start in range(first, array.shape[1] - 2, 3):
        block = array[:, start : start + 3].astype(np.float64)
        if not len(block) or not np.isfinite(block).all():
            continue
        if np.allclose(np.linalg.norm(block, axis=1), 1.0, atol=1e-2):
            normals = block if normals is None else normals
        elif block.min() >= 0 and block.max() <= 255:
            colors = block if colors is None else colors
    return cloud(array[:, :3], colors, normals)
