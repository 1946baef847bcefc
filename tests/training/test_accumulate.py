"""`--accumulate N` is `--chunk` said by number: GradCache in N equal parts, to the same bytes."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crosspoint3d.config import PretrainConfig, UsageError
from crosspoint3d.training import metrics
from crosspoint3d.training.grad_cache import chunk_sizes
from crosspoint3d.training.pretrain import pretrain
from crosspoint3d.training.setup import validate
from tests.data.tables import example_table


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("data") / "table"
    example_table(path, 20)
    return path


def config_for(data: Path, out: Path, **changes: Any) -> PretrainConfig:
    small: dict[str, Any] = {"width": 0.125, "emb_dims": 16, "k": 4, "points": 16, "image_size": 32, "batch_size": 8}
    small |= {"image_encoder": "resnet18", "max_steps": 2, "device": "cpu"}
    return PretrainConfig(data=(data,), out=out, **(small | changes))


@given(parts=st.integers(1, 40), each=st.integers(2, 40))
def test_the_parts_are_as_many_as_said_and_equal(parts: int, each: int) -> None:
    config = PretrainConfig(data=(Path("table"),), out=Path("run"), batch_size=parts * each, accumulate=parts)
    validate(config)
    assert chunk_sizes(config.batch_size, config.at_once(config.batch_size)) == [each] * parts
    chunked = PretrainConfig(data=(Path("table"),), out=Path("run"), batch_size=parts * each, chunk=each)
    assert chunk_sizes(config.batch_size, chunked.at_once(config.batch_size)) == [each] * parts


def test_a_run_is_that_of_chunks_to_the_same_bytes(data: Path, tmp_path: Path) -> None:
    made = {"accumulate": {"accumulate": 4}, "chunk": {"chunk": 2}, "whole": {}, "one": {"accumulate": 1}}
    found = {}
    for name, options in made.items():
        pretrain(config_for(data, tmp_path / name, **options))
        folders = [tmp_path / name / folder for folder in ("encoder", "image_encoder")]
        weights = [(folder / "model.safetensors").read_bytes() for folder in folders]
        found[name] = (weights, [row["loss"] for row in metrics.read(tmp_path / name)])
    assert found["accumulate"] == found["chunk"]
    assert found["one"] == found["whole"] != found["chunk"]


def test_it_decides_the_result_so_a_resumed_run_keeps_it(data: Path, tmp_path: Path) -> None:
    pretrain(config_for(data, tmp_path / "run", accumulate=2))
    with pytest.raises(UsageError, match="accumulate was 2, now 4"):
        pretrain(config_for(data, tmp_path / "run", accumulate=4, resume=True))


@pytest.mark.parametrize(
    ("options", "world", "message"),
    [
        ({"accumulate": 0}, 1, "--accumulate 0: must be at least 1"),
        ({"accumulate": 2, "chunk": 4}, 1, "--accumulate 2 with --chunk 4: they say the same, give one"),
        ({"accumulate": 3}, 1, "--accumulate 3: give 2, 4, 8, for equal parts of 2 or more of --batch-size 16"),
        ({"accumulate": 16}, 1, "--accumulate 16: give 2, 4, 8, for"),
        ({"accumulate": 8}, 2, "--accumulate 8: give 2, 4, for .* of each process's share of the batch, 8"),
        ({"accumulate": 2, "batch_size": 3}, 1, "--accumulate 2: leave it out, for .* of --batch-size 3"),
    ],
)
def test_what_cannot_be_is_refused(options: dict[str, Any], world: int, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        validate(PretrainConfig(data=(Path("table"),), out=Path("run"), **({"batch_size": 16} | options)), world)
