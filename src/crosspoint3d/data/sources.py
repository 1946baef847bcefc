"""What `prepare SOURCE` finds: candidates with id, category and split, and a count of everything passed over."""

import csv
import os
from dataclasses import replace
from pathlib import Path

from crosspoint3d.config import UsageError
from crosspoint3d.data.candidates import Candidate, Found
from crosspoint3d.data.label_files import LabelFiles, is_label_file
from crosspoint3d.data.meshes import CLOUD_SUFFIXES, COMPANION_SUFFIXES, MESH_SUFFIXES, is_shape_file
from crosspoint3d.data.shapenet import find_models, is_published_layout
from crosspoint3d.data.shapes import CATEGORIES

__all__ = ["SPLITS", "Candidate", "Found", "find", "parse_procedural"]

SPLITS = ("train", "val", "test")
# Formats that keep most (materials, node transforms) come first: of one model in several formats the first is taken,
# but one with part labels before any other.
_PREFERENCE = [".glb", ".gltf", ".obj", ".ply", ".off", ".stl"]
_FORMAT_FOLDERS = {suffix[1:] for suffix in MESH_SUFFIXES | CLOUD_SUFFIXES}


def find(
    source: str,
    *,
    labels: Path | None = None,
    seed: int = 0,
    leave_out: Path | None = None,
    part_labels: str = "none",
) -> Found:
    """List the shapes of a folder, a single file, a list file or `procedural:COUNT[:SEED]`.

    The category is the first folder below SOURCE that names neither a split nor a file format; a folder named train,
    val or test sets the split; `labels` (a CSV: path, category, split) overrides both. `leave_out` is not searched.
    `part_labels` says where label files of shapes are looked for: none, beside them (auto, required), or a folder laid
    out as SOURCE. A folder in the published layout of ShapeNet (`data/shapenet.py`) brings its pictures along.

    Raises:
        UsageError: SOURCE or the labels are missing or malformed.
    """
    if source.startswith("procedural:"):
        if labels is not None:
            raise UsageError(f"--labels {labels}: procedural shapes have their own categories; leave it out")
        return _procedural(source, seed)
    path = Path(source)
    if path.is_dir() and is_published_layout(path):
        root, beside = path, None
        found = find_models(path)
    elif path.is_dir():
        root = path
        beside = None if part_labels == "none" else LabelFiles(root, part_labels)
        found = _folder(path, leave_out, beside)
    elif path.is_file():
        root = path.parent
        beside = None if part_labels == "none" else LabelFiles(root, part_labels)
        found = Found(str(path.resolve()), [_candidate(root, path)]) if is_shape_file(path) else _list_file(path)
    else:
        raise UsageError(
            f"SOURCE {source!r} does not exist: give a folder, a file that lists paths, or procedural:COUNT[:SEED]"
        )
    if labels is not None:
        found = _apply_labels(found, root, labels)
    if beside is not None:
        paths = beside.find_all([Path(candidate.source) for candidate in found.candidates])
        found.candidates = [
            replace(candidate, face_labels=None if path is None else str(path))
            for candidate, path in zip(found.candidates, paths, strict=True)
        ]
        found.companions += len(found.label_files.intersection(paths))
        found.other.update(path.suffix.lower() for path in found.label_files.difference(paths))
    return found


def parse_procedural(spec: str, seed: int = 0) -> tuple[int, int]:
    """COUNT and SEED of `procedural:COUNT[:SEED]`.

    Raises:
        UsageError: they are no whole numbers, or COUNT is 0.
    """
    numbers = spec.split(":")[1:]
    if not (1 <= len(numbers) <= 2 and all(number.isdecimal() for number in numbers) and int(numbers[0]) > 0):
        raise UsageError(f"{spec!r}: expected procedural:COUNT[:SEED] with whole numbers, such as procedural:1000:7")
    return int(numbers[0]), int(numbers[1]) if len(numbers) == 2 else seed


