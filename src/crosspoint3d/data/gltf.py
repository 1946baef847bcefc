"""The container side of glTF 2.0 and GLB: chunks, buffers, accessors, Draco; nothing becomes zeros.

Layout after https://registry.khronos.org/glTF/specs/2.0/glTF-2.0.html.
"""

import base64
import json
import struct
from pathlib import Path
from typing import Any

import numpy as np

from crosspoint3d.data.assemble import Array, MeshError
from crosspoint3d.data.companions import decode_texture, find_companion

_COMPONENTS = {5120: "<i1", 5121: "<u1", 5122: "<i2", 5123: "<u2", 5125: "<u4", 5126: "<f4"}
_WIDTHS = {"SCALAR": 1, "VEC2": 2, "VEC3": 3, "VEC4": 4, "MAT2": 4, "MAT3": 9, "MAT4": 16}
# Extensions that a file may require and that leave the shape as read here; KHR_materials_* too.
_HARMLESS = {
    "KHR_draco_mesh_compression",
    "KHR_mesh_quantization",
    "KHR_texture_transform",
    "KHR_texture_basisu",
}
_HARMLESS |= {
    "EXT_texture_webp",
    "EXT_texture_avif",
    "MSFT_texture_dds",
    "KHR_lights_punctual",
    "KHR_xmp_json_ld",
}


