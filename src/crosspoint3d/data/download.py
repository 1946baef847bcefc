"""`crosspoint3d download`: a published data set from its authors' address or a mirror, once its terms are accepted.

The addresses (`downloads.yaml`) were taken from public documentation; servers come and go, and every failure is told.
"""

import contextlib
import datetime
import difflib
import hashlib
import json
import shutil
import sys
import textwrap
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from crosspoint3d import __version__
from crosspoint3d.config import DownloadConfig, RunError, UsageError
from crosspoint3d.data.catalogue import Address, DataSet, is_sha256, load_catalogue
from crosspoint3d.data.fetch import PAUSES, TIMEOUT, FetchError, fetch
from crosspoint3d.data.partial import discard, size
from crosspoint3d.data.unpack import HEAD, ArchiveError, archive_suffix, unpack
from crosspoint3d.runtime import atomic, file_sha256

RECORD = "download.json"


@dataclass(frozen=True)
class DownloadResult:
    """What is there now.

    Attributes:
        message: for the terminal.
        folder: the data set's folder; None when the known ones were listed.
        record: contents of its download.json; empty for a data set that was put there by hand.
        fetched: False when nothing had to be done.
    """

    message: str
    folder: Path | None = None
    record: dict[str, Any] = field(default_factory=dict)
    fetched: bool = False

    def __str__(self) -> str:
        return self.message


def download(config: DownloadConfig, *, pauses: Sequence[float] = PAUSES, timeout: float = TIMEOUT) -> DownloadResult:
    """Fetch, check and unpack a data set into OUT/NAME, with a record of it in OUT/NAME/download.json.

    Addresses are tried in turn. A download that was stopped goes on where it was; a data set that is there already is
    left as it is.

    Args:
        config: the options. Without a name the known data sets are listed.
        pauses: seconds before each new try at the same address.
        timeout: seconds without a byte after which a try is given up.

    Raises:
        UsageError: the name is unknown, the terms are not accepted, OUT/NAME holds something else, or the checksum or
            the catalogue is malformed.
        RunError: no address gave the data set, with the reason for each; or the disk is too full.
    """
    known = load_catalogue(config.catalogue)
    if config.sha256 and not is_sha256(config.sha256):
        raise UsageError(f"--sha256 {config.sha256}: expected 64 hexadecimal digits")
    if not config.name:
        return DownloadResult(_table(known, config.out))
    if config.name not in known:
        close = difflib.get_close_matches(config.name, known, 1)
        hint = f"did you mean {close[0]}?" if close else f"there are: {', '.join(known)}"
        raise UsageError(f"no data set {config.name!r}; {hint}")
    data_set = known[config.name]
    folder = config.out / data_set.name
    before = _read_record(folder)
    if _is_there(data_set, folder):
        if config.sha256 and before.get("sha256") not in (None, config.sha256.lower()):
            warnings.warn(f"{folder} came from a file with SHA-256 {before['sha256']}, not --sha256", stacklevel=2)
        return DownloadResult(
            f"{folder} is there already; nothing was changed\n{_how(data_set, folder)}", folder, before
        )
    if not before and folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UsageError(
            f"--out {config.out}: {folder} exists, but holds no {data_set.holds}; move it away or choose another --out"
        )
    _accept(data_set, config.accept_terms)
    record, archive = _from_any_address(data_set, config, pauses, timeout)
    if before.get("sha256") not in (None, record["sha256"]):
        warnings.warn(f"{data_set.name}: SHA-256 was {before['sha256']} at the last download", stacklevel=2)
    kept = f"\narchive kept: {archive}" if archive else ""
    message = f"{folder}: {record['bytes']:,} bytes from {record['address']}\nSHA-256 {record['sha256']}"
    known_as = "as expected" if record["sha256_checked"] else "nothing to compare it with; noted in download.json"
    return DownloadResult(f"{message} ({known_as}){kept}\n{_how(data_set, folder)}", folder, record, fetched=True)


