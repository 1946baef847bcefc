"""The sweeps that ship can be started: every option in them is known and possible."""

from pathlib import Path

import pytest

from crosspoint3d.config import SweepConfig
from crosspoint3d.training.sweep.plan import read_plan
from tests.conftest import ROOT
from tests.data.tables import example_table

EXAMPLES = sorted((ROOT / "examples" / "sweeps").glob("*.yaml"))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the files' table is."""
    folder = tmp_path_factory.mktemp("sweeps")
    example_table(folder / "tables" / "procedural", 360, points=256, views=4, size=64, depth=True)
    return folder


@pytest.mark.parametrize("file", EXAMPLES, ids=lambda file: file.stem)
def test_an_example_is_a_plan(file: Path, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    plan = read_plan(SweepConfig(file, tmp_path / "out"))
    assert len(plan.settings) >= 2 and len(plan.seeds) >= 3
    assert f"sweeps/{file.name}" in file.read_text(), "says how it is started"
