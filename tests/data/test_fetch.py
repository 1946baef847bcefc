"""Fetching one file from a server that cuts, stalls, lies, errs and changes its mind."""

import http.client
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from crosspoint3d import __version__
from crosspoint3d.data import fetch as fetch_module
from crosspoint3d.data.fetch import FetchError, fetch
from crosspoint3d.data.partial import read_state
from tests.data.file_server import FileServer, Reply, noise, serving, zip_of

BODY = zip_of({"a": noise(30_000, 0), "b": noise(30_000, 1)})
OTHER = zip_of({"a": noise(40_000, 2)})
WHOLE = Reply(BODY)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[FileServer]:
    monkeypatch.setenv("no_proxy", "*")
    with serving() as server:
        yield server


@pytest.fixture
def part(tmp_path: Path) -> Path:
    return tmp_path / "folder" / "file.part"


def get(url: str, part: Path, *, tries: int = 3, timeout: float = 10.0, at_most: int = 10**9) -> bytes:
    fetch(url, part, at_most, pauses=(0.001,) * tries, timeout=timeout)
    assert read_state(part).complete
    return part.read_bytes()


def test_a_whole_file_in_one_request(server: FileServer, part: Path) -> None:
    url = server.url("x.zip", WHOLE)
    assert get(url, part) == BODY
    assert server.asked("User-Agent") == [f"crosspoint3d/{__version__}"]
    assert get(url, part) == BODY and len(server.requests) == 1  # it is here already


def test_a_cut_file_goes_on_where_it_was(server: FileServer, part: Path) -> None:
    url = server.url("x.zip", replace(WHOLE, sent=20_000), replace(WHOLE, sent=20_000), WHOLE)
    assert get(url, part) == BODY
    assert server.asked("Range") == [None, "bytes=20000-", "bytes=40000-"]
    assert server.asked("If-Range") == [None, '"1"', '"1"']


def test_a_later_call_goes_on_too(server: FileServer, part: Path) -> None:
    url = server.url("x.zip", replace(WHOLE, sent=20_000), WHOLE)
    with pytest.raises(FetchError, match=f"cut off after 20,000 of {len(BODY):,} bytes; tried 1 times"):
        get(url, part, tries=0)
    assert part.read_bytes() == BODY[:20_000] and not read_state(part).complete
    assert get(url, part, tries=0) == BODY
    assert server.asked("Range") == [None, "bytes=20000-"]


@pytest.mark.parametrize(
    "second",
    [
        pytest.param(replace(WHOLE, ranges=False), id="no Range support"),
        pytest.param(Reply(OTHER, etag='"2"'), id="the file changed"),
        pytest.param(Reply(OTHER, etag=None, ranges=False), id="the file changed and lost its ETag"),
    ],
)
def test_begins_anew_when_the_server_sends_all(server: FileServer, part: Path, second: Reply) -> None:
    url = server.url("x.zip", replace(WHOLE, sent=20_000), second)
    assert get(url, part) == second.body
    assert len(server.requests) == 2


@pytest.mark.parametrize(
    "second",
    [
        pytest.param(Reply(OTHER + BODY, etag='"2"', ignores_if_range=True), id="a range of another file"),
        pytest.param(Reply(BODY[:-1] + b"?", etag='"2"', ignores_if_range=True), id="a range of a file as long"),
        pytest.param(replace(WHOLE, shift=7), id="another range"),
        pytest.param(Reply(BODY, status=416), id="no such range"),
    ],
)
def test_a_wrong_range_is_not_appended(server: FileServer, part: Path, second: Reply) -> None:
    url = server.url("x.zip", replace(WHOLE, sent=20_000), second, WHOLE)
    assert get(url, part) == BODY
    assert server.asked("Range") == [None, "bytes=20000-", None]


def test_without_a_version_nothing_is_resumed(server: FileServer, part: Path) -> None:
    url = server.url("x.zip", replace(WHOLE, etag=None, sent=20_000), replace(WHOLE, etag=None))
    assert get(url, part) == BODY
    assert server.asked("Range") == [None, None]


def test_a_weak_etag_gives_way_to_the_date(server: FileServer, part: Path) -> None:
    date = "Wed, 21 Oct 2015 07:28:00 GMT"
    reply = replace(WHOLE, etag='W/"1"', modified=date)
    assert get(server.url("x.zip", replace(reply, sent=9_000), reply), part) == BODY
    assert server.asked("If-Range") == [None, date]


