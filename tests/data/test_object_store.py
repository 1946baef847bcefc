"""Tables on an object store: the same as on a disk, through failing requests, and refused with a reason."""

import dataclasses
import json
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from crosspoint3d import cli
from crosspoint3d.config import InspectConfig, PrepareConfig, RunError, UsageError
from crosspoint3d.data import prepare as prepare_module
from crosspoint3d.data.inspect import inspect
from crosspoint3d.data.location import entries_of, files_below, read_text, write_text
from crosspoint3d.data.prepare import prepare
from crosspoint3d.data.table import ShapeTable
from tests.data.object_store import KEY, SECRET, Fault, ObjectStore, serve
from tests.data.tables import between, example_row, example_table

SMALL: dict[str, Any] = {"points": 32, "views": 2, "image_size": 16, "supersample": 1}
COUNT = 12


@pytest.fixture(scope="module")
def server() -> Iterator[ObjectStore]:
    yield from serve()


@pytest.fixture
def store(server: ObjectStore, monkeypatch: pytest.MonkeyPatch) -> ObjectStore:
    """The server in good health, with the environment pointing to it."""
    server.fail_every, server.fault, server.answer, server.accept = 0, "503", None, lambda method, path: True
    for name, value in server.environment().items():
        monkeypatch.setenv(name, value)
    return server


@pytest.fixture
def url(store: ObjectStore) -> str:
    return f"s3://{store.bucket()}/tables/x"


