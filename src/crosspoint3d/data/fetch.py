"""Bring one large file here over HTTP, through cuts, slow servers and restarts of the program."""

import contextlib
import http.client
import shutil
import ssl
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from tqdm import tqdm

from crosspoint3d import __version__
from crosspoint3d.data.partial import State, discard, read_state, size, write_state
from crosspoint3d.data.unpack import HEAD, archive_suffix

PAUSES = (2.0, 10.0, 30.0)
"""Seconds before each new try at the same address."""
TIMEOUT = 30.0
"""Seconds without a single byte after which a connection is given up."""
SILENT_SECONDS = 2
_BLOCK = 1 << 20
_PROGRESS = 1 << 24
_TRY_AGAIN = {408, 425, 429}


class FetchError(RuntimeError):
    """An address did not give its file; the message is the reason."""


class _AgainError(FetchError):
    """It may do so on another try."""


def fetch(
    address: str,
    part: Path,
    at_most: int,
    *,
    label: str = "",
    pauses: Sequence[float] = PAUSES,
    timeout: float = TIMEOUT,
) -> None:
    """Download an archive to `part`, going on where an earlier call stopped if the server's file is still the same.

    Beside `part` lies `part` + `.json` with the version (ETag or Last-Modified) that the bytes belong to; If-Range
    makes the server start anew when it has another one. Tried again are cuts, silence and errors of the server; a
    server that cannot be reached only if it was before. After a try that brought 16 MiB the pauses begin again.

    Args:
        address: http, https or file URL.
        part: where the bytes go, each address having its own; kept when the download does not succeed.
        at_most: bytes that the archive may have.
        label: name on the progress bar.
        pauses: seconds before each new try; their number is the number of new tries.
        timeout: seconds without a byte after which a try is given up.

    Raises:
        FetchError: the address does not give the whole of an archive, or the disk is too full for it; the message
            is the reason.
    """
    part.parent.mkdir(parents=True, exist_ok=True)
    tries = 0
    while True:
        before = size(part)
        try:
            return _once(address, part, at_most, label, timeout)
        except _AgainError as error:
            tries = 0 if size(part) - before >= _PROGRESS else tries
            if tries == len(pauses):
                raise FetchError(f"{error}; tried {tries + 1} times") from error
            time.sleep(pauses[tries])
            tries += 1


def _once(address: str, part: Path, at_most: int, label: str, timeout: float) -> None:
    state, have = read_state(part), size(part)
    if state.complete and have == state.length:
        return
    request = urllib.request.Request(address, headers={"User-Agent": f"crosspoint3d/{__version__}"})
    if state.validator is not None and 0 < have < (state.length or 0):
        request.add_header("Range", f"bytes={have}-")
        request.add_header("If-Range", state.validator)
    with _open(request, part, timeout) as response:
        start = _start(response, part, state)
        left = response.headers["Content-Length"] or ""
        length = start + int(left) if left.isdecimal() else None
        _require_space(part.parent, length or 0, start, at_most)
        state = State(_validator(response.headers), length)
        end = _copy(response, part, state, start, at_most, label)
    if length is not None and end != length:
        raise _AgainError(f"cut off after {end:,} of {length:,} bytes")
    write_state(part, State(state.validator, end, complete=True))


def _copy(response: Any, part: Path, state: State, start: int, at_most: int, label: str) -> int:
    """Append the body to `part`, or begin it anew; the number of bytes it has then."""
    position = start
    head = b""
    if start == 0:
        head = _read(response.read, HEAD, position)
        if len(head) < min(HEAD, state.length or 0):
            raise _AgainError(f"cut off after {len(head):,} bytes")
        if not archive_suffix(head):
            raise FetchError(_no_archive(head, response.headers.get_content_type()))
        discard(part)
        write_state(part, state)
    settings: dict[str, Any] = {"unit": "B", "unit_scale": True, "delay": SILENT_SECONDS, "leave": False}
    with (
        part.open("ab") as file,
        tqdm(total=state.length, initial=start, desc=label, disable=None, **settings) as bar,
    ):
        block = head
        while True:
            file.write(block)
            position += len(block)
            bar.update(len(block))
            if position > at_most:
                raise FetchError(f"larger than the {at_most:,} bytes that are allowed for it")
            if not (block := _read(response.read1, _BLOCK, position)):
                return position


