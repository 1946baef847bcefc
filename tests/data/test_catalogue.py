"""The built-in list of data sets, and lists laid over it."""

from pathlib import Path
from urllib.parse import urlsplit

import pytest
import yaml

from crosspoint3d.config import UsageError
from crosspoint3d.data.catalogue import BUILT_IN, load_catalogue
from crosspoint3d.data.image_folders import PREFIX
from crosspoint3d.data.published import PREFIXES

ENTRY = {
    "what": "w",
    "terms": "t",
    "page": "https://x",
    "cite": "c",
    "unpacked_at_most": 9,
    "holds": "*",
    "addresses": ["https://x/y.zip"],
}
DIGEST = "0123456789abcdef" * 4


def own(folder: Path, text: object) -> Path:
    path = folder / "own.yaml"
    path.write_text(text if isinstance(text, str) else yaml.safe_dump(text), encoding="utf-8")
    return path


def test_the_built_in_list_is_whole() -> None:
    known = load_catalogue()
    assert set(known) >= {
        "modelnet40", "modelnet40-normal-resampled", "modelnet40-off", "modelnet10-off", "scanobjectnn",
        "shapenetpart-hdf5", "shapenetpart-normal", "cifar-fs",
    }  # fmt: skip
    for data_set in known.values():
        assert data_set.use is None or data_set.use.startswith((*PREFIXES, PREFIX))
        assert data_set.use is None or data_set.use.endswith(":{folder}")
        assert urlsplit(data_set.page).scheme == "https"
        assert all(urlsplit(address.url).scheme in ("http", "https") for address in data_set.addresses)
        assert data_set.bytes is not None and data_set.bytes < data_set.unpacked_at_most
        # Whoever sits between could change what comes over http: only a checksum makes up for that.
        assert all(a.sha256 for a in data_set.addresses if urlsplit(a.url).scheme == "http")


def test_every_address_says_where_it_was_found() -> None:
    lines = BUILT_IN.read_text(encoding="utf-8").splitlines()
    for number, line in enumerate(lines):
        if line.strip() == "addresses:":
            assert lines[number + 1].strip().startswith("#")


def test_an_own_list_adds_and_replaces(tmp_path: Path) -> None:
    path = own(tmp_path, {"modelnet40": {"addresses": ["https://lab/m.zip"]}, "ours": ENTRY})
    built_in, both = load_catalogue(), load_catalogue(path)
    assert set(both) == {*built_in, "ours"}
    assert [a.url for a in both["modelnet40"].addresses] == ["https://lab/m.zip"]
    assert both["modelnet40"].addresses[0].sha256 == built_in["modelnet40"].addresses[0].sha256 is not None
    assert both["modelnet40"].terms == built_in["modelnet40"].terms
    assert both["scanobjectnn"] == built_in["scanobjectnn"]
    assert both["ours"].addresses[0].sha256 is both["ours"].bytes is both["ours"].use is None


def test_checksums_are_of_the_address_or_else_of_the_data_set(tmp_path: Path) -> None:
    addresses = ["https://x/1", {"url": "https://x/2"}, {"url": "https://x/3", "sha256": None},
                 {"url": "https://x/4", "sha256": DIGEST.upper()}]  # fmt: skip
    path = own(tmp_path, {"ours": ENTRY | {"addresses": addresses, "sha256": "f" * 64}})
    assert [a.sha256 for a in load_catalogue(path)["ours"].addresses] == ["f" * 64, "f" * 64, None, DIGEST]


def test_paths_are_beside_the_list(tmp_path: Path) -> None:
    path = own(tmp_path, {"ours": ENTRY | {"addresses": ["a b/x.zip", "/y.zip", "file:///z.zip"]}})
    urls = [address.url for address in load_catalogue(path)["ours"].addresses]
    assert urls == [f"{tmp_path.resolve().as_uri()}/a%20b/x.zip", "file:///y.zip", "file:///z.zip"]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("a: [", "is not YAML"),
        ("- a", "expected NAME:"),
        ("", "expected NAME:"),
        ("a: b", "expected NAME:"),
        ({"../x": ENTRY}, "'../x' is no name"),
        ({1: ENTRY}, "1 is no name"),
        ({"x": ENTRY | {"url": "y"}}, "x: unknown field url"),
        ({"x": {"what": "w"}}, "x: addresses is missing"),
        ({"x": ENTRY | {"what": ""}}, "x: what is ''"),
        ({"x": ENTRY | {"terms": 3}}, "x: terms is 3"),
        ({"x": ENTRY | {"bytes": "1 GB"}}, "x: bytes is '1 GB'"),
        ({"x": ENTRY | {"bytes": 0}}, "x: bytes is 0"),
        ({"x": ENTRY | {"unpacked_at_most": None}}, "x: unpacked_at_most is None"),
        ({"x": ENTRY | {"unpacked_at_most": True}}, "x: unpacked_at_most is True"),
        ({"x": ENTRY | {"holds": "../*"}}, "x: holds is '../*'"),
        ({"x": ENTRY | {"holds": "a/.."}}, "x: holds is 'a/..'"),
        ({"x": ENTRY | {"use": 1}}, "x: use is 1"),
        ({"x": ENTRY | {"holds": "/etc/*"}}, "x: holds is '/etc/"),
        ({"x": ENTRY | {"sha256": "abc"}}, "x: sha256 is 'abc'"),
        ({"x": ENTRY | {"addresses": []}}, "x: addresses: expected a list"),
        ({"x": ENTRY | {"addresses": "https://x"}}, "x: addresses: expected a list"),
        ({"x": ENTRY | {"addresses": [""]}}, "x: address ''"),
        ({"x": ENTRY | {"addresses": [3]}}, "x: address 3"),
        ({"x": ENTRY | {"addresses": [{"sha256": DIGEST}]}}, "x: address {"),
        ({"x": ENTRY | {"addresses": ["ftp://x/y"]}}, "x: address 'ftp://x/y': expected http, https, file"),
        ({"x": ENTRY | {"addresses": ["https:///y"]}}, "x: address 'https:///y'"),
        ({"modelnet40": {"sha256": "0" * 63}}, "modelnet40: sha256 is"),
    ],
)
def test_a_malformed_list_is_told(tmp_path: Path, text: object, problem: str) -> None:
    path = own(tmp_path, text)
    with pytest.raises(UsageError) as error:
        load_catalogue(path)
    assert str(error.value).startswith(f"--catalogue {path}") and problem in str(error.value)


def test_a_missing_list_is_told(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"--catalogue .*none\.yaml: No such file"):
        load_catalogue(tmp_path / "none.yaml")
