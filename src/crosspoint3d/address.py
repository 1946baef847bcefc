"""Where a table lies: a folder, or a URL on an object store, which a `Path` keeps without one of its slashes."""

import re
from pathlib import Path

from crosspoint3d.config import UsageError

SCHEMES = ("s3", "gs", "az", "abfss")
"""Kinds of object stores: Amazon S3 and all that speak its language, Google Cloud Storage, Azure (two forms)."""
_URL = re.compile(rf"({'|'.join(SCHEMES)}):/{{1,2}}(?=[^/])")
_SIGNED = re.compile(r"\?(.*&)?[^&=]*(sig|signature|token|key|secret|password)[^&=]*=", re.IGNORECASE)


def is_url(path: str | Path) -> bool:
    """Whether a path stands for a place on an object store."""
    return _URL.match(_slashes(path)) is not None


def address_of(path: str | Path) -> str:
    """The path as Lance, messages and records need it: a URL with both slashes and none at its end, or the path."""
    text = _slashes(path)
    found = _URL.match(text)
    return str(path) if found is None else f"{found[1]}://{text[found.end() :].rstrip('/')}"


def refuse_secrets(path: str | Path) -> None:
    """Keys belong into the environment: addresses are shown, and written to run folders.

    Raises:
        UsageError: a URL holds a password or a signature; its message does not.
    """
    if not is_url(path):
        return
    place, query, _ = address_of(path).partition("://")[2].partition("?")
    user, at, host = place.partition("/")[0].rpartition("@")
    if at and ":" in user:
        raise UsageError(f"the URL of ...@{host} holds a password: leave it out and set environment variables instead")
    if query and _SIGNED.search(_slashes(path)):
        raise UsageError(f"the URL of {place}?... holds a key: leave it out and set environment variables instead")


def _slashes(path: str | Path) -> str:
    return path.as_posix() if isinstance(path, Path) else path