def _procedural(source: str, seed: int) -> Found:
    count, seed = parse_procedural(source, seed)

    def candidate(index: int) -> Candidate:
        # Every block of len(CATEGORIES) shapes holds each category once; one block in five is held out.
        split = "test" if (index // len(CATEGORIES)) % 5 == 1 else "train"
        name = f"procedural/{seed}/{index:08d}"
        return Candidate(name, f"procedural:{seed}", None, split, (seed, index))

    return Found(f"procedural:{seed}", [candidate(index) for index in range(count)])


def _folder(root: Path, leave_out: Path | None, beside: LabelFiles | None) -> Found:
    found = Found(str(root.resolve()))
    skip = leave_out.resolve() if leave_out else None
    shapes: list[Path] = []
    seen = {skip, root.resolve()}

    def unreadable(error: OSError) -> None:
        found.other[f"unreadable folder {error.filename}"] += 1

    for folder, subfolders, files in os.walk(root, followlinks=True, onerror=unreadable):
        here = Path(folder)
        subfolders[:] = [d for d in sorted(subfolders) if not d.startswith(".") and (here / d).resolve() not in seen]
        seen |= {(here / d).resolve() for d in subfolders}
        for name in sorted(files):
            suffix = Path(name).suffix.lower()
            if is_shape_file(here / name) and not name.startswith("."):
                shapes.append(here / name)
            elif suffix in COMPANION_SUFFIXES or name.lower().startswith(("license", "licence", "readme")):
                found.companions += 1
            elif beside is not None and is_label_file(here / name):
                found.label_files.add(here / name)
            else:
                found.other[suffix or name] += 1

    def rank(path: Path) -> tuple[bool, int]:
        return beside is None or beside.find(path) is None, _rank(path)

    best: dict[tuple[Path, str], Path] = {}
    for path in shapes:
        key = _model_key(root, path)
        known = best.setdefault(key, path)
        if known != path:
            worse, best[key] = (known, path) if rank(path) < rank(known) else (path, known)
            found.same_model[worse.relative_to(root).as_posix()] = best[key].relative_to(root).as_posix()
    found.candidates = [_candidate(root, path) for path in sorted(best.values())]
    return found


def _model_key(root: Path, path: Path) -> tuple[Path, str]:
    """Equal for the same stem below sibling folders that are named after formats, and for nothing else."""
    parts = path.relative_to(root).parent.parts
    plain = tuple("*" if part.lower() in _FORMAT_FOLDERS else part for part in parts)
    return Path(*plain), path.name if plain == parts else path.stem


def _rank(path: Path) -> int:
    suffix = path.suffix.lower()
    return _PREFERENCE.index(suffix) if suffix in _PREFERENCE else len(_PREFERENCE)


def _candidate(root: Path, path: Path) -> Candidate:
    inside = path.is_relative_to(root) and ".." not in path.relative_to(root).parts
    relative = path.relative_to(root) if inside else path
    folders = relative.parent.parts if inside else ()
    splits = [name.lower() for name in folders if name.lower() in SPLITS]
    names = [name for name in folders if name.lower() not in SPLITS and name.lower() not in _FORMAT_FOLDERS]
    return Candidate(relative.as_posix(), str(path), names[0] if names else None, splits[0] if splits else None)


def _list_file(path: Path) -> Found:
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise UsageError(f"SOURCE {path} is neither a known shape format nor a text file that lists paths") from error
    names = [line.strip() for line in lines if line.strip() and not line.startswith("#")]
    candidates = [_candidate(path.parent, path.parent / name) for name in names]
    return Found(str(path.resolve()), list({candidate.id: candidate for candidate in candidates}.values()))


def _apply_labels(found: Found, root: Path, labels: Path) -> Found:
    path = labels if labels.is_file() else root / labels
    if not path.is_file():
        raise UsageError(f"--labels {labels}: no such file here or in {root}")
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise UsageError(f"--labels {path} is not UTF-8: save it as CSV (UTF-8)") from error
    reader = csv.DictReader(lines)
    columns = reader.fieldnames or []
    if "path" not in columns:
        raise UsageError(f"--labels {path}: expected a header with path, category, split; found {', '.join(columns)}")
    rows = {_candidate(root, root / row["path"]).id: row for row in reader}
    rows = {found.same_model.get(name, name): row for name, row in rows.items()}
    wrong = sorted({row["split"] for row in rows.values() if row.get("split") and row["split"] not in SPLITS})
    if wrong:
        raise UsageError(f"--labels {path}: split must be train, val or test, found {', '.join(wrong)}")

    known = {candidate.id for candidate in found.candidates}
    missing = [Candidate(name, str(root / name)) for name in rows if name not in known]
    found.unlabelled = sum(candidate.id not in rows for candidate in found.candidates)

    def labelled(candidate: Candidate) -> Candidate:
        row = rows.get(candidate.id, {})
        category = row["category"] or None if "category" in row else candidate.category
        split = row["split"] or None if "split" in row else candidate.split
        return replace(candidate, category=category, split=split)

    found.candidates = [labelled(candidate) for candidate in [*found.candidates, *missing]]
    return found
