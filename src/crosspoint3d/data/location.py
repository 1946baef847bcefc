"""Small files beside a table and what else must be known of its place, on a disk or on an object store.

Lance reads and writes all of it, so that one set of environment variables serves tables and small files alike.
"""

import os
import tempfile
from pathlib import Path
from typing import Any

import lance.file

from crosspoint3d.address import address_of, is_url, refuse_secrets
from crosspoint3d.config import RunError
from crosspoint3d.data.store_errors import store_named, whole
from crosspoint3d.runtime import atomic

RETRIES = 20
"""Times that a request is tried again, at first after 0.1 s, in all about 10 s; Lance begins anew up to five times."""
RETRY_SECONDS = 60
_ENDPOINTS = ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_ENDPOINT")
_SET_BY_USER = {
    "client_max_retries": "OBJECT_STORE_CLIENT_MAX_RETRIES",
    "client_retry_timeout": "OBJECT_STORE_CLIENT_RETRY_TIMEOUT",
}
_AT_FIRST = {"client_max_retries": "3", "client_retry_timeout": "3", "timeout": "5s", "connect_timeout": "3s"}


def storage_options(path: str | Path) -> dict[str, str] | None:
    """Options for Lance beside those that it takes from the environment (AWS_..., GOOGLE_..., AZURE_...).

    Lance tries a request four times by default: with every tenth failing, one in ten thousand would be lost.
    """
    if not is_url(path):
        return None
    options = {"client_max_retries": str(RETRIES), "client_retry_timeout": str(RETRY_SECONDS)}
    return _plain_http() | {name: value for name, value in options.items() if _SET_BY_USER[name] not in os.environ}


def entries_of(path: str | Path) -> set[str]:
    """Names of the files and folders directly below a place; none where nothing is there.

    On an object store this is the first contact, which gives up within seconds.

    Raises:
        UsageError: the bucket does not exist, or the URL holds a password or a key.
        RunError: the store does not answer, or refuses.
    """
    if not is_url(path):
        folder = Path(path)
        return {entry.name for entry in folder.iterdir()} if folder.is_dir() else set()
    with store_named(path, every=True):
        found = whole(_session(path, _AT_FIRST | _plain_http()).list_with_delimiter)
    return {name.rstrip("/").rpartition("/")[2] for name in (*found.common_prefixes, *found.objects)}


def files_below(path: str | Path) -> list[str]:
    """Paths of all files below a URL, relative to it, sorted.

    Raises:
        RunError: the store does not answer, or refuses.
    """
    with store_named(path, every=True):
        return sorted(whole(_session(path).list))


def read_text(path: str | Path, name: str) -> str:
    """A small file below a place.

    Raises:
        FileNotFoundError: there is none.
        RunError: the store does not answer, or refuses.
    """
    if not is_url(path):
        return (Path(path) / name).read_text(encoding="utf-8")
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "copy"
        with store_named(path, every=True):
            session = _session(path)
            if there := session.contains(name):
                session.download_file(name, str(copy))
        if not there:
            raise FileNotFoundError(name)
        return copy.read_text(encoding="utf-8")


def write_text(path: str | Path, name: str, text: str) -> None:
    """Write a small file below a place, whole or not at all.

    Raises:
        OSError: the disk is full, or writing is not allowed.
        RunError: the store does not answer, or refuses.
    """
    if not is_url(path):
        with atomic(Path(path) / name) as temporary:
            temporary.write_text(text, encoding="utf-8")
        return
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "copy"
        copy.write_text(text, encoding="utf-8")
        with store_named(path, every=True):
            _session(path).upload_file(str(copy), name)


def _session(path: str | Path, options: dict[str, str] | None = None) -> Any:
    refuse_secrets(path)
    url, session = address_of(path), getattr(lance.file, "LanceFileSession", None)
    if session is None or not hasattr(session, "list_with_delimiter"):
        raise RunError(f"{url}: tables on object stores need a newer Lance: pip install --upgrade pylance")
    return session(url, storage_options=storage_options(path) if options is None else options)


def _plain_http() -> dict[str, str]:
    """An endpoint that begins with http:// is meant so."""
    endpoint = next((os.environ[name] for name in _ENDPOINTS if os.environ.get(name)), "")
    return {"allow_http": "true"} if endpoint.lower().startswith("http://") else {}
