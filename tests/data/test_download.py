"""`download` from the terms to the folder that `--data` reads, against a server on this machine."""

import datetime
import hashlib
import io
import json
import re
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from PIL import Image

from crosspoint3d import cli
from crosspoint3d.config import DownloadConfig, RunError, UsageError
from crosspoint3d.data.download import DownloadResult, download
from crosspoint3d.data.image_folders import load_pictures
from crosspoint3d.data.published import read_published
from tests.data.file_server import FileServer, Reply, noise, serving, tar_of, zip_of
from tests.data.published import test_modelnet, test_scanobjectnn
from tests.data.shapes_on_disk import off
from tests.data.test_unpack import tree

FILES = {"things/data.bin": noise(40_000, 0), "things/more.txt": b"more"}
BODY = zip_of(FILES)
DIGEST = hashlib.sha256(BODY).hexdigest()
WHOLE = Reply(BODY)


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def nobody_at_the_keyboard(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO("yes\n"))


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[FileServer]:
    monkeypatch.setenv("no_proxy", "*")
    with serving() as server:
        yield server


@pytest.fixture
def get(server: FileServer, tmp_path: Path) -> Callable[..., DownloadResult]:
    """Download the data set `things`, or another, from addresses on the server into tmp_path/data."""

    def get(
        *addresses: Any, name: str = "things", entry: dict[str, Any] | None = None, **options: Any
    ) -> DownloadResult:
        values: dict[str, Any] = {"addresses": list(addresses)}
        if name == "things":
            values |= {"what": "things", "terms": "Be kind.", "page": "https://x.org/terms", "cite": "Us, 2020",
                       "unpacked_at_most": 10**6, "holds": "**/data.bin", "use": "things:{folder}"}  # fmt: skip
        catalogue = tmp_path / "catalogue.yaml"
        catalogue.write_text(yaml.safe_dump({name: values | (entry or {})}))
        settings = {"accept_terms": True, "out": tmp_path / "data", "catalogue": catalogue} | options
        return download(DownloadConfig(name, **settings), pauses=(0.001, 0.001), timeout=10.0)

    return get


def left(tmp_path: Path) -> list[str]:
    return sorted(path.name for path in (tmp_path / "data").iterdir())


def test_a_data_set_with_its_record(
    server: FileServer, get: Callable[..., DownloadResult], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    url = server.url("x.zip", WHOLE)
    result = get(url)
    assert result.fetched and result.folder == tmp_path / "data" / "things"
    record = json.loads((result.folder / "download.json").read_text())
    assert record == result.record
    assert (record["address"], record["bytes"], record["sha256"]) == (url, len(BODY), DIGEST)
    assert record["sha256_checked"] is False and record["terms_accepted"] == "Be kind."
    age = datetime.datetime.now(datetime.timezone.utc) - datetime.datetime.fromisoformat(record["date"])
    assert abs(age.total_seconds()) < 600
    assert {name: data for name, data in tree(result.folder).items() if name != "download.json"} == FILES
    assert left(tmp_path) == ["things"]
    assert DIGEST in str(result) and "nothing to compare it with" in str(result)
    assert f"--data things:{result.folder}" in str(result)
    shown = capsys.readouterr().err
    assert "Be kind." in shown and "https://x.org/terms" in shown and "Us, 2020" in shown


def test_a_second_run_changes_nothing(server: FileServer, get: Callable[..., DownloadResult], tmp_path: Path) -> None:
    url = server.url("x.zip", WHOLE)
    first = get(url)
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("data/**/*")}
    again = get(url, accept_terms=False)
    assert not again.fetched and "nothing was changed" in str(again) and again.record == first.record
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("data/**/*")} == before
    assert len(server.requests) == 1
    with pytest.warns(UserWarning, match=f"SHA-256 {DIGEST}, not --sha256"):
        get(url, sha256="0" * 64)


def test_what_was_put_there_by_hand_counts(get: Callable[..., DownloadResult], tmp_path: Path) -> None:
    folder = tmp_path / "data" / "things" / "deep"
    folder.mkdir(parents=True)
    (folder / "data.bin").write_bytes(b"mine")
    result = get("http://127.0.0.1:1/none.zip")
    assert not result.fetched and result.record == {} and (folder / "data.bin").read_bytes() == b"mine"