def test_any_mishaps_in_any_order_give_the_same_bytes(server: FileServer, tmp_path: Path) -> None:
    generator = np.random.default_rng(3)
    for number in range(12):
        replies = []
        for _ in range(generator.integers(1, 6)):
            cut = int(generator.integers(0, len(BODY)))
            kinds = [replace(WHOLE, sent=cut), replace(WHOLE, sent=cut, ranges=False), Reply(status=503)]
            replies.append(kinds[generator.integers(len(kinds))])
        assert get(server.url(f"{number}.zip", *replies, WHOLE), tmp_path / f"{number}.part", tries=6) == BODY


@pytest.mark.parametrize("status", [401, 403, 404, 410])
def test_a_refusal_is_final(server: FileServer, part: Path, status: int) -> None:
    with pytest.raises(FetchError, match=f"HTTP {status}"):
        get(server.url("x.zip", Reply(status=status)), part)
    assert len(server.requests) == 1 and not part.exists()


@pytest.mark.parametrize("status", [408, 429, 500, 503])
def test_a_server_in_trouble_is_asked_again(server: FileServer, part: Path, status: int) -> None:
    assert get(server.url("x.zip", Reply(status=status), Reply(status=status), WHOLE), part) == BODY
    with pytest.raises(FetchError, match=f"HTTP {status}.*; tried 4 times"):
        get(server.url("y.zip", Reply(status=status)), part.with_name("other"))
    assert len(server.requests) == 3 + 4


def test_pauses_grow_as_given_and_begin_again_after_progress(
    server: FileServer, part: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    slept: list[float] = []
    monkeypatch.setattr(time, "sleep", slept.append)
    monkeypatch.setattr(fetch_module, "_PROGRESS", 10_000)
    cut, trouble = replace(WHOLE, sent=15_000), Reply(status=500)
    url = server.url("x.zip", trouble, trouble, cut, trouble, WHOLE)
    fetch(url, part, 10**9, pauses=(1.0, 4.0, 9.0))
    assert part.read_bytes() == BODY
    assert slept == [1.0, 4.0, 1.0, 4.0]


def test_a_silent_server_is_given_up_and_asked_again(server: FileServer, part: Path) -> None:
    url = server.url("x.zip", replace(WHOLE, sent=20_000, silent=True), WHOLE)
    assert get(url, part, timeout=0.3) == BODY
    assert server.asked("Range") == [None, "bytes=20000-"]
    with pytest.raises(FetchError, match="no answer in time, after 20,000 bytes; tried 2 times"):
        url = server.url("y.zip", replace(WHOLE, sent=20_000, silent=True, ranges=False))
        get(url, part.with_name("other"), tries=1, timeout=0.2)


@pytest.mark.parametrize(
    "reply",
    [
        pytest.param(replace(WHOLE, chunked=True), id="chunked"),
        pytest.param(replace(WHOLE, announced=0, sent=len(BODY)), id="no length, the end is the end"),
    ],
)
def test_a_length_is_not_needed(server: FileServer, part: Path, reply: Reply) -> None:
    assert get(server.url("x.zip", reply), part) == BODY


def test_a_wrong_length_is_a_cut(server: FileServer, part: Path) -> None:
    with pytest.raises(FetchError, match=f"cut off after {len(BODY):,} of {len(BODY) + 9:,} bytes"):
        get(server.url("x.zip", replace(WHOLE, announced=len(BODY) + 9, ranges=False)), part)
    with pytest.raises(FetchError, match="after 20,000 bytes; tried 4 times"):
        get(server.url("y.zip", replace(WHOLE, chunked=True, sent=20_000)), part.with_name("other"))


def test_cut_before_the_kind_of_file_is_known(server: FileServer, part: Path) -> None:
    assert get(server.url("x.zip", replace(WHOLE, sent=0), replace(WHOLE, sent=3), WHOLE), part) == BODY
    assert server.asked("Range") == [None] * 3


def test_redirects(server: FileServer, part: Path) -> None:
    goal = server.url("goal.zip", replace(WHOLE, sent=20_000), WHOLE)
    assert get(server.url("x.zip", Reply(status=302, headers={"Location": goal})), part) == BODY
    assert [path for path, _ in server.requests] == ["/x.zip", "/goal.zip"] * 2
    assert server.asked("Range")[-1] == "bytes=20000-"
    for number, place in enumerate(["file:///etc/hostname", f"{goal.removesuffix('goal.zip')}round"]):
        around = server.url("round", Reply(status=302, headers={"Location": place}))
        with pytest.raises(FetchError, match="HTTP 302"):
            get(around, part.with_name(str(number)))


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        (Reply(b"<!DOCTYPE html><html>sign in</html>", kind="text/html"), r"a web page \(text/html\) came instead"),
        (Reply(b"\n<html>" + bytes(9_000), kind="application/zip"), r"a web page \(application/zip\) came instead"),
        (Reply(bytes(9_000), kind="application/x-hdf5"), r"something else \(application/x-hdf5\) came instead"),
        (Reply(b"", kind="text/plain"), r"something else \(text/plain\) came instead"),
    ],
)
def test_what_is_no_archive_is_told_and_costs_nothing(
    server: FileServer, part: Path, reply: Reply, reason: str
) -> None:
    page = replace(reply, etag='"page"')
    url = server.url("x.zip", replace(WHOLE, sent=20_000), page, WHOLE)
    with pytest.raises(FetchError, match=reason):
        get(url, part)
    assert part.read_bytes() == BODY[:20_000]
    assert get(url, part) == BODY
    assert server.asked("Range") == [None, "bytes=20000-", "bytes=20000-"]


