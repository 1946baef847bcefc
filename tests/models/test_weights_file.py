import argparse
import io
import os
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from crosspoint3d.config import UsageError
from crosspoint3d.models.weights_file import read_weights

WEIGHTS = {"a.weight": torch.arange(600.0).reshape(20, 30), "a.steps": torch.tensor(3)}


def archive() -> bytes:
    buffer = io.BytesIO()
    torch.save(WEIGHTS, buffer)
    return buffer.getvalue()


def legacy() -> bytes:
    buffer = io.BytesIO()
    torch.save(WEIGHTS, buffer, _use_new_zipfile_serialization=False)
    return buffer.getvalue()


def pickled(value: Any) -> bytes:
    buffer = io.BytesIO()
    torch.save(value, buffer)
    return buffer.getvalue()


class Command:
    """What a hostile file holds: unpickling it would create a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __reduce__(self) -> Any:
        return os.mkdir, (str(self.folder),)


def rewritten(compression: int, bomb: int = 0) -> bytes:
    """The archive again by zipfile, its members compressed or not; a bomb member unfolds to so many zeros."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(archive())) as old, zipfile.ZipFile(buffer, "w", compression) as new:
        for member in old.namelist():
            new.writestr(member, bytes(bomb) if bomb and member.endswith("data/0") else old.read(member))
    return buffer.getvalue()


def overlapping() -> bytes:
    """An archive whose directory lists the same stored bytes many times."""
    buffer = io.BytesIO(rewritten(zipfile.ZIP_STORED))
    with zipfile.ZipFile(buffer, "a") as new:
        new.writestr("archive/more", b"")
        new.filelist += [member for member in new.filelist if member.filename.endswith("data/0")] * 50
    return buffer.getvalue()


def script() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as new:
        for name in ("m/data.pkl", "m/constants.pkl", "m/code/m.py"):
            new.writestr(name, b"\x80\x02N.")
    return buffer.getvalue()


def plain_zip() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as new:
        new.writestr("notes.txt", "not weights")
    return buffer.getvalue()


@pytest.mark.parametrize("content", [archive(), legacy(), rewritten(zipfile.ZIP_STORED)], ids=["zip", "old", "stored"])
def test_weights_come_back_bit_equal(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "w.pth").write_bytes(content)
    weights, beside = read_weights(tmp_path / "w.pth")
    assert weights.keys() == WEIGHTS.keys() and beside == []
    assert all(torch.equal(weights[name], value) for name, value in WEIGHTS.items())


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (lambda: b"", "no file of torch.save"),
        (lambda: b"epoch,loss\n1,0.3\n" * 9, r"begins with b'epoch,lo', which is no file of torch.save"),
        (plain_zip, "a zip archive, but not of torch.save"),
        (script, "a TorchScript archive"),
        (lambda: rewritten(zipfile.ZIP_DEFLATED), "compressed or overlap"),
        (
            lambda: rewritten(zipfile.ZIP_DEFLATED, 30_000_000),
            r"30,\d{3},\d{3} bytes declared in a file of [\d,]{2,7}\)",
        ),
        (overlapping, "compressed or overlap"),
        (lambda: rewritten(zipfile.ZIP_STORED, 40), "truncated or damaged"),
        (
            lambda: pickled(WEIGHTS | {"options": argparse.Namespace(k=20)}),
            r"Python object \(argparse\.Namespace\).*torch\.s",
        ),
        (lambda: pickled(nn.Linear(2, 2)), r"Python object \(torch\.nn\.modules\.linear\.Linear\)"),
        (lambda: pickled([1, 2]), "holds a list"),
        (lambda: pickled(torch.zeros(3)), "holds a Tensor"),
        (lambda: pickled({"state_dict": {}}), "holds an empty dict"),
        (lambda: pickled({"epoch": 3, "model": WEIGHTS["a.steps"]}), "'epoch' is a int, not a tensor"),
        (lambda: pickled({1: torch.zeros(3)}), "1 is a key that is no text"),
        (lambda: pickled({"w": torch.zeros(1).expand(10**6, 10**6)}), "1,000,000,000,000 numbers, of which .* 4 bytes"),
        (lambda: pickled({"w": torch.zeros(3).to_sparse()}), "a tensor of an unusual kind"),
        (lambda: pickled({"w": torch.empty(3, device="meta")}), "a tensor of an unusual kind"),
        (lambda: pickled({"w": torch.zeros(3, dtype=torch.complex64)}), r"of type torch\.complex64"),
    ],
)
def test_what_holds_no_weights_is_refused(content: Callable[[], bytes], message: str, tmp_path: Path) -> None:
    (tmp_path / "w.pth").write_bytes(content())
    with pytest.raises(UsageError, match=message) as caught:
        read_weights(tmp_path / "w.pth")
    assert "w.pth" in str(caught.value) and "\n" not in str(caught.value) and len(str(caught.value)) < 600


@pytest.mark.parametrize("write", [archive, legacy])
def test_a_truncated_file_is_refused_wherever_it_ends(write: Callable[[], bytes], tmp_path: Path) -> None:
    whole = write()
    for share in (0.02, 0.2, 0.5, 0.9, 0.999):
        (tmp_path / "w.pth").write_bytes(whole[: int(len(whole) * share)])
        with pytest.raises(UsageError, match=r"truncated|no file of torch\.save"):
            read_weights(tmp_path / "w.pth")


@pytest.mark.parametrize("new", [True, False])
def test_nothing_is_run(new: bool, tmp_path: Path) -> None:
    torch.save(WEIGHTS | {"x": Command(tmp_path / "run")}, tmp_path / "w.pth", _use_new_zipfile_serialization=new)
    with pytest.raises(UsageError, match=r"Python object \(posix\.mkdir\)|Python object \(nt\.mkdir\)"):
        read_weights(tmp_path / "w.pth")
    assert not (tmp_path / "run").exists()


def test_missing_files_and_folders(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"w\.pth: No such file"):
        read_weights(tmp_path / "w.pth")
    with pytest.raises(UsageError, match="Is a directory"):
        read_weights(tmp_path)
    (tmp_path / "w.safetensors").write_bytes(archive())
    with pytest.raises(UsageError, match=r"w\.safetensors: .*expected a state dict"):
        read_weights(tmp_path / "w.safetensors")
