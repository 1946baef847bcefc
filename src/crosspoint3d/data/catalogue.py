"""The data sets that `download` knows: `downloads.yaml`, with a laboratory's own file of that form laid over it."""

import re
from dataclasses import dataclass, fields
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import urlsplit

import yaml

from crosspoint3d.config import UsageError

BUILT_IN = Path(__file__).with_name("downloads.yaml")
_SCHEMES = ("http", "https", "file")


@dataclass(frozen=True)
class Address:
    """Where an archive lies, and its SHA-256 where that is known."""

    url: str
    sha256: str | None


@dataclass(frozen=True)
class DataSet:
    """One entry; `downloads.yaml` says what each field means."""

    name: str
    what: str
    terms: str
    page: str
    cite: str
    bytes: int | None
    unpacked_at_most: int
    holds: str
    use: str | None
    addresses: tuple[Address, ...]


def load_catalogue(own: Path | None = None) -> dict[str, DataSet]:
    """Read the built-in list and lay `own` over it: its entries add names, or replace fields of those known.

    A laboratory's mirror is `modelnet40: {addresses: [https://our.server/modelnet40_ply_hdf5_2048.zip]}`; an address
    may also be a `file:` URL or a path, relative to the list.

    Raises:
        UsageError: `own` is missing or malformed; names the entry and the field.
    """
    entries = _entries(BUILT_IN)
    if own is not None:
        for name, fields_of_own in _entries(own).items():
            entries[name] = entries.get(name, {}) | fields_of_own
    return {name: _data_set(own or BUILT_IN, name, entry) for name, entry in entries.items()}


def is_sha256(text: object) -> bool:
    """Whether a value is 64 hexadecimal digits."""
    return isinstance(text, str) and re.fullmatch(r"[0-9a-fA-F]{64}", text) is not None


def _entries(path: Path) -> dict[str, dict[str, Any]]:
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"--catalogue {path}: {error.strerror}") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise UsageError(f"--catalogue {path} is not YAML: {error}") from error
    if not isinstance(values, dict) or not all(isinstance(entry, dict) for entry in values.values()):
        raise UsageError(f"--catalogue {path}: expected NAME: with indented fields below it, as in downloads.yaml")
    for name in values:
        if not isinstance(name, str) or not re.fullmatch(r"[a-z0-9][a-z0-9._-]*", name):
            raise UsageError(f"--catalogue {path}: {name!r} is no name: use small letters, digits and hyphens")
    return values


def _data_set(path: Path, name: str, entry: dict[str, Any]) -> DataSet:
    def refuse(problem: str) -> UsageError:
        return UsageError(f"--catalogue {path}: {name}: {problem}")

    entry = {"bytes": None, "use": None, "sha256": None} | entry
    known = {f.name for f in fields(DataSet)} - {"name"} | {"sha256"}
    strange, missing = sorted(set(entry) - known), sorted(known - set(entry))
    if strange or missing:
        raise refuse(f"unknown field {strange[0]}" if strange else f"{missing[0]} is missing")
    for field in ("what", "terms", "page", "cite", "holds"):
        if not isinstance(entry[field], str) or not entry[field].strip():
            raise refuse(f"{field} is {entry[field]!r}: expected a text")
    for field in ("bytes", "unpacked_at_most"):
        if not (type(entry[field]) is int and entry[field] > 0) and (field, entry[field]) != ("bytes", None):
            raise refuse(f"{field} is {entry[field]!r}: expected a number of bytes")
    if not _is_pattern(entry["holds"]):
        raise refuse(f"holds is {entry['holds']!r}: expected a pattern below the data set's folder, such as **/*.h5")
    if not isinstance(entry["use"], str | None):
        raise refuse(f"use is {entry['use']!r}: expected a text such as modelnet40:{{folder}}")
    if not isinstance(entry["addresses"], list) or not entry["addresses"]:
        raise refuse("addresses: expected a list of one or more")
    common = entry.pop("sha256")
    addresses = []
    for item in entry.pop("addresses"):
        given = {"url": item} if isinstance(item, str) else item
        if not isinstance(given, dict) or "url" not in given or set(given) - {"url", "sha256"}:
            raise refuse(f"address {item!r}: expected a text, or url and sha256")
        digest = given.get("sha256", common)
        if digest is not None and not is_sha256(digest):
            raise refuse(f"sha256 is {digest!r}: expected 64 hexadecimal digits or null")
        url = _url(path, given["url"])
        if url is None:
            raise refuse(f"address {given['url']!r}: expected {', '.join(_SCHEMES)} or a path")
        addresses.append(Address(url, digest.lower() if digest else None))
    return DataSet(name=name, addresses=tuple(addresses), **entry)


def _is_pattern(text: str) -> bool:
    """Whether a text is a pattern that stays below a folder."""
    path = PurePosixPath(text)
    try:
        next(BUILT_IN.glob(text), None)  # below a file there is nothing; a malformed pattern is found out
    except (ValueError, NotImplementedError):
        return False
    return not path.is_absolute() and ".." not in path.parts


def _url(path: Path, text: object) -> str | None:
    if not isinstance(text, str) or not text:
        return None
    if "://" not in text:
        return (path.parent / text).resolve().as_uri()
    parts = urlsplit(text)
    return text if parts.scheme in _SCHEMES and (parts.netloc or parts.scheme == "file") else None
