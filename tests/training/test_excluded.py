"""Shapes left out of pre-training by name."""

from pathlib import Path

import numpy as np
import pytest

from crosspoint3d.config import PretrainConfig, UsageError
from crosspoint3d.training.excluded import training_rows
from crosspoint3d.training.setup import draw_order
from tests.data.tables import example_table


def test_listed_shapes_are_left_out_of_every_table(tmp_path: Path) -> None:
    tables = [example_table(tmp_path / name, 10) for name in "ab"]
    listed = tmp_path / "exclude.txt"
    listed.write_text("shape/3\t1.4\tsomething\n\nshape/4\nshape/8\n")
    everything, kept = training_rows(tables, None), training_rows(tables, listed)
    for before, after in zip(everything, kept, strict=True):
        rows = before[np.arange(len(before))].tolist()
        assert after[np.arange(len(after))].tolist() == [row for row in rows if row not in (3, 4, 8)]
        assert len(after) == len(before) - 2  # shape/4 is in the test split anyway


def test_unknown_ids_and_missing_files_are_refused(tmp_path: Path) -> None:
    tables = [example_table(tmp_path / "a", 3)]
    listed = tmp_path / "exclude.txt"
    with pytest.raises(UsageError, match=r"exclude\.txt.*No such file"):
        training_rows(tables, listed)
    listed.write_text("shape/1\nnowhere\n")
    with pytest.raises(UsageError, match=r"1 of its ids \(first: nowhere\)"):
        training_rows(tables, listed)


def test_leaving_out_everything_is_refused(tmp_path: Path) -> None:
    table = example_table(tmp_path / "a", 4)
    listed = tmp_path / "exclude.txt"
    listed.write_text("\n".join(table.column("id")))
    config = PretrainConfig((tmp_path / "a",), tmp_path / "run", exclude=listed, points=32, k=4)
    with pytest.raises(UsageError, match="none to train on: status ok, split train or empty, not in --exclude"):
        draw_order(config, [table])
