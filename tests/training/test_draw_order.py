"""What decides the order of a run's shapes: its tables, weights, --consecutive, and the version that began it."""

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from crosspoint3d.config import PretrainConfig, UsageError
from crosspoint3d.data.order import VERSION
from crosspoint3d.data.table import ShapeTable
from crosspoint3d.training import held_out
from crosspoint3d.training.checkpoint import FOLDER
from crosspoint3d.training.held_out import held_out_retrieval
from crosspoint3d.training.pretrain import pretrain
from crosspoint3d.training.run_folder import SUMMARY
from crosspoint3d.training.setup import draw_order, validate
from tests.data.tables import example_table
from tests.training.small_runs import POINTNET


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("data") / "table"
    example_table(path, 20)
    return path


def config_for(data: Path, out: Path, **changes: Any) -> PretrainConfig:
    return PretrainConfig(data=(data,), out=out, **(POINTNET | changes))


def test_a_run_of_another_order_is_refused(data: Path, tmp_path: Path) -> None:
    config = config_for(data, tmp_path / "run", max_steps=2, cross_weight=0.0)
    pretrain(config)
    (tmp_path / "run" / SUMMARY).unlink()  # as if it had been stopped
    shutil.copytree(tmp_path / "run", tmp_path / "old")
    for path in (tmp_path / "old" / FOLDER).iterdir():
        state = torch.load(path, weights_only=True)
        assert state.pop("order") == VERSION
        torch.save(state, path)
    assert pretrain(replace(config, resume=True)).steps == 2
    with pytest.raises(UsageError, match=r"begun by an earlier version, whose order .* start a new run"):
        pretrain(replace(config, out=tmp_path / "old", resume=True))


def test_consecutive_rows_are_drawn_together(data: Path, tmp_path: Path) -> None:
    order = draw_order(config_for(data, tmp_path / "run", consecutive=4), [ShapeTable(data)])
    batches = [[draw.row for draw in batch] for batch in order.epoch(0)]
    rows = [row for row in range(20) if row % 5 != 4]
    assert sum(any(batch == (rows + rows)[i : i + 4] for i in range(16)) for batch in batches) >= 3


@pytest.mark.parametrize(("consecutive", "world", "message"), [(3, 1, "share of the batch, 4"), (4, 2, "batch, 2")])
def test_consecutive_rows_fill_a_process_share(
    data: Path, tmp_path: Path, consecutive: int, world: int, message: str
) -> None:
    with pytest.raises(UsageError, match=rf"--consecutive {consecutive}: give a divisor of .*{message}"):
        validate(config_for(data, tmp_path / "run", consecutive=consecutive), world)
    with pytest.raises(UsageError, match="consecutive"):
        validate(config_for(data, tmp_path / "run", consecutive=0), world)


def test_a_weight_that_leaves_a_table_out_is_refused(data: Path, tmp_path: Path) -> None:
    example_table(tmp_path / "other", 10)
    config = replace(config_for(data, tmp_path / "run"), data=(data, tmp_path / "other"), weights=(1.0, 0.001))
    with pytest.raises(UsageError, match=r"--weights .*none of the 24 shapes an epoch is of .*other"):
        draw_order(config, [ShapeTable(path) for path in config.data])


@pytest.mark.parametrize(("name", "most"), [("MOST_TEST_SHAPES", 3), ("MOST_ROWS", 19)])
def test_tables_too_large_to_be_measured_are_said(
    data: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    name: str,
    most: int,
) -> None:
    monkeypatch.setattr(held_out, name, most)
    assert held_out_retrieval(config_for(data, tmp_path / "run"), [ShapeTable(data)]) is None
    assert "4 test shapes in 20 rows, and an evaluation reads them all into memory" in capsys.readouterr().err
