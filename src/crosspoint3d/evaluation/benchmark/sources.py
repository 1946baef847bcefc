"""The files behind an encoder or a data set: whether they are there, and whether they are still the same."""

import hashlib
from collections.abc import Iterable
from pathlib import Path

from crosspoint3d.address import is_url
from crosspoint3d.config import UsageError
from crosspoint3d.data.location import files_below
from crosspoint3d.data.published.scanobjectnn import VARIANTS
from crosspoint3d.data.sources import parse_procedural
from crosspoint3d.data.table import ShapeTable
from crosspoint3d.evaluation.plain_values import near
from crosspoint3d.models.callable_encoder import SPEC
from crosspoint3d.models.folder import CONFIG, unfinished
from crosspoint3d.models.load import RANDOM_HEADS

FOLDERS = ("modelnet10:", "modelnet40:", "scanobjectnn:", "images:")


def encoder_paths(spec: str) -> list[Path]:
    """Files and folders that decide an encoder; none for fresh weights and for a Python callable.

    Raises:
        UsageError: nothing is there.
    """
    if spec.startswith("random:"):
        known = [f"random:{name}" for name in RANDOM_HEADS]
        if spec not in known:
            raise UsageError(f"encoder {spec!r}; {near(spec, known)}")
        return []
    if spec.startswith("onnx:"):
        path = _there(spec.removeprefix("onnx:"))
        return [path, *(beside for beside in [path.with_name(f"{path.name}.data")] if beside.is_file())]
    if is_callable(spec):
        return []
    path = _there(spec)
    if path.is_dir() and not (path / CONFIG).is_file() and not (path / "encoder").is_dir():
        reason = unfinished(path) or "give a folder that pretrain or finetune wrote"
        raise UsageError(f"{spec!r} is neither a run folder nor an encoder's: no encoder/, no {CONFIG} in it; {reason}")
    parts = [path / part for part in ("encoder", "image_encoder", "config.yaml") if (path / part).exists()]
    return parts if (path / "encoder").is_dir() else [path]


def is_callable(spec: str) -> bool:
    """Whether an encoder is somebody's Python function, of which no file tells whether it is the same."""
    return SPEC.fullmatch(spec) is not None and not spec.startswith("random:") and not Path(spec).exists()


def has_pictures(spec: str) -> bool:
    """Whether an encoder of pictures stands beside the encoder of clouds."""
    return (Path(spec) / "image_encoder").is_dir()


def data_paths(spec: str) -> list[Path]:
    """Files and folders that hold a data set, or the URL of a table; none for procedural shapes.

    Raises:
        UsageError: nothing is there.
        RunError: the object store of a table does not answer, or refuses.
    """
    if is_url(spec):
        ShapeTable(spec)
        return [Path(spec)]
    if spec.startswith("procedural:"):
        parse_procedural(spec)
        return []
    if spec.startswith("clouds:"):
        return [_there(part) for part in spec.removeprefix("clouds:").split(",")]
    prefix = next((prefix for prefix in FOLDERS if spec.startswith(prefix)), "")
    rest = spec.removeprefix(prefix)
    folder, _, variant = rest.rpartition(":")
    return [_there(folder if prefix == "scanobjectnn:" and variant in VARIANTS else rest)]


def content_hash(paths: Iterable[Path]) -> str:
    """SHA-256 over the names and the bytes of files, and of all files in folders."""
    digest = hashlib.sha256()
    for root in paths:
        for path in _files(root):
            digest.update(f"{path.relative_to(root.parent)}\n{path.stat().st_size}\n".encode())
            with path.open("rb") as file:
                while block := file.read(2**20):
                    digest.update(block)
    return digest.hexdigest()


def state_hash(paths: Iterable[Path]) -> str:
    """SHA-256 over names, sizes and times of files, and of all files in folders: for those too large to be read.

    A table on an object store is told by the names of its files, which Lance never gives twice.
    """
    digest = hashlib.sha256()
    for root in paths:
        if is_url(root):
            digest.update("\n".join(name for name in files_below(root) if "/" in name).encode())
            continue
        for path in _files(root):
            state = path.stat()
            digest.update(f"{path.relative_to(root.parent)}\n{state.st_size} {state.st_mtime_ns}\n".encode())
    return digest.hexdigest()


def _files(root: Path) -> list[Path]:
    return sorted(path for path in root.rglob("*") if path.is_file()) if root.is_dir() else [root]


def _there(text: str) -> Path:
    path = Path(text)
    if not text or not path.exists():
        raise UsageError(f"{text!r} does not exist (paths are relative to {Path.cwd()})")
    return path
