"""The rows of PLY files: the header, then each element's properties as arrays, from text or binary.

Layout after Greg Turk's description of the format (http://paulbourke.net/dataformats/ply/).
"""

from dataclasses import dataclass, field

import numpy as np

from crosspoint3d.data.assemble import Array, MeshError
from crosspoint3d.data.off import whole

_TYPES = {"char": "i1", "uchar": "u1", "short": "i2", "ushort": "u2", "int": "i4", "uint": "u4"}
_TYPES |= {"float": "f4", "double": "f8", "int8": "i1", "uint8": "u1", "int16": "i2", "uint16": "u2"}
_TYPES |= {"int32": "i4", "uint32": "u4", "int64": "i8", "uint64": "u8", "float32": "f4", "float64": "f8"}


@dataclass
class Element:
    """One element of the header: name, rows, and properties (name, type of a list's length or "", type)."""

    name: str
    count: int
    properties: list[tuple[str, str, str]] = field(default_factory=list)


@dataclass
class Columns:
    """Property name -> values; a list's values lie one after the other, its lengths under `counts`."""

    values: dict[str, Array]
    counts: dict[str, Array]

    def pick(self, choices: tuple[tuple[str, ...], ...]) -> Array | None:
        """The first set of names that is there, as columns of one array."""
        for names in choices:
            if all(name in self.values for name in names):
                return np.stack([self.values[name] for name in names], axis=1)
        return None


def read_header(data: bytes) -> tuple[str, list[Element], list[str], int]:
    """Encoding, elements, names of textures, and where the rows begin."""
    if not data.startswith(b"ply"):
        raise MeshError("no ply header")
    encoding, elements, textures, at = "", list[Element](), list[str](), 0
    while True:
        end = data.find(b"\n", at)
        if end < 0:
            raise MeshError("truncated: header without an end")
        text = data[at:end].decode("latin-1").strip()
        words, at = text.split(), end + 1
        try:
            if words[:1] == ["format"]:
                encoding = words[1]
            elif words[:1] == ["element"]:
                elements.append(Element(words[1], int(words[2])))
            elif words[:2] == ["property", "list"]:
                elements[-1].properties.append((words[4], _TYPES[words[2]], _TYPES[words[3]]))
            elif words[:1] == ["property"]:
                elements[-1].properties.append((words[2], "", _TYPES[words[1]]))
            elif words[:2] == ["comment", "TextureFile"]:
                textures.append(text.split("TextureFile", 1)[1].strip())
            elif words == ["end_header"]:
                break
        except (IndexError, KeyError, ValueError) as error:
            raise MeshError(f"ply header line {text[:60]!r} is not understood") from error
    if encoding not in ("ascii", "binary_little_endian", "binary_big_endian"):
        raise MeshError(f"ply format {encoding!r} is not known")
    return encoding, elements, textures, at


def _truncated(element: Element, found: int) -> MeshError:
    names = {"vertex": "vertices", "face": "faces"}
    return MeshError(f"truncated: {element.count} {names.get(element.name, element.name)} announced, {found} found")


def read_binary(data: bytes, offset: int, element: Element, order: str) -> tuple[Columns, int]:
    """One structured read when every row has the first row's list lengths, else row by row."""
    fields: list[tuple[str, str, tuple[int, ...]]] = []
    at = offset
    for index, (_, length_type, item_type) in enumerate(element.properties):
        length = 1
        if length_type:
            fields.append((f"count{index}", order + length_type, ()))
            size = np.dtype(length_type).itemsize
            if at + size > len(data) or not element.count:
                length = 0
            else:
                length = int(np.frombuffer(data, order + length_type, 1, at)[0])
            at += size
        if length < 0 or length > len(data):
            raise _truncated(element, 0)
        fields.append((f"value{index}", order + item_type, (length,) if length_type else ()))
        at += length * np.dtype(item_type).itemsize
    dtype = np.dtype(fields)
    listed = [index for index, item in enumerate(element.properties) if item[1]]
    end = offset + element.count * dtype.itemsize
    if not listed and end > len(data):
        raise _truncated(element, (len(data) - offset) // max(dtype.itemsize, 1))
    if end <= len(data):
        rows = np.frombuffer(data, dtype, element.count, offset)
        if all((rows[f"count{index}"] == dtype[f"value{index}"].shape[0]).all() for index in listed):
            values = {item[0]: rows[f"value{index}"] for index, item in enumerate(element.properties)}
            counts = {element.properties[index][0]: rows[f"count{index}"] for index in listed}
            return Columns({name: v.reshape(-1) if name in counts else v for name, v in values.items()}, counts), end
    return _read_rows(data, offset, element, order)


def _read_rows(data: bytes, offset: int, element: Element, order: str) -> tuple[Columns, int]:
    chunks: list[list[bytes]] = [[] for _ in element.properties]
    counts: list[list[int]] = [[] for _ in element.properties]
    sizes = [(np.dtype(t[1]).itemsize if t[1] else 0, np.dtype(t[2]).itemsize) for t in element.properties]
    signed = [t[1].startswith("i") for t in element.properties]
    byteorder = "little" if order == "<" else "big"
    for row in range(element.count):
        for index, (length_size, item_size) in enumerate(sizes):
            length = 1
            if length_size:
                raw = data[offset : offset + length_size]
                length = int.from_bytes(raw, byteorder, signed=signed[index])  # type: ignore[arg-type]
                counts[index].append(length)
            start = offset + length_size
            offset = start + length * item_size
            if length < 0 or offset > len(data):
                raise _truncated(element, row)
            chunks[index].append(data[start:offset])
    values = {
        name: np.frombuffer(b"".join(chunk), order + item_type)
        for (name, _, item_type), chunk in zip(element.properties, chunks, strict=True)
    }
    lengths = {t[0]: np.array(c, np.int64) for t, c in zip(element.properties, counts, strict=True) if t[1]}
    return Columns(values, lengths), offset


def read_text(flat: Array, at: int, element: Element) -> tuple[Columns, int]:
    """Row after row of numbers; a table without lists, or triangles only, is cut in one step."""
    values: dict[str, list[Array]] = {name: [] for name, _, _ in element.properties}
    lengths: dict[str, list[int]] = {name: [] for name, length_type, _ in element.properties if length_type}
    if not lengths:
        width = len(element.properties)
        if at + element.count * width > flat.size:
            raise _truncated(element, (flat.size - at) // max(width, 1))
        table = flat[at : at + element.count * width].reshape(element.count, width)
        columns = {name: _typed(table[:, i], kind) for i, (name, _, kind) in enumerate(element.properties)}
        return Columns(columns, {}), at + element.count * width
    for row in range(element.count):
        for name, length_type, _ in element.properties:
            size = 1
            if length_type:
                size = int(flat[at]) if at < flat.size and flat[at] >= 0 else flat.size
                lengths[name].append(size)
                at += 1
            if at + size > flat.size:
                raise _truncated(element, row)
            values[name].append(flat[at : at + size])
            at += size
    joined = {
        name: _typed(np.concatenate(values[name]) if element.count else np.zeros(0), kind)
        for name, _, kind in element.properties
    }
    return Columns(joined, {name: np.array(sizes, np.int64) for name, sizes in lengths.items()}), at


def _typed(values: Array, kind: str) -> Array:
    if kind.startswith("f"):
        return values
    return whole(values).astype(np.dtype(kind) if kind in ("u1", "u2") else np.int64)