def _from_any_address(
    data_set: DataSet, config: DownloadConfig, pauses: Sequence[float], timeout: float
) -> tuple[dict[str, Any], Path | None]:
    work = config.out / f".{data_set.name}.download"
    failures = []
    for address in data_set.addresses:
        part = work / f"{hashlib.sha256(address.url.encode()).hexdigest()[:12]}.part"
        try:
            fetch(address.url, part, data_set.unpacked_at_most, label=data_set.name, pauses=pauses, timeout=timeout)
            record = _check_and_unpack(data_set, config, address, part)
        except (FetchError, ArchiveError) as error:
            failures.append(f"{address.url}: {error}")
            continue
        except KeyboardInterrupt:
            _say(f"\n{size(part):,} bytes are kept in {part}; the same command goes on from there")
            raise
        archive = None
        if config.keep_archive:
            with part.open("rb") as file:
                archive = config.out / f"{data_set.name}{archive_suffix(file.read(HEAD))}"
            part.replace(archive)
        shutil.rmtree(work)
        return record, archive
    with contextlib.suppress(OSError):
        work.rmdir()
    begun = ["what has come so far is kept: the same command goes on from there"] if work.exists() else []
    by_hand = f"by hand: look for it on {data_set.page} and unpack it into {config.out / data_set.name}"
    raise RunError("\n  ".join([f"{data_set.name}: no address gave it", *failures, *begun, by_hand]))


def _check_and_unpack(data_set: DataSet, config: DownloadConfig, address: Address, part: Path) -> dict[str, Any]:
    """The record of the data set, which is in its place afterwards; a wrong or broken archive is deleted."""
    digest, expected = file_sha256(part), config.sha256.lower() or address.sha256
    record = {
        "name": data_set.name,
        "address": address.url,
        "date": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
        "bytes": part.stat().st_size,
        "sha256": digest,
        "sha256_checked": expected is not None,
        "terms_accepted": data_set.terms,
        "page": data_set.page,
        "cite": data_set.cite,
        "crosspoint3d": __version__,
    }
    try:
        if expected is not None and digest != expected:
            raise ArchiveError(f"its SHA-256 is {digest}, expected {expected}; the file was deleted")
        with atomic(config.out / data_set.name) as temporary:
            unpack(part, temporary, data_set.unpacked_at_most)
            if not _is_there(data_set, temporary):
                raise ArchiveError(f"it holds no {data_set.holds}")
            (temporary / RECORD).write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
    except ArchiveError:
        discard(part)
        raise
    return record


def _accept(data_set: DataSet, accepted: bool) -> None:
    about = f", about {data_set.bytes / 1e9:.1f} GB" if data_set.bytes else ""
    text = textwrap.fill(data_set.terms, 100, initial_indent="  ", subsequent_indent="  ")
    cite = textwrap.fill(data_set.cite, 100, initial_indent="cite: ", subsequent_indent="  ")
    _say(f"{data_set.name}: {data_set.what}{about}\nterms (in full: {data_set.page}):\n{text}\n{cite}")
    if accepted:
        return
    if sys.stdin is None or not sys.stdin.isatty():
        raise UsageError(f"{data_set.name}: its terms are not accepted, nothing was fetched; add --accept-terms")
    _say("Type yes to accept: ", end="")
    if sys.stdin.readline().strip().lower() != "yes":
        raise UsageError(f"{data_set.name}: its terms are not accepted, nothing was fetched")


def _table(known: dict[str, DataSet], out: Path) -> str:
    lines = []
    for data_set in known.values():
        about = f"{data_set.bytes / 1e9:.1f} GB" if data_set.bytes else "?"
        there = f"  [in {out / data_set.name}]" if _is_there(data_set, out / data_set.name) else ""
        lines.append(f"{data_set.name:28} {about:>8}  {data_set.what}{there}")
    lines += ["", "The addresses were taken from public documentation, not all of them may answer."]
    return "\n".join(lines)


def _how(data_set: DataSet, folder: Path) -> str:
    spec = (data_set.use or "").replace("{folder}", str(folder))
    return f"use it as --data {spec}" if spec else "no --data reads it yet"


def _is_there(data_set: DataSet, folder: Path) -> bool:
    return next(folder.glob(data_set.holds), None) is not None


def _read_record(folder: Path) -> dict[str, Any]:
    try:
        record = json.loads((folder / RECORD).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return record if isinstance(record, dict) else {}


def _say(text: str, end: str = "\n") -> None:
    sys.stderr.write(text + end)
    sys.stderr.flush()
