import json
import shutil
from pathlib import Path

import pytest

from crosspoint3d.report.finetuned_run import SeedRun, finetuned_kind, read_finetuned
from tests.report.fake_finetuned import write_classify_run, write_segment_run


def row(step: int, epoch: int, **values: float) -> dict[str, float]:
    return {"step": step, "epoch": epoch, "loss": 1.0, **values}


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("finetuned")
    return {
        "segment": write_segment_run(folder / "segment"),
        "classify": write_classify_run(folder / "classify"),
        "segment, not finished": write_segment_run(folder / "segment-begun", finished=False),
        "classify, not finished": write_classify_run(folder / "classify-begun", finished=False),
    }


def test_the_kind_of_a_run_is_found_however_far_it_got(runs: dict[str, Path], tmp_path: Path) -> None:
    for words, run in runs.items():
        assert finetuned_kind(run) == words.partition(",")[0]
    (tmp_path / "result.json").write_text((runs["classify"] / "result.json").read_text())
    assert finetuned_kind(tmp_path) == "classify"


def test_other_folders_are_no_run_of_finetune(tmp_path: Path) -> None:
    assert finetuned_kind(tmp_path / "nowhere") is None
    (tmp_path / "encoder").mkdir()
    (tmp_path / "metrics.jsonl").write_text(json.dumps(row(1, 0, intra_modal=2.0)) + "\n")
    (tmp_path / "seed-x").mkdir()
    (tmp_path / "result.json").write_text("{")
    assert finetuned_kind(tmp_path) is None


def test_a_whole_run_has_no_problems_and_its_seeds_in_order(runs: dict[str, Path]) -> None:
    run = read_finetuned(runs["segment"], "segment")
    assert run.problems == () and run.result is not None
    assert [seed.seed for seed in run.seeds] == [0, 1, 2] and run.chosen_by == "instance_miou"
    assert [seed.kept_after("instance_miou") for seed in run.seeds] == [12, 13, 14]


def test_what_is_broken_or_missing_is_named(runs: dict[str, Path], tmp_path: Path) -> None:
    run = shutil.copytree(runs["segment"], tmp_path / "run")
    (run / "result.json").write_text("[]")
    (run / "weights.json").unlink()
    (run / "segmenter" / "config.json").write_text("{")
    (run / "seed-1" / "metrics.jsonl").write_text("nothing\n")
    (run / "seed-2" / "outcome.json").write_text("3")
    found = read_finetuned(run, "segment")
    for words in (
        "result.json: ",
        "weights.json: missing",
        "segmenter/config.json: cannot",
        "seed-1/metrics.jsonl: cannot",
    ):
        assert any(words in problem for problem in found.problems), words
    assert "seed-2/outcome.json: expected names and values" in found.problems[1] and len(found.problems) == 5
    assert found.result is None and found.seeds[1].metrics == []


def test_epochs_are_counted_by_the_steps_that_were_logged() -> None:
    rows = [
        row(20, 2),
        row(21, 2, **{"val/a": 0.5}),
        row(40, 5),
        row(42, 5, **{"val/a": 0.7}),
        row(63, 8, **{"val/a": 0.7}),
    ]
    begun = SeedRun(0, rows, {})
    assert begun.steps_per_epoch == 7
    assert begun.validations("a") == ("val", [3.0, 6.0, 9.0], [0.5, 0.7, 0.7])
    assert begun.validations("b") == ("", [], []) and begun.kept_after("b") is None
    assert begun.kept_after("a") == 6, "the first of equal ones"
    assert SeedRun(0, rows, {"steps": 90, "epochs": 10, "kept_after": 8}).steps_per_epoch == 9
    assert SeedRun(0, rows, {"kept_after": 8}).kept_after("a") == 8
    assert SeedRun(0, [], {}).steps_per_epoch == 1
    chosen_on_test = SeedRun(0, [row(5, 0, **{"test/a": 0.25})], {})
    assert chosen_on_test.validations("a") == ("test", [1.0], [0.25])