def test_an_archive_that_is_called_a_page_is_taken(server: FileServer, part: Path) -> None:
    assert get(server.url("x.zip", replace(WHOLE, kind="text/html")), part) == BODY


def test_a_server_that_is_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def never(_: float) -> None:
        raise AssertionError("waited for a server that is not there")

    monkeypatch.setenv("no_proxy", "*")
    monkeypatch.setattr(time, "sleep", never)
    with serving() as server:
        url = server.url("x.zip", WHOLE)
    with pytest.raises(FetchError, match="refused"):
        get(url, tmp_path / "x")
    for wrong in ("http://127.0.0.1:0/a b", "http://name with spaces/x", "gopher://x/y", "http:///x"):
        with pytest.raises(FetchError, match=r"\w"):
            get(wrong, tmp_path / "x")


def test_a_server_that_was_there_is_asked_again(
    server: FileServer, part: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    connect, calls = http.client.HTTPConnection.connect, []

    def sometimes(self: Any) -> None:
        calls.append(1)
        if len(calls) == 2:
            raise ConnectionRefusedError(111, "Connection refused")
        connect(self)

    monkeypatch.setattr(http.client.HTTPConnection, "connect", sometimes)
    assert get(server.url("x.zip", replace(WHOLE, sent=20_000), WHOLE), part) == BODY
    assert len(calls) == 3


def test_files_on_this_machine(tmp_path: Path, part: Path) -> None:
    file = tmp_path / "x.zip"
    with pytest.raises(FetchError, match="No such file"):
        get(file.as_uri(), part)
    file.write_bytes(BODY)
    assert get(file.as_uri(), part) == BODY


def test_too_large_or_no_room(server: FileServer, part: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    url = server.url("x.zip", WHOLE)
    with pytest.raises(FetchError, match="50,000 are allowed"):
        get(url, part, at_most=50_000)
    with pytest.raises(FetchError, match="50,000 bytes that are allowed"):
        get(server.url("y.zip", replace(WHOLE, chunked=True)), part, at_most=50_000)

    class Disk:
        free = 100_000

    monkeypatch.setattr("shutil.disk_usage", lambda _: Disk)
    with pytest.raises(FetchError, match=r"needs at least 0\.0 GB, .* has 0\.0 GB free"):
        get(url, part.with_name("other"))


@pytest.mark.parametrize("target", ["http://elsewhere/x.zip", "ftp://elsewhere/x.zip"])
def test_no_redirect_leaves_https(target: str) -> None:
    redirect = fetch_module._SafeRedirect()
    request = urllib.request.Request("https://here/x.zip")
    with pytest.raises(FetchError, match=f"redirected from https to {target}"):
        redirect.redirect_request(request, None, 302, "Found", {}, target)
    followed = redirect.redirect_request(request, None, 302, "Found", {}, "https://elsewhere/x.zip")
    assert followed is not None and followed.full_url == "https://elsewhere/x.zip"
    plain = urllib.request.Request("http://here/x.zip")
    assert redirect.redirect_request(plain, None, 302, "Found", {}, "http://elsewhere/x.zip") is not None