@pytest.fixture(scope="module")
def on_disk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What prepare makes of procedural shapes in a folder."""
    path = tmp_path_factory.mktemp("disk") / "t"
    prepare(PrepareConfig(f"procedural:{COUNT}:5", path, workers=1, **SMALL))
    return path


def columns(path: str | Path) -> dict[str, Any]:
    table = ShapeTable(path)
    return {name: table.column(name) for name in table.dataset.schema.names}


def prepared(url: str, **more: Any) -> PrepareConfig:
    return PrepareConfig(f"procedural:{COUNT}:5", Path(url), workers=1, **SMALL, **more)


def test_a_table_is_the_same_as_on_a_disk(url: str, on_disk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prepare_module, "COMMIT_ROWS", 5)
    summary = prepare(prepared(url))
    assert (summary.table, summary.taken, summary.new) == (url, COUNT, COUNT)
    assert columns(url) == columns(on_disk)
    assert ShapeTable(Path(url)).path == url
    assert ShapeTable(url).dataset.version == 4  # made, and 5 + 5 + 2 rows
    assert entries_of(url) == {"_transactions", "_versions", "data", "prepare.json"}
    written = json.loads(read_text(url, "prepare.json"))
    assert (written["table"], written["taken"]) == (url, COUNT)
    again = prepare(prepared(url))
    assert (again.taken, again.new) == (COUNT, 0)
    with pytest.raises(UsageError, match=f"--out {url} was made with .*points 32, now 64"):
        prepare(dataclasses.replace(prepared(url), points=64))
    assert not Path("s3:").exists()


def test_a_store_that_goes_away_keeps_every_commit(
    store: ObjectStore, url: str, on_disk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(prepare_module, "COMMIT_ROWS", 5)
    monkeypatch.setenv("OBJECT_STORE_CLIENT_MAX_RETRIES", "1")
    manifests: list[str] = []

    def until_the_second_commit(method: str, path: str) -> bool:
        manifests.extend([path] * (method == "PUT" and "_versions" in path))
        return len(manifests) <= 2

    store.accept = until_the_second_commit
    with pytest.raises(RunError, match=rf"{url}: the store 127.0.0.1:{store.port} fails \(500"):
        prepare(prepared(url))
    store.accept = lambda method, path: True
    assert len(ShapeTable(url)) == 5
    assert prepare(prepared(url)).new == COUNT - 5
    assert columns(url) == columns(on_disk)


@pytest.mark.parametrize("fault", ["503", "drop", "cut", "late"])
def test_every_tenth_request_may_fail(
    fault: Fault, store: ObjectStore, url: str, on_disk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(prepare_module, "COMMIT_ROWS", 3)
    store.fail_every, store.fault = 10, fault
    prepare(prepared(url))
    table = ShapeTable(url)
    rows = np.random.default_rng(0).permutation(COUNT)
    for start in range(0, COUNT, 3):
        taken = table.take(rows[start : start + 3], ["id", "views"])
        expected = ShapeTable(on_disk).take(rows[start : start + 3], ["id", "views"])
        assert taken == expected
    assert columns(url) == columns(on_disk)
    found, there = (inspect(InspectConfig(Path(path))) for path in (url, on_disk))
    assert not found.problems and (found.taken, found.by_category) == (there.taken, there.by_category)
    assert len(store.requests) > 50


def test_inspect_says_the_same_as_on_a_disk(url: str, on_disk: Path, tmp_path: Path) -> None:
    prepare(prepared(url))
    found, there = (
        inspect(InspectConfig(Path(path), out=tmp_path / name, check=True))
        for path, name in ((url, "store"), (str(on_disk), "disk"))
    )
    assert found.table == url
    own = {"table", "contact_sheet", "bytes"}
    assert {name: value for name, value in vars(found).items() if name not in own} == {
        name: value for name, value in vars(there).items() if name not in own
    }
    assert 0.5 * there.bytes < found.bytes < there.bytes  # manifests are not counted
    assert (tmp_path / "store" / "contact_sheet.png").stat().st_size > 1000


def test_inspect_names_what_is_broken_and_not_a_store_that_is_down(
    store: ObjectStore, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = example_table(Path(url), 6)
    table.append([example_row(i) for i in range(6, 9)])
    lost = next(file.path for file in table.dataset.get_fragments()[1].data_files())
    store.accept = lambda method, path: lost not in path
    monkeypatch.setenv("OBJECT_STORE_CLIENT_MAX_RETRIES", "1")
    with pytest.raises(RunError, match=f"{url}: the store .* fails"):
        inspect(InspectConfig(Path(url)))
    store.accept = lambda method, path: True
    from lance.file import LanceFileSession

    LanceFileSession(url, {"allow_http": "true"}).delete_file(f"data/{lost}")
    found = inspect(InspectConfig(Path(url)))
    assert found.exit_code == 1 and lost in found.problems[0] and "rows 6 to 8" in found.problems[0]


def test_commits_are_conditional_and_a_second_writer_is_refused(store: ObjectStore, url: str) -> None:
    first = example_table(Path(url), 4)
    commits = [request for request in store.requests if request.method == "PUT" and "_versions/" in request.path]
    assert commits and all(request.condition == "*" for request in commits)
    with pytest.raises(OSError, match="already exists"):
        ShapeTable.create(url, points=32, settings={})
    second = ShapeTable(url)
    second.append([example_row(4)])
    with pytest.raises(RunError, match=f"{url}: another process writes to it; the 1 rows"):
        first.append([example_row(4)])
    assert ShapeTable(url).column("id") == [f"shape/{i}" for i in range(5)]
    # Who comes in between the question and the commit stays; the rows of the other are taken back.
    third = ShapeTable(url)
    with (
        between(lambda: second.append([example_row(5)])),
        pytest.raises(RunError, match="another process writes to it"),
    ):
        third.append([example_row(5), example_row(6)])
    assert ShapeTable(url).column("id") == [f"shape/{i}" for i in range(6)]


def test_a_table_travels_to_another_process(url: str) -> None:
    table = example_table(Path(url), 3)
    copy = ShapeTable.__new__(ShapeTable)  # as unpickling in a spawned worker does it
    copy.__setstate__(table.__getstate__())
    table.append([example_row(3)])
    assert (copy.path, len(copy), len(table)) == (url, 3, 4)


def test_small_files_lie_beside_the_table(url: str) -> None:
    with pytest.raises(FileNotFoundError):
        read_text(url, "prepare.json")
    assert entries_of(url) == set()
    write_text(url, "prepare.json", "{} é")
    assert read_text(url, "prepare.json") == "{} é"
    assert files_below(url) == ["prepare.json"]
    with pytest.raises(UsageError, match="exists and is no table"):
        prepare(prepared(url))


def refused(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str]:
    """Exit code and message, after a look for what must never be said."""
    code = cli.run(list(arguments))
    said = capsys.readouterr().err
    assert "Traceback" not in said and KEY not in said and SECRET not in said and "StringToSign" not in said
    return code, said


WRONG_KEY = (
    "<Error><Code>SignatureDoesNotMatch</Code><Message>The signature does not match, check your key.</Message>"
    f"<AWSAccessKeyId>{KEY}</AWSAccessKeyId><StringToSign>AWS4-HMAC-SHA256 {SECRET}</StringToSign></Error>"
)
DENIED = f"<Error><Code>AccessDenied</Code><Message>No rights for {KEY}.</Message></Error>"


@pytest.mark.parametrize(
    "answer, parts",
    [
        (
            (403, WRONG_KEY),
            ["refuses (403", "SignatureDoesNotMatch", "set AWS_ACCESS_KEY_ID and AWS_SECRET_"],
        ),
        ((403, DENIED), ["refuses (403", "AccessDenied, No rights for ***.", "AWS_ACCESS_KEY_ID"]),
        ((401, ""), ["refuses (401", "AWS_ACCESS_KEY_ID"]),
        ((503, ""), ["fails (503", "try again later"]),
        ((301, ""), ["the region is not the bucket's", "set AWS_REGION"]),
    ],
)
def test_a_store_that_refuses_is_a_message(
    answer: tuple[int, str], parts: list[str], store: ObjectStore, url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    store.answer = answer
    for arguments in (["prepare", "procedural:4", "--out", url], ["inspect", url]):
        code, said = refused(capsys, *arguments)
        assert code == 1 and said.startswith(f"crosspoint3d: {url}: ") and said.count("\n") == 1
        assert all(part in said for part in parts), said


def test_a_missing_bucket_and_a_missing_table_are_wrong_usage(
    url: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    missing = "s3://no-such-bucket/x"
    for arguments in (
        ["prepare", "procedural:4", "--out", missing],
        ["inspect", missing],
        ["pretrain", "--data", missing, "--out", str(tmp_path / "run"), "--device", "cpu"],
    ):
        code, said = refused(capsys, *arguments)
        assert code == 2 and f"{missing}: the store has no such bucket (NoSuchBucket, " in said, said
    code, said = refused(capsys, "inspect", url)
    assert code == 2 and f"no table at {url}" in said
    assert not (tmp_path / "run").exists()


def test_no_answer_is_a_message_within_seconds(
    url: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{port}")
    code, said = refused(capsys, "inspect", "s3://nobody/there")
    assert code == 1 and f"s3://nobody/there: 127.0.0.1:{port} does not answer" in said
    assert "AWS_ENDPOINT_URL" in said


def test_a_password_in_the_url_is_refused_and_not_repeated(capsys: pytest.CaptureFixture[str]) -> None:
    address = f"s3://{KEY}:{SECRET}@bucket/x"
    verbs = [
        ("inspect", address),
        ("prepare", "procedural:4", "--out", address),
        ("pretrain", "--data", "t", "--out", address),
    ]
    for arguments in verbs:
        code, said = refused(capsys, *arguments)
        assert code == 2 and "...@bucket holds a password" in said
    code, said = refused(capsys, "inspect", f"az://box/x?sv=1&sig={SECRET}")
    assert code == 2 and "the URL of box/x?... holds a key" in said


def test_only_tables_lie_on_a_store(
    url: str, capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    code, said = refused(capsys, "pretrain", "--data", url, "--out", "s3://b/run")
    assert code == 2 and "--out s3://b/run: only tables lie on object stores" in said
    code, said = refused(capsys, "prepare", "procedural:4", "--out", "ftp://host/x")
    assert code == 2 and "(s3://, gs://, az://, abfss://)" in said
    assert not any(tmp_path.iterdir())


def test_files_of_labels_that_changed_are_noticed(url: str, tmp_path: Path) -> None:
    write_text(url, "prepare.json", json.dumps({"written": 10.0}))
    label = tmp_path / "a.seg"
    label.write_text("0")
    candidate = prepare_module.Candidate("a", "a.off", face_labels=str(label))
    assert prepare_module._changed_labels(Path(url), [candidate]) == ["a"]
    write_text(url, "prepare.json", json.dumps({"written": label.stat().st_mtime + 5}))
    assert prepare_module._changed_labels(Path(url), [candidate]) == []
