"""Paths that stand for places on object stores, and all that only look like it."""

from pathlib import Path, PurePosixPath, PureWindowsPath

import pytest

from crosspoint3d import cli
from crosspoint3d.address import address_of, is_url
from crosspoint3d.config import PretrainConfig
from crosspoint3d.config_file import load_yaml, save_yaml, to_dict


@pytest.mark.parametrize(
    "text",
    [
        "s3://bucket/x",
        "s3://bucket",
        "gs://bucket/a/b.lance",
        "az://container/x",
        "abfss://box@account.net/x",
        "s3://b/é x",
    ],
)
def test_a_url_survives_being_a_path(text: str) -> None:
    assert is_url(text) and is_url(Path(text))
    assert address_of(text) == address_of(f"{text}/") == address_of(Path(text)) == text
    assert address_of(str(Path(text))) == text


@pytest.mark.parametrize(
    "text",
    [
        "table",
        "/data/table",
        "./s3/x",
        "modelnet40:DIR",
        "procedural:12:3",
        "clouds:a.h5,b.h5",
        "C:/data/x",
        "s3:",
        "s3x://b/x",
    ],
)
def test_everything_else_stays_what_it_is(text: str) -> None:
    assert not is_url(text) and not is_url(Path(text))
    assert address_of(text) == text
    assert address_of(Path(text)) == str(Path(text))


def test_configs_keep_urls_through_files_and_flags(tmp_path: Path) -> None:
    arguments = ["--data", "s3://bucket/a", "--data", "table/b", "--out", str(tmp_path / "run")]
    config = cli.parse("pretrain", arguments)
    assert to_dict(config)["data"] == ["s3://bucket/a", "table/b"]
    save_yaml(config, tmp_path / "config.yaml")
    assert load_yaml(tmp_path / "config.yaml", PretrainConfig)["data"] == ["s3://bucket/a", "table/b"]
    again = cli.parse("pretrain", ["--config", str(tmp_path / "config.yaml")])
    assert again == config


def test_other_systems_paths() -> None:
    assert address_of(PureWindowsPath("s3://bucket/x").as_posix()) == "s3://bucket/x"
    assert not is_url(PureWindowsPath("C:/data").as_posix())
    assert is_url(str(PurePosixPath("gs://bucket/x")))
