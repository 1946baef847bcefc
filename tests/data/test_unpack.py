"""Archives unpacked whole, or refused without a trace outside the target."""

import gzip
import io
import shutil
import stat
import tarfile
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from crosspoint3d.config import RunError
from crosspoint3d.data import unpack as unpack_module
from crosspoint3d.data.unpack import ArchiveError, archive_suffix, unpack
from tests.data.file_server import noise, tar_of, zip_of

FILES = {"top.txt": b"x", "a/b/c.bin": noise(5_000, 0), "a/empty": b"", "d e/ü.txt": b"text" * 900}
PLENTY = 10**9


def tree(folder: Path) -> dict[str, bytes]:
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def attempt(tmp_path: Path, data: bytes, at_most: int = PLENTY) -> dict[str, bytes]:
    """Unpack into a folder of its own and check that nothing appeared beside it."""
    root = tmp_path / "root" / "inner"
    root.mkdir(parents=True, exist_ok=True)
    archive = root / "archive"
    archive.write_bytes(data)
    target = root / "target"
    before = set(tmp_path.rglob("*"))
    try:
        unpack(archive, target, at_most)
        return tree(target)
    finally:
        assert sum(file.stat().st_size for file in target.rglob("*")) <= 1.1 * at_most
        shutil.rmtree(target, ignore_errors=True)
        assert set(tmp_path.rglob("*")) == before


@pytest.mark.parametrize(
    ("data", "suffix"),
    [(zip_of(FILES), ".zip"), (tar_of(FILES), ".tar.gz"), (tar_of(FILES, "w"), ".tar"), (zip_of({}), ".zip")],
)
def test_all_files_come_out(tmp_path: Path, data: bytes, suffix: str) -> None:
    assert archive_suffix(data[:512]) == suffix
    assert attempt(tmp_path, data) == (FILES if len(data) > 100 else {})


def test_folders_of_their_own_and_dots_are_no_harm(tmp_path: Path) -> None:
    folder = tarfile.TarInfo("./empty folder")
    folder.type = tarfile.DIRTYPE
    assert attempt(tmp_path, tar_of({"./a/x": b"1"}, others=[folder])) == {"a/x": b"1"}
    assert attempt(tmp_path, zip_of({"a/": b"", "a/./x": b"1"})) == {"a/x": b"1"}


def test_what_macs_add_stays_out(tmp_path: Path) -> None:
    clutter = {"__MACOSX/a/._x": b"1", "a/.DS_Store": b"2", "a/x": b"3"}
    assert attempt(tmp_path, zip_of(clutter)) == {"a/x": b"3"}
    assert attempt(tmp_path, tar_of(clutter)) == {"a/x": b"3"}


@pytest.mark.parametrize(
    "name", ["/etc/x", "../x", "a/../../x", "a/..", "..\\x", "a\\..\\..\\x", "C:\\x", "c:x", "//server/x", "~/../../x"]
)
def test_paths_outside_are_refused(tmp_path: Path, name: str) -> None:
    for data in (zip_of({"good": b"1", name: b"2"}), tar_of({"good": b"1", name: b"2"})):
        with pytest.raises(ArchiveError, match="a path outside its folder"):
            attempt(tmp_path, data)


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE])
def test_links_and_devices_in_tar_files_are_refused(tmp_path: Path, kind: bytes) -> None:
    info = tarfile.TarInfo("x")
    info.type, info.linkname = kind, "/etc/passwd"
    with pytest.raises(ArchiveError, match=r"a link or device \('x'\)"):
        attempt(tmp_path, tar_of(FILES, others=[info]))


@pytest.mark.parametrize("kind", [stat.S_IFLNK, stat.S_IFIFO, stat.S_IFCHR])
def test_links_and_devices_in_zip_files_are_refused(tmp_path: Path, kind: int) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        info = zipfile.ZipInfo("x")
        info.external_attr = (kind | 0o777) << 16
        archive.writestr(info, "/etc/passwd")
    with pytest.raises(ArchiveError, match=r"a link or device \('x'\)"):
        attempt(tmp_path, buffer.getvalue())


def test_encrypted_and_unusual_zip_files_are_refused(tmp_path: Path) -> None:
    data = bytearray(zip_of({"x": b"secret"}))
    for signature, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        data[data.index(signature) + offset] |= 1
    with pytest.raises(ArchiveError, match=r"an encrypted file \('x'\)"):
        attempt(tmp_path, bytes(data))
    with pytest.raises(ArchiveError, match=r"an unusual compression \('x'\)"):
        attempt(tmp_path, zip_of({"x": b"text" * 100}, zipfile.ZIP_BZIP2))


