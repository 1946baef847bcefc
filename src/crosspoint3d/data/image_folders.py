"""Small pictures in folders named by their class, in the layouts that CIFAR-FS is handed around in.

CIFAR-FS (Bertinetto et al. 2019, arXiv 1805.08136) has 64 training, 16 validation and 20 test classes of 600 pictures.
"""

import hashlib
import io
import struct
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Int64
from PIL import Image, UnidentifiedImageError

from crosspoint3d.config import UsageError

PREFIX = "images:"
SUFFIXES = (".png", ".jpg", ".jpeg", ".webp")
FORMATS = ("PNG", "JPEG", "WEBP")
SPLIT_LIST = Path("splits") / "bertinetto" / "test.txt"
LAYOUTS = (
    "FOLDER/meta-test/CLASS/, FOLDER/data/CLASS/ with FOLDER/splits/bertinetto/test.txt, FOLDER/test/CLASS/ (each also "
    "below FOLDER/cifar100/), or FOLDER/CLASS/, of .png, .jpg or .webp files"
)
_SPLITS = ("meta-test", "test")
_UNREADABLE = (OSError, ValueError, SyntaxError, EOFError, IndexError, struct.error, Image.DecompressionBombError)
_MOST_LISTED = 5


@dataclass(frozen=True)
class LabelledPictures:
    """Encoded pictures of the novel (test) classes.

    Attributes:
        pictures: the bytes of each file; every one can be decoded.
        labels: indices into `categories`.
        categories: names of all classes, sorted; one without pictures has no label.
        ids: CLASS/FILE of each.
        record: layout, where the classes come from, hash of the set, counts, notes; plain values for a protocol record.
    """

    pictures: list[bytes]
    labels: Int64[np.ndarray, " N"]
    categories: tuple[str, ...]
    ids: tuple[str, ...]
    record: dict[str, Any] = field(default_factory=dict)


def load_pictures(spec: str) -> LabelledPictures:
    """Read the pictures of the novel classes, all of them or none.

    Args:
        spec: `images:FOLDER`; the layouts are in `LAYOUTS`, the first that fits is taken.

    Raises:
        UsageError: the folder is missing or has no such layout, a class of the list has no folder, or pictures cannot
            be decoded (the first ones are named, all are counted).
    """
    folder = Path(spec.removeprefix(PREFIX))
    if not folder.is_dir():
        raise UsageError(f"--data {spec}: no such folder; expected {LAYOUTS}")
    layout, folders, notes = _novel_classes(spec, folder)
    others: Counter[str] = Counter()
    files: list[Path] = []
    labels: list[int] = []
    for label, place in enumerate(folders):
        taken = [path for path in _visible(place) if _is_picture(path)]
        others.update(_kind(path) for path in _visible(place) if not _is_picture(path))
        files += taken
        labels += [label] * len(taken)
    if not files:
        raise UsageError(f"--data {spec}: no .png, .jpg or .webp file in its {len(folders)} classes ({layout})")
    with ThreadPoolExecutor() as pool:
        read = list(pool.map(_read, files))
    ids = tuple(f"{path.parent.name}/{path.name}" for path in files)
    bad = [f"{path} ({reason})" for path, (_, reason) in zip(files, read, strict=True) if reason]
    if bad:
        more = f" and {len(bad) - _MOST_LISTED} more" if len(bad) > _MOST_LISTED else ""
        raise UsageError(
            f"--data {spec}: {len(bad)} of {len(files)} pictures cannot be decoded: "
            f"{'; '.join(bad[:_MOST_LISTED])}{more}; replace or remove them"
        )
    pictures = [data for data, _ in read]
    record = {
        "name": spec,
        "split": f"novel classes only: {layout}",
        "split_drawn": False,
        "split_sha256": pictures_hash(ids, pictures),
        "pictures": len(files),
        "categories": len(folders),
        "other_files": dict(sorted(others.items())),
        "notes": notes,
    }
    names = tuple(place.name for place in folders)
    return LabelledPictures(pictures, np.array(labels, dtype=np.int64), names, ids, record)


def pictures_hash(ids: Sequence[str], pictures: Sequence[bytes]) -> str:
    """SHA-256 over the ids and bytes of a set of files, whatever their order."""
    lines = (f"{name}\t{hashlib.sha256(data).hexdigest()}" for name, data in zip(ids, pictures, strict=True))
    return hashlib.sha256("\n".join(sorted(lines)).encode()).hexdigest()


def _novel_classes(spec: str, folder: Path) -> tuple[str, list[Path], list[str]]:
    """The layout in words, the folders of the classes by name, and notes."""
    for root in (folder, folder / "cifar100"):
        shown = "FOLDER" if root is folder else "FOLDER/cifar100"
        for name in _SPLITS:
            if inner := _class_folders(root / name):
                return f"{shown}/{name}/CLASS", inner, []
        if (root / SPLIT_LIST).is_file() or _class_folders(root / "data"):
            return f"{shown}/data/CLASS of {SPLIT_LIST.as_posix()}", _listed(spec, root), []
    inner = _class_folders(folder)
    if not any(_is_picture(path) for place in inner for path in _visible(place)):
        raise UsageError(f"--data {spec}: no folder of pictures in it; expected {LAYOUTS}")
    note = "the folder names no split: all of its classes count as novel, whether or not the encoder has seen them"
    return "FOLDER/CLASS", inner, [note]


def _listed(spec: str, root: Path) -> list[Path]:
    path = root / SPLIT_LIST
    if not path.is_file():
        raise UsageError(f"--data {spec}: {path} is missing; it names the test classes of {root / 'data'}, one a line")
    try:
        names = sorted({line.strip() for line in path.read_text(encoding="utf-8").splitlines()} - {""})
    except UnicodeDecodeError as error:
        raise UsageError(f"--data {spec}: {path} is no text file: {error}") from error
    known = {place.name: place for place in _class_folders(root / "data")}
    missing = [name for name in names if name not in known]
    if missing or not names:
        what = f"{len(missing)} classes without a folder in {root / 'data'}, such as {missing[0]}" if names else "none"
        raise UsageError(f"--data {spec}: {path} should name the test classes, one a line; it names {what}")
    return [known[name] for name in names]


def _class_folders(folder: Path) -> list[Path]:
    return [path for path in _visible(folder) if path.is_dir()] if folder.is_dir() else []


def _visible(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if not path.name.startswith("."))


def _is_picture(path: Path) -> bool:
    return path.suffix.lower() in SUFFIXES and not path.is_dir()


def _kind(path: Path) -> str:
    return "folder" if path.is_dir() else path.suffix.lower() or "no extension"


def _read(path: Path) -> tuple[bytes, str | None]:
    """A file's bytes, and why they are no picture (None for a sound one)."""
    try:
        data = path.read_bytes()
        with Image.open(io.BytesIO(data), formats=FORMATS) as image:
            image.convert("RGB")
    except UnidentifiedImageError:
        return b"", "no PNG, JPEG or WebP"
    except _UNREADABLE as error:
        return b"", getattr(error, "strerror", None) or str(error)
    return data, None
