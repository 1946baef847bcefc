"""What an object store said when it did not do as asked, in words: the URL, the reason, the remedy; no credentials."""

import contextlib
import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

import pyarrow as pa

from crosspoint3d.address import address_of, is_url
from crosspoint3d.config import RunError, UsageError

FAILURES = (OSError, ValueError, RuntimeError, pa.ArrowException)
"""What Lance raises for a store that cannot be reached or refuses."""
TRIES = 5
_Answer = TypeVar("_Answer")
_KEYS = {
    "s3": "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY (AWS_SESSION_TOKEN), or AWS_PROFILE",
    "gs": "GOOGLE_APPLICATION_CREDENTIALS (a file)",
    "az": "AZURE_STORAGE_ACCOUNT_NAME and AZURE_STORAGE_ACCOUNT_KEY (or AZURE_STORAGE_SAS_TOKEN)",
}
_PLACES = {"s3": "AWS_ENDPOINT_URL, AWS_REGION", "gs": "GOOGLE_BASE_URL", "az": "AZURE_STORAGE_ACCOUNT_NAME"}
_SECRET = re.compile(r"KEY|TOKEN|SECRET|SAS|PASSWORD|SIGNATURE")
_STORE = re.compile(
    r"Generic (S3|GCS|MicrosoftAzure|N/A) error|HTTP error|error sending request|decoding response body"
    r"|lacked the necessary privileges|valid authentication credentials"
)
_GONE = re.compile(r"Not found: |was not found|Object at location")


def is_store_trouble(error: Exception) -> bool:
    """Whether an error of Lance tells of a store that cannot be reached or refuses, not of broken or missing files."""
    text = str(error)
    return bool(_STORE.search(text)) and not gone(error)


@contextlib.contextmanager
def store_named(path: str | Path, *, every: bool = False) -> Iterator[None]:
    """Trouble with the object store of a URL becomes an error that says so; all else passes, as for a path.

    Args:
        path: of the table.
        every: whether any failure is one of the store: where no table is read.

    Raises:
        UsageError, RunError: see `store_error`.
    """
    try:
        yield
    except (UsageError, RunError):
        raise
    except FAILURES as error:
        if is_url(path) and (every or is_store_trouble(error)):
            raise store_error(address_of(path), error) from None
        raise


def whole(ask: Callable[[], _Answer]) -> _Answer:
    """The answer of a store, asked for again where it breaks off halfway, which Lance does for files only."""
    for _ in range(TRIES - 1):
        try:
            return ask()
        except FAILURES as error:
            if "response body" not in str(error):
                raise
    return ask()


def gone(error: Exception) -> bool:
    """Whether an error of Lance says that there is no such file or table."""
    return bool(_GONE.search(str(error))) and "NoSuchBucket" not in str(error)


def store_error(url: str, error: Exception) -> RunError | UsageError:
    """The error to raise for one of Lance about a URL.

    UsageError where the bucket does not exist or the place cannot be told from the URL and the environment, RunError
    for all else.
    """
    text = _plain(str(error))
    kind = "az" if url.startswith(("az", "abfss")) else url.partition(":")[0]
    code = _first(r"<Code>([^<]+)</Code>", text) or _first(r'"code"\s*:\s*"([^"]+)"', text)
    said = ", ".join(part for part in (code, _first(r"<Message>([^<]+)</Message>", text)) if part)
    status = _first(r"status code: (\d{3}[\w -]*)", text).strip()
    answer = ": ".join(part for part in (status, said) if part)
    host = _first(r"Error performing \w+ \w+://([^/\s?]+)", text).rpartition("@")[2]
    if "credentials" in text or "token request" in text:
        return RunError(f"{url}: no credentials found: set {_KEYS[kind]}")
    if code in ("NoSuchBucket", "ContainerNotFound") or "bucket does not exist" in said:
        return UsageError(f"{url}: the store has no such bucket ({said or status}): make it, or correct the URL")
    if "resolve region" in text or "configured region" in text:
        return RunError(f"{url}: the region is not the bucket's, or unknown: set AWS_REGION; check AWS_ENDPOINT_URL")
    if "account name" in text and kind == "az":
        return UsageError(f"{url}: no storage account is named: set {_KEYS[kind]}")
    if status.startswith(("401", "403")):
        return RunError(f"{url}: the store refuses ({answer}): set {_KEYS[kind]} to a key that may use the bucket")
    if status.startswith(("5", "429")):
        again = "try again later; the same command goes on where it was"
        return RunError(f"{url}: the store {host} fails ({answer}): {again}")
    if status:
        return RunError(f"{url}: the store {host} answers {answer}: check the URL, {_PLACES[kind]}")
    if "HTTP error" in text or "error sending request" in text:
        where = host or "the store"
        return RunError(f"{url}: {where} does not answer: check the network, the URL, {_PLACES[kind]}")
    line = re.sub(r",? *\S+\.rs:\d+:\d+", "", (text or type(error).__name__).splitlines()[0])
    return RunError(f"{url}: {line}")


def _first(pattern: str, text: str) -> str:
    found = re.search(pattern, text)
    return found[1] if found else ""


def _plain(text: str) -> str:
    """Without the values of secret environment variables and without the query part of addresses."""
    text = re.sub(r"(https?://[^\s?]+)\?\S*", r"\1", text)
    for name, value in os.environ.items():
        if len(value) >= 4 and name.startswith(("AWS_", "AZURE_", "GOOGLE_")) and _SECRET.search(name):
            text = text.replace(value, "***")
    return text
