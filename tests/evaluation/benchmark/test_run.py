import csv
import json
from pathlib import Path
from typing import Any

import pytest

from crosspoint3d import cli
from crosspoint3d.config import BenchmarkConfig, EvaluateConfig, RunError, UsageError
from crosspoint3d.evaluation.benchmark import BenchmarkResult, benchmark
from tests.evaluation.benchmark.fakes import use_evaluations, write_file

FILE = """
data: procedural:60
protocols: [clean, paper]
seeds: 2
encoders:
  - {name: "A/../ä B", encoder: "random:pointnet"}
  - {name: "a b", encoder: "random:dgcnn", published: {linear: 88.5, knn mean_class_accuracy: 77, source: us}}
evaluations: [linear, {few-shot: {k_shot: 5}}, {knn: {protocols: paper, encoders: ["a b"]}}]
"""


def run(folder: Path, text: str = FILE) -> BenchmarkResult:
    return benchmark(BenchmarkConfig(write_file(folder / "b.yaml", text), folder / "out", device="cpu"))


def test_every_cell_is_run_once_and_written_to_a_folder_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    calls = use_evaluations(monkeypatch)
    result = run(tmp_path)
    assert [call.encoder for call in calls] == ["random:pointnet"] * 4 + ["random:dgcnn"] * 5
    assert not any(call.untrained for call in calls)
    assert len({call.out for call in calls}) == 9
    for call in calls:
        assert call.out is not None
        assert (call.out / "result.json").is_file()
        assert call.out.resolve().is_relative_to((tmp_path / "out" / "results").resolve())
        assert call.out.name == call.protocol
    assert (result.exit_code, result.kept) == (0, 0)
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("[")]
    assert len(lines) == 9
    assert lines[8].startswith("[9/9] a b · knn · paper: overall accuracy")


def test_a_second_run_keeps_what_is_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    calls = use_evaluations(monkeypatch)
    first = run(tmp_path)
    calls.clear()
    capsys.readouterr()
    second = run(tmp_path)
    assert (calls, second.kept) == ([], 9)
    assert str(second).replace(", 9 of them kept from before", "") == str(first)
    assert capsys.readouterr().err.count("kept") == 10
    run(tmp_path, FILE.replace("seeds: 2", "seeds: 2\nbatch_size: 3"))
    assert not calls, "the batch size decides nothing"
    run(tmp_path, FILE.replace("k_shot: 5", "k_shot: 5, seeds: 3"))
    assert {type(call).__name__ for call in calls} == {"FewShotConfig"}
    calls.clear()
    monkeypatch.setattr("crosspoint3d.evaluation.benchmark.run.__version__", "9")
    run(tmp_path)
    assert len(calls) == 9


def test_other_weights_or_data_are_measured_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = use_evaluations(monkeypatch)
    weights, data = tmp_path / "w.pth", tmp_path / "data"
    data.mkdir()
    weights.write_bytes(b"one")
    (data / "a.h5").write_bytes(b"one")
    text = f"data: 'modelnet40:{data}'\nencoders: [{{name: A, encoder: '{weights}'}}]\nevaluations: [linear]\n"
    for change, expected in (
        (lambda: None, 1),
        (lambda: None, 0),
        (lambda: weights.write_bytes(b"two"), 1),
        (lambda: (data / "a.h5").write_bytes(b"other"), 1),
        (lambda: (tmp_path / "out" / "results" / "a" / "linear" / "clean" / "result.json").write_text("{"), 1),
    ):
        calls.clear()
        change()
        run(tmp_path, text)
        assert len(calls) == expected


def test_a_failure_is_listed_and_the_others_go_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(config: EvaluateConfig) -> None:
        if config.encoder == "random:pointnet" and config.protocol == "paper":
            raise (UsageError if type(config).__name__ == "LinearConfig" else RunError)("no <way> to do it")

    use_evaluations(monkeypatch, fail)
    result = run(tmp_path)
    assert result.exit_code == 1
    assert str(result).count("failed [1]") == 3, "two scores of linear, one of few-shot"
    assert "[1] failed: no <way> to do it" in str(result)
    assert "no &lt;way&gt; to do it" in (tmp_path / "out" / "table.html").read_text()
    written = json.loads((tmp_path / "out" / "benchmark.json").read_text())
    assert [failed["evaluation"] for failed in written["failed"]] == ["linear", "few-shot"]
    calls = use_evaluations(monkeypatch)
    assert run(tmp_path).exit_code == 0
    assert len(calls) == 2, "only what failed is run again"


