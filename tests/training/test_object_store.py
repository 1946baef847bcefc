"""Training and measuring on a table of an object store: the same numbers as from a disk."""

import dataclasses
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from crosspoint3d import cli
from crosspoint3d.config import PretrainConfig, RunError
from crosspoint3d.evaluation.benchmark.sources import data_paths, state_hash
from crosspoint3d.labelling.places import find_places
from crosspoint3d.training import metrics
from crosspoint3d.training.pretrain import pretrain
from crosspoint3d.training.run_tables import changes
from tests.data.object_store import KEY, SECRET, ObjectStore, serve
from tests.data.tables import example_row, example_table

TINY: dict[str, Any] = {
    "encoder": "pointnet",
    "emb_dims": 16,
    "image_encoder": "resnet18",
    "image_size": 32,
    "projection_dims": 8,
    "points": 16,
    "batch_size": 4,
    "max_steps": 3,
    "device": "cpu",
    "seed": 3,
}


@pytest.fixture(scope="module")
def server() -> Iterator[ObjectStore]:
    yield from serve()


@pytest.fixture
def url(server: ObjectStore, monkeypatch: pytest.MonkeyPatch) -> str:
    server.fail_every = 0
    for name, value in server.environment().items():
        monkeypatch.setenv(name, value)
    return f"s3://{server.bucket()}/tables/x"


@pytest.fixture(scope="module")
def on_disk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of three steps on a table in a folder."""
    folder = tmp_path_factory.mktemp("disk")
    example_table(folder / "x", 12)
    pretrain(PretrainConfig(data=(folder / "x",), out=folder / "run", **TINY))
    return folder / "run"


def numbers(run: Path) -> list[tuple[Any, ...]]:
    return [tuple(row[name] for name in ("step", "loss", "intra_modal", "cross_modal")) for row in metrics.read(run)]


def test_pretrain_from_a_url_has_the_numbers_of_a_disk(
    server: ObjectStore, url: str, tmp_path: Path, on_disk: Path
) -> None:
    example_table(Path(url), 12)
    server.fail_every = 10
    config = PretrainConfig(data=(Path(url),), out=tmp_path / "store", **TINY)
    pretrain(dataclasses.replace(config, workers=1))
    assert numbers(tmp_path / "store") == numbers(on_disk)
    assert len(numbers(tmp_path / "store")) == 3
    weights = [(run / "encoder" / "model.safetensors").read_bytes() for run in (on_disk, tmp_path / "store")]
    assert weights[0] == weights[1]
    written = "".join(path.read_text() for path in (tmp_path / "store").rglob("*") if path.suffix in (".yaml", ".json"))
    assert KEY not in written and SECRET not in written
    assert yaml.safe_load((tmp_path / "store" / "config.yaml").read_text())["data"] == [url]
    assert json.loads((tmp_path / "store" / "tables.json").read_text())[0]["path"] == url
    assert cli.run(["pretrain", "--resume", "--data", url, "--out", str(tmp_path / "store"), *flags()]) == 0


def flags() -> list[str]:
    return [word for name, value in TINY.items() for word in (f"--{name.replace('_', '-')}", str(value))]


def test_a_run_goes_on_from_a_url_and_notices_another_table(url: str, tmp_path: Path, on_disk: Path) -> None:
    table = example_table(Path(url), 12)
    begun = PretrainConfig(data=(Path(url),), out=tmp_path / "begun", checkpoint_every=2, **TINY)
    pretrain(begun)
    for name in ("summary.json", "checkpoint/step-00000003.pt"):
        (tmp_path / "begun" / name).unlink()
    table.append([example_row(4)])  # a test shape
    assert changes(tmp_path / "begun") == [f"{url}: 12 rows then, 13 now"]
    assert pretrain(dataclasses.replace(begun, resume=True)).steps == 3
    assert numbers(tmp_path / "begun") == numbers(on_disk)


def test_evaluations_sweeps_and_labelling_take_urls(
    server: ObjectStore, url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    example_table(tmp_path / "x", 20)
    table = example_table(Path(url), 20)
    scores = []
    for data in (url, str(tmp_path / "x")):
        out = tmp_path / f"out-{len(scores)}"
        words = ["--encoder", "random:pointnet", "--data", data, "--out", str(out), "--device", "cpu", "--seeds", "2"]
        assert cli.run(["evaluate", "knn", *words, "--points", "16"]) == 0
        scores.append(json.loads((out / "result.json").read_text())["scores"])
    assert scores[0] == scores[1]
    assert data_paths(url) == [Path(url)]
    before = state_hash([Path(url)])
    assert before == state_hash(data_paths(url))
    table.append([example_row(20)])
    assert state_hash(data_paths(url)) != before
    assert [place.id for place in find_places([url], leave_out=tmp_path, seed=0).shapes][:1] == ["shape/0"]
    monkeypatch.setenv("OBJECT_STORE_CLIENT_MAX_RETRIES", "1")
    server.answer = (503, "")
    try:
        with pytest.raises(RunError, match=f"{url}: the store"):
            data_paths(url)
    finally:
        server.answer = None
