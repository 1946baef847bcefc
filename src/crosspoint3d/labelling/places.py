"""What `segment` and `classify` are given, as one list: where each shape lies and the name that its labels get."""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain, count
from pathlib import Path, PurePosixPath

import numpy as np
from jaxtyping import Float32

from crosspoint3d.address import is_url
from crosspoint3d.config import UsageError
from crosspoint3d.data.meshes import CLOUD_SUFFIXES, MESH_SUFFIXES
from crosspoint3d.data.published import PARTS_PREFIX, read_shapenet_part
from crosspoint3d.data.sources import SPLITS, Candidate, Found, find
from crosspoint3d.data.table import OK, ShapeTable

_SUFFIXES = MESH_SUFFIXES | CLOUD_SUFFIXES
_NO_CATEGORY = {*SPLITS, *(suffix[1:] for suffix in _SUFFIXES)}
_FORMS = (
    f"shape files ({', '.join(sorted(_SUFFIXES))}), folders of them, text files that list their paths, tables, "
    "shapenetpart:DIR or procedural:COUNT[:SEED]"
)


@dataclass(frozen=True)
class Place:
    """One shape to label.

    Attributes:
        id: unique among the shapes of a run; folders as below the argument, no file extension unless two need it.
        candidate: the file, or the procedural shape; its `source` says where it lies.
        table, row: where the points lie instead, for the shape of a table.
        refused: why a table has no points of it.
        renamed: whether another shape took the id that it would have had.
        cloud: the points themselves, for the shape of a published set.
    """

    id: str
    candidate: Candidate
    table: ShapeTable | None = None
    row: int = 0
    refused: str | None = None
    renamed: bool = False
    cloud: Float32[np.ndarray, "P 3"] | None = field(default=None, compare=False, repr=False)


@dataclass(frozen=True)
class Places:
    """All shapes in a fixed order, and the files passed over: of other kinds, or the same model in another format."""

    shapes: tuple[Place, ...]
    other: int = 0
    same_model: int = 0


@dataclass
class _Names:
    """Hands out ids; what differs in case only counts as equal, as it does on many file systems."""

    taken: set[str] = field(default_factory=set)

    def give(self, name: str) -> tuple[str, bool]:
        """The name without its extension, else with it, else with a number; and whether it is not the first choice."""
        plain = _inside(name)
        short = plain.with_suffix("") if plain.suffix.lower() in _SUFFIXES else plain
        choices = chain((str(short), str(plain)), (f"{short}-{number}" for number in count(2)))
        free = next(choice for choice in choices if choice.casefold() not in self.taken)
        self.taken.add(free.casefold())
        return free, free != str(short)


def find_places(specs: Sequence[str], *, leave_out: Path, seed: int) -> Places:
    """List the shapes of files, folders (as `prepare` searches), lists, tables, shapenetpart:DIR and procedural:COUNT.

    A shape's category is that of its table or set, or the folder that `prepare` takes it from; where there is none, the
    folder that was named or that holds the file, or the first above it that is named after no split and no format.

    Args:
        specs: what the command line names, in this order.
        leave_out: a folder that is not searched: where the labels go.
        seed: of procedural shapes that name none.

    Raises:
        UsageError: there are no specs, one is missing or malformed, or no shape is found.
    """
    if not specs:
        raise UsageError(f"SHAPES: give {_FORMS}")
    names = _Names()
    shapes: list[Place] = []
    other = same_model = 0
    for spec in specs:
        if is_url(spec) or (Path(spec) / "_versions").is_dir():
            shapes += _of_table(ShapeTable(spec), names)
            continue
        if spec.startswith(PARTS_PREFIX):
            shapes += _of_published(spec, names)
            continue
        found = _find(spec, leave_out, seed)
        other += sum(found.other.values())
        same_model += len(found.same_model)
        for candidate in found.candidates:
            name, renamed = names.give(candidate.id)
            shapes.append(Place(name, candidate, renamed=renamed))
    if not shapes:
        raise UsageError(f"SHAPES {' '.join(specs)}: no shapes found, files of other kinds: {other}; give {_FORMS}")
    return Places(tuple(shapes), other, same_model)


def _find(spec: str, leave_out: Path, seed: int) -> Found:
    try:
        found = find(spec, seed=seed, leave_out=leave_out)
    except UsageError as error:
        raise UsageError(str(error).replace("SOURCE", "SHAPES", 1)) from error
    there = (os.path.exists(candidate.source) for candidate in found.candidates)  # noqa: PTH110, names may be too long
    if Path(spec).is_file() and not any(there):
        first = f"{found.candidates[0].source!r:.200}" if found.candidates else "nothing in it"
        raise UsageError(
            f"SHAPES {spec}: no shape, and no list of paths: no line names a file (the first is {first}; paths are "
            f"read from the folder of the list); give {_FORMS}"
        )
    named = Path(spec).resolve() if Path(spec).is_dir() else None
    for index, candidate in enumerate(found.candidates):
        if candidate.category is None and candidate.procedural is None:
            folder = named or Path(candidate.source).resolve().parent
            found.candidates[index] = replace(candidate, category=_category(folder))
    return found


def _category(folder: Path) -> str | None:
    return next((at.name for at in (folder, *folder.parents) if at.name.lower() not in _NO_CATEGORY), None) or None


def _of_table(table: ShapeTable, names: _Names) -> Iterator[Place]:
    columns = [table.column(name) for name in ("id", "category", "status")]
    for row, (own, category, status) in enumerate(zip(*columns, strict=True)):
        name, renamed = names.give(own)
        candidate = Candidate(own, f"{table.path}#{own}", category)
        yield Place(name, candidate, table, row, None if status == OK else str(status), renamed)


def _of_published(spec: str, names: _Names) -> Iterator[Place]:
    try:
        splits = read_shapenet_part(spec).splits
    except UsageError as error:
        raise UsageError(str(error).replace("--data", "SHAPES", 1)) from error
    for rows in (splits[split] for split in SPLITS):
        for cloud, category, own in zip(rows.points, rows.categories, rows.ids, strict=True):
            name, renamed = names.give(own)
            yield Place(name, Candidate(own, f"{spec}#{own}", category), cloud=cloud, renamed=renamed)


def _inside(name: str) -> PurePosixPath:
    """A path that stays below the folder it is put in, with characters that every file system takes."""
    known = name.encode("utf-8", "replace").decode("utf-8")
    cleaned = "".join("_" if character in '<>:"|?*\\' or ord(character) < 32 else character for character in known)
    parts = [part for part in PurePosixPath(cleaned).parts if part not in ("/", "//", ".", "..")]
    return PurePosixPath(*parts) if parts else PurePosixPath("shape")
