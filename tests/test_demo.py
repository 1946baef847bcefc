"""The demo, small, and the README's commands and lines of Python on what it leaves."""

import json
import re
from pathlib import Path

import pytest

from crosspoint3d import demo
from crosspoint3d.config import DemoConfig, UsageError
from tests.conftest import ROOT

README = (ROOT / "README.md").read_text(encoding="utf-8")
TINY = {"width": 0.125, "emb_dims": 16, "k": 4, "image_encoder": "resnet18", "image_size": 32}


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, demo.DemoResult]:
    out = tmp_path_factory.mktemp("demo") / "demo-run"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(demo, "NETWORK", TINY)
        patch.setattr(demo, "LEAST_HELD_OUT", 60)
        patch.setattr(demo, "QUERIES", 1)
        return out, demo.demo(DemoConfig(out=out, shapes=312, max_steps=3, workers=1, device="cpu"))


def test_it_ends_in_tables_and_a_report(finished: tuple[Path, demo.DemoResult]) -> None:
    out, result = finished
    text = str(result)
    for words in ("picture_to_shape_recall@1", "overall_accuracy", "few-shot", "untrained", "times chance"):
        assert words in text
    assert text.rstrip().endswith(str(out / "run" / "report.html"))
    page = (out / "run" / "report.html").read_text(encoding="utf-8")
    assert "Few-shot" in page and "Linear" in page
    for name in ("linear", "few-shot", "retrieval"):
        stored = json.loads((out / "run" / "evaluation" / name / "result.json").read_text())
        assert {"scores", "untrained", "protocol"} <= set(stored)


def test_too_few_shapes_for_an_honest_number_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="--shapes 100"):
        demo.demo(DemoConfig(out=tmp_path, shapes=100))


def test_the_python_of_the_readme_runs(finished: tuple[Path, demo.DemoResult]) -> None:
    (block,) = re.findall(r"```python\n(.*?)```", README, re.S)
    assert len([line for line in block.splitlines() if line.strip()]) <= 8
    names: dict[str, object] = {}
    exec(block.replace("demo-run", str(finished[0])), names)
    features = names["features"]
    assert features.shape == (72, 32) and features.dtype.name == "float32"  # type: ignore[attr-defined]


@pytest.mark.slow
def test_the_demo_as_shipped_learns(tmp_path: Path) -> None:
    result = demo.demo(DemoConfig(out=tmp_path / "demo-run", device="cpu"))
    name = "picture_to_shape_recall@1"
    assert result.retrieval.protocol["gallery"] >= 200
    assert result.retrieval.scores[name]["mean"] >= 10 * result.retrieval.chance[name]