def test_whatever_an_encoder_raises_is_a_failure_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(config: EvaluateConfig) -> None:
        if config.encoder == "random:pointnet":
            raise MemoryError if config.protocol == "paper" else RuntimeError("CUDA out of memory")

    use_evaluations(monkeypatch, fail)
    result = run(tmp_path)
    assert result.exit_code == 1
    assert {outcome.error for outcome in result.table.outcomes} == {
        "", "MemoryError", "RuntimeError: CUDA out of memory",
    }  # fmt: skip


def test_ctrl_c_loses_only_what_was_running(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupt(config: EvaluateConfig) -> None:
        if config.encoder == "random:dgcnn":
            raise KeyboardInterrupt

    use_evaluations(monkeypatch, interrupt)
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path)
    assert "4 of 9 are done" in capsys.readouterr().err
    calls = use_evaluations(monkeypatch)
    assert run(tmp_path).kept == 4
    assert len(calls) == 5


def test_a_result_that_was_cut_off_is_not_taken_for_another(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    use_evaluations(monkeypatch)
    run(tmp_path)
    other = FILE.replace("seeds: 2", "seeds: 4")

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    use_evaluations(monkeypatch)
    with monkeypatch.context() as patch:
        patch.setattr("crosspoint3d.evaluation.benchmark.run._measured", _then(killed))
        with pytest.raises(KeyboardInterrupt):
            run(tmp_path, other)
    calls = use_evaluations(monkeypatch)
    run(tmp_path)
    assert len(calls) == 1


def _then(stop: Any) -> Any:
    """`_measured`, killed between the result and what says how it was made."""
    from crosspoint3d.evaluation.benchmark import run as module

    def measured(job: Any, evaluate: Any, origins: Any) -> None:
        def evaluate_and_stop(config: EvaluateConfig) -> None:
            evaluate(config)
            stop()

        original(job, evaluate_and_stop, origins)

    original = module._measured
    return measured


def test_the_files_hold_every_score(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    use_evaluations(monkeypatch)
    run(tmp_path)
    with (tmp_path / "out" / "table.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 2 * 2 * 2 + 2 * 2 + 2
    linear = next(row for row in rows if row["encoder"] == "a b" and row["score"] == "overall_accuracy")
    assert (linear["published"], linear["source"], linear["n"]) == ("0.885", "us", "2")
    knn = {row["score"]: row["published"] for row in rows if row["evaluation"] == "knn"}
    assert knn == {"overall_accuracy": "", "mean_class_accuracy": "0.77"}
    few = next(row for row in rows if row["evaluation"] == "few-shot")
    assert json.loads(few["options"]) == {"k_shot": 5}
    for row in rows:
        result = json.loads((tmp_path / "out" / row["result file"]).read_text())
        assert result["scores"][row["score"]]["mean"] == pytest.approx(float(row["mean"]))
    written = json.loads((tmp_path / "out" / "benchmark.json").read_text())
    assert len(written["scores"]) == len(rows)
    (pair,) = next(t for t in written["tests"] if t["evaluation"] == "linear")["pairs"]
    assert pair["test"]["units"] == 400
    assert pair["p"] == pytest.approx(1e-4)


def test_a_real_benchmark_from_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = (
        "data: procedural:72\npoints: 32\nseeds: 1\n"
        "encoders: [{name: PointNet, encoder: 'random:pointnet'}, {name: DGCNN, encoder: 'random:dgcnn', k: 4}]\n"
        "evaluations: [{linear: {protocols: paper}}, {few-shot: {n_way: 2, k_shot: 1, n_query: 1, k: 3}}]\n"
    )
    file = write_file(tmp_path / "b.yaml", text)
    code = cli.run(["evaluate", "benchmark", str(file), "--out", str(tmp_path / "out"), "--device", "cpu"])
    captured = capsys.readouterr()
    assert code == 1, "PointNet has no graph for k = 3"
    assert "PointNet has no neighbour graph" in captured.out
    assert "linear" in captured.out
    for name in ("table.html", "table.csv", "benchmark.json"):
        assert (tmp_path / "out" / name).stat().st_size > 500
    written = json.loads((tmp_path / "out" / "benchmark.json").read_text())
    test = next(t for t in written["tests"] if t["evaluation"] == "linear" and t["score"] == "overall_accuracy")
    assert test["pairs"][0]["test"] is not None, test["pairs"][0]["reason"]


def test_a_mistake_in_the_file_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = write_file(tmp_path / "b.yaml", FILE.replace("linear,", "liner,"))
    assert cli.run(["evaluate", "benchmark", str(file), "--out", str(tmp_path / "out")]) == 2
    assert capsys.readouterr().err.count("\n") == 1
    assert not (tmp_path / "out").exists()
