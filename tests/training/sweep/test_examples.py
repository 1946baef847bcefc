"""The sweeps that ship can be started: every option in them is known and possible."""

from pathlib import Path

import pytest

from crosspoint3d.config import SweepConfig
from crosspoint3d.training.sweep.plan import read_plan
from tests.conftest import ROOT
from tests.data.tables import example_table

EXAMPLES = sorted((ROOT / "examples" / "sweeps").glob("*.yaml"))


@pytest.mark.parametrize("file", EXAMPLES, ids=lambda file: file.stem)
def test_an_example_is_a_plan(file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    example_table(tmp_path / "tables" / "procedural", 60, points=256, size=64)
    monkeypatch.chdir(tmp_path)
    plan = read_plan(SweepConfig(file, tmp_path / "out"))
    assert len(plan.settings) >= 2 and len(plan.seeds) >= 3
    assert f"sweeps/{file.name}" in file.read_text(), "says how it is started"
