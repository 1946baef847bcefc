"""An S3-compatible server of the tests' own: moto's, behind a layer that counts requests and lets some of them fail."""

import http.client
import io
import itertools
import socket
import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from moto.server import MotoRequestHandler
from werkzeug.serving import make_server

KEY, SECRET = "AKIDOFTHETESTS", "secret-of-the-tests"
Fault = Literal["503", "500", "drop", "cut", "late"]
_buckets = itertools.count()


class Request(NamedTuple):
    """What was asked, and what became of it: `condition` is the If-None-Match of a PUT."""

    method: str
    path: str
    range: str | None
    condition: str | None
    status: int
    sent: int


class _Handler(MotoRequestHandler):
    protocol_version = "HTTP/1.1"

    def log(self, *_: Any, **__: Any) -> None:
        pass


@dataclass
class ObjectStore:
    """The layer, as a WSGI application.

    Attributes:
        requests, received: all that came, and the sizes of what came with them.
        fail_every: of so many requests the last one fails, by `fault`; 0 lets all pass. `drop` closes the connection
            without an answer, `cut` in the midst of the body, `late` does what was asked and then does not say so.
        answer: status and body given to every request instead.
        accept: says whether a request may pass; others get status 500.
    """

    application: Callable[..., Iterable[bytes]] = field(
        default_factory=lambda: DomainDispatcherApplication(create_backend_app)
    )
    requests: list[Request] = field(default_factory=list)
    received: list[int] = field(default_factory=list)
    fail_every: int = 0
    fault: Fault = "503"
    answer: tuple[int, str] | None = None
    accept: Callable[[str, str], bool] = lambda method, path: True
    port: int = 0
    _count: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    def __call__(self, environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        method, path, query = (environ[name] for name in ("REQUEST_METHOD", "PATH_INFO", "QUERY_STRING"))
        path += f"?{query}" if query else ""
        chunked = environ.get("wsgi.input_terminated", False)
        length = -1 if chunked else int(environ.get("CONTENT_LENGTH") or 0)
        body = environ["wsgi.input"].read(length)  # to its end, as the connection is kept
        self.received.append(len(body))
        asked = (method, path, environ.get("HTTP_RANGE"), environ.get("HTTP_IF_NONE_MATCH"))
        fails = self.fail_every and next(self._count) % self.fail_every == 0
        answer = self.answer
        if fails and self.fault in ("500", "503"):
            answer = (int(self.fault), "<Error><Code>SlowDown</Code><Message>Reduce your rate.</Message></Error>")
        elif not self.accept(method, path):
            answer = (500, "")
        if answer is not None:
            status, text = answer
            self.requests.append(Request(*asked, status, 0))
            start(f"{status} No", [("Content-Length", str(len(text.encode())))])
            return [text.encode()]
        if fails and self.fault == "drop":
            self.requests.append(Request(*asked, 0, 0))
            raise _hang_up(environ)
        return self._pass_on(environ, start, body, asked, cut=bool(fails))

    def _pass_on(
        self, environ: dict[str, Any], start: Callable[..., Any], body: bytes, asked: Any, *, cut: bool
    ) -> Iterable[bytes]:
        begun: list[tuple[str, list[tuple[str, str]]]] = []
        environ["wsgi.input"] = io.BytesIO(body)
        environ["CONTENT_LENGTH"] = str(len(body))
        content = b"".join(self.application(environ, lambda status, headers, _=None: begun.append((status, headers))))
        status, headers = begun[0]
        self.requests.append(Request(*asked, int(status[:3]), 0 if cut else len(content)))
        if cut and self.fault == "late":
            raise _hang_up(environ)
        start(status, headers)
        if cut and asked[0] == "GET" and len(content) > 1:
            return _first_half(environ, content)
        return [content]

    def bucket(self) -> str:
        """A new bucket, by a name that no other test has."""
        name = f"bucket-{next(_buckets)}"
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        try:
            connection.request("PUT", f"/{name}", headers={"Content-Length": "0"})
            assert connection.getresponse().status == 200
        finally:
            connection.close()
        self.requests.clear()
        return name

    def environment(self) -> dict[str, str]:
        """The variables that point to the server."""
        endpoint = f"http://127.0.0.1:{self.port}"
        keys = {"AWS_ACCESS_KEY_ID": KEY, "AWS_SECRET_ACCESS_KEY": SECRET}
        return {"AWS_ENDPOINT_URL": endpoint, "AWS_REGION": "us-east-1", **keys}


def _hang_up(environ: dict[str, Any]) -> ConnectionError:
    environ["werkzeug.socket"].shutdown(socket.SHUT_RDWR)
    return ConnectionResetError("as the test wishes")


def _first_half(environ: dict[str, Any], content: bytes) -> Iterator[bytes]:
    yield content[: len(content) // 2]
    raise _hang_up(environ)


def serve() -> Iterator[ObjectStore]:
    """A store that answers until the generator is closed."""
    store = ObjectStore()
    server = make_server("127.0.0.1", 0, store, threaded=True, request_handler=_Handler)
    store.port = server.server_port
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield store
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