def test_bombs_are_refused_before_they_burst(tmp_path: Path) -> None:
    bomb = {"a": b"1" * 1000, "zeros": bytes(30_000_000), "more": bytes(30_000_000)}
    for data in (zip_of(bomb), tar_of(bomb)):
        assert len(data) < 100_000
        with pytest.raises(ArchiveError, match="more than the 2,000,000 bytes"):
            attempt(tmp_path, data, at_most=2_000_000)
    assert set(attempt(tmp_path, zip_of(bomb), at_most=60_001_000)) == set(bomb)
    tail = gzip.compress(gzip.decompress(tar_of({"a": b"1"})) + bytes(3_000_000))
    with pytest.raises(ArchiveError, match="goes on behind its last file"):
        attempt(tmp_path, tail, at_most=2_000_000)


@pytest.mark.parametrize("kind", [tarfile.GNUTYPE_LONGNAME, tarfile.XHDTYPE, tarfile.XGLTYPE])
def test_headers_that_would_fill_the_memory_are_refused(tmp_path: Path, kind: bytes) -> None:
    info = tarfile.TarInfo("long")
    info.type, info.size = kind, unpack_module.MOST_HEADER + 1
    with pytest.raises(ArchiveError, match="a header of 1,048,577 bytes"):
        attempt(tmp_path, gzip.compress(info.tobuf(tarfile.USTAR_FORMAT) + bytes(2_000_000)))
    assert set(attempt(tmp_path, tar_of({"a" * 200 + "/" + "b" * 200: b"1"}))) == {"a" * 200 + "/" + "b" * 200}


def test_files_with_holes_are_refused(tmp_path: Path) -> None:
    info = tarfile.TarInfo("holes")
    info.type = tarfile.GNUTYPE_SPARSE
    with pytest.raises(ArchiveError, match=r"a file with holes \('holes'\)"):
        attempt(tmp_path, gzip.compress(info.tobuf(tarfile.GNU_FORMAT) + bytes(10_000)))


def test_a_zip_file_that_lies_about_sizes_is_refused(tmp_path: Path) -> None:
    data = bytearray(zip_of({"zeros": bytes(1_000_000)}))
    at = data.index(b"PK\x01\x02") + 24
    data[at : at + 4] = (1_000).to_bytes(4, "little")
    with pytest.raises(ArchiveError, match="broken"):
        attempt(tmp_path, bytes(data), at_most=2_000)


def test_too_many_files_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unpack_module, "MOST_MEMBERS", 3)
    assert len(attempt(tmp_path, zip_of(dict.fromkeys("abc", b"")))) == 3
    with pytest.raises(ArchiveError, match="more than 3 files"):
        attempt(tmp_path, zip_of(dict.fromkeys("abcd", b"")))


def test_names_that_cannot_stand_together_are_refused(tmp_path: Path) -> None:
    for files in ({"a": b"1", "a/b": b"2"}, {"a/b": b"2", "a": b"1"}, {"x" * 300: b"1"}):
        for data in (zip_of(files), tar_of(files)):
            with pytest.raises(ArchiveError, match="names that cannot be files together"):
                attempt(tmp_path, data)


@pytest.mark.parametrize("data", [b"", b"PK", b"PK\x03\x04", b"\x1f\x8b", b"text", bytes(600), b"<html></html>"])
def test_other_files_are_no_archives(tmp_path: Path, data: bytes) -> None:
    with pytest.raises(ArchiveError, match=r"neither a zip nor a tar\.gz|broken"):
        attempt(tmp_path, data)


def test_broken_archives_give_an_error_or_the_right_files(tmp_path: Path) -> None:
    generator = np.random.default_rng(5)
    refused = 0
    for whole in (zip_of(FILES), tar_of(FILES)):
        for _ in range(60):
            data = bytearray(whole)
            if generator.random() < 0.3:
                del data[generator.integers(len(data)) :]
            else:
                data[generator.integers(len(data))] ^= 1 << int(generator.integers(8))
            try:
                found = attempt(tmp_path, bytes(data))
            except ArchiveError:
                refused += 1
            else:
                assert sorted(found.values()) == sorted(FILES.values())
    assert refused > 90


def test_a_tar_file_that_is_cut_is_broken(tmp_path: Path) -> None:
    whole = tar_of(FILES, "w")
    for end in (700, 2_000, 5_000):
        with pytest.raises(ArchiveError, match="broken"):
            attempt(tmp_path, whole[:end])


def test_a_full_disk_is_no_fault_of_the_archive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Disk:
        free = 5_000

    monkeypatch.setattr("shutil.disk_usage", lambda _: Disk)
    with pytest.raises(RunError, match=r"unpacking needs more than the 0\.0 GB free"):
        attempt(tmp_path, zip_of(FILES))

    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("shutil.copyfileobj", full)
    with pytest.raises(OSError, match="No space left"):
        attempt(tmp_path, tar_of(FILES))
