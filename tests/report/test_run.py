import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from crosspoint3d.report.run import read_run
from tests.report.fake_run import LINEAR


@pytest.mark.parametrize(
    ("broken", "words"),
    [
        ({"scores": {"overall_accuracy": 0.5}}, "cannot be read"),
        ({"scores": {"overall_accuracy": {"mean": 0.5}}}, "expected numbers as mean, ci95 and n"),
        ({"scores": {"overall_accuracy": {"mean": None, "ci95": 0, "n": 1}}}, "scores: expected numbers"),
        ({"untrained": [1, 2]}, "cannot be read"),
        ({"chance": {"overall_accuracy": "x"}}, "chance"),
        ({"details": []}, "details"),
        ({"protocol": "clean"}, "protocol"),
        ({"protocol": {"seeds": 5}}, "seeds is 5"),
        ({"evaluation": 3}, "name"),
        ({"new": 3}, "new"),
    ],
)
def test_results_that_are_none_are_named_and_do_not_stop_the_others(
    broken: dict[str, Any], words: str, tmp_path: Path
) -> None:
    for name, values in (("broken", asdict(LINEAR) | broken), ("linear", asdict(LINEAR))):
        (tmp_path / "evaluation" / name).mkdir(parents=True)
        (tmp_path / "evaluation" / name / "result.json").write_text(json.dumps(values))
    (tmp_path / "encoder").mkdir()
    run = read_run(tmp_path)
    assert list(run.results) == ["linear"]
    (problem,) = [line for line in run.problems if "broken" in line]
    assert words in problem
