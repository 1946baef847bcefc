"""Sweeps from a file to the table: kept, gone on with, failed, stopped."""

import csv
import json
import os
import signal
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from crosspoint3d import cli
from crosspoint3d.config import PretrainConfig, RunError, SweepConfig
from crosspoint3d.training import metrics
from crosspoint3d.training.pretrain import pretrain
from crosspoint3d.training.pretrain_result import PretrainResult
from crosspoint3d.training.sweep import SweepResult, sweep
from crosspoint3d.training.sweep import __main__ as child
from crosspoint3d.training.sweep.notes import notes_on_runs
from tests.training.sweep.tiny import BASE, in_this_process, write_sweep


@pytest.fixture
def trained(monkeypatch: pytest.MonkeyPatch) -> list[PretrainConfig]:
    """The runs that were trained, in this process."""
    calls: list[PretrainConfig] = []

    def counted(config: PretrainConfig) -> PretrainResult:
        calls.append(config)
        return pretrain(config)

    monkeypatch.setattr("crosspoint3d.training.sweep.run.run_tasks", in_this_process)
    monkeypatch.setattr(child, "pretrain", counted)
    return calls


def run(folder: Path, **changes: Any) -> SweepResult:
    result = sweep(SweepConfig(write_sweep(folder, **changes), folder / "out"))
    assert isinstance(result, SweepResult)
    return result


def test_a_sweep_is_trained_measured_and_kept(
    tmp_path: Path, trained: list[PretrainConfig], capsys: pytest.CaptureFixture[str]
) -> None:
    result = run(tmp_path)
    assert [(config.k, config.seed) for config in trained] == [(4, 0), (4, 1), (5, 0), (5, 1)]
    assert (result.exit_code, result.table.missing) == (0, 0)
    for job in result.jobs:
        assert (job.run / "evaluation" / "knn" / "result.json").is_file()
        assert job.run.resolve().is_relative_to((tmp_path / "out" / "runs").resolve())
    with (tmp_path / "out" / "table.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert {(row["k"], row["evaluation"]) for row in rows} == {("4", "knn"), ("5", "knn")}
    assert all(row["n"] == "2" for row in rows)
    assert {row["difference to"] for row in rows} == {"", "k=4"}
    record = json.loads((tmp_path / "out" / "sweep.json").read_text())
    for entry in record["runs"]:
        assert (tmp_path / "out" / entry["records"]["knn"]).is_file()
        assert entry["summary"]["steps"] == 3
    page = (tmp_path / "out" / "table.html").read_text()
    assert "data:image/png;base64," in page and "http" not in page.replace("http-equiv", "")
    assert (tmp_path / "out" / "table.png").read_bytes()[:4] == b"\x89PNG"
    first = capsys.readouterr().err
    assert first.count("to train") == 4 and "[4/4] k=5 · seed 1: knn overall accuracy" in first

    trained.clear()
    assert str(run(tmp_path)) == str(result)
    assert not trained
    assert "4 of them kept" in capsys.readouterr().err
    run(tmp_path, grid={"k": [5, 6], "width": [0.125]}, evaluate=[{"knn": {"seeds": 1}}, {"cluster": {"seeds": 1}}])
    assert [(config.k, config.seed, config.resume) for config in trained] == [
        *((5, 0, True), (5, 1, True)),
        *((6, 0, False), (6, 1, False)),
    ], "a finished run is only measured, wherever its row stands now"
    assert len(list((tmp_path / "out" / "runs").iterdir())) == 3


def test_a_run_that_fails_is_listed_and_tried_again(
    tmp_path: Path, trained: list[PretrainConfig], monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = child.pretrain

    def sometimes(config: PretrainConfig) -> PretrainResult:
        if config.k == 5:
            raise RunError("step 2: loss nan")
        return whole(config)

    monkeypatch.setattr(child, "pretrain", sometimes)
    result = run(tmp_path, seeds=1, evaluate=[{"knn": {"seeds": 1}}, {"few-shot": {"n_way": 9, "seeds": 1}}])
    assert result.exit_code == 1
    failed = {(failure.job, failure.stage) for failure in result.table.failures}
    assert failed == {("k=5 · seed 0", "pretrain"), ("k=4 · seed 0", "few-shot 9-way 10-shot")}
    assert "step 2: loss nan" in str(result)
    assert result.table.shown[0].cells["k=4"].summary is not None, "the others went on"
    monkeypatch.setattr(child, "pretrain", whole)
    again = run(tmp_path, seeds=1)
    assert (again.exit_code, again.table.missing) == (0, 0)


def test_a_dry_run_lists_what_would_be_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = write_sweep(tmp_path)
    assert cli.run(["sweep", str(file), "--out", str(tmp_path / "out"), "--dry-run"]) == 0
    text = capsys.readouterr().out
    assert "2 settings by 2 seeds, 4 runs" in text and "knn on" in text
    assert [f"k={k} · seed {seed}" in text for k in (4, 5) for seed in (0, 1)] == [True] * 4
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_an_interrupted_sweep_says_how_to_go_on_and_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    base = BASE | {"data": str(tmp_path / "table"), "max_steps": 300}
    file = write_sweep(tmp_path, base=base, grid=None, seeds=1)

    def interrupt() -> None:
        while not any(len(metrics.read(path.parent)) > 5 for path in tmp_path.glob("out/runs/*/*/metrics.jsonl")):
            time.sleep(0.05)
        os.kill(os.getpid(), signal.SIGINT)

    thread = threading.Thread(target=interrupt, daemon=True)
    thread.start()
    assert cli.run(["sweep", str(file), "--out", str(tmp_path / "out"), "--jobs", "2"]) == 130
    thread.join()
    text = capsys.readouterr()
    assert f"go on with: crosspoint3d sweep {file} --out {tmp_path / 'out'} --jobs 2" in text.out
    assert "stopped with 1 of 1 runs to do" in text.out and "failed" not in text.out
    (seed,) = tmp_path.glob("out/runs/*/seed-0")
    steps = len(metrics.read(seed))
    assert 5 < steps < 300
    (log,) = tmp_path.glob("out/jobs/*.log")
    assert f"stopped at step {steps} of 300" in log.read_text()

    monkeypatch.setattr("crosspoint3d.training.sweep.run.run_tasks", in_this_process)
    assert run(tmp_path, base=base, grid=None, seeds=1).exit_code == 0
    assert "goes on from its checkpoint" in capsys.readouterr().err
    assert [row["step"] for row in metrics.read(seed)] == list(range(1, 301))


def test_runs_that_were_made_differently_have_a_note(tmp_path: Path, trained: list[PretrainConfig]) -> None:
    jobs = run(tmp_path, seeds=1).jobs
    assert not notes_on_runs(jobs)
    summary = jobs[0].run / "summary.json"
    found = json.loads(summary.read_text())
    found["environment"]["packages"]["torch"] = "2.0"
    summary.write_text(json.dumps(found))
    (note,) = notes_on_runs(jobs)
    assert note.startswith("the runs were trained by different versions of torch: 2.0; ")
    assert len(trained) == 2
