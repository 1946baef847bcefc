"""Unpack archives that strangers made: plain files and folders, inside the target, of a bounded size, or nothing."""

import contextlib
import errno
import gzip
import shutil
import stat
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Generator
from pathlib import Path, PurePosixPath
from typing import IO, Any, NamedTuple

from tqdm import tqdm

from crosspoint3d.config import RunError

HEAD = 512
"""Bytes of a file that tell what archive it is."""
MOST_MEMBERS = 500_000
SILENT_SECONDS = 2
MOST_HEADER = 1 << 20
"""Bytes of one long name or of one set of attributes in a tar file, which `tarfile` holds in memory."""
_HEADERS = (
    tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK, tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.SOLARIS_XHDTYPE,
)  # fmt: skip
_BLOCK = 1 << 20
_BROKEN = (
    zipfile.BadZipFile, tarfile.TarError, gzip.BadGzipFile, zlib.error, struct.error,
    EOFError, ValueError, OverflowError, IndexError, NotImplementedError,
)  # fmt: skip
_BAD_NAMES = {errno.EEXIST, errno.ENOTDIR, errno.EISDIR, errno.ENAMETOOLONG, errno.EINVAL, errno.EILSEQ}
_REFUSED = "it holds {what}, which is refused"


class ArchiveError(RuntimeError):
    """The archive is broken, or holds what must not be unpacked; the message says what."""


class _Member(NamedTuple):
    """A file or folder of an archive: its path, its size, and what opens it (None for a folder)."""

    path: PurePosixPath
    size: int
    open: Any


class _Header(tarfile.TarInfo):
    """A tar header, looked at before what it announces is read."""

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> "_Header":
        info = super().frombuf(buf, encoding, errors)
        if info.type in _HEADERS and info.size > MOST_HEADER:
            raise ArchiveError(_REFUSED.format(what=f"a header of {info.size:,} bytes"))
        if info.type == tarfile.GNUTYPE_SPARSE:
            raise ArchiveError(_REFUSED.format(what=f"a file with holes ({info.name!r})"))
        return info


def archive_suffix(head: bytes) -> str:
    """`.zip`, `.tar.gz` or `.tar` by the first HEAD bytes of a file; empty if it is none of them."""
    if head.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        return ".zip"
    if head.startswith(b"\x1f\x8b"):
        return ".tar.gz"
    return ".tar" if head[257:262] == b"ustar" else ""


def unpack(archive: Path, folder: Path, at_most: int) -> None:
    """Unpack a zip, tar or tar.gz file into a new folder; checksums inside are checked.

    Left out: `__MACOSX` and `.DS_Store`.

    Args:
        archive: the file.
        folder: to be created; on an error it holds a part of the files.
        at_most: bytes that all files together may have.

    Raises:
        ArchiveError: broken, encrypted or larger than `at_most`, or with links, devices or paths outside the folder.
        RunError: the disk is too full.
    """
    with archive.open("rb") as file:
        suffix = archive_suffix(file.read(HEAD))
    if not suffix:
        raise ArchiveError("it is neither a zip nor a tar.gz file")
    folder.mkdir(parents=True)
    members = _zip(archive) if suffix == ".zip" else _tar(archive, at_most)
    settings: dict[str, Any] = {"unit": "B", "unit_scale": True, "delay": SILENT_SECONDS, "leave": False}
    with contextlib.closing(members), tqdm(desc="unpack", disable=None, **settings) as bar:
        total = 0
        try:
            for number, member in enumerate(members):
                total += member.size
                _require_bounds(total, at_most, number)
                _write(member, folder)
                bar.update(member.size)
        except _BROKEN as error:
            raise ArchiveError(f"it is broken: {error}") from error
        except OSError as error:
            if error.errno not in _BAD_NAMES:
                raise
            raise ArchiveError(f"it holds names that cannot be files together: {error.filename}") from error


def _require_bounds(total: int, at_most: int, number: int) -> None:
    if total > at_most:
        raise ArchiveError(f"it unpacks to more than the {at_most:,} bytes that are allowed for it")
    if number >= MOST_MEMBERS:
        raise ArchiveError(f"it holds more than {MOST_MEMBERS:,} files")


def _write(member: _Member, folder: Path) -> None:
    if "__MACOSX" in member.path.parts or member.path.name == ".DS_Store":
        return
    target = folder / member.path
    if member.open is None:
        target.mkdir(parents=True, exist_ok=True)
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    source: IO[bytes]
    with member.open() as source, target.open("wb") as file:
        shutil.copyfileobj(source, file, _BLOCK)


def _inside(name: str) -> PurePosixPath:
    path = PurePosixPath(name.replace("\\", "/"))
    if path.is_absolute() or ".." in path.parts or ":" in name or "\0" in name:
        raise ArchiveError(_REFUSED.format(what=f"a path outside its folder ({name!r})"))
    return path


def _zip(archive: Path) -> Generator[_Member, None, None]:
    with zipfile.ZipFile(archive) as file:
        infos = file.infolist()
        free = shutil.disk_usage(archive.parent).free
        if sum(info.file_size for info in infos) > free:
            raise RunError(f"unpacking needs more than the {free / 1e9:.1f} GB free in {archive.parent}")
        for info in infos:
            kind = stat.S_IFMT(info.external_attr >> 16)
            if info.flag_bits & 1:
                raise ArchiveError(_REFUSED.format(what=f"an encrypted file ({info.filename!r})"))
            if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                raise ArchiveError(_REFUSED.format(what=f"an unusual compression ({info.filename!r})"))
            if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
                raise ArchiveError(_REFUSED.format(what=f"a link or device ({info.filename!r})"))
            opens = None if info.is_dir() else lambda info=info: file.open(info)
            yield _Member(_inside(info.filename), info.file_size, opens)


def _tar(archive: Path, at_most: int) -> Generator[_Member, None, None]:
    with archive.open("rb") as raw:
        packed = archive_suffix(raw.read(HEAD)) == ".tar.gz"
        raw.seek(0)
        opened: Any = gzip.GzipFile(fileobj=raw) if packed else contextlib.nullcontext(raw)
        with opened as stream:
            with tarfile.open(fileobj=stream, mode="r|", tarinfo=_Header) as file:
                for info in file:
                    if not (info.isreg() or info.isdir()):
                        raise ArchiveError(_REFUSED.format(what=f"a link or device ({info.name!r})"))
                    opens = None if info.isdir() else lambda info=info: file.extractfile(info)
                    yield _Member(_inside(info.name), info.size, opens)
            # The checksum of a gzip file stands at its end, behind the zeros that end the tar file.
            rest = 0
            while block := stream.read(_BLOCK):
                rest += len(block)
                if rest > at_most:
                    raise ArchiveError("it goes on behind its last file")
