"""Files of part labels: what they say, and the part ids of a mesh's faces or a cloud's points that this becomes.

Three formats, a label for every face of a mesh or every point of a cloud, in the order of the shape's file:
`NAME.seg`, one number a line (Princeton Segmentation Benchmark, COSEG, ShapeNetPart); `NAME_labels.txt`, in turns the
name of a part and the numbers of its faces from 1 (the labels of Kalogerakis, Hertzmann and Singh 2010); and
`NAME.npy`, an array of whole numbers.
"""

import io
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import numpy as np

from crosspoint3d.config import UsageError
from crosspoint3d.data.assemble import Array, MeshError
from crosspoint3d.data.mesh import Mesh
from crosspoint3d.data.off import numbers, whole
from crosspoint3d.data.part_names import MOST_PARTS, PartNames, collect

Labels = Array | dict[str, Array]


def read_labels(path: Path) -> Labels:
    """The numbers in a label file, one a face; or the faces (from 0) of each part that it names.

    Raises:
        MeshError: the file cannot be read or holds something else.
    """
    try:
        data = path.read_bytes()
        if path.suffix.lower() != ".npy":
            return _named(data) if path.suffix.lower() == ".txt" else whole(numbers(data))
        values: Array = np.load(io.BytesIO(data), allow_pickle=False)
        if values.ndim != 1 or values.dtype.kind not in "iu":
            raise MeshError(f"expected a row of whole numbers, found {values.dtype} {values.shape}")
        return values
    except OSError as error:
        raise MeshError(f"part labels cannot be read ({path.name}: {error.strerror})") from error
    except (ValueError, OverflowError, EOFError) as error:
        raise MeshError(f"broken part labels ({path.name}: {error})") from error


def _named(data: bytes) -> Labels:
    lines = [line.strip() for line in data.decode("utf-8-sig").splitlines() if line.strip()]
    if all(line.isdecimal() for line in lines):
        return np.array(lines, dtype=np.int64)
    found: dict[str, list[Array]] = {}
    name = None
    for line in lines:
        if not line.replace(" ", "").replace("\t", "").isdecimal():
            name = line
            found.setdefault(name, [])
        elif name is None:
            raise MeshError("begins with face numbers; expected the name of a part")
        else:
            found[name].append(np.array(line.split(), dtype=np.int64) - 1)
    return {name: np.concatenate([np.zeros(0, np.int64), *blocks]) for name, blocks in found.items()}


def names_in(files: Iterable[tuple[str | None, Path]]) -> PartNames | None:
    """The parts of categories whose label files name them, sorted; None where no file does.

    Args:
        files: category and label file of each shape. Files that cannot be read are passed over.

    Raises:
        UsageError: they name more parts than a table holds.
    """
    found: dict[str, set[str]] = {}
    for category, path in files:
        if category is None or not path.name.lower().endswith("_labels.txt"):
            continue
        try:
            labels = read_labels(path)
        except MeshError:
            continue
        if isinstance(labels, dict):
            found.setdefault(category, set()).update(labels)
    try:
        return collect({category: sorted(found[category]) for category in sorted(found)}) if found else None
    except ValueError as error:
        raise UsageError(f"SOURCE: its label files name {error}, or name fewer with --parts") from error


def with_part_ids(mesh: Mesh, labels: Labels | None, category: str | None, names: PartNames | None) -> Mesh:
    """The mesh with the part id of every triangle, or of every point of a cloud, as uint8.

    Args:
        mesh: as read; for labels from a file with its faces in the file's order.
        labels: of a label file; None for what the shape's own file said, if anything.
        category: of the shape.
        names: the parts of all categories, or None to take numbers as ids as they are.

    Raises:
        MeshError: the labels do not fit the faces, leave some out, or are none of the category's parts.
    """
    if labels is None and mesh.parts is None:
        return mesh
    if names is not None and category not in names.table.categories:
        raise MeshError(
            f"part labels of a category without parts ({category!r} is none of {_some(names.table.categories)})"
            if category
            else "part labels without a category (put the shape into a folder named after it)"
        )
    if labels is None:
        ids = _numbered_ids(np.asarray(mesh.parts), category, names)
    else:
        in_file = _named_ids(mesh, labels, category, names) if isinstance(labels, dict) else labels
        if len(in_file) != mesh.in_file:
            kind = "points" if mesh.is_cloud else "faces"
            raise MeshError(f"part labels do not fit ({len(in_file)} labels, {mesh.in_file} {kind})")
        ids = in_file if mesh.owner is None else in_file[mesh.owner]
        ids = ids if isinstance(labels, dict) else _numbered_ids(ids, category, names)
    return replace(mesh, parts=ids.astype(np.uint8))


def _numbered_ids(values: Array, category: str | None, names: PartNames | None) -> Array:
    found, inverse = np.unique(values, return_inverse=True)
    known = {number: number for number in range(MOST_PARTS)}
    if names is not None and category is not None:
        by_number = names.by_number(category)
        if by_number is None:
            raise MeshError("part labels are numbers, but other shapes have names (say with --parts which is which)")
        known = by_number
    strange = [int(number) for number in found if int(number) not in known]
    if strange:
        allowed = (
            f"0 to {MOST_PARTS - 1}; other numbers need --parts, or --part-labels none"
            if names is None
            else f"{category}: {_some(known)}"
        )
        raise MeshError(f"part labels outside the category's parts ({_some(strange)}; expected {allowed})")
    return np.array([known[int(number)] for number in found], dtype=np.int64)[inverse.reshape(-1)]


def _named_ids(mesh: Mesh, labels: dict[str, Array], category: str | None, names: PartNames | None) -> Array:
    """The id of each face of the file."""
    if names is None or category is None:
        raise MeshError("part labels are names of parts of no category (name it by its folder, or give --parts)")
    known = names.by_name(category)
    strange = [name for name in labels if name not in known]
    if strange:
        raise MeshError(f"part labels outside the category's parts ({_some(strange)}; {category} has {_some(known)})")
    ids = np.full(mesh.in_file, -1, dtype=np.int64)
    for name, faces in labels.items():
        if len(faces) and (faces.min() < 0 or faces.max() >= len(ids)):
            worst = faces.max() if faces.min() >= 0 else faces.min()
            raise MeshError(f"part labels do not fit (face {worst + 1} of {len(ids)}, counted from 1)")
        taken = faces[(ids[faces] >= 0) & (ids[faces] != known[name])]
        if len(taken):
            raise MeshError(f"part labels name a face twice (face {taken[0] + 1}, also {name})")
        ids[faces] = known[name]
    if (ids < 0).any():
        raise MeshError(f"part labels leave faces out ({(ids < 0).sum()}, the first is face {np.argmax(ids < 0) + 1})")
    return ids


def _some(values: Iterable[object]) -> str:
    """At most eight values, for a message."""
    texts = [str(value) for value in values]
    return ", ".join(texts[:8]) + (f" and {len(texts) - 8} more" if len(texts) > 8 else "")
