"""A file server in a thread that behaves as badly as it is told to, and archives for it to serve."""

import io
import tarfile
import threading
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Reply:
    """How to answer one request.

    Attributes:
        sent: bytes of the body after which the connection is cut; None sends all.
        silent: after these bytes nothing more comes, without an end.
        announced: Content-Length to claim; None is the true one, 0 sends none.
        ranges: honours Range, if If-Range is `etag` or `modified`.
        ignores_if_range: honours Range whatever If-Range says.
        shift: bytes by which a range begins too late.
        chunked: by chunked transfer coding, without a Content-Length.
    """

    body: bytes = b""
    status: int = 200
    kind: str = "application/zip"
    etag: str | None = '"1"'
    modified: str | None = None
    sent: int | None = None
    silent: bool = False
    announced: int | None = None
    ranges: bool = True
    ignores_if_range: bool = False
    shift: int = 0
    chunked: bool = False
    headers: dict[str, str] = field(default_factory=dict)


class FileServer(ThreadingHTTPServer):
    """Answers GET /NAME by the replies put down for it; the last one is repeated."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.replies: dict[str, list[Reply]] = {}
        self.requests: list[tuple[str, dict[str, str]]] = []
        self.closing = threading.Event()

    def url(self, name: str, *replies: Reply) -> str:
        self.replies[f"/{name}"] = list(replies)
        return f"http://127.0.0.1:{self.server_address[1]}/{name}"

    def asked(self, header: str) -> list[str | None]:
        return [headers.get(header) for _, headers in self.requests]

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that hangs up is no news."""


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: FileServer

    def do_GET(self) -> None:
        self.server.requests.append((self.path, dict(self.headers.items())))
        replies = self.server.replies[self.path]
        reply = replies.pop(0) if len(replies) > 1 else replies[0]
        start = self._start(reply)
        status = 206 if start is not None else reply.status
        body = reply.body[(start or 0) + (reply.shift if start is not None else 0) :]
        self.send_response(status)
        self.send_header("Content-Type", reply.kind)
        for name, value in {"ETag": reply.etag, "Last-Modified": reply.modified, **reply.headers}.items():
            if value is not None:
                self.send_header(name, value)
        if start is not None:
            first, total = start + reply.shift, len(reply.body)
            self.send_header("Content-Range", f"bytes {first}-{total - 1}/{total}")
        if reply.chunked:
            self.send_header("Transfer-Encoding", "chunked")
        elif reply.announced != 0:
            self.send_header("Content-Length", str(reply.announced or len(body)))
        self.end_headers()
        self._send(reply, body)

    def _start(self, reply: Reply) -> int | None:
        wanted = self.headers.get("Range")
        same = self.headers.get("If-Range") in (reply.etag, reply.modified) or reply.ignores_if_range
        if wanted is None or not reply.ranges or not same or reply.status != 200:
            return None
        return int(wanted.removeprefix("bytes=").removesuffix("-"))

    def _send(self, reply: Reply, body: bytes) -> None:
        part = body if reply.sent is None else body[: reply.sent]
        if reply.chunked:
            part = b"%x\r\n%s\r\n" % (len(part), part) + (b"0\r\n\r\n" if reply.sent is None else b"")
        self.wfile.write(part)
        self.wfile.flush()
        if reply.silent:
            self.server.closing.wait()
        # A whole answer leaves the connection open, as a server may; anything else cuts it.
        whole = reply.sent is None and reply.announced is None
        self.close_connection = not whole
        if whole and not reply.chunked:
            self.server.closing.wait(20)

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@contextmanager
def serving() -> Iterator[FileServer]:
    server = FileServer()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server
    finally:
        server.closing.set()
        server.shutdown()
        server.server_close()
        thread.join()


def zip_of(files: dict[str, bytes], compression: int = zipfile.ZIP_DEFLATED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return buffer.getvalue()


def tar_of(files: dict[str, bytes], mode: str = "w:gz", others: Sequence[tarfile.TarInfo] = ()) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode=mode) as archive:  # type: ignore[call-overload]
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
        for info in others:
            archive.addfile(info)
    return buffer.getvalue()


def noise(size: int, seed: int) -> bytes:
    return np.random.default_rng(seed).bytes(size)