def _read(read: Callable[[int], bytes], count: int, position: int) -> bytes:
    try:
        return read(count)
    except (OSError, http.client.HTTPException) as error:
        raise _AgainError(f"{_why(error)}, after {position:,} bytes") from error


def _no_archive(block: bytes, kind: str) -> str:
    page = kind == "text/html" or block.lstrip()[:1] == b"<"
    return f"{'a web page' if page else 'something else'} ({kind}) came instead of an archive"


class _SafeRedirect(urllib.request.HTTPRedirectHandler):
    """Follows redirects, but never from https to a connection that anybody on the way could change."""

    def redirect_request(  # type: ignore[no-untyped-def]
        self, req: urllib.request.Request, fp, code: int, msg: str, headers, newurl: str
    ) -> urllib.request.Request | None:
        if req.type == "https" and not newurl.lower().startswith("https:"):
            raise FetchError(f"redirected from https to {newurl}, which is not followed")
        return super().redirect_request(req, fp, code, msg, headers, newurl)


_OPENER = urllib.request.build_opener(_SafeRedirect)


@contextlib.contextmanager
def _open(request: urllib.request.Request, part: Path, timeout: float) -> Iterator[Any]:
    try:
        response = _OPENER.open(request, timeout=timeout)
    except urllib.error.HTTPError as error:
        error.close()
        reason = f"HTTP {error.code} {error.reason}".strip()
        if error.code == http.HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
            discard(part)
        elif error.code < http.HTTPStatus.INTERNAL_SERVER_ERROR and error.code not in _TRY_AGAIN:
            raise FetchError(reason) from error
        raise _AgainError(reason) from error
    except (OSError, http.client.HTTPException, ValueError) as error:
        cause = error.reason if isinstance(error, urllib.error.URLError) else error
        hopeless = isinstance(cause, ssl.SSLCertVerificationError | ValueError) or not size(part)
        raise (FetchError if hopeless else _AgainError)(_why(cause)) from error
    with response:
        yield response


def _why(error: object) -> str:
    if isinstance(error, TimeoutError):
        return "no answer in time"
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"the server's certificate is not valid ({error.verify_message})"
    return str(getattr(error, "strerror", None) or error) or type(error).__name__


def _start(response: Any, part: Path, state: State) -> int:
    """The position of the body's first byte: 0, or the length of what is here already."""
    if response.status != http.HTTPStatus.PARTIAL_CONTENT:
        return 0
    have = size(part)
    same = _validator(response.headers) in (None, state.validator)
    if not same or response.headers["Content-Range"] != f"bytes {have}-{(state.length or 0) - 1}/{state.length}":
        discard(part)
        raise _AgainError(f"asked for the bytes from {have:,} on, the server sent others")
    return have


def _validator(headers: Any) -> str | None:
    """A version of the file that If-Range takes: no weak ETag."""
    etag: str | None = headers["ETag"]
    modified: str | None = headers["Last-Modified"]
    return modified if etag is None or etag.startswith("W/") else etag


def _require_space(folder: Path, length: int, start: int, at_most: int) -> None:
    """What is unpacked takes at least as much again as the archive."""
    if length > at_most:
        raise FetchError(f"{length:,} bytes, {at_most:,} are allowed for it")
    needed, free = 2 * length - start, shutil.disk_usage(folder).free
    if needed > free:
        raise FetchError(
            f"with its contents it needs at least {needed / 1e9:.1f} GB, {folder} has {free / 1e9:.1f} GB free"
        )