class Container:
    """A glTF file's header and binary data.

    Attributes:
        header: the JSON.
        folder: where its companion files are looked for.
    """

    def __init__(self, data: bytes, folder: Path) -> None:
        self.folder = folder
        binary: bytes | None = None
        text = data
        if data[:4] == b"glTF":
            text, binary = _chunks(data)
        try:
            self.header: dict[str, Any] = json.loads(text.decode("utf-8-sig"))
        except (UnicodeDecodeError, json.JSONDecodeError) as error:
            raise MeshError("truncated or broken gltf header") from error
        if not isinstance(self.header, dict):
            raise MeshError("truncated or broken gltf header")
        version = str(self.header.get("asset", {}).get("version", "2.0"))
        if not version.startswith("2"):
            raise MeshError(f"gltf {version} is not supported")
        for name in self.header.get("extensionsRequired", []):
            if name not in _HARMLESS and not name.startswith("KHR_materials_"):
                raise MeshError(f"gltf extension {name} is not supported")
        self._binary = binary
        self._buffers: dict[int, bytes] = {}

    def listed(self, kind: str, index: int) -> dict[str, Any]:
        """Entry `index` of the header's list `kind`; it must exist."""
        entries = self.header.get(kind, [])
        if not 0 <= index < len(entries):
            raise MeshError(f"gltf {kind} {index} out of range ({len(entries)} {kind})")
        entry: dict[str, Any] = entries[index]
        return entry

    def view(self, index: int) -> bytes:
        """The bytes of a buffer view."""
        entry = self.listed("bufferViews", index)
        if "EXT_meshopt_compression" in entry.get("extensions", {}):
            raise MeshError("gltf extension EXT_meshopt_compression is not supported")
        start, size = entry.get("byteOffset", 0), entry["byteLength"]
        buffer = self._buffer(entry["buffer"])
        if start < 0 or size < 0 or start + size > len(buffer):
            raise MeshError(f"truncated: buffer view {index} ends at byte {start + size} of {len(buffer)}")
        return buffer[start : start + size]

    def accessor(self, index: int) -> Array:
        """An accessor's values (count, width); normalised integers as floats from -1 or 0 to 1."""
        entry = self.listed("accessors", index)
        count, width = int(entry["count"]), _WIDTHS[entry["type"]]
        if "bufferView" in entry:
            values = self._values(entry, count, width, entry["bufferView"], entry.get("byteOffset", 0))
        elif "sparse" in entry:
            values = np.zeros((count, width), _COMPONENTS[entry["componentType"]])
        else:
            raise MeshError(f"gltf accessor {index} has no data")
        if "sparse" in entry:
            sparse = entry["sparse"]
            places = {"componentType": sparse["indices"]["componentType"]}
            where = self._values(
                places,
                sparse["count"],
                1,
                sparse["indices"]["bufferView"],
                sparse["indices"].get("byteOffset", 0),
            )
            values = values.copy()
            values[where[:, 0]] = self._values(
                entry,
                sparse["count"],
                width,
                sparse["values"]["bufferView"],
                sparse["values"].get("byteOffset", 0),
            )
        return normalised(values, entry)

    def draco(self, primitive: dict[str, Any]) -> tuple[dict[str, Array], Array] | None:
        """Attributes by name and indices (F * 3,) of a Draco-compressed primitive, None for a plain one."""
        extension = primitive.get("extensions", {}).get("KHR_draco_mesh_compression")
        if extension is None:
            return None
        import DracoPy

        blob = self.view(extension["bufferView"])
        try:
            decoded = DracoPy.decode(blob)
        except Exception as error:  # DracoPy raises its own, and bare ones for broken data
            raise MeshError(f"draco data cannot be decoded: {str(error)[:80]}") from error
        found = {item["unique_id"]: np.asarray(item["data"]) for item in decoded.attributes}
        values = {
            name: normalised(found[ident], self.listed("accessors", primitive["attributes"][name]))
            for name, ident in extension["attributes"].items()
            if ident in found and name in primitive["attributes"]
        }
        if "POSITION" not in values or getattr(decoded, "faces", None) is None:
            raise MeshError("draco data without positions or faces")
        return values, np.asarray(decoded.faces).reshape(-1)

    def picture(self, index: int) -> Array | None:
        """An image as RGB (H, W, 3), None where it is missing or of a kind that cannot be read."""
        entry = self.listed("images", index)
        if "bufferView" in entry:
            return decode_texture(self.view(entry["bufferView"]))
        data = self._resolve(entry.get("uri", ""))
        return None if data is None else decode_texture(data)

    def _values(self, entry: dict[str, Any], count: int, width: int, view: int, start: int) -> Array:
        dtype = np.dtype(_COMPONENTS[entry["componentType"]])
        data = self.view(view)
        row = width * dtype.itemsize
        stride = self.listed("bufferViews", view).get("byteStride") or row
        end = start + (count - 1) * stride + row if count else start
        if count < 0 or start < 0 or stride < row or end > len(data):
            raise MeshError(f"truncated: {count} values announced, {max(0, len(data) - start) // stride} found")
        values: Array = np.ndarray((count, width), dtype, data, start, (stride, dtype.itemsize))
        return values

    def _buffer(self, index: int) -> bytes:
        if index not in self._buffers:
            entry = self.listed("buffers", index)
            if "uri" not in entry:
                if index != 0 or self._binary is None:
                    raise MeshError(f"gltf buffer {index} has no data")
                data = self._binary
            else:
                found = self._resolve(entry["uri"])
                if found is None:
                    raise MeshError(f"missing file {entry['uri'][:80]}")
                data = found
            if len(data) < entry["byteLength"]:
                raise MeshError(f"truncated: buffer of {entry['byteLength']} bytes announced, {len(data)} found")
            self._buffers[index] = data
        return self._buffers[index]

    def _resolve(self, uri: str) -> bytes | None:
        if uri.startswith("data:"):
            try:
                return base64.b64decode(uri.split(",", 1)[1])
            except (IndexError, ValueError) as error:
                raise MeshError("broken data in a gltf uri") from error
        path = find_companion(self.folder, uri) if uri else None
        return None if path is None else path.read_bytes()


def normalised(values: Array, entry: dict[str, Any]) -> Array:
    """Integers of a `normalized` accessor as the fractions they stand for; anything else as it is."""
    if not entry.get("normalized") or values.dtype.kind == "f":
        return values
    fractions: Array = np.maximum(values.astype(np.float64) / np.iinfo(values.dtype).max, -1.0)
    return fractions


def _chunks(data: bytes) -> tuple[bytes, bytes | None]:
    if len(data) < 20:
        raise MeshError("truncated: no glb header")
    version, length = struct.unpack_from("<II", data, 4)
    if version != 2:
        raise MeshError(f"glb {version} is not supported")
    if length > len(data):
        raise MeshError(f"truncated: {length} bytes announced, {len(data)} found")
    text, binary, at = b"", None, 12
    while at + 8 <= length:
        size, kind = struct.unpack_from("<I4s", data, at)
        chunk = data[at + 8 : at + 8 + size]
        if len(chunk) < size:
            raise MeshError(f"truncated: glb chunk of {size} bytes announced, {len(chunk)} found")
        if kind == b"JSON" and not text:
            text = chunk
        elif kind == b"BIN\0" and binary is None:
            binary = chunk
        at += 8 + size
    return text, binary