def test_what_else_stands_there_is_left_alone(get: Callable[..., DownloadResult], tmp_path: Path) -> None:
    folder = tmp_path / "data" / "things"
    folder.mkdir(parents=True)
    (folder / "thesis.txt").write_text("years of work")
    with pytest.raises(UsageError, match=r"things exists, but holds no \*\*/data\.bin; move it away"):
        get("http://127.0.0.1:1/none.zip")
    assert (folder / "thesis.txt").read_text() == "years of work"


@pytest.mark.parametrize(
    ("stdin", "accepted"),
    [
        (io.StringIO("yes\n"), False),
        (None, False),
        (Terminal("no\n"), False),
        (Terminal(""), False),
        (Terminal("yes\n"), True),
        (Terminal("Yes \n"), True),
    ],
)
def test_terms_are_accepted_by_someone_or_nothing_is_fetched(
    server: FileServer,
    get: Callable[..., DownloadResult],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    stdin: io.StringIO | None,
    accepted: bool,
) -> None:
    monkeypatch.setattr(sys, "stdin", stdin)
    url = server.url("x.zip", WHOLE)
    if accepted:
        assert get(url, accept_terms=False).fetched
    else:
        with pytest.raises(UsageError, match="terms are not accepted, nothing was fetched"):
            get(url, accept_terms=False)
        assert not server.requests and not (tmp_path / "data").exists()
    assert "Be kind." in capsys.readouterr().err


def test_mirrors_in_turn_and_every_failure_told(
    server: FileServer, get: Callable[..., DownloadResult], tmp_path: Path
) -> None:
    bad = {
        "gone.zip": (Reply(status=404), "HTTP 404"),
        "trouble.zip": (Reply(status=500), "HTTP 500 .*; tried 3 times"),
        "form.html": (Reply(b"<html>form</html>", kind="text/html"), "a web page .* came instead of an archive"),
        "short.zip": (replace(WHOLE, announced=30_000, sent=30_000), "broken"),
        "other.zip": (Reply(zip_of({"else": b"1"})), r"it holds no \*\*/data\.bin"),
        "bomb.zip": (Reply(zip_of({"a": bytes(2_000_000)})), "more than the 1,000,000 bytes"),
        "outside.zip": (Reply(zip_of({"../data.bin": b"1"})), "outside its folder"),
    }
    urls = [server.url(name, reply) for name, (reply, _) in bad.items()]
    with pytest.raises(RunError) as error:
        get(*urls)
    lines = str(error.value).splitlines()
    assert lines[0] == "things: no address gave it" and "by hand" in lines[-1] and "https://x.org/terms" in lines[-1]
    for line, url, (_, reason) in zip(lines[1:], urls, bad.values(), strict=False):
        assert re.fullmatch(rf"  {re.escape(url)}: .*{reason}.*", line), line
    assert left(tmp_path) == []
    result = get(*urls, server.url("good.zip", WHOLE))
    assert result.record["address"].endswith("good.zip") and left(tmp_path) == ["things"]


def test_wrong_checksums_are_told_and_the_next_mirror_tried(
    server: FileServer, get: Callable[..., DownloadResult], tmp_path: Path
) -> None:
    wrong = zip_of({"things/data.bin": b"forged"})
    forged, good = server.url("forged.zip", Reply(wrong)), server.url("good.zip", WHOLE)
    with pytest.raises(RunError) as error:
        get(forged, entry={"sha256": DIGEST})
    assert hashlib.sha256(wrong).hexdigest() in str(error.value) and f"expected {DIGEST}" in str(error.value)
    assert left(tmp_path) == []
    result = get(forged, good, entry={"sha256": DIGEST})
    assert result.record["address"] == good and result.record["sha256_checked"] is True
    assert "as expected" in str(result)


def test_the_flag_goes_before_the_list(server: FileServer, get: Callable[..., DownloadResult], tmp_path: Path) -> None:
    url = server.url("x.zip", WHOLE)
    for flag in ("abc", "g" * 64, DIGEST[:-1]):
        with pytest.raises(UsageError, match=f"--sha256 {flag}: expected 64"):
            get(url, sha256=flag)
    with pytest.raises(RunError, match="expected 1111"):
        get(url, sha256="1" * 64)
    result = get(url, sha256=DIGEST.upper(), entry={"sha256": "2" * 64})
    assert result.record["sha256_checked"] is True and left(tmp_path) == ["things"]


