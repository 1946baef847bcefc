"""Tensors out of a file that somebody else wrote, without running anything that is in it.

`torch.load(weights_only=True)` builds tensors and plain containers only. Before it, a zip archive must hold its members
as torch.save writes them, not compressed and together no larger than the file, so that nothing can unfold in memory;
the archive is then mapped, so that no tensor reads beyond the file. After it, a tensor may not be larger than what is
stored of it.
"""

import re
import zipfile
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from crosspoint3d.config import UsageError

LEGACY = b"\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."
"""What files of torch.save before 1.6 begin with (after a protocol number)."""
NESTED = ("state_dict", "model_state_dict", "model")
EXPECTED = "expected a state dict that torch.save or safetensors wrote"


def read_weights(path: Path) -> tuple[dict[str, Tensor], list[str]]:
    """The state dict in a file, on the CPU, and the names of what lies beside it (optimizer, epoch, ...).

    The dict may lie under `state_dict`, `model_state_dict` or `model`; a prefix `module.` of all keys (DataParallel) is
    dropped. Tensors that were saved on another device come to the CPU.

    Args:
        path: a .safetensors file, or what torch.save wrote, in its old form or as a zip archive.

    Raises:
        UsageError: the file is missing, damaged, no such file, or holds more than weights.
    """
    found = _load(path)
    beside: list[str] = []
    while isinstance(found, dict) and (inner := next((n for n in NESTED if isinstance(found.get(n), dict)), None)):
        beside += [str(name) for name in found if name != inner]
        found = found[inner]
    if not isinstance(found, dict) or not found:
        raise UsageError(f"{path} holds {_describe(found)}; {EXPECTED}")
    while all(isinstance(name, str) and name.startswith("module.") for name in found):
        found = {name.removeprefix("module."): value for name, value in found.items()}
    for name, value in found.items():
        if problem := _problem(name, value):
            raise UsageError(f"{path}: {name!r} is {problem}; {EXPECTED}")
    return found, sorted(beside)


def _load(path: Path) -> Any:
    try:
        with path.open("rb") as file:
            head = file.read(64)
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror}") from error
    if path.suffix == ".safetensors":
        try:
            return load_file(path)
        except (OSError, SafetensorError) as error:
            raise UsageError(f"{path}: {error}; {EXPECTED}") from error
    mapped = head.startswith(b"PK\x03\x04")
    if mapped:
        _check_archive(path)
    elif LEGACY not in head:
        raise UsageError(f"{path} begins with {head[:8]!r}, which is no file of torch.save; {EXPECTED}")
    try:
        return torch.load(path, map_location="cpu", weights_only=True, mmap=mapped)
    except Exception as error:  # a damaged or hostile file can raise anything
        raise UsageError(f"{path}: {_reason(error)}") from error


def _check_archive(path: Path) -> None:
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
    except (OSError, ValueError, NotImplementedError, zipfile.BadZipFile) as error:
        raise UsageError(f"{path} is truncated or damaged ({error}); {EXPECTED}") from error
    names = [Path(member.filename).name for member in members]
    if "data.pkl" not in names or "constants.pkl" in names:
        what = "a TorchScript archive" if "constants.pkl" in names else "a zip archive, but not of torch.save"
        raise UsageError(f"{path} is {what}; {EXPECTED}")
    size, declared = path.stat().st_size, sum(member.file_size for member in members)
    if declared > size or any(member.compress_type != zipfile.ZIP_STORED for member in members):
        raise UsageError(
            f"{path}: its members are compressed or overlap ({declared:,} bytes declared in a file of {size:,}), "
            f"which torch.save never writes; it is not read"
        )


def _reason(error: Exception) -> str:
    text = str(error)
    if found := re.search(r"GLOBAL ([\w.]+)", text):
        return (
            f"it holds a Python object ({found[1]}), and nothing is unpickled here; where you trust the file, load it "
            f"with torch and save the weights alone: torch.save(model.state_dict(), FILE)"
        )
    first = (text.splitlines() or [""])[0][:200]
    return f"it is truncated or damaged ({type(error).__name__}: {first}); {EXPECTED}"


def _problem(name: object, value: object) -> str:
    """What keeps an entry from being a weight; empty when nothing does."""
    if not isinstance(name, str):
        return "a key that is no text"
    if not isinstance(value, Tensor):
        return f"{_describe(value)}, not a tensor"
    if type(value) not in (Tensor, nn.Parameter) or value.layout != torch.strided or value.device.type != "cpu":
        return f"a tensor of an unusual kind ({type(value).__name__}, {value.layout}, {value.device})"
    if not value.is_floating_point() and value.dtype != torch.int64:
        return f"of type {value.dtype}, which no weight has"
    stored = value.untyped_storage().nbytes()
    if value.numel() * value.element_size() > stored:
        return f"a tensor of {value.numel():,} numbers, of which the file stores {stored:,} bytes"
    return ""


def _describe(value: object) -> str:
    if isinstance(value, dict) and not value:
        return "an empty dict"
    return f"a {type(value).__name__}"