def test_a_stopped_download_goes_on(
    server: FileServer,
    get: Callable[..., DownloadResult],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def ctrl_c(_: float) -> None:
        raise KeyboardInterrupt

    url = server.url("x.zip", replace(WHOLE, sent=20_000), WHOLE)
    with monkeypatch.context() as patch:
        patch.setattr(time, "sleep", ctrl_c)
        with pytest.raises(KeyboardInterrupt):
            get(url)
    assert "20,000 bytes are kept in" in capsys.readouterr().err
    assert left(tmp_path) == [".things.download"]
    assert get(url).record["sha256"] == DIGEST
    assert server.asked("Range") == [None, "bytes=20000-"] and left(tmp_path) == ["things"]


def test_a_cut_at_every_try_keeps_what_came_of_each_mirror(
    server: FileServer, get: Callable[..., DownloadResult], tmp_path: Path
) -> None:
    cut = replace(WHOLE, sent=10_000)
    one, two = server.url("1.zip", replace(cut, sent=7_000)), server.url("2.zip", replace(cut, etag='"other"'))
    with pytest.raises(RunError, match="the same command goes on from there"):
        get(one, two)
    assert sorted(p.stat().st_size for p in tmp_path.rglob("*.part")) == [21_000, 30_000]
    server.url("1.zip", Reply(status=404))
    server.url("2.zip", replace(WHOLE, etag='"other"'))
    assert get(one, two).record["address"] == two
    assert server.asked("Range")[-1] == "bytes=30000-" and left(tmp_path) == ["things"]


def test_a_broken_archive_is_removed_so_that_a_second_run_can_succeed(
    server: FileServer, get: Callable[..., DownloadResult], tmp_path: Path
) -> None:
    url = server.url("x.tar.gz", Reply(tar_of(FILES)[:-2_000]), Reply(tar_of(FILES)))
    with pytest.raises(RunError, match="broken"):
        get(url)
    assert left(tmp_path) == []
    get(url)
    assert server.asked("Range") == [None, None] and left(tmp_path) == ["things"]


def test_a_full_disk_while_unpacking_keeps_the_archive(
    server: FileServer, get: Callable[..., DownloadResult], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    url = server.url("x.zip", WHOLE)
    with monkeypatch.context() as patch:
        patch.setattr("shutil.copyfileobj", full)
        with pytest.raises(OSError, match="No space left"):
            get(url)
    assert left(tmp_path) == [".things.download"]
    assert get(url).fetched and len(server.requests) == 1 and left(tmp_path) == ["things"]


@pytest.mark.parametrize(("body", "name"), [(BODY, "things.zip"), (tar_of(FILES), "things.tar.gz")])
def test_the_archive_is_kept_when_asked_for(
    server: FileServer, get: Callable[..., DownloadResult], tmp_path: Path, body: bytes, name: str
) -> None:
    result = get(server.url("x", Reply(body)), keep_archive=True)
    assert left(tmp_path) == ["things", name] and name in str(result)
    assert (tmp_path / "data" / name).read_bytes() == body


def test_another_hash_than_last_time_is_a_warning(
    server: FileServer, get: Callable[..., DownloadResult], tmp_path: Path
) -> None:
    first = get(server.url("x.zip", WHOLE))
    assert first.folder is not None
    (first.folder / "things" / "data.bin").unlink()
    newer = zip_of(FILES | {"new": b"1"})
    with pytest.warns(UserWarning, match=f"things: SHA-256 was {DIGEST} at the last download"):
        result = get(server.url("x.zip", Reply(newer)))
    assert result.fetched and (first.folder / "new").exists() and left(tmp_path) == ["things"]


def test_an_unknown_name_is_told() -> None:
    with pytest.raises(UsageError, match="no data set 'modelnet41'; did you mean modelnet40"):
        download(DownloadConfig("modelnet41"))
    with pytest.raises(UsageError, match="no data set 'zzz'; there are: modelnet40, "):
        download(DownloadConfig("zzz"))


def test_without_a_name_the_known_ones_are_listed(tmp_path: Path) -> None:
    (tmp_path / "cifar-fs" / "cifar100" / "splits" / "bertinetto").mkdir(parents=True)
    (tmp_path / "cifar-fs" / "cifar100" / "splits" / "bertinetto" / "test.txt").touch()
    result = download(DownloadConfig(out=tmp_path))
    lines = str(result).splitlines()
    assert not result.fetched and result.folder is None
    assert [line for line in lines if "[in " in line] == [line for line in lines if line.startswith("cifar-fs ")]
    assert any(line.startswith("scanobjectnn ") and "13.1 GB" in line for line in lines)


def test_the_command_line(
    server: FileServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert cli.run(["download"]) == 0
    assert "modelnet10-off" in capsys.readouterr().out
    assert cli.run(["download", "modelnet40"]) == 2
    assert "add --accept-terms" in capsys.readouterr().err and not Path("data").exists()
    Path("own.yaml").write_text(yaml.safe_dump({"modelnet40": {"addresses": ["missing.zip"]}}))
    assert cli.run(["download", "modelnet40", "--accept-terms", "--catalogue", "own.yaml"]) == 1
    assert "missing.zip: No such file or directory" in capsys.readouterr().err
    body = zip_of({"modelnet40_ply_hdf5_2048/ply_data_train0.h5": b"1"})
    Path("own.yaml").write_text(
        yaml.safe_dump({"modelnet40": {"addresses": [server.url("x.zip", Reply(body))], "sha256": None}})
    )
    order = ["download", "modelnet40", "--out", "d", "--accept-terms", "--catalogue", "own.yaml", "--keep-archive"]
    assert cli.run(order) == 0
    assert "--data modelnet40:d/modelnet40" in capsys.readouterr().out
    assert cli.run(order) == 0
    assert "nothing was changed" in capsys.readouterr().out and len(server.requests) == 1


def published(name: str, root: Path) -> None:
    """A small copy of what the archive of a data set holds."""
    if name == "modelnet40":
        test_modelnet.hdf5_folder(root)
    elif name == "modelnet40-normal-resampled":
        test_modelnet.resampled_folder(root)
    elif name == "scanobjectnn":
        test_scanobjectnn.variant(root / "h5_files", "OBJ_BG")
    elif name == "cifar-fs":
        picture = io.BytesIO()
        Image.fromarray(np.zeros((4, 4, 3), dtype=np.uint8)).save(picture, "PNG")
        for path, data in {"data/bee/1.png": picture.getvalue(), "splits/bertinetto/test.txt": b"bee\n"}.items():
            (root / "cifar100" / path).parent.mkdir(parents=True, exist_ok=True)
            (root / "cifar100" / path).write_bytes(data)
    else:
        folder = root / ("ModelNet40" if name == "modelnet40-off" else "ModelNet10")
        for split in ("train", "test"):
            for category in ("airplane",) if name == "modelnet40-off" else ("bathtub", "bed"):
                (folder / category / split).mkdir(parents=True)
                (folder / category / split / f"{category}_0001.off").write_bytes(off())


@pytest.mark.parametrize(
    "name",
    ["modelnet40", "modelnet40-normal-resampled", "modelnet40-off", "modelnet10-off", "scanobjectnn", "cifar-fs"],
)
def test_data_reads_what_comes_out(
    server: FileServer, get: Callable[..., DownloadResult], tmp_path: Path, name: str
) -> None:
    root = tmp_path / "source"
    root.mkdir()
    published(name, root)
    files = tree(root)
    inner = next(path for path in root.rglob("modelnet40_*.txt")).parent if name.endswith("resampled") else root
    bodies = {"as.zip": zip_of(files), "flat.tar.gz": tar_of(tree(inner))}
    for number, (file, body) in enumerate(bodies.items()):
        out = tmp_path / f"data{number}"
        result = get(server.url(file, Reply(body)), name=name, entry={"sha256": None}, out=out)
        spec = str(result).rpartition("--data ")[2]
        if name == "cifar-fs":
            assert load_pictures(spec).categories == ("bee",)
        else:
            assert len(read_published(spec).train.ids) > 0
